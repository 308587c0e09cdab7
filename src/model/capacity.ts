// How much may be promised, and how much of it is left. Allocation only: what instances were given, running or not.
// Measured load is another matter (threshold.ts).
import type { Fleet } from './admission.ts';
import type { Host, StoragePool } from './host.ts';
import type { Settings } from './settings.ts';
import type { Size } from './size.ts';

const gib = 1024 ** 3;

type Overcommit = Settings['overcommit'];

/** What the sums over all hosts are made from. */
export type HostShare = Pick<Host, 'id' | 'wish' | 'state' | 'cpus' | 'memoryMib' | 'usedVcpus' | 'usedMemoryMib'>;

/** What may be promised on a host in all: physical × overcommit, whole units. */
export function hostLimit(host: Pick<Host, 'cpus' | 'memoryMib'>, overcommit: Overcommit): Omit<Size, 'diskGib'> {
  return { vcpus: Math.floor(host.cpus * overcommit.vcpus), memoryMib: Math.floor(host.memoryMib * overcommit.memory) };
}

/** What may still be promised there; never below 0, also after the ratios were lowered. */
export function hostRoom(host: HostShare, overcommit: Overcommit): Omit<Size, 'diskGib'> {
  const limit = hostLimit(host, overcommit);
  return { vcpus: Math.max(0, limit.vcpus - host.usedVcpus), memoryMib: Math.max(0, limit.memoryMib - host.usedMemoryMib) };
}

/** GiB that may be promised in a pool in all. */
export function poolLimitGib(pool: StoragePool, overcommit: Overcommit): number {
  return Math.floor((pool.capacityBytes * overcommit.disk) / gib);
}

/** GiB that may still be promised in a pool; never below 0. */
export function poolRoomGib(pool: StoragePool, overcommit: Overcommit): number {
  return Math.max(0, poolLimitGib(pool, overcommit) - pool.usedGib);
}

/** Takes new instances: wished by the admin and answering. A host that is down or unknown gives no room. */
export function isOpenForNew(host: Pick<Host, 'wish' | 'state'>): boolean {
  return host.wish === 'enabled' && host.state === 'up';
}

/** What remains for new instances in the whole cluster. A shared pool counts once; a pool that no open host has, not at all. */
export function remainingOf(fleet: Pick<Fleet, 'hosts' | 'pools' | 'hostPools'>, settings: Pick<Settings, 'overcommit'>): Size {
  const reachable = new Set(fleet.hosts.filter(isOpenForNew).flatMap((host) => [...(fleet.hostPools.get(host.id) ?? [])]));
  return remainingIn(fleet.hosts, fleet.pools.filter((pool) => reachable.has(pool.id)), settings);
}

/** The same, when it is known which pools open hosts have. */
export function remainingIn(hosts: readonly HostShare[], reachable: readonly StoragePool[], settings: Pick<Settings, 'overcommit'>): Size {
  const rooms = hosts.filter(isOpenForNew).map((host) => hostRoom(host, settings.overcommit));
  return {
    vcpus: sum(rooms.map((room) => room.vcpus)),
    memoryMib: sum(rooms.map((room) => room.memoryMib)),
    diskGib: sum(reachable.map((pool) => poolRoomGib(pool, settings.overcommit))),
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
