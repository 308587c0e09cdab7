// What was measured, as equal steps of time for charts, forecasts and lists: from the finest tier that still holds the
// beginning. What is not rolled up yet comes from the finer tier, so that nothing is late.
import { setImmediate } from 'node:timers/promises';
import { decodeChunk } from '../model/chunk.ts';
import { metrics, type MetricName } from '../model/metric.ts';
import { addPoints, createSteps, dayMs, hourMs, minuteTier, quarterTier, stepsBetween, widenSteps, type Points, type Steps, type Tier } from '../model/roll-up.ts';
import type { Db } from './db.ts';
import { rings } from './sample-ring.ts';
import { deviceMetricIds, ringColumns, type DeviceColumn, type RingColumn } from './sample-tiers.ts';
import { selectSettings } from './settings.ts';

/** Equal steps, oldest first; null where nothing was measured. */
export interface Series {
  readonly stepMs: number;
  /** when each step begins */
  readonly at: readonly number[];
  readonly avg: readonly (number | null)[];
  readonly min: readonly (number | null)[];
  readonly max: readonly (number | null)[];
}

export interface SeriesRange {
  readonly from: number;
  readonly to: number;
  /** the most steps that are wanted */
  readonly points: number;
  readonly now: number;
}

export async function selectSeries(db: Db, query: SeriesRange & { readonly subjectId: number; readonly metric: MetricName }): Promise<Series> {
  return one(query.subjectId, await selectSeriesOf(db, { ...query, subjectIds: [query.subjectId] }));
}

/** Of several subjects at once, on the same steps; each of them is in the map. */
export async function selectSeriesOf(
  db: Db, { subjectIds, metric, ...range }: SeriesRange & { readonly subjectIds: readonly number[]; readonly metric: MetricName },
): Promise<Map<number, Series>> {
  return readSeries(db, { ring: ringColumns[metric], slot: rings.samples, metricIds: [metrics[metric].id] }, subjectIds, range);
}

/** Of one disk (0 to 15) or network interface (16 to 31) of an instance. */
export async function selectDeviceSeries(
  db: Db, { subjectId, device, column, ...range }: SeriesRange & { readonly subjectId: number; readonly device: number; readonly column: DeviceColumn },
): Promise<Series> {
  const source: Source = { ring: { table: 'device_samples', value: column }, device, slot: rings.devices, metricIds: deviceMetricIds(device, column) };
  return one(subjectId, await readSeries(db, source, [subjectId], range));
}

/** Where one thing that is measured is found. */
interface Source {
  readonly ring: RingColumn;
  readonly device?: number;
  readonly slot: { readonly slotMs: number; readonly slots: number };
  /** metrics of its chunks, the better first */
  readonly metricIds: readonly number[];
}

interface Window { readonly from: number; readonly to: number }
type TierName = 'ring' | 'hours' | 'days';

/** Clocks of portals differ a little, and pages take a moment: at the edge the tier still counts as holding it. */
const edgeMs = 60_000;
/** Subjects of one statement: a year of one is about 100 kB. */
const batchSubjects = 16;

async function readSeries(db: Db, source: Source, subjectIds: readonly number[], { from, to, points, now }: SeriesRange): Promise<Map<number, Series>> {
  const tier = await finestTier(db, source, from, now);
  const ownStepMs = tier === 'ring' ? source.slot.slotMs : tier === 'hours' ? minuteTier.stepMs : quarterTier.stepMs;
  const end = Math.max(to, from + 1);
  const grid = stepsBetween(from, end, ownStepMs, points);
  const steps = await readSteps(db, source, tier, subjectIds, grid, now);
  const wide = tier === 'ring' ? widenSteps([...steps.values()]) : 1;
  if (wide === 1) return toSeries(steps, grid);
  const wider = stepsBetween(from, end, grid.stepMs * wide, points);
  return toSeries(await readSteps(db, source, tier, subjectIds, wider, now), wider);
}

type Grid = ReturnType<typeof stepsBetween>;

