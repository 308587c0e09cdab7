// One polling tick: hosts side by side, a deadline each. A host that is dead or frozen gets its reason written down and
// slows nothing but itself.
import type { Host } from '../model/host.ts';
import type { OperationDeps } from '../operations/deps.ts';
import { selectHostPools, selectHosts, updateHostContact } from '../store/hosts.ts';
import { selectPools } from '../store/storage-pools.ts';
import { observeInstances } from './observe-instances.ts';
import { pollHost, type HostReadings } from './poll-host.ts';
import { createPoolPolls } from './poll-pools.ts';

/** Longer: a frozen host's tick runs into the next one. Shorter: a busy daemon with hundreds of domains counts as dead. */
const longestDeadlineMs = 8000;
const shortestDeadlineMs = 2000;

export interface CollectOptions { readonly pollIntervalMs: number }

/** The run of the job; it remembers the counters of the tick before. */
export function createCollectMetrics(deps: OperationDeps, { pollIntervalMs }: CollectOptions): (signal: AbortSignal) => Promise<void> {
  const readings = new Map<string, HostReadings>();
  const pools = createPoolPolls(deps, pollIntervalMs);
  const deadlineMs = Math.max(shortestDeadlineMs, Math.min(longestDeadlineMs, pollIntervalMs * 0.8));

  return async (signal) => {
    const [hosts, allPools, hostPools] = await Promise.all([selectHosts(deps.db), selectPools(deps.db), selectHostPools(deps.db)]);
    const tick = pools.tick(allPools);
    for (const id of readings.keys()) if (!hosts.some((host) => host.id === id)) readings.delete(id);

    await Promise.all(hosts.map(async (host) => {
      try {
        const options = { timeoutMs: deadlineMs, signal };
        // a frozen NFS server must not look like a frozen host, so pools have an outcome of their own
        const polledPools = tick.pollHostPools(host, hostPools.get(host.id), options);
        const polled = await pollHost(deps, host, readings.get(host.id), options);
        readings.set(host.id, polled.readings);
        await updateHostContact(deps.db, host.id, { state: 'up', at: deps.clock.now() });
        await Promise.all([polledPools, observeInstances(deps, host, polled, options)]);
      } catch (error) {
        if (!signal.aborted) await noteFailure(deps, host, error);
      }
    }));
  };
}

async function noteFailure({ db, clock, log }: OperationDeps, host: Host, error: unknown): Promise<void> {
  const reason = error instanceof Error ? error.message : String(error);
  if (host.state !== 'unreachable') log.warn({ hostId: host.id, host: host.name, err: error }, 'host does not answer');
  if (host.state === 'unreachable' && host.reason === reason) return;
  // the database itself may be what failed; then the next tick says it
  await updateHostContact(db, host.id, { state: 'unreachable', at: clock.now(), reason }).catch(() => undefined);
}
