// Before the disk of a machine is removed whose home does not have it: does another host? Its record may be wrong, by hands on
// a host or by an old backup, and a shared disk is one file for all.
import type { CallOptions } from '../libvirt/hypervisor.ts';
import type { Host } from '../model/host.ts';
import { selectHosts } from '../store/hosts.ts';
import type { OperationDeps } from './deps.ts';

/** Longer: one busy host holds up a deletion for as long. Shorter: busy hosts are not heard. */
const askMs = 5000;

/** Another host than `homeId` that has the domain, of those that answer; undefined: none says so. */
export async function whoElseHas({ db, hosts: fleet, log }: OperationDeps, instanceId: string, homeId: string, { signal }: Pick<CallOptions, 'signal'>): Promise<Host | undefined> {
  const others = (await selectHosts(db)).filter(({ id, state }) => id !== homeId && state !== 'fenced' && fleet.has(id) && fleet.host(id).status.state === 'up');
  const found = await Promise.all(others.map(async (host) => {
    try {
      return (await fleet.host(host.id).domain.lookupByUUID(instanceId, { timeoutMs: askMs, ...(signal === undefined ? {} : { signal }) })) === undefined ? undefined : host;
    } catch (error) {
      signal?.throwIfAborted();
      log.warn({ instance: instanceId, host: host.name, err: error }, 'host not asked for an instance that another has lost');
      return undefined;
    }
  }));
  return found.find((host) => host !== undefined);
}