async function readSteps(db: Db, source: Source, tier: TierName, subjectIds: readonly number[], { start, stepMs, count }: Grid, now: number): Promise<Map<number, Points>> {
  const window = { from: start, to: start + stepMs * count };
  const points = new Map<number, Points>();
  for (let first = 0; first < subjectIds.length; first += batchSubjects) {
    const batch = subjectIds.slice(first, first + batchSubjects);
    const steps = new Map(batch.map((id) => [id, createSteps(start, stepMs, count)]));
    if (tier === 'ring') addRows(steps, await selectRing(db, source, batch, window, stepMs));
    else await addTiers(db, source, steps, tier, window, now);
    for (const [id, each] of steps) points.set(id, each.points());
    // a year of many subjects is some milliseconds each
    await setImmediate();
  }
  return points;
}

function toSeries(points: ReadonlyMap<number, Points>, { start, stepMs, count }: Grid): Map<number, Series> {
  const at = Array.from({ length: count }, (_, index) => start + index * stepMs);
  return new Map([...points].map(([id, { avg, min, max }]) => [id, { stepMs, at, avg: orNull(avg), min: orNull(min), max: orNull(max) }]));
}

async function finestTier(db: Db, source: Source, from: number, now: number): Promise<TierName> {
  if (from >= now - source.slot.slotMs * source.slot.slots - edgeMs) return 'ring';
  const { monitoring } = await selectSettings(db);
  return from >= now - monitoring.minuteDays * dayMs - edgeMs ? 'hours' : 'days';
}

/** The longer tier, and of what it does not have yet the finer ones; asked at once, as far as they may be needed. */
async function addTiers(db: Db, source: Source, steps: ReadonlyMap<number, Steps>, tier: 'hours' | 'days', window: Window, now: number): Promise<void> {
  const subjectIds = [...steps.keys()];
  const thisHour = Math.floor(now / hourMs) * hourMs;
  const yesterday = Math.floor(now / dayMs) * dayMs - dayMs;
  const ringFrom = (hour: number): Window => ({ from: Math.max(window.from, hour), to: Math.min(window.to, hour + hourMs) });
  const [days, hours, ring] = await Promise.all([
    tier === 'days' ? selectChunks(db, 'sample_days', quarterTier, source, subjectIds, window) : [],
    selectChunks(db, 'sample_hours', minuteTier, source, subjectIds, tier === 'hours' ? window : { from: Math.max(window.from, yesterday), to: window.to }),
    selectRing(db, source, subjectIds, ringFrom(thisHour), minuteTier.stepMs),
  ]);
  const inDays = new Set(days.map((chunk) => keyOf(chunk.subjectId, chunk.start, dayMs)));
  const inHours = new Set(hours.map((chunk) => keyOf(chunk.subjectId, chunk.start, hourMs)));
  for (const chunk of days) addTo(steps, chunk, quarterTier);
  for (const chunk of hours) if (!inDays.has(keyOf(chunk.subjectId, chunk.start, dayMs))) addTo(steps, chunk, minuteTier);
  addRows(steps, ring);
  // the hour before is rolled up somewhen in this one, and its day is not over or was rolled up after it
  const waiting = subjectIds.filter((id) => !inHours.has(keyOf(id, thisHour - hourMs, hourMs)) && !inDays.has(keyOf(id, thisHour - hourMs, dayMs)));
  if (waiting.length > 0) addRows(steps, await selectRing(db, source, waiting, ringFrom(thisHour - hourMs), minuteTier.stepMs));
}

function addRows(steps: ReadonlyMap<number, Steps>, rows: readonly RingRow[]): void {
  for (const row of rows) steps.get(row.subjectId)?.add(row.at, row.avg, row.least, row.most);
}

function addTo(steps: ReadonlyMap<number, Steps>, chunk: Chunk, tier: Tier): void {
  const each = steps.get(chunk.subjectId);
  if (each !== undefined) addPoints(each, chunk.start, tier.stepMs, chunk.points);
}

/** One number for a subject and the hour or day that a time lies in. */
function keyOf(subjectId: number, at: number, lengthMs: number): number {
  return subjectId * 2 ** 20 + Math.floor(at / lengthMs);
}

