// Measured values of the last two hours, every poll: the rings of hosts, instances and pools.
import type { HostLoadSample, HostSample, InstanceSample, PoolSample } from '../model/metrics.ts';
import type { Db } from './db.ts';
import { batchRows, insertSamples, rings, selectLast, selectLatest, selectMeans, selectRange, slotIn, slotsBetween, toSample, type NewSample, type Ring, type SampleRow } from './sample-ring.ts';

const turn = rings.samples;
/** How far back "the latest" is looked for: a figure older than this is no longer worth showing beside a name. */
const latestMs = 60_000;

/** The same where hosts are polled seldom, ms: a poll that was missed must not make every figure vanish. */
export function latestWithin(pollIntervalMs: number): number {
  return Math.max(latestMs, 2.5 * pollIntervalMs);
}

export const slotOf = (at: number): number => slotIn(turn, at);

const hostRing: Ring<HostSample> = {
  table: 'host_samples',
  ...turn,
  columns: {
    up: 'up',
    cpuPercent: 'cpu_percent',
    cpuUserPercent: 'cpu_user_percent',
    cpuSystemPercent: 'cpu_system_percent',
    cpuIowaitPercent: 'cpu_iowait_percent',
    cpuStealPercent: 'cpu_steal_percent',
    memoryUsedMib: 'memory_used_mib',
    memoryTotalMib: 'memory_total_mib',
    memoryCachedMib: 'memory_cached_mib',
    swapUsedMib: 'swap_used_mib',
    swapTotalMib: 'swap_total_mib',
  },
  measured: '(up IS NULL OR up = 1)',
};

const instanceRing: Ring<InstanceSample> = {
  table: 'instance_samples',
  ...turn,
  columns: {
    cpuPercent: 'cpu_percent',
    detailAt: 'detail_at',
    memoryUsedMib: 'memory_used_mib',
    memoryAvailableMib: 'memory_available_mib',
    diskReadBytesPerSecond: 'disk_read_bps',
    diskWriteBytesPerSecond: 'disk_write_bps',
    diskReadOpsPerSecond: 'disk_read_ops',
    diskWriteOpsPerSecond: 'disk_write_ops',
    diskAllocationMib: 'disk_allocation_mib',
    networkReceiveBytesPerSecond: 'network_receive_bps',
    networkTransmitBytesPerSecond: 'network_transmit_bps',
    networkReceivePacketsPerSecond: 'network_receive_pps',
    networkTransmitPacketsPerSecond: 'network_transmit_pps',
    networkDropsPerSecond: 'network_drops_ps',
  },
};

const poolRing: Ring<PoolSample> = { table: 'pool_samples', ...turn, columns: { capacityBytes: 'capacity_bytes', availableBytes: 'available_bytes' } };

export const insertHostSamples = (db: Db, samples: readonly NewSample<HostSample>[]): Promise<void> => insertSamples(db, hostRing, samples);
export const insertInstanceSamples = (db: Db, samples: readonly NewSample<InstanceSample>[]): Promise<void> => insertSamples(db, instanceRing, samples);
export const insertPoolSamples = (db: Db, samples: readonly PoolSample[]): Promise<void> => insertSamples(db, poolRing, samples);

/** The newest sample of each subject in the last minute; a subject without one is not in the map. */
export const selectLatestHostSamples = (db: Db, subjectIds: readonly number[], now: number, lookBackMs = latestMs): Promise<Map<number, HostSample>> =>
  selectLatest(db, hostRing, subjectIds, now, now - lookBackMs);
export const selectLatestInstanceSamples = (db: Db, subjectIds: readonly number[], now: number, lookBackMs = latestMs): Promise<Map<number, InstanceSample>> =>
  selectLatest(db, instanceRing, subjectIds, now, now - lookBackMs);

/** The last sample of each subject however old, at most one turn: of hosts and guests that no longer answer. */
export const selectLastHostSamples = (db: Db, subjectIds: readonly number[], now: number): Promise<Map<number, HostSample>> => selectLast(db, hostRing, subjectIds, now);
export const selectLastInstanceSamples = (db: Db, subjectIds: readonly number[], now: number): Promise<Map<number, InstanceSample>> =>
  selectLast(db, instanceRing, subjectIds, now);

/** One subject's samples from `from` to `to`, oldest first; a host's also those that say that it did not answer. */
export const selectHostSampleRange = (db: Db, subjectId: number, from: number, to: number): Promise<HostSample[]> => selectRange(db, hostRing, subjectId, from, to);
export const selectInstanceSampleRange = (db: Db, subjectId: number, from: number, to: number): Promise<InstanceSample[]> => selectRange(db, instanceRing, subjectId, from, to);
export const selectPoolSampleRange = (db: Db, subjectId: number, from: number, to: number): Promise<PoolSample[]> => selectRange(db, poolRing, subjectId, from, to);

