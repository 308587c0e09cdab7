// Measured values, in rings that are overwritten in place: nothing is ever deleted from them, because NDB gives memory
// that DELETE frees back to the same table only, and a history that grows by itself fills a disk one day.
// A row's slot follows from its time, so that a repeated or late write meets its own row. A slot that was not written
// for a whole turn still holds values of the turn before: every reader looks at `at`.
import type { HostSample, InstanceSample, PoolSample } from '../model/metrics.ts';
import type { Db, SqlValue } from './db.ts';

/** One slot; polling more often than this overwrites the slot. Changing it makes the history of the change unreadable. */
const slotMs = 10_000;
/** Two hours. Too small: thresholds' windows (≤ 1 h) lose samples; too big: 1,000 instances cost 60 bytes × slots each. */
const slots = 720;
/** Rows of one INSERT: NDB runs out of operation records for batches of thousands. */
const batchRows = 250;
/** How far back "the latest" is looked for: a figure older than this is no longer worth showing beside a name. */
const latestMs = 60_000;

export function slotOf(at: number): number {
  return Math.floor(at / slotMs) % slots;
}

/** The slots that hold `from` to `to`, oldest first; at most one turn. */
function slotsBetween(from: number, to: number): number[] {
  const last = Math.floor(to / slotMs);
  const first = Math.max(Math.floor(from / slotMs), last - slots + 1);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => (first + index) % slots);
}

type SampleRow = { readonly subject_id: number; readonly at: number } & Readonly<Record<string, number | null>>;

interface Ring<T> {
  readonly table: string;
  readonly columns: readonly string[];
  values(sample: T): SqlValue[];
  sample(row: SampleRow): T;
}

const hostRing: Ring<HostSample> = {
  table: 'host_samples',
  columns: ['cpu_percent', 'memory_used_mib', 'memory_total_mib'],
  values: (sample) => [sample.cpuPercent, sample.memoryUsedMib, sample.memoryTotalMib],
  sample: (row) => ({
    subjectId: row.subject_id,
    at: row.at,
    cpuPercent: row['cpu_percent'] ?? null,
    memoryUsedMib: row['memory_used_mib'] ?? null,
    memoryTotalMib: row['memory_total_mib'] ?? null,
  }),
};

const instanceRing: Ring<InstanceSample> = {
  table: 'instance_samples',
  columns: ['cpu_percent', 'memory_used_mib', 'disk_read_bps', 'disk_write_bps', 'network_receive_bps', 'network_transmit_bps'],
  values: (sample) => [
    sample.cpuPercent,
    sample.memoryUsedMib,
    sample.diskReadBytesPerSecond,
    sample.diskWriteBytesPerSecond,
    sample.networkReceiveBytesPerSecond,
    sample.networkTransmitBytesPerSecond,
  ],
  sample: (row) => ({
    subjectId: row.subject_id,
    at: row.at,
    cpuPercent: row['cpu_percent'] ?? null,
    memoryUsedMib: row['memory_used_mib'] ?? null,
    diskReadBytesPerSecond: row['disk_read_bps'] ?? null,
    diskWriteBytesPerSecond: row['disk_write_bps'] ?? null,
    networkReceiveBytesPerSecond: row['network_receive_bps'] ?? null,
    networkTransmitBytesPerSecond: row['network_transmit_bps'] ?? null,
  }),
};

const poolRing: Ring<PoolSample> = {
  table: 'pool_samples',
  columns: ['capacity_bytes', 'available_bytes'],
  values: (sample) => [sample.capacityBytes, sample.availableBytes],
  sample: (row) => ({
    subjectId: row.subject_id,
    at: row.at,
    capacityBytes: row['capacity_bytes'] ?? 0,
    availableBytes: row['available_bytes'] ?? 0,
  }),
};

async function insertSamples<T extends { readonly subjectId: number; readonly at: number }>(db: Db, ring: Ring<T>, samples: readonly T[]): Promise<void> {
  const columns = ['subject_id', 'slot', 'at', ...ring.columns];
  const row = `(${columns.map(() => '?').join(', ')})`;
  const updates = ['at', ...ring.columns].map((column) => `${column} = VALUES(${column})`).join(', ');
  for (let start = 0; start < samples.length; start += batchRows) {
    const batch = samples.slice(start, start + batchRows);
    await db.execute(
      `INSERT INTO ${ring.table} (${columns.join(', ')}) VALUES ${batch.map(() => row).join(', ')} ON DUPLICATE KEY UPDATE ${updates}`,
      batch.flatMap((sample) => [sample.subjectId, slotOf(sample.at), sample.at, ...ring.values(sample)]),
    );
  }
}

