// What is promised: of a user's quota, of a host, of a pool. Each is one conditional UPDATE, so that any number of
// requests at once, on any number of portals, never exceed a limit. The limits are those of model/capacity.ts.
// Order, always: user, host, pool; otherwise two transactions could each wait for the other's row.
import type { Settings } from '../model/settings.ts';
import type { Size } from '../model/size.ts';
import type { Quota } from '../model/user.ts';
import type { Db } from './db.ts';

/** false: the quota in force does not leave that much, or the account may not create. `standard`: the default quota. */
export async function reserveUserQuota(tx: Db, userId: string, size: Size, standard: Quota): Promise<boolean> {
  const { affectedRows } = await tx.execute(
    `UPDATE users SET used_instances = used_instances + 1, used_vcpus = used_vcpus + ?, used_memory_mib = used_memory_mib + ?, used_disk_gib = used_disk_gib + ?
     WHERE id = ? AND state = 'active'
       AND used_instances + 1 <= COALESCE(quota_instances, ?) AND used_vcpus + ? <= COALESCE(quota_vcpus, ?)
       AND used_memory_mib + ? <= COALESCE(quota_memory_mib, ?) AND used_disk_gib + ? <= COALESCE(quota_disk_gib, ?)`,
    [size.vcpus, size.memoryMib, size.diskGib, userId, standard.instances, size.vcpus, standard.vcpus,
      size.memoryMib, standard.memoryMib, size.diskGib, standard.diskGib],
  );
  return affectedRows === 1;
}

/** false: the host has no room left, takes nothing new, or is gone. */
export async function reserveHostCapacity(tx: Db, hostId: string, size: Size, overcommit: Settings['overcommit']): Promise<boolean> {
  const { affectedRows } = await tx.execute(
    `UPDATE hosts SET used_vcpus = used_vcpus + ?, used_memory_mib = used_memory_mib + ?
     WHERE id = ? AND wish = 'enabled' AND state <> 'fenced' AND used_vcpus + ? <= FLOOR(cpus * ?) AND used_memory_mib + ? <= FLOOR(memory_mib * ?)`,
    [size.vcpus, size.memoryMib, hostId, size.vcpus, overcommit.vcpus, size.memoryMib, overcommit.memory],
  );
  return affectedRows === 1;
}

/** As reserveHostCapacity, on a host that answers, whatever an admin wishes for users' instances there: for its burn-in. */
export async function reserveHostRoom(tx: Db, hostId: string, size: Size, overcommit: Settings['overcommit']): Promise<boolean> {
  const { affectedRows } = await tx.execute(
    `UPDATE hosts SET used_vcpus = used_vcpus + ?, used_memory_mib = used_memory_mib + ?
     WHERE id = ? AND state = 'up' AND used_vcpus + ? <= FLOOR(cpus * ?) AND used_memory_mib + ? <= FLOOR(memory_mib * ?)`,
    [size.vcpus, size.memoryMib, hostId, size.vcpus, overcommit.vcpus, size.memoryMib, overcommit.memory],
  );
  return affectedRows === 1;
}

/** false: the pool has no room left, or is gone. */
export async function reservePoolSpace(tx: Db, poolId: string, size: Size, overcommit: Settings['overcommit']): Promise<boolean> {
  const { affectedRows } = await tx.execute(
    'UPDATE storage_pools SET used_gib = used_gib + ? WHERE id = ? AND used_gib + ? <= FLOOR(capacity_bytes * ? / 1073741824)',
    [size.diskGib, poolId, size.diskGib, overcommit.disk],
  );
  return affectedRows === 1;
}

/** Gives back what was reserved on one host: the one left behind, or the one that was not reached. */
export async function releaseHostCapacity(tx: Db, hostId: string, size: Size): Promise<void> {
  await tx.execute('UPDATE hosts SET used_vcpus = used_vcpus - ?, used_memory_mib = used_memory_mib - ? WHERE id = ?', [size.vcpus, size.memoryMib, hostId]);
}

export async function releasePoolSpace(tx: Db, poolId: string, size: Size): Promise<void> {
  await tx.execute('UPDATE storage_pools SET used_gib = used_gib - ? WHERE id = ?', [size.diskGib, poolId]);
}

export interface Reservation {
  readonly userId: string;
  readonly hostId: string;
  readonly poolId: string;
  readonly size: Size;
}

/** Gives back what one instance had. In the transaction that ends or deletes it, so that it happens once. */
export async function releaseReservation(tx: Db, { userId, hostId, poolId, size }: Reservation): Promise<void> {
  await tx.execute(
    `UPDATE users SET used_instances = used_instances - 1, used_vcpus = used_vcpus - ?, used_memory_mib = used_memory_mib - ?, used_disk_gib = used_disk_gib - ?
     WHERE id = ?`,
    [size.vcpus, size.memoryMib, size.diskGib, userId],
  );
  await releaseHostCapacity(tx, hostId, size);
  await releasePoolSpace(tx, poolId, size);
}
