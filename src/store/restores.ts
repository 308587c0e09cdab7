// A database that was loaded from a backup. The backup's last line marks it so (docs/admin.md), and while the mark is there no
// portal starts: what was open in it would be taken up again, on hosts that have gone on for a day since.
import type { Sentence } from '../errors.ts';
import { sentenceToColumn } from './columns.ts';
import type { Db } from './db.ts';
import { isOpen } from './operations.ts';

/** A row of `settings` that is no group of settings. */
const mark = 'restored';
/** Rows of one statement. Too many and MySQL Cluster runs out of operation records. */
const batchRows = 500;

export async function isMarkedRestored(db: Db): Promise<boolean> {
  return (await db.query('SELECT name FROM settings WHERE name = ?', [mark])).length > 0;
}

export async function insertRestoredMark(db: Db, now: number): Promise<void> {
  await db.execute("INSERT INTO settings (name, value, updated_at) VALUES (?, 'true', ?) ON DUPLICATE KEY UPDATE updated_at = VALUES(updated_at)", [mark, now]);
}

export async function deleteRestoredMark(db: Db): Promise<void> {
  await db.execute('DELETE FROM settings WHERE name = ?', [mark]);
}

/**
 * Ends all work that was open when the backup was made, without undoing any of it: it has ended since, one way or another, and
 * doing it again, or undoing it, would be done to machines that somebody has used since. How many operations.
 */
export async function endOpenWork(db: Db, error: Sentence, now: number): Promise<number> {
  const text = sentenceToColumn(error, 2000);
  // instances first: one that is let go twice is let go once
  await db.execute('UPDATE instances SET operation_id = NULL, operation_kind = NULL WHERE operation_id IS NOT NULL');
  await db.execute('UPDATE instances SET recovery_id = NULL WHERE recovery_id IS NOT NULL');
  await db.execute('UPDATE hosts SET recovery_id = NULL WHERE recovery_id IS NOT NULL');
  await db.execute("UPDATE recoveries SET state = 'failed', ended_at = ?, waits_for = NULL WHERE ended_at IS NULL", [now]);
  await db.execute("UPDATE drills SET state = 'failed', ended_at = ? WHERE state = 'running'", [now]);
  await db.execute("UPDATE burn_ins SET state = 'failed', ended_at = ? WHERE state = 'running'", [now]);
  await db.execute("UPDATE moves SET state = 'failed', ended_at = ?, error = ?, phase = NULL, remaining_bytes = NULL, eta_ms = NULL WHERE state IN ('queued', 'moving')", [now, text]);
  await db.execute("UPDATE suggestions SET state = 'expired', ended_at = ? WHERE state = 'open'", [now]);
  const open = (await db.query<{ id: string }>(`SELECT id FROM operations WHERE ${isOpen}`)).map(({ id }) => id);
  for (const id of open) {
    await db.execute("UPDATE operation_steps SET state = 'failed', ended_at = ?, error = ? WHERE operation_id = ? AND state IN ('running', 'undoing')", [now, text, id]);
    await db.execute(
      `UPDATE operations SET state = 'failed', error = ?, ended_at = ?, note = NULL, progress_percent = NULL, cancellable = 0, lease_owner = NULL, lease_until = 0, waiting_since = NULL
       WHERE id = ? AND ${isOpen}`, [text, now, id],
    );
  }
  return open.length;
}

/** They have just answered: a proof from yesterday that they run nothing is none. */
export async function updateHostsAnswering(db: Db, ids: readonly string[], now: number): Promise<void> {
  if (ids.length === 0) return;
  await db.execute(
    "UPDATE hosts SET state = 'up', state_since = ?, seen_at = ?, reason = NULL, fenced_at = NULL, fence_proof = NULL WHERE id IN (?) AND state <> 'up'", [now, now, ids],
  );
}

/** An administrator has switched them off. They check in before they are used again. */
export async function updateHostsOff(db: Db, ids: readonly string[], now: number): Promise<void> {
  if (ids.length === 0) return;
  await db.execute("UPDATE hosts SET state = 'fenced', state_since = ?, fenced_at = ?, fence_proof = 'admin' WHERE id IN (?)", [now, now, ids]);
}

/** What is promised, counted anew from what there is: the books of the backup were right for yesterday's machines. */
export async function recountReservations(db: Db): Promise<void> {
  const sum = (column: string, owner: string): string => `(SELECT COALESCE(SUM(${column}), 0) FROM instances WHERE ${owner} AND instances.host_id IS NOT NULL)`;
  const ofUser = 'instances.user_id = users.id';
  await db.execute(
    `UPDATE users SET used_instances = (SELECT COUNT(*) FROM instances WHERE ${ofUser} AND instances.host_id IS NOT NULL),
       used_vcpus = ${sum('vcpus', ofUser)}, used_memory_mib = ${sum('memory_mib', ofUser)}, used_disk_gib = ${sum('disk_gib', ofUser)}`,
  );
  const onHost = 'instances.host_id = hosts.id';
  await db.execute(`UPDATE hosts SET used_vcpus = ${sum('instances.vcpus', onHost)}, used_memory_mib = ${sum('instances.memory_mib', onHost)}`);
  await db.execute(`UPDATE storage_pools SET used_gib = ${sum('disk_gib', 'instances.pool_id = storage_pools.id')}`);
}

/** Who logged out since, or was logged out, must not be logged in again; and what disagreed yesterday is looked at anew. */
export async function deletePassing(db: Db): Promise<void> {
  for (const table of ['sessions', 'console_tickets', 'setup_links', 'discrepancies']) {
    while ((await db.execute(`DELETE FROM ${table} LIMIT ?`, [batchRows])).affectedRows === batchRows);
  }
}