interface Chunk { readonly subjectId: number; readonly start: number; readonly points: Points }

async function selectChunks(db: Db, table: 'sample_hours' | 'sample_days', tier: Tier, source: Source, subjectIds: readonly number[], { from, to }: Window): Promise<Chunk[]> {
  if (to <= from) return [];
  const lengthMs = tier.stepMs * tier.points;
  const rows = await db.query<{ subject_id: number; metric: number; chunk: number; data: Buffer }>(
    `SELECT subject_id, metric, chunk, data FROM ${table} WHERE subject_id IN (?) AND metric IN (?) AND chunk BETWEEN ? AND ?`,
    [subjectIds, source.metricIds, Math.floor(from / lengthMs), Math.floor((to - 1) / lengthMs)],
  );
  const better = new Set(rows.filter((row) => row.metric === source.metricIds[0]).map((row) => keyOf(row.subject_id, row.chunk, 1)));
  return rows.flatMap((row) => {
    if (row.metric !== source.metricIds[0] && better.has(keyOf(row.subject_id, row.chunk, 1))) return [];
    const points = decodeChunk(row.data, tier.points);
    if (points === undefined) reportDamage(table, row);
    return points === undefined ? [] : [{ subjectId: row.subject_id, start: row.chunk * lengthMs, points }];
  });
}

/** Once for each damaged row, not at each look at a chart. */
const reported = new Set<string>();

function reportDamage(table: string, row: { readonly subject_id: number; readonly metric: number; readonly chunk: number }): void {
  const name = `${table} (${row.subject_id}, ${row.metric}, ${row.chunk})`;
  if (reported.has(name) || reported.size >= 1000) return;
  reported.add(name);
  process.emitWarning(`row ${name} cannot be read and is shown as a gap`);
}

interface RingRow { readonly subjectId: number; readonly at: number; readonly avg: number; readonly least: number; readonly most: number }

async function selectRing(db: Db, source: Source, subjectIds: readonly number[], { from, to }: Window, stepMs: number): Promise<RingRow[]> {
  if (to <= from) return [];
  const { table, value } = source.ring;
  const device = source.device === undefined ? '' : 'AND device = ?';
  const slots = slotsOf(source.slot, { from, to });
  const rows = await db.query<{ subject_id: number; step: number; avg: number; least: number; most: number }>(
    `SELECT subject_id, FLOOR(at / ?) + 0.0e0 AS step, AVG(${value}) + 0.0e0 AS avg, MIN(${value}) + 0.0e0 AS least, MAX(${value}) + 0.0e0 AS most
     FROM ${table} WHERE subject_id IN (?) ${device} AND ${slots.sql} AND at >= ? AND at < ? AND ${value} IS NOT NULL GROUP BY subject_id, step`,
    [stepMs, subjectIds, ...(source.device === undefined ? [] : [source.device]), ...slots.values, from, to],
  );
  return rows.map((row) => ({ subjectId: row.subject_id, at: row.step * stepMs, avg: row.avg, least: row.least, most: row.most }));
}

/** The part of the turn that this time lies in. */
function slotsOf({ slotMs, slots }: Source['slot'], { from, to }: Window): { readonly sql: string; readonly values: readonly number[] } {
  const first = Math.floor(from / slotMs);
  const last = Math.floor((to - 1) / slotMs);
  const bounds = last - first + 1 >= slots ? [0, slots - 1] : [first % slots, last % slots];
  return { sql: (bounds[0] ?? 0) <= (bounds[1] ?? 0) ? 'slot BETWEEN ? AND ?' : '(slot >= ? OR slot <= ?)', values: bounds };
}

function orNull(values: Float64Array): (number | null)[] {
  return Array.from(values, (value) => (Number.isNaN(value) ? null : value));
}

function one(subjectId: number, series: ReadonlyMap<number, Series>): Series {
  const found = series.get(subjectId);
  if (found === undefined) throw new Error(`no series of subject ${subjectId}`);
  return found;
}