/** subjectId → its measurements from `from` to `to`, oldest first; of many hosts at once. A host without any is not in the map. */
export async function selectHostSampleRanges(db: Db, subjectIds: readonly number[], from: number, to: number): Promise<Map<number, HostLoadSample[]>> {
  const ranges = new Map<number, HostLoadSample[]>();
  for (let start = 0; start < subjectIds.length; start += batchRows) {
    const rows = await db.query<SampleRow>(
      `SELECT subject_id, at, cpu_percent, memory_used_mib, memory_total_mib FROM host_samples
       WHERE subject_id IN (?) AND slot IN (?) AND at BETWEEN ? AND ? AND ${hostRing.measured} ORDER BY at`,
      [subjectIds.slice(start, start + batchRows), slotsBetween(turn, from, to), from, to],
    );
    for (const row of rows) {
      const known = ranges.get(row.subject_id);
      const sample = toSample(hostRing, row);
      if (known === undefined) ranges.set(row.subject_id, [sample]);
      else known.push(sample);
    }
  }
  return ranges;
}

/** Means over a window; `firstAt` is the time of its oldest sample. null: no sample of the window has the value. */
export interface HostMeans { readonly firstAt: number; readonly cpuPercent: number | null; readonly memoryUsedMib: number | null; readonly memoryTotalMib: number | null }
export interface PoolMeans { readonly capacityBytes: number; readonly availableBytes: number }
export interface InstanceMeans { /** of the newest sample */ readonly at: number; readonly cpuPercent: number | null; readonly memoryUsedMib: number | null }

/** subjectId → means of its samples from `from` to `to`; a host without samples is not in the map. */
export async function selectHostMeans(db: Db, subjectIds: readonly number[], from: number, to: number): Promise<Map<number, HostMeans>> {
  const rows = await selectMeans(db, hostRing, ['cpuPercent', 'memoryUsedMib', 'memoryTotalMib'], subjectIds, from, to);
  return new Map(rows.map((row) => [row.subject_id, { firstAt: row['first_at'] ?? row.at, cpuPercent: row['cpu_percent'] ?? null, memoryUsedMib: row['memory_used_mib'] ?? null, memoryTotalMib: row['memory_total_mib'] ?? null }]));
}

/** subjectId → means of an instance's samples from `from` to `to`; one without samples is not in the map. */
export async function selectInstanceMeans(db: Db, subjectIds: readonly number[], from: number, to: number): Promise<Map<number, InstanceMeans>> {
  const rows = await selectMeans(db, instanceRing, ['cpuPercent', 'memoryUsedMib'], subjectIds, from, to);
  return new Map(rows.map((row) => [row.subject_id, { at: row.at, cpuPercent: row['cpu_percent'] ?? null, memoryUsedMib: row['memory_used_mib'] ?? null }]));
}

export async function selectPoolMeans(db: Db, subjectIds: readonly number[], from: number, to: number): Promise<Map<number, PoolMeans>> {
  const rows = await selectMeans(db, poolRing, ['capacityBytes', 'availableBytes'], subjectIds, from, to);
  return new Map(rows.map((row) => [row.subject_id, { capacityBytes: row['capacity_bytes'] ?? 0, availableBytes: row['available_bytes'] ?? 0 }]));
}

/** subjectId → mean CPU % of each minute from `from` to `to`, oldest first; a minute without samples is left out. */
export async function selectHostCpuByMinute(db: Db, subjectIds: readonly number[], from: number, to: number): Promise<Map<number, { readonly at: number; readonly cpuPercent: number }[]>> {
  const minutes = new Map<number, { readonly at: number; readonly cpuPercent: number }[]>(subjectIds.map((id) => [id, []]));
  if (subjectIds.length === 0) return minutes;
  const rows = await db.query<{ subject_id: number; minute: number; cpu_percent: number }>(
    `SELECT subject_id, FLOOR(at / 60000) + 0.0e0 AS minute, AVG(cpu_percent) + 0.0e0 AS cpu_percent FROM host_samples
     WHERE subject_id IN (?) AND slot IN (?) AND at BETWEEN ? AND ? AND cpu_percent IS NOT NULL
     GROUP BY subject_id, minute ORDER BY minute`,
    [subjectIds, slotsBetween(turn, from, to), from, to],
  );
  for (const row of rows) minutes.get(row.subject_id)?.push({ at: row.minute * 60_000, cpuPercent: row.cpu_percent });
  return minutes;
}

const tables = [hostRing.table, instanceRing.table, poolRing.table, 'device_samples', 'sample_devices', 'sample_hours', 'sample_days'];
/** A big DELETE fails on MySQL Cluster. */
const deletedRows = 500;

/** Removes all that was ever measured of these subjects, whose owners are gone: at least one, and few enough to be found by the index. */
export async function deleteSamples(db: Db, ...subjectIds: readonly number[]): Promise<void> {
  for (const table of tables) {
    while ((await db.execute(`DELETE FROM ${table} WHERE subject_id IN (?) LIMIT ${deletedRows}`, [subjectIds])).affectedRows === deletedRows);
  }
}
