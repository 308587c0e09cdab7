// Space in storage pools. libvirt's figures are those of the pool's last refresh, so each pool is refreshed first; a
// shared pool by one host a tick, whichever comes first.
import type { CallOptions, PoolInfo } from '../libvirt/hypervisor.ts';
import type { Host, StoragePool } from '../model/host.ts';
import { updatePoolSample } from '../store/storage-pools.ts';
import type { CollectDeps } from './collect-metrics.ts';
import type { SampleWriter } from './sample-writer.ts';

/**
 * A refresh opens every volume of the pool and keeps the pool locked meanwhile; this many times its duration passes before
 * the next one, so that a pool with thousands of volumes is not always being refreshed.
 */
const restFactor = 20;

export interface PoolTick {
  /** Never rejects: a pool that does not answer keeps its old figures and their age. */
  pollHostPools(host: Host, poolIds: ReadonlySet<string> | undefined, options: CallOptions): Promise<void>;
  /** All pools with the newest figures. */
  pools(): readonly StoragePool[];
}

type MeasuredPool = StoragePool & { readonly sampledAt: number };

export function createPoolPolls(deps: CollectDeps, pollIntervalMs: number): { tick(pools: readonly StoragePool[], writer: SampleWriter): PoolTick } {
  /** pool id → monotonic time of its next refresh */
  const nextRefresh = new Map<string, number>();

  /** undefined: the pool is not running there. */
  async function poll(host: Host, pool: StoragePool, options: CallOptions): Promise<MeasuredPool | undefined> {
    const { storagePool } = deps.hosts.host(host.id);
    const startedAt = performance.now();
    // refused while a volume is being made there; libvirt's own figures hold what it did itself
    await storagePool.refresh(pool.name, options).catch(() => undefined);
    const info: PoolInfo = await storagePool.getInfo(pool.name, options);
    nextRefresh.set(pool.id, startedAt + restFactor * (performance.now() - startedAt));
    if (info.state !== 'running' && info.state !== 'degraded') return undefined;
    const sampledAt = deps.clock.now();
    await updatePoolSample(deps.db, pool.id, info.capacityBytes, info.availableBytes, sampledAt);
    return { ...pool, capacityBytes: info.capacityBytes, availableBytes: info.availableBytes, sampledAt };
  }

  return {
    tick(pools, writer) {
      const known = new Map(pools.map((pool) => [pool.id, pool]));
      const claimed = new Set<string>();
      const due = (id: string): boolean => performance.now() + pollIntervalMs / 2 > (nextRefresh.get(id) ?? 0);
      return {
        pools: () => [...known.values()],
        async pollHostPools(host, poolIds, options) {
          for (const id of poolIds ?? []) {
            const pool = known.get(id);
            if (pool === undefined || claimed.has(id) || !due(id)) continue;
            claimed.add(id);
            try {
              const measured = await poll(host, pool, options);
              if (measured === undefined) continue;
              known.set(id, measured);
              writer.pools.add([{ subjectId: pool.subjectId, at: measured.sampledAt, capacityBytes: measured.capacityBytes, availableBytes: measured.availableBytes }]);
            } catch (error) {
              claimed.delete(id);
              deps.log.debug({ hostId: host.id, poolId: id, err: error }, 'pool not measured');
            }
          }
        },
      };
    },
  };
}
