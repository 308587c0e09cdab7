// Row numbers of the sample rings: small integers for hosts, instances and pools, so that the rings stay narrow.
import type { Db } from './db.ts';

interface SubjectRow { readonly id: number; readonly owner_id: string }

/** The subject id of this owner (a host, an instance or a pool), made when there is none. Repeatable. */
export async function insertSampleSubject(db: Db, ownerId: string, now: number): Promise<number> {
  // LAST_INSERT_ID(id): the existing row's id comes back as insertId
  const { insertId } = await db.execute(
    'INSERT INTO sample_subjects (owner_id, created_at) VALUES (?, ?) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id)',
    [ownerId, now],
  );
  return insertId;
}

/** Subjects older than `before` whose host, instance or pool is gone. */
export async function selectOrphanSubjects(db: Db, before: number, limit: number): Promise<number[]> {
  const rows = await db.query<SubjectRow>(
    `SELECT id FROM sample_subjects AS s WHERE created_at < ?
       AND NOT EXISTS (SELECT 1 FROM instances WHERE id = s.owner_id)
       AND NOT EXISTS (SELECT 1 FROM hosts WHERE id = s.owner_id)
       AND NOT EXISTS (SELECT 1 FROM storage_pools WHERE id = s.owner_id)
     LIMIT ?`,
    [before, limit],
  );
  return rows.map((row) => row.id);
}

export async function deleteSampleSubject(db: Db, id: number): Promise<void> {
  await db.execute('DELETE FROM sample_subjects WHERE id = ?', [id]);
}
