// What a host is: versions, CPU, memory, what really virtualizes there. Looked at when it comes up and every few minutes
// after, because machines get memory and new versions. Its pools and networks are an admin's choice and stay as they are.
import type { Host } from '../model/host.ts';
import type { OperationDeps } from '../operations/deps.ts';
import { readHostFacts } from '../operations/host-facts.ts';
import { selectHosts, updateHostFacts } from '../store/hosts.ts';

/** Longer: what an admin changed is seen late. Shorter: capabilities cost a daemon 50 ms and more. */
const everyMs = 180_000;
const callTimeoutMs = 20_000;

interface Checked { readonly monotonicMs: number; readonly connectedAt: number; readonly virtTypeWish: Host['virtTypeWish'] }

/** The run of the job; it remembers when it looked at which host. */
export function createCheckHosts(deps: OperationDeps): (signal: AbortSignal) => Promise<void> {
  const checked = new Map<string, Checked>();

  const isDue = (host: Host, connectedAt: number): boolean => {
    const last = checked.get(host.id);
    if (last === undefined || host.cpus === 0 || last.connectedAt !== connectedAt || last.virtTypeWish !== host.virtTypeWish) return true;
    return performance.now() - last.monotonicMs >= everyMs;
  };

  return async (signal) => {
    const hosts = (await selectHosts(deps.db)).filter((host) => host.state !== 'fenced' && deps.hosts.has(host.id));
    await Promise.all(hosts.map(async (host) => {
      const { status } = deps.hosts.host(host.id);
      if (status.state !== 'up' || !isDue(host, status.since)) return;
      try {
        await check(deps, host, signal);
        checked.set(host.id, { monotonicMs: performance.now(), connectedAt: status.since, virtTypeWish: host.virtTypeWish });
      } catch (error) {
        // whether the host is reachable is for watch-hosts to say
        if (!signal.aborted) deps.log.warn({ hostId: host.id, host: host.name, err: error }, 'host not checked');
      }
    }));
  };
}

async function check({ db, hosts, log }: OperationDeps, host: Host, signal: AbortSignal): Promise<void> {
  const { facts } = await readHostFacts(hosts.host(host.id), host.virtTypeWish, { timeoutMs: callTimeoutMs, signal });
  if (host.hostUuid !== null && facts.hostUuid !== host.hostUuid) {
    // another machine answers at this address: its facts are not this host's
    log.error({ hostId: host.id, host: host.name, expected: host.hostUuid, found: facts.hostUuid }, 'another machine answers for this host');
    return;
  }
  await updateHostFacts(db, host.id, facts);
}
