// Space in storage pools. libvirt's figures are those of the pool's last refresh, so each pool is refreshed first; a
// shared pool by one host a tick, whichever comes first. Where a pool hangs, its host is not asked for it again for a while:
// each such request stays with the daemon, and another host may well reach a shared pool.
import { LibvirtError } from '../libvirt/errors.ts';
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
/** After a failure on a host, milliseconds until that host is asked for that pool again: twice as long each time, up to the second. */
const firstPauseMs = 60_000;
const longestPauseMs = 600_000;

export interface PoolTick {
  /** Never rejects: a pool that does not answer keeps its old figures and their age. */
  pollHostPools(host: Host, poolIds: ReadonlySet<string> | undefined, options: CallOptions): Promise<void>;
  /** All pools with the newest figures. */
  pools(): readonly StoragePool[];
}

/** A host is not asked for a pool. */
interface Pause {
  /** monotonic */
  readonly until: number;
  readonly pauseMs: number;
}

type MeasuredPool = StoragePool & { readonly sampledAt: number };

export function createPoolPolls(deps: CollectDeps, pollIntervalMs: number): { tick(pools: readonly StoragePool[], writer: SampleWriter): PoolTick } {
  /** pool id → monotonic time of its next refresh */
  const nextRefresh = new Map<string, number>();
  /** pool id → host id */
  const pauses = new Map<string, Map<string, Pause>>();

  function pause(poolId: string, hostId: string): void {
    const ofPool = pauses.get(poolId) ?? new Map<string, Pause>();
    const pauseMs = Math.min(longestPauseMs, 2 * (ofPool.get(hostId)?.pauseMs ?? firstPauseMs / 2));
    pauses.set(poolId, ofPool.set(hostId, { until: performance.now() + pauseMs, pauseMs }));
  }

  /** undefined: the pool is not running there. */
  async function poll(host: Host, pool: StoragePool, options: CallOptions): Promise<MeasuredPool | undefined> {
    const { storagePool } = deps.hosts.host(host.id);
    const startedAt = performance.now();
    // refused while a volume is being made there; libvirt's own figures hold what it did itself
    await storagePool.refresh(pool.name, options).catch((error: unknown) => {
      if (!(error instanceof LibvirtError)) throw error;
    });
    const info: PoolInfo = await storagePool.getInfo(pool.name, options);
    if (info.state !== 'running' && info.state !== 'degraded') return undefined;
    nextRefresh.set(pool.id, startedAt + restFactor * (performance.now() - startedAt));
    const sampledAt = deps.clock.now();
    await updatePoolSample(deps.db, pool.id, info.capacityBytes, info.availableBytes, sampledAt);
    return { ...pool, capacityBytes: info.capacityBytes, availableBytes: info.availableBytes, sampledAt };
  }

  return {
    tick(pools, writer) {
      const known = new Map(pools.map((pool) => [pool.id, pool]));
      const claimed = new Set<string>();
      for (const kept of [nextRefresh, pauses]) for (const id of kept.keys()) if (!known.has(id)) kept.delete(id);
      const due = (id: string, hostId: string): boolean =>
        performance.now() + pollIntervalMs / 2 > Math.max(nextRefresh.get(id) ?? 0, pauses.get(id)?.get(hostId)?.until ?? 0);
      return {
        pools: () => [...known.values()],
        async pollHostPools(host, poolIds, options) {
          for (const id of poolIds ?? []) {
            const pool = known.get(id);
            if (pool === undefined || claimed.has(id) || !due(id, host.id)) continue;
            claimed.add(id);
            try {
              const measured = await poll(host, pool, options);
              pauses.get(id)?.delete(host.id);
              if (measured === undefined) {
                // it may run on another host
                claimed.delete(id);
                continue;
              }
              known.set(id, measured);
              writer.pools.add([{ subjectId: pool.subjectId, at: measured.sampledAt, capacityBytes: measured.capacityBytes, availableBytes: measured.availableBytes }]);
            } catch (error) {
              claimed.delete(id);
              pause(id, host.id);
              deps.log.debug({ hostId: host.id, poolId: id, err: error }, 'pool not measured');
            }
          }
        },
      };
    },
  };
}
