// Row numbers of the sample rings: small integers for hosts, instances, pools and portals, so that the rings stay narrow.
import { clusterOwnerId } from '../model/metric.ts';
import type { Db } from './db.ts';

interface SubjectRow { readonly id: number; readonly owner_id: string }

/** The subject id of this owner (a host, an instance, a pool, a portal, the cluster), made when there is none. Repeatable. */
export async function insertSampleSubject(db: Db, ownerId: string, now: number): Promise<number> {
  // LAST_INSERT_ID(id): the existing row's id comes back as insertId
  const { insertId } = await db.execute(
    'INSERT INTO sample_subjects (owner_id, created_at) VALUES (?, ?) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id)',
    [ownerId, now],
  );
  return insertId;
}

/** undefined: nothing was ever measured of it. */
export async function selectOptionalSampleSubject(db: Db, ownerId: string): Promise<number | undefined> {
  const [row] = await db.query<SubjectRow>('SELECT id, owner_id FROM sample_subjects WHERE owner_id = ?', [ownerId]);
  return row?.id;
}

/** Subjects older than `before` whose host, instance, pool or portal is gone. */
export async function selectOrphanSubjects(db: Db, before: number, limit: number): Promise<number[]> {
  const rows = await db.query<SubjectRow>(
    `SELECT id FROM sample_subjects AS s WHERE created_at < ?
       AND NOT EXISTS (SELECT 1 FROM instances WHERE id = s.owner_id)
       AND NOT EXISTS (SELECT 1 FROM hosts WHERE id = s.owner_id)
       AND NOT EXISTS (SELECT 1 FROM storage_pools WHERE id = s.owner_id)
       AND NOT EXISTS (SELECT 1 FROM portals WHERE id = s.owner_id)
       AND owner_id <> ?
     LIMIT ?`,
    [before, clusterOwnerId, limit],
  );
  return rows.map((row) => row.id);
}

export async function deleteSampleSubjects(db: Db, ...ids: readonly number[]): Promise<void> {
  await db.execute('DELETE FROM sample_subjects WHERE id IN (?)', [ids]);
}