export const insertHostSamples = (db: Db, samples: readonly HostSample[]): Promise<void> => insertSamples(db, hostRing, samples);
export const insertInstanceSamples = (db: Db, samples: readonly InstanceSample[]): Promise<void> => insertSamples(db, instanceRing, samples);
export const insertPoolSamples = (db: Db, samples: readonly PoolSample[]): Promise<void> => insertSamples(db, poolRing, samples);

/** The newest sample of each subject in the last minute; a subject without one is not in the map. */
async function selectLatest<T extends { readonly subjectId: number; readonly at: number }>(
  db: Db, ring: Ring<T>, subjectIds: readonly number[], now: number, lookBackMs = latestMs,
): Promise<Map<number, T>> {
  const latest = new Map<number, T>();
  const since = now - lookBackMs;
  const newest = slotsBetween(since, now);
  for (let start = 0; start < subjectIds.length; start += batchRows) {
    const rows = await db.query<SampleRow>(
      `SELECT subject_id, at, ${ring.columns.join(', ')} FROM ${ring.table} WHERE subject_id IN (?) AND slot IN (?)`,
      [subjectIds.slice(start, start + batchRows), newest],
    );
    for (const row of rows) {
      const known = latest.get(row.subject_id);
      if (row.at >= since && (known === undefined || known.at < row.at)) latest.set(row.subject_id, ring.sample(row));
    }
  }
  return latest;
}

/** The last sample of each subject however old, at most one turn: of hosts and guests that no longer answer. */
async function selectLast<T>(db: Db, ring: Ring<T>, subjectIds: readonly number[], now: number): Promise<Map<number, T>> {
  if (subjectIds.length === 0) return new Map();
  const newest = await db.query<{ subject_id: number; at: number }>(
    `SELECT subject_id, MAX(at) AS at FROM ${ring.table} WHERE subject_id IN (?) AND at > ? GROUP BY subject_id`,
    [subjectIds, now - slots * slotMs],
  );
  if (newest.length === 0) return new Map();
  const rows = await db.query<SampleRow>(
    `SELECT subject_id, at, ${ring.columns.join(', ')} FROM ${ring.table} WHERE ${newest.map(() => '(subject_id = ? AND slot = ?)').join(' OR ')}`,
    newest.flatMap((row) => [row.subject_id, slotOf(row.at)]),
  );
  return new Map(rows.map((row) => [row.subject_id, ring.sample(row)]));
}

export const selectLastHostSamples = (db: Db, subjectIds: readonly number[], now: number): Promise<Map<number, HostSample>> => selectLast(db, hostRing, subjectIds, now);
export const selectLastInstanceSamples = (db: Db, subjectIds: readonly number[], now: number): Promise<Map<number, InstanceSample>> =>
  selectLast(db, instanceRing, subjectIds, now);
export const selectLatestHostSamples = (db: Db, subjectIds: readonly number[], now: number, lookBackMs?: number): Promise<Map<number, HostSample>> =>
  selectLatest(db, hostRing, subjectIds, now, lookBackMs);
export const selectLatestInstanceSamples = (db: Db, subjectIds: readonly number[], now: number, lookBackMs?: number): Promise<Map<number, InstanceSample>> =>
  selectLatest(db, instanceRing, subjectIds, now, lookBackMs);

/** One subject's samples from `from` to `to`, oldest first. */
async function selectRange<T extends { readonly at: number }>(db: Db, ring: Ring<T>, subjectId: number, from: number, to: number): Promise<T[]> {
  const rows = await db.query<SampleRow>(
    `SELECT subject_id, at, ${ring.columns.join(', ')} FROM ${ring.table} WHERE subject_id = ? AND at BETWEEN ? AND ? ORDER BY at`,
    [subjectId, from, to],
  );
  return rows.map((row) => ring.sample(row));
}

export const selectHostSampleRange = (db: Db, subjectId: number, from: number, to: number): Promise<HostSample[]> => selectRange(db, hostRing, subjectId, from, to);
export const selectInstanceSampleRange = (db: Db, subjectId: number, from: number, to: number): Promise<InstanceSample[]> => selectRange(db, instanceRing, subjectId, from, to);
export const selectPoolSampleRange = (db: Db, subjectId: number, from: number, to: number): Promise<PoolSample[]> => selectRange(db, poolRing, subjectId, from, to);

/** subjectId → its samples from `from` to `to`, oldest first; of many hosts at once. A host without samples is not in the map. */
export async function selectHostSampleRanges(db: Db, subjectIds: readonly number[], from: number, to: number): Promise<Map<number, HostSample[]>> {
  const ranges = new Map<number, HostSample[]>();
  for (let start = 0; start < subjectIds.length; start += batchRows) {
    const rows = await db.query<SampleRow>(
      `SELECT subject_id, at, ${hostRing.columns.join(', ')} FROM host_samples WHERE subject_id IN (?) AND slot IN (?) AND at BETWEEN ? AND ? ORDER BY at`,
      [subjectIds.slice(start, start + batchRows), slotsBetween(from, to), from, to],
    );
    for (const row of rows) ranges.set(row.subject_id, [...(ranges.get(row.subject_id) ?? []), hostRing.sample(row)]);
  }
  return ranges;
}

