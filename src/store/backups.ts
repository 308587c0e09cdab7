// Backups of the database that were made: noted by whatever made them, because the portal cannot see them.
import type { Backup } from '../model/database-health.ts';
import type { Db } from './db.ts';

export async function insertBackup(db: Db, backup: Backup & { readonly id: string }): Promise<void> {
  await db.execute('INSERT INTO backups (id, kind, begun_at, ended_at, bytes, place) VALUES (?, ?, ?, ?, ?, ?)',
    [backup.id, backup.kind, backup.begunAt, backup.endedAt, backup.bytes, backup.place.slice(0, 255)]);
}

/** The last ones, newest first. */
export async function selectBackups(db: Db, limit: number): Promise<Backup[]> {
  const rows = await db.query<{ kind: Backup['kind']; begun_at: number; ended_at: number; bytes: number; place: string }>(
    'SELECT kind, begun_at, ended_at, bytes, place FROM backups ORDER BY ended_at DESC, id LIMIT ?', [limit]);
  return rows.map((row) => ({ kind: row.kind, begunAt: row.begun_at, endedAt: row.ended_at, bytes: Number(row.bytes), place: row.place }));
}

/** At most `limit` rows of those made before. */
export async function deleteBackupsBefore(db: Db, before: number, limit: number): Promise<number> {
  return (await db.execute('DELETE FROM backups WHERE ended_at < ? LIMIT ?', [before, limit])).affectedRows;
}
