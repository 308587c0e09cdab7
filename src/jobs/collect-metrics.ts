// One polling tick: hosts side by side, a deadline each. A host that is dead or frozen slows nothing but itself.
import type { OperationDeps } from '../operations/deps.ts';
import { selectHostPools, selectHosts } from '../store/hosts.ts';
import { selectPools } from '../store/storage-pools.ts';
import { observeInstances } from './observe-instances.ts';
import { pollHost, type HostReadings } from './poll-host.ts';
import { createPoolPolls } from './poll-pools.ts';

/** Longer: a frozen host's tick runs into the next one. Shorter: a busy daemon with hundreds of domains is not measured. */
const longestDeadlineMs = 8000;
const shortestDeadlineMs = 2000;

export interface CollectOptions { readonly pollIntervalMs: number }

/** The run of the job; it remembers the counters of the tick before. */
export function createCollectMetrics(deps: OperationDeps, { pollIntervalMs }: CollectOptions): (signal: AbortSignal) => Promise<void> {
  const readings = new Map<string, HostReadings>();
  const unmeasured = new Set<string>();
  const pools = createPoolPolls(deps, pollIntervalMs);
  const deadlineMs = Math.max(shortestDeadlineMs, Math.min(longestDeadlineMs, pollIntervalMs * 0.8));

  return async (signal) => {
    const [hosts, allPools, hostPools] = await Promise.all([selectHosts(deps.db), selectPools(deps.db), selectHostPools(deps.db)]);
    const tick = pools.tick(allPools);
    for (const id of readings.keys()) if (!hosts.some((host) => host.id === id)) readings.delete(id);

    // a fenced host is no part of the cloud until it has checked in
    await Promise.all(hosts.filter((host) => host.state !== 'fenced').map(async (host) => {
      try {
        const options = { timeoutMs: deadlineMs, signal };
        // a frozen NFS server must not look like a frozen host, so pools have an outcome of their own
        const polledPools = tick.pollHostPools(host, hostPools.get(host.id), options);
        const startedAt = performance.now();
        const polled = await pollHost(deps, host, readings.get(host.id), options);
        deps.log.debug({ hostId: host.id, host: host.name, elapsedMs: Math.round((performance.now() - startedAt) * 10) / 10 }, 'host polled');
        readings.set(host.id, polled.readings);
        unmeasured.delete(host.id);
        await Promise.all([polledPools, observeInstances(deps, host, polled, options)]);
      } catch (error) {
        // once for each time it falls silent; whether it is reachable is for watch-hosts to say
        if (!signal.aborted && !unmeasured.has(host.id)) deps.log.warn({ hostId: host.id, host: host.name, err: error }, 'host not measured');
        unmeasured.add(host.id);
      }
    }));
  };
}
