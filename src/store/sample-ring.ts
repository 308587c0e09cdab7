// A table of measured values as a ring that is overwritten in place: nothing is ever deleted from it, because NDB gives
// memory that DELETE frees back to the same table only, and a history that grows by itself fills a disk one day.
// A row's slot follows from its time, so that a repeated or late write meets its own row. A slot that was not written
// for a whole turn still holds values of the turn before: every reader looks at `at`.
import type { Db, SqlValue } from './db.ts';

/** Rows of one INSERT, and subjects of one SELECT: NDB runs out of operation records for batches of thousands. */
export const batchRows = 250;

/**
 * Time of a slot (ms) and slots of a turn, two hours. Too few: thresholds' windows (≤ 1 h) lose samples; too many: 1,000 instances
 * cost 130 bytes × slots each. Another slotMs makes what is there unreadable.
 */
export const rings = {
  samples: { slotMs: 10_000, slots: 720 },
  devices: { slotMs: 60_000, slots: 120 },
} as const;

interface Sample { readonly subjectId: number; readonly at: number }

/** What a writer has to say; what it leaves out is not known. */
export type NewSample<T extends Sample> = Pick<T, 'subjectId' | 'at'> & Partial<T>;

export type SampleRow = { readonly subject_id: number; readonly at: number } & Readonly<Record<string, number | null>>;

export interface Ring<T extends Sample> {
  readonly table: string;
  /** milliseconds of a slot: what comes more often overwrites it. Changing it makes the history of the change unreadable. */
  readonly slotMs: number;
  readonly slots: number;
  /** field → column */
  readonly columns: { readonly [K in Exclude<keyof T & string, 'subjectId' | 'at'>]: string };
  /** rows that are measurements, as SQL; the others only say that there was none */
  readonly measured?: string;
}

type Turn = Pick<Ring<Sample>, 'slotMs' | 'slots'>;

export function slotIn({ slotMs, slots }: Turn, at: number): number {
  return Math.floor(at / slotMs) % slots;
}

/** The slots that hold `from` to `to`, oldest first; at most one turn. */
export function slotsBetween({ slotMs, slots }: Turn, from: number, to: number): number[] {
  const last = Math.floor(to / slotMs);
  const first = Math.max(Math.floor(from / slotMs), last - slots + 1);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => (first + index) % slots);
}

export function columnsOf<T extends Sample>(ring: Ring<T>): string[] {
  return Object.values<string>(ring.columns);
}

export function toSample<T extends Sample>(ring: Ring<T>, row: SampleRow): T {
  const sample: Record<string, number | null> = { subjectId: row.subject_id, at: row.at };
  for (const [field, column] of Object.entries<string>(ring.columns)) sample[field] = row[column] ?? null;
  return sample as unknown as T;
}

export async function insertSamples<T extends Sample>(db: Db, ring: Ring<T>, samples: readonly NewSample<T>[]): Promise<void> {
  const fields = Object.keys(ring.columns) as (keyof NewSample<T>)[];
  const columns = columnsOf(ring);
  const row = `(?, ?, ?${', ?'.repeat(columns.length)})`;
  for (let start = 0; start < samples.length; start += batchRows) {
    const batch = samples.slice(start, start + batchRows);
    const values: SqlValue[] = [];
    for (const sample of batch) {
      values.push(sample.subjectId, slotIn(ring, sample.at), sample.at);
      for (const field of fields) values.push((sample[field] as number | null | undefined) ?? null);
    }
    // not ON DUPLICATE KEY UPDATE: NDB would look at each row before it writes it, and not write them together
    await db.execute(`REPLACE INTO ${ring.table} (subject_id, slot, at, ${columns.join(', ')}) VALUES ${batch.map(() => row).join(', ')}`, values);
  }
}

const where = (ring: { readonly measured?: string }): string => (ring.measured === undefined ? '' : ` AND ${ring.measured}`);

/** The newest measurement of each subject between `since` and `now`; a subject without one is not in the map. */
export async function selectLatest<T extends Sample>(db: Db, ring: Ring<T>, subjectIds: readonly number[], now: number, since: number): Promise<Map<number, T>> {
  const latest = new Map<number, SampleRow>();
  const newest = slotsBetween(ring, since, now);
  for (let start = 0; start < subjectIds.length; start += batchRows) {
    const rows = await db.query<SampleRow>(
      `SELECT subject_id, at, ${columnsOf(ring).join(', ')} FROM ${ring.table} WHERE subject_id IN (?) AND slot IN (?)${where(ring)}`,
      [subjectIds.slice(start, start + batchRows), newest],
    );
    for (const row of rows) {
      const known = latest.get(row.subject_id);
      if (row.at >= since && (known === undefined || known.at < row.at)) latest.set(row.subject_id, row);
    }
  }
  return new Map([...latest].map(([id, row]) => [id, toSample(ring, row)]));
}

/** The last measurement of each subject however old, at most one turn: of hosts and guests that no longer answer. */
export async function selectLast<T extends Sample>(db: Db, ring: Ring<T>, subjectIds: readonly number[], now: number): Promise<Map<number, T>> {
  if (subjectIds.length === 0) return new Map();
  const newest = await db.query<{ subject_id: number; at: number }>(
    `SELECT subject_id, MAX(at) AS at FROM ${ring.table} WHERE subject_id IN (?) AND at > ?${where(ring)} GROUP BY subject_id`,
    [subjectIds, now - ring.slots * ring.slotMs],
  );
  if (newest.length === 0) return new Map();
  const rows = await db.query<SampleRow>(
    `SELECT subject_id, at, ${columnsOf(ring).join(', ')} FROM ${ring.table} WHERE ${newest.map(() => '(subject_id = ? AND slot = ?)').join(' OR ')}`,
    newest.flatMap((row) => [row.subject_id, slotIn(ring, row.at)]),
  );
  return new Map(rows.map((row) => [row.subject_id, toSample(ring, row)]));
}

/** One subject's rows from `from` to `to`, oldest first, also those that say that nothing was measured. */
export async function selectRange<T extends Sample>(db: Db, ring: Ring<T>, subjectId: number, from: number, to: number): Promise<T[]> {
  const rows = await db.query<SampleRow>(
    `SELECT subject_id, at, ${columnsOf(ring).join(', ')} FROM ${ring.table} WHERE subject_id = ? AND at BETWEEN ? AND ? ORDER BY at`,
    [subjectId, from, to],
  );
  return rows.map((row) => toSample(ring, row));
}

/** Means of the columns over `from` to `to`, a row a subject that was measured, with `at` the newest and `first_at` the oldest. */
export async function selectMeans<T extends Sample>(db: Db, ring: Ring<T>, fields: readonly (keyof Ring<T>['columns'])[], subjectIds: readonly number[], from: number, to: number): Promise<SampleRow[]> {
  if (subjectIds.length === 0) return [];
  // + 0.0: AVG of an integer column is DECIMAL, which arrives as text
  const means = fields.map((field) => ring.columns[field]).map((column) => `AVG(${column}) + 0.0e0 AS ${column}`).join(', ');
  return db.query<SampleRow>(
    `SELECT subject_id, MAX(at) AS at, MIN(at) AS first_at, ${means} FROM ${ring.table}
     WHERE subject_id IN (?) AND slot IN (?) AND at BETWEEN ? AND ?${where(ring)} GROUP BY subject_id`,
    [subjectIds, slotsBetween(ring, from, to), from, to],
  );
}
