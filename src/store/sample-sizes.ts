// How much room measured values take: the tables as a whole by what the engine says, and a few owners of each kind counted.
import { sampleTables, type KindSample, type MeasuredKind, type SampleTable, type TableSize } from '../model/sample-size.ts';
import type { Database, Db } from './db.ts';

/** NDB tells rows' own bytes only; its hash and ordered index take these, measured. */
const ndbIndexBytes = 35;

/** Of NDB, one copy; each replica is one. */
export async function selectTableSizes(db: Database): Promise<Record<SampleTable, TableSize>> {
  const rows = await db.transaction(async (tx) => {
    // MySQL gives figures of up to a day ago otherwise; MariaDB has no such variable, and takes this for a comment
    await tx.query('SET /*!80000 SESSION information_schema_stats_expiry = 0, */ @fresh = 1');
    return tx.query<{ name: SampleTable; engine: string; n: number | null; bytes: number | null }>(
      `SELECT table_name AS name, engine AS engine, table_rows + 0.0e0 AS n, data_length + index_length + 0.0e0 AS bytes
       FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name IN (?)`,
      [sampleTables],
    );
  });
  const sizes = new Map(rows.map((row) => [row.name, { rows: row.n ?? 0, bytes: (row.bytes ?? 0) + (/^ndb/i.test(row.engine) ? ndbIndexBytes * (row.n ?? 0) : 0) }]));
  return record((table) => sizes.get(table) ?? { rows: 0, bytes: 0 });
}

const owners: Readonly<Record<MeasuredKind, string>> = { host: 'hosts', instance: 'instances', pool: 'storage_pools' };
/** Enough for a mean; a full instance is some thousand rows. */
const countedOwners = 10;

/** The mean of the oldest owners, whose tiers are the fullest. */
export async function selectKindSample(db: Db, kind: MeasuredKind): Promise<KindSample> {
  const [all] = await db.query<{ n: number }>(`SELECT COUNT(*) AS n FROM ${owners[kind]}`);
  const subjects = await db.query<{ id: number }>(`SELECT s.id FROM sample_subjects s JOIN ${owners[kind]} o ON o.id = s.owner_id ORDER BY s.id LIMIT ?`, [countedOwners]);
  const ids = subjects.map((row) => row.id);
  if (ids.length === 0) return { owners: all?.n ?? 0, rows: record(() => 0), metrics: 0, devices: 0 };
  const counts = await Promise.all(sampleTables.map(async (table) => {
    const [row] = await db.query<{ n: number }>(`SELECT COUNT(*) AS n FROM ${table} WHERE subject_id IN (?)`, [ids]);
    return [table, (row?.n ?? 0) / ids.length] as const;
  }));
  const byTable = new Map<SampleTable, number>(counts);
  const [[kept], [devices]] = await Promise.all([
    db.query<{ n: number }>('SELECT COUNT(DISTINCT subject_id, metric) AS n FROM sample_hours WHERE subject_id IN (?)', [ids]),
    db.query<{ n: number }>('SELECT COUNT(DISTINCT subject_id, device) AS n FROM device_samples WHERE subject_id IN (?)', [ids]),
  ]);
  return { owners: all?.n ?? 0, rows: record((table) => byTable.get(table) ?? 0), metrics: (kept?.n ?? 0) / ids.length, devices: (devices?.n ?? 0) / ids.length };
}

function record<T>(of: (table: SampleTable) => T): Record<SampleTable, T> {
  return Object.fromEntries(sampleTables.map((table) => [table, of(table)])) as Record<SampleTable, T>;
}
