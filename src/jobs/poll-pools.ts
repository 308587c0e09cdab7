// Space in storage pools. libvirt's figures are those of the pool's last refresh, so each pool is refreshed first; a
// shared pool by one host a tick, whichever comes first.
import type { CallOptions, PoolInfo } from '../libvirt/hypervisor.ts';
import type { Host, StoragePool } from '../model/host.ts';
import type { OperationDeps } from '../operations/deps.ts';
import { insertPoolSamples } from '../store/samples.ts';
import { updatePoolSample } from '../store/storage-pools.ts';

/**
 * A refresh opens every volume of the pool and keeps the pool locked meanwhile; this many times its duration passes before
 * the next one, so that a pool with thousands of volumes is not always being refreshed.
 */
const restFactor = 20;

export interface PoolTick {
  /** Never rejects: a pool that does not answer keeps its old figures and their age. */
  pollHostPools(host: Host, poolIds: ReadonlySet<string> | undefined, options: CallOptions): Promise<void>;
}

export function createPoolPolls(deps: OperationDeps, pollIntervalMs: number): { tick(pools: readonly StoragePool[]): PoolTick } {
  /** pool id → monotonic time of its next refresh */
  const nextRefresh = new Map<string, number>();

  async function poll(host: Host, pool: StoragePool, options: CallOptions): Promise<void> {
    const { storagePool } = deps.hosts.host(host.id);
    const startedAt = performance.now();
    // refused while a volume is being made there; libvirt's own figures hold what it did itself
    await storagePool.refresh(pool.name, options).catch(() => undefined);
    const info: PoolInfo = await storagePool.getInfo(pool.name, options);
    nextRefresh.set(pool.id, startedAt + restFactor * (performance.now() - startedAt));
    if (info.state !== 'running' && info.state !== 'degraded') return;
    const at = deps.clock.now();
    await updatePoolSample(deps.db, pool.id, info.capacityBytes, info.availableBytes, at);
    await insertPoolSamples(deps.db, [{ subjectId: pool.subjectId, at, capacityBytes: info.capacityBytes, availableBytes: info.availableBytes }]);
  }

  return {
    tick(pools) {
      const claimed = new Set<string>();
      const due = (pool: StoragePool): boolean => performance.now() + pollIntervalMs / 2 > (nextRefresh.get(pool.id) ?? 0);
      return {
        async pollHostPools(host, poolIds, options) {
          const mine = pools.filter((pool) => poolIds?.has(pool.id) === true && due(pool));
          for (const pool of mine) {
            if (claimed.has(pool.id)) continue;
            claimed.add(pool.id);
            try {
              await poll(host, pool, options);
            } catch (error) {
              claimed.delete(pool.id);
              deps.log.debug({ hostId: host.id, poolId: pool.id, err: error }, 'pool not measured');
            }
          }
        },
      };
    },
  };
}
