// What each user had, and from when to when: a period for each instance, opened in the transaction that reserves its place
// and closed in the one that gives it back; that of an instance that could not be made is deleted. What it costs is computed
// from these and the price lists (model/usage.ts).
import type { Instance } from '../model/instance.ts';
import type { UsagePeriod } from '../model/usage.ts';
import type { Db, SqlValue } from './db.ts';

interface PeriodRow {
  readonly instance_id: string;
  readonly opened_at: number;
  readonly closed_at: number | null;
  readonly user_id: string;
  readonly instance_name: string;
  readonly vcpus: number;
  readonly memory_mib: number;
  readonly disk_gib: number;
}

/** Rows of one read. Larger: a read holds up the portal's other work; smaller: more reads. */
const pageRows = 2000;

/** In the transaction that reserves. `openedAt` is the instance's createdAt: the same one when it is run again, and what closing finds it by. */
export async function openUsagePeriod(tx: Db, period: Omit<UsagePeriod, 'closedAt'>): Promise<void> {
  await tx.execute(
    `INSERT INTO usage_periods (instance_id, opened_at, user_id, instance_name, vcpus, memory_mib, disk_gib) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON DUPLICATE KEY UPDATE instance_id = instance_id`,
    [period.instanceId, period.openedAt, period.userId, period.instanceName, period.vcpus, period.memoryMib, period.diskGib],
  );
}

/**
 * In the transaction that gives the reservation back. The clocks of two portals may differ: a period never ends before it
 * began. By its whole primary key: MySQL Cluster locks what it reads on the way to a row.
 */
export async function closeUsagePeriod(tx: Db, { id, createdAt }: Pick<Instance, 'id' | 'createdAt'>, now: number): Promise<void> {
  await tx.execute('UPDATE usage_periods SET closed_at = GREATEST(opened_at, ?) WHERE instance_id = ? AND opened_at = ? AND closed_at IS NULL', [now, id, createdAt]);
}

/**
 * In the transaction that gives back the reservation of an instance that was never made: nobody pays for what did not come into
 * being, and a script that cancels what it asks for leaves no rows behind.
 */
export async function deleteUsagePeriod(tx: Db, { id, createdAt }: Pick<Instance, 'id' | 'createdAt'>): Promise<void> {
  await tx.execute('DELETE FROM usage_periods WHERE instance_id = ? AND opened_at = ?', [id, createdAt]);
}

/**
 * The periods that have a part between `from` and `to`, in the order of their instances' ids. However many there are, only a
 * page of them is held at a time; between two pages the portal does other work.
 */
export async function* selectUsagePeriods(db: Db, { from, to, userId }: { readonly from: number; readonly to: number; readonly userId?: string | undefined }): AsyncGenerator<UsagePeriod> {
  let last = { instance_id: '', opened_at: 0 };
  for (;;) {
    const params: SqlValue[] = [last.instance_id, last.instance_id, last.opened_at, to, from, ...(userId === undefined ? [] : [userId]), pageRows];
    const rows = await db.query<PeriodRow>(
      `SELECT instance_id, opened_at, closed_at, user_id, instance_name, vcpus, memory_mib, disk_gib FROM usage_periods
       WHERE instance_id >= ? AND (instance_id > ? OR opened_at > ?) AND opened_at < ? AND (closed_at IS NULL OR closed_at > ?) ${userId === undefined ? '' : 'AND user_id = ?'}
       ORDER BY instance_id, opened_at LIMIT ?`,
      params,
    );
    for (const row of rows) yield toPeriod(row);
    const end = rows.at(-1);
    if (end === undefined || rows.length < pageRows) return;
    last = end;
  }
}

function toPeriod(row: PeriodRow): UsagePeriod {
  return {
    instanceId: row.instance_id, openedAt: row.opened_at, closedAt: row.closed_at, userId: row.user_id, instanceName: row.instance_name,
    vcpus: row.vcpus, memoryMib: row.memory_mib, diskGib: row.disk_gib,
  };
}

/**
 * Instances that hold a reservation and have no period: those from before periods were kept, and those that an older portal
 * makes while both run. How many were opened. `before` leaves out what a transaction may be about to open.
 */
export async function openMissingPeriods(db: Db, before: number, limit: number): Promise<number> {
  const missing = await db.query<Omit<PeriodRow, 'closed_at'>>(
    `SELECT id AS instance_id, created_at AS opened_at, user_id, name AS instance_name, vcpus, memory_mib, disk_gib FROM instances
     WHERE host_id IS NOT NULL AND created_at < ? AND NOT EXISTS (SELECT 1 FROM usage_periods WHERE instance_id = instances.id AND closed_at IS NULL)
     LIMIT ?`,
    [before, limit],
  );
  if (missing.length === 0) return 0;
  const { affectedRows } = await db.execute(
    `INSERT INTO usage_periods (instance_id, opened_at, user_id, instance_name, vcpus, memory_mib, disk_gib)
     VALUES ${missing.map(() => '(?, ?, ?, ?, ?, ?, ?)').join(', ')} ON DUPLICATE KEY UPDATE instance_id = VALUES(instance_id)`,
    missing.flatMap((row) => [row.instance_id, row.opened_at, row.user_id, row.instance_name, row.vcpus, row.memory_mib, row.disk_gib]),
  );
  return affectedRows;
}

/** Open periods whose instance holds nothing any more, closed at `now`: an older portal does not close what it deletes. */
export async function closeOrphanPeriods(db: Db, before: number, now: number, limit: number): Promise<number> {
  const orphans = await db.query<{ instance_id: string }>(
    `SELECT instance_id FROM usage_periods WHERE closed_at IS NULL AND opened_at < ?
       AND NOT EXISTS (SELECT 1 FROM instances WHERE id = usage_periods.instance_id AND host_id IS NOT NULL) LIMIT ?`,
    [before, limit],
  );
  if (orphans.length === 0) return 0;
  const { affectedRows } = await db.execute(
    'UPDATE usage_periods SET closed_at = GREATEST(opened_at, ?) WHERE closed_at IS NULL AND instance_id IN (?)', [now, orphans.map((row) => row.instance_id)],
  );
  return affectedRows;
}

export async function deletePeriodsClosedBefore(db: Db, before: number, limit: number): Promise<number> {
  return (await db.execute('DELETE FROM usage_periods WHERE closed_at < ? LIMIT ?', [before, limit])).affectedRows;
}

/** Since when periods are complete: what was deleted before is in none. */
export async function selectPeriodsSince(db: Db): Promise<number> {
  const [row] = await db.query<{ applied_at: number }>("SELECT applied_at FROM migrations WHERE name = '20261124000500_usage_periods__create.sql'");
  return row?.applied_at ?? 0;
}
