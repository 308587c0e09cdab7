// The longer tiers' rows: packed chunks of a subject's metric, and how far each subject has been rolled up.
import type { Database, Db } from './db.ts';

export type ChunkTable = 'sample_hours' | 'sample_days';

export interface ChunkRow {
  readonly subjectId: number;
  readonly metricId: number;
  /** number of the hour or UTC day since 1970 */
  readonly chunk: number;
  readonly data: Buffer;
}

const rolledColumns = { sample_hours: 'rolled_hour', sample_days: 'rolled_day' } as const;
const chunkMs = { sample_hours: 3_600_000, sample_days: 86_400_000 } as const;

/** Rows of one statement: NDB runs out of operation records for batches of thousands. */
const batchRows = 250;

/** A turn: this chunk, of the subjects whose minute of the period has come. */
export interface Turn {
  readonly chunk: number;
  readonly minute: number;
  /** the subjects are spread over so many minutes */
  readonly spreadMinutes: number;
}

export interface DueSubject {
  readonly id: number;
  /** the last chunk that it has */
  readonly rolled: number;
}

/** Subjects that do not have this chunk yet though their minute has come, at most `limit`. For days only those that have the day's hours. */
export async function selectDueSubjects(db: Db, table: ChunkTable, { chunk, minute, spreadMinutes }: Turn, limit: number): Promise<DueSubject[]> {
  const hours = table === 'sample_days' ? 'AND rolled_hour >= ?' : '';
  return db.query<DueSubject & object>(
    `SELECT id, rolled FROM (
       SELECT id, rolled_hour, COALESCE(${rolledColumns[table]}, FLOOR(created_at / ?) - 1) + 0.0e0 AS rolled FROM sample_subjects
     ) AS s WHERE rolled < ? AND id % ? <= ? ${hours} ORDER BY id LIMIT ?`,
    [chunkMs[table], chunk, spreadMinutes, minute, ...(table === 'sample_days' ? [chunk * 24 + 23] : []), limit],
  );
}

/** Chunks of several subjects, of all their metrics, from `first` to `last`. */
export async function selectAllChunks(db: Db, table: ChunkTable, subjectIds: readonly number[], first: number, last: number): Promise<ChunkRow[]> {
  const rows = await db.query<{ subject_id: number; metric: number; chunk: number; data: Buffer }>(
    `SELECT subject_id, metric, chunk, data FROM ${table} WHERE subject_id IN (?) AND chunk BETWEEN ? AND ?`,
    [subjectIds, first, last],
  );
  return rows.map((row) => ({ subjectId: row.subject_id, metricId: row.metric, chunk: row.chunk, data: row.data }));
}

/**
 * Writes the chunks of one time and that these subjects have them, together or not at all. What is done already stays as it
 * is: it was made when more samples were there. A subject that was deleted meanwhile gets nothing, so that nothing is left of it.
 */
export async function insertChunks(db: Database, table: ChunkTable, chunk: number, subjectIds: readonly number[], rows: readonly ChunkRow[]): Promise<void> {
  const column = rolledColumns[table];
  await db.transaction(async (tx) => {
    const waiting = await tx.query<{ id: number }>(
      `SELECT id FROM sample_subjects WHERE id IN (?) AND (${column} IS NULL OR ${column} < ?) ORDER BY id FOR UPDATE`,
      [subjectIds, chunk],
    );
    if (waiting.length === 0) return;
    const ids = waiting.map((row) => row.id);
    const wanted = rows.filter((row) => ids.includes(row.subjectId));
    for (let start = 0; start < wanted.length; start += batchRows) {
      const batch = wanted.slice(start, start + batchRows);
      await tx.execute(
        `INSERT INTO ${table} (subject_id, metric, chunk, data) VALUES ${batch.map(() => '(?, ?, ?, ?)').join(', ')} ON DUPLICATE KEY UPDATE data = VALUES(data)`,
        batch.flatMap((row) => [row.subjectId, row.metricId, row.chunk, row.data]),
      );
    }
    await tx.execute(`UPDATE sample_subjects SET ${column} = ? WHERE id IN (?)`, [chunk, ids]);
  });
}

/** Deletes what a subject has from before `first`, a batch at a time; how many rows. */
export async function deleteChunksBefore(db: Db, table: ChunkTable, subjectId: number, first: number): Promise<number> {
  for (let total = 0; ;) {
    const { affectedRows } = await db.execute(`DELETE FROM ${table} WHERE subject_id = ? AND chunk < ? LIMIT ?`, [subjectId, first, batchRows]);
    total += affectedRows;
    if (affectedRows < batchRows) return total;
  }
}
