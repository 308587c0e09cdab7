// An instance's domain, defined on a host from our record: when it is created, and when its host is gone and another takes it.
import { randomBytes } from 'node:crypto';
import { AppError, say } from '../errors.ts';
import { buildDomainXml, type DiskSpec } from '../libvirt/domain-xml.ts';
import type { Hypervisor } from '../libvirt/hypervisor.ts';
import type { Host } from '../model/host.ts';
import type { Instance } from '../model/instance.ts';
import type { Db } from '../store/db.ts';
import { selectOptionalUser } from '../store/users.ts';
import { domainName } from './domain.ts';
import { diskVolume, seedVolume } from './volumes.ts';

export interface InstanceDisks {
  readonly pool: string;
  /** it has one beside its disk; 'if-there': look, the image's record may have changed since */
  readonly seed: boolean | 'if-there';
}

/** What its domain is made of. */
export type DefinedInstance = Pick<Instance, 'id' | 'name' | 'userId' | 'vcpus' | 'memoryMib' | 'mac'>;

/** Defining again with the same UUID and name replaces. Throws conflict when the disk is not in the pool. */
export async function defineInstance(
  db: Db, { host, hypervisor }: { readonly host: Host; readonly hypervisor: Hypervisor }, instance: DefinedInstance, { pool, seed }: InstanceDisks, signal: AbortSignal,
): Promise<void> {
  const path = async (volume: string): Promise<string> => {
    const found = await hypervisor.storageVolume.lookupByName(pool, volume, { signal });
    if (found === undefined) throw new AppError('conflict', say('operations.failed.volume-gone', { volume, pool }));
    return found.key;
  };
  const disks: DiskSpec[] = [{ device: 'disk', path: await path(diskVolume(instance.id)), format: 'qcow2', target: 'vda', bus: 'virtio' }];
  const hasSeed = seed === 'if-there' ? (await hypervisor.storageVolume.lookupByName(pool, seedVolume(instance.id), { signal })) !== undefined : seed;
  // a disk, not a CD: Debian's cloud kernels have no driver for SATA
  if (hasSeed) disks.push({ device: 'disk', path: await path(seedVolume(instance.id)), format: 'raw', target: 'vdb', bus: 'virtio', readonly: true });
  const owner = await selectOptionalUser(db, instance.userId);
  const xml = buildDomainXml({
    uuid: instance.id, name: domainName(instance), title: instance.name, virtType: host.virtType ?? 'qemu', arch: 'x86_64',
    vcpus: instance.vcpus, memoryMib: instance.memoryMib, disks,
    interface: { kind: 'network', network: host.network, mac: instance.mac },
    vnc: { listen: listenAddress(host) },
    instance: { id: instance.id, owner: owner?.name ?? instance.userId },
  });
  await hypervisor.domain.defineXML(xml, { signal });
}

/**
 * Where VNC listens. The address people connect to may be a name or another machine's (NAT), and an instance that
 * moves must find its address on the next host: so on all, unless people are told a loopback address.
 */
function listenAddress({ consoleAddress }: Pick<Host, 'consoleAddress'>): string {
  if (consoleAddress === '::1') return '::1';
  if (consoleAddress.startsWith('127.') || consoleAddress === 'localhost') return '127.0.0.1';
  return consoleAddress.includes(':') ? '::' : '0.0.0.0';
}

/** An address for a network interface: QEMU's range, three random bytes. */
export function makeMac(): string {
  return ['52', '54', '00', ...(randomBytes(3).toString('hex').match(/../g) ?? [])].join(':');
}
