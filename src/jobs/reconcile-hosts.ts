// Compares what the hosts have with what the database says, for what no event told. Hosts side by side; one that does not
// answer is for watch-hosts to report.
import type { Host } from '../model/host.ts';
import type { OperationDeps } from '../operations/deps.ts';
import { reconcileHost, reconcileVolumes } from '../operations/reconcile.ts';
import { selectHosts } from '../store/hosts.ts';

const domainsTimeoutMs = 15_000;
const volumesTimeoutMs = 60_000;

/** Runs `compare` on every host that is connected. Of a fenced one nothing is believed before it has checked in. */
async function onEveryHost(deps: OperationDeps, signal: AbortSignal, compare: (host: Host) => Promise<void>): Promise<void> {
  const hosts = (await selectHosts(deps.db)).filter((host) => host.state !== 'fenced' && deps.hosts.has(host.id) && deps.hosts.host(host.id).status.state === 'up');
  await Promise.all(hosts.map(async (host) => {
    try {
      await compare(host);
    } catch (error) {
      if (!signal.aborted) deps.log.warn({ hostId: host.id, host: host.name, err: error }, 'host not reconciled');
    }
  }));
}

export function reconcileHosts(deps: OperationDeps, signal: AbortSignal): Promise<void> {
  return onEveryHost(deps, signal, (host) => reconcileHost(deps, host, { timeoutMs: domainsTimeoutMs, signal }));
}

/** Volumes that belong to nobody. It lists whole pools, so it runs seldom. */
export function reconcilePools(deps: OperationDeps, signal: AbortSignal): Promise<void> {
  return onEveryHost(deps, signal, (host) => reconcileVolumes(deps, host, { timeoutMs: volumesTimeoutMs, signal }));
}
