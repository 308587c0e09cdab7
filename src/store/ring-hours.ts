// What the rings hold of one whole hour, for the roll-up of hours.
import { metrics, type Metric, type MetricName } from '../model/metric.ts';
import { deviceNumbers } from '../model/metrics.ts';
import { createSteps, hourMs, minuteTier, type Steps } from '../model/roll-up.ts';
import type { Db } from './db.ts';
import { rings } from './sample-ring.ts';
import { deviceColumns, deviceMetricId, ringColumns, type RingColumn } from './sample-tiers.ts';

/** Number of a metric → its minutes of the hour. */
export type HourOfMetrics = ReadonlyMap<number, Steps>;

type Row = { readonly subject_id: number; readonly at: number; readonly device?: number } & Readonly<Record<string, number | null>>;
type Turn = (typeof rings)[keyof typeof rings];

const tables = ['host_samples', 'instance_samples', 'pool_samples'] as const;

/** Subject → what was measured in that hour. A subject is looked for in every ring: where it is not, the answer is nothing. */
export async function selectRingHour(db: Db, subjectIds: readonly number[], hour: number): Promise<Map<number, HourOfMetrics>> {
  const [devices, ...samples] = await Promise.all([selectDeviceRows(db, subjectIds, hour), ...tables.map((table) => selectRows(db, table, subjectIds, hour))]);
  const hours = new Map(subjectIds.map((id) => [id, new Map<number, Steps>()]));
  const stepsOf = (subjectId: number, metricId: number): Steps | undefined => {
    const ofSubject = hours.get(subjectId);
    let steps = ofSubject?.get(metricId);
    if (steps === undefined) ofSubject?.set(metricId, (steps = createSteps(hour * hourMs, minuteTier.stepMs, minuteTier.points)));
    return steps;
  };
  for (const { rows, names } of samples) for (const row of rows) for (const [name, id] of names) stepsOf(row.subject_id, id)?.add(row.at, row[name] ?? null);
  const shared = subjectsWithSeveral(devices);
  for (const row of devices) {
    const device = row.device ?? 0;
    if (!shared.has(kindOf(row.subject_id, device))) continue;
    for (const column of deviceColumns) stepsOf(row.subject_id, deviceMetricId(device, column))?.add(row.at, row[column] ?? null);
  }
  return hours;
}

interface RingRows { readonly rows: readonly Row[]; /** alias of a column → number of its metric */ readonly names: readonly (readonly [string, number])[] }

async function selectRows(db: Db, table: RingColumn['table'], subjectIds: readonly number[], hour: number): Promise<RingRows> {
  const columns = (Object.entries(ringColumns) as [MetricName, RingColumn][]).filter(([, column]) => column.table === table);
  const names = columns.map(([name]) => [`m${idOf(metrics[name])}`, idOf(metrics[name])] as const);
  const values = columns.map(([name, { value }]) => `${value} AS m${idOf(metrics[name])}`).join(', ');
  return { rows: await selectHour(db, table, values, rings.samples, subjectIds, hour), names };
}

function idOf(metric: Metric): number {
  return metric.id;
}

function selectDeviceRows(db: Db, subjectIds: readonly number[], hour: number): Promise<Row[]> {
  return selectHour(db, 'device_samples', `device, ${deviceColumns.join(', ')}`, rings.devices, subjectIds, hour);
}

/** An hour is half a turn: its slots follow each other. Those that nothing was written to since hold an older hour. */
function selectHour(db: Db, table: RingColumn['table'], values: string, { slotMs, slots }: Turn, subjectIds: readonly number[], hour: number): Promise<Row[]> {
  const slotsOfHour = hourMs / slotMs;
  const first = (hour * slotsOfHour) % slots;
  return db.query<Row>(
    `SELECT subject_id, at, ${values} FROM ${table} WHERE subject_id IN (?) AND slot BETWEEN ? AND ? AND at >= ? AND at < ?`,
    [subjectIds, first, first + slotsOfHour - 1, hour * hourMs, (hour + 1) * hourMs],
  );
}

function kindOf(subjectId: number, device: number): string {
  return `${subjectId} ${device < deviceNumbers.interface ? 'disk' : 'interface'}`;
}

/** Only where an instance has more than one disk or interface is a history of each worth its bytes: else the total is it. */
function subjectsWithSeveral(rows: readonly Row[]): ReadonlySet<string> {
  const devices = new Map<string, Set<number>>();
  for (const { subject_id: id, device = 0 } of rows) devices.set(kindOf(id, device), (devices.get(kindOf(id, device)) ?? new Set()).add(device));
  return new Set([...devices].filter(([, each]) => each.size > 1).map(([kind]) => kind));
}
