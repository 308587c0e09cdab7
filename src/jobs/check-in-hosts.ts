// Fenced hosts that answer again: each checks in, and is used again only when it is clean.
import type { OperationDeps } from '../operations/deps.ts';
import { checkInHost } from '../operations/check-in.ts';
import { selectHosts } from '../store/hosts.ts';

/** Never rejects because of one host: what could not be done is tried again at the next run. */
export async function checkInHosts(deps: OperationDeps, signal: AbortSignal): Promise<void> {
  const fenced = (await selectHosts(deps.db)).filter((host) => host.state === 'fenced' && deps.hosts.has(host.id));
  const answering = fenced.filter((host) => deps.hosts.host(host.id).status.state === 'up');
  await Promise.all(answering.map((host) => checkInHost(deps, host, signal)));
}