/** Means over a window; `firstAt` is the time of its oldest sample. null: no sample of the window has the value. */
export interface HostMeans { readonly firstAt: number; readonly cpuPercent: number | null; readonly memoryUsedMib: number | null; readonly memoryTotalMib: number | null }
export interface PoolMeans { readonly capacityBytes: number; readonly availableBytes: number }

/** subjectId → means of its samples from `from` to `to`; a host without samples is not in the map. */
export async function selectHostMeans(db: Db, subjectIds: readonly number[], from: number, to: number): Promise<Map<number, HostMeans>> {
  const rows = await selectMeans(db, hostRing, subjectIds, from, to);
  return new Map(rows.map((row) => [row.subject_id, { firstAt: row['first_at'] ?? row.at, cpuPercent: row['cpu_percent'] ?? null, memoryUsedMib: row['memory_used_mib'] ?? null, memoryTotalMib: row['memory_total_mib'] ?? null }]));
}

export interface InstanceMeans { /** of the newest sample */ readonly at: number; readonly cpuPercent: number | null; readonly memoryUsedMib: number | null }

/** subjectId → means of an instance's samples from `from` to `to`; one without samples is not in the map. */
export async function selectInstanceMeans(db: Db, subjectIds: readonly number[], from: number, to: number): Promise<Map<number, InstanceMeans>> {
  const rows = await selectMeans(db, instanceRing, subjectIds, from, to);
  return new Map(rows.map((row) => [row.subject_id, { at: row.at, cpuPercent: row['cpu_percent'] ?? null, memoryUsedMib: row['memory_used_mib'] ?? null }]));
}

export async function selectPoolMeans(db: Db, subjectIds: readonly number[], from: number, to: number): Promise<Map<number, PoolMeans>> {
  const rows = await selectMeans(db, poolRing, subjectIds, from, to);
  return new Map(rows.map((row) => [row.subject_id, { capacityBytes: row['capacity_bytes'] ?? 0, availableBytes: row['available_bytes'] ?? 0 }]));
}

/** subjectId → mean CPU % of each minute from `from` to `to`, oldest first; a minute without samples is left out. */
export async function selectHostCpuByMinute(db: Db, subjectIds: readonly number[], from: number, to: number): Promise<Map<number, { readonly at: number; readonly cpuPercent: number }[]>> {
  const minutes = new Map<number, { readonly at: number; readonly cpuPercent: number }[]>(subjectIds.map((id) => [id, []]));
  if (subjectIds.length === 0) return minutes;
  const rows = await db.query<{ subject_id: number; minute: number; cpu_percent: number }>(
    `SELECT subject_id, FLOOR(at / 60000) + 0.0e0 AS minute, AVG(cpu_percent) + 0.0e0 AS cpu_percent FROM host_samples
     WHERE subject_id IN (?) AND slot IN (?) AND at BETWEEN ? AND ? AND cpu_percent IS NOT NULL
     GROUP BY subject_id, FLOOR(at / 60000) ORDER BY minute`,
    [subjectIds, slotsBetween(from, to), from, to],
  );
  for (const row of rows) minutes.get(row.subject_id)?.push({ at: row.minute * 60_000, cpuPercent: row.cpu_percent });
  return minutes;
}

async function selectMeans<T>(db: Db, ring: Ring<T>, subjectIds: readonly number[], from: number, to: number): Promise<SampleRow[]> {
  if (subjectIds.length === 0) return [];
  // + 0.0: AVG of an integer column is DECIMAL, which arrives as text
  const means = ring.columns.map((column) => `AVG(${column}) + 0.0e0 AS ${column}`).join(', ');
  return db.query<SampleRow>(
    `SELECT subject_id, MAX(at) AS at, MIN(at) AS first_at, ${means} FROM ${ring.table}
     WHERE subject_id IN (?) AND slot IN (?) AND at BETWEEN ? AND ? GROUP BY subject_id`,
    [subjectIds, slotsBetween(from, to), from, to],
  );
}

const rings = [hostRing.table, instanceRing.table, poolRing.table];

/** Removes all samples of a subject whose owner is gone; at most one turn of one ring. */
export async function deleteSamples(db: Db, subjectId: number): Promise<void> {
  for (const table of rings) {
    // an owner writes to one ring; the others answer with nothing
    await db.execute(`DELETE FROM ${table} WHERE subject_id = ? AND slot < ?`, [subjectId, slots / 2]);
    await db.execute(`DELETE FROM ${table} WHERE subject_id = ? AND slot >= ?`, [subjectId, slots / 2]);
  }
}
