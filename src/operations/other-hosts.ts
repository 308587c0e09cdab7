// What other hosts have. Asked before the disk of a machine is removed whose home does not have it, and before one is started
// that went off with its home: its record may be wrong, by hands on a host or by an old backup, and a shared disk is one file for all.
import type { CallOptions } from '../libvirt/hypervisor.ts';
import type { Host } from '../model/host.ts';
import { selectHosts } from '../store/hosts.ts';
import type { OperationDeps } from './deps.ts';

/** Longer: one busy host holds up a deletion for as long. Shorter: busy hosts are not heard. */
const askMs = 5000;

export interface ElsewhereDomain {
  readonly host: Host;
  readonly runs: boolean;
}

/** UUID → the domain on another host than `homeId`, of those that answer; one that runs before one that does not. */
export async function domainsElsewhere({ db, hosts: fleet, log }: OperationDeps, homeId: string | null, { signal }: Pick<CallOptions, 'signal'>): Promise<Map<string, ElsewhereDomain>> {
  const others = (await selectHosts(db)).filter(({ id, state }) => id !== homeId && state !== 'fenced' && fleet.has(id) && fleet.host(id).status.state === 'up');
  const found = new Map<string, ElsewhereDomain>();
  await Promise.all(others.map(async (host) => {
    try {
      for (const { uuid, id } of await fleet.host(host.id).domain.listAll({ timeoutMs: askMs, ...(signal === undefined ? {} : { signal }) })) {
        if (found.get(uuid)?.runs !== true) found.set(uuid, { host, runs: id >= 0 });
      }
    } catch (error) {
      signal?.throwIfAborted();
      log.warn({ hostId: host.id, host: host.name, err: error }, 'host not asked for what others have lost');
    }
  }));
  return found;
}
