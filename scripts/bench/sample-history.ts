// A year of measured values for the benchmarks of the longer tiers: what one instance does, as rows of the database and as the
// updates of an RRD file with the same tiers.
import { encodeChunk } from '../../src/model/chunk.ts';
import { metrics, type MetricName } from '../../src/model/metric.ts';
import { createSteps, dayMs, hourMs, minuteTier, quarterTier, type Points, type Tier } from '../../src/model/roll-up.ts';
import type { InstanceSample } from '../../src/model/metrics.ts';
import type { Database } from '../../src/store/db.ts';
import type { ChunkTable } from '../../src/store/sample-chunks.ts';
import { insertInstanceSamples } from '../../src/store/samples.ts';

export const instanceMetrics = (Object.keys(metrics) as MetricName[]).filter((name) => name.startsWith('instance.'));

/** A number in [0, 1) that only its arguments decide. */
function noise(...parts: readonly number[]): number {
  let hash = 2_166_136_261;
  for (const part of parts) hash = Math.imul((hash ^ (part >>> 0)) ^ (Math.floor(part / 2 ** 32) << 7), 16_777_619) ^ (hash >>> 13);
  hash = Math.imul(hash ^ (hash >>> 15), 2_246_822_507);
  hash ^= hash >>> 13;
  return (hash >>> 0) / 2 ** 32;
}

export type Load = 'usual' | 'wild';

/** What a metric was at a time: by day busy and by night not, in bursts, slowly growing; or, wild, anything between nothing and a lot. */
export function valueAt(load: Load, subject: number, metric: MetricName, at: number): number {
  const id = metrics[metric].id;
  const random = noise(subject, id, Math.floor(at / 10_000));
  if (load === 'wild') return 10 ** (8 * random) - 1;
  const day = 0.5 + 0.5 * Math.sin((2 * Math.PI * at) / dayMs);
  const burst = noise(subject, id, Math.floor(at / 600_000)) > 0.7 ? 1 : 0.02;
  switch (metric) {
    case 'instance.cpu': return Math.min(100, 5 + 40 * day * (0.6 + 0.8 * random));
    case 'instance.memory-used': return 2048 + 512 * day + 16 * random;
    case 'instance.memory-available': return 2048 - 512 * day - 16 * random;
    case 'instance.disk-allocation': return 4096 + Math.floor(at / dayMs / 3);
    case 'instance.network-drops': return 0;
    case 'instance.disk-read-ops': case 'instance.disk-write-ops': return 80 * burst * random;
    case 'instance.network-receive-packets': case 'instance.network-transmit-packets': return 20 + 600 * day * burst * random;
    default: return 1000 + 5e6 * day * burst * random;
  }
}

/** A chunk as the roll-up would make it; a few samples stand for all of a step. */
export function chunkOf(load: Load, subject: number, metric: MetricName, tier: Tier, chunk: number): Points {
  const start = chunk * tier.stepMs * tier.points;
  const steps = createSteps(start, tier.stepMs, tier.points);
  for (let at = start; at < start + tier.stepMs * tier.points; at += tier.stepMs / 6) steps.add(at, valueAt(load, subject, metric, at));
  return steps.points();
}

const batchRows = 250;

async function insertRows(db: Database, table: ChunkTable, rows: readonly (readonly [number, number, number, Buffer])[]): Promise<void> {
  for (let start = 0; start < rows.length; start += batchRows) {
    const batch = rows.slice(start, start + batchRows);
    await db.execute(`REPLACE INTO ${table} (subject_id, metric, chunk, data) VALUES ${batch.map(() => '(?, ?, ?, ?)').join(', ')}`, batch.flat());
  }
}

/** Full tiers of these subjects as they are at `now`, written in the order of time, as they come to be. */
export async function fillTiers(db: Database, load: Load, subjects: readonly number[], now: number, { minuteDays, quarterDays }: { readonly minuteDays: number; readonly quarterDays: number }): Promise<void> {
  const today = Math.floor(now / dayMs);
  const thisHour = Math.floor(now / hourMs);
  const write = (table: ChunkTable, tier: Tier, chunk: number): Promise<void> => insertRows(db, table, subjects.flatMap((subject) => instanceMetrics.flatMap((metric) => {
    const data = encodeChunk(chunkOf(load, subject, metric, tier, chunk));
    return data === undefined ? [] : [[subject, metrics[metric].id, chunk, data] as const];
  })));
  for (let day = today - quarterDays; day < today; day++) await write('sample_days', quarterTier, day);
  for (let hour = (today - minuteDays) * 24; hour < thisHour; hour++) await write('sample_hours', minuteTier, hour);
  for (let at = Math.floor(now / 10_000) * 10_000 - 2 * hourMs + 10_000; at <= now; at += 10_000) {
    await insertInstanceSamples(db, subjects.map((subject) => sampleAt(load, subject, at)));
  }
}

function sampleAt(load: Load, subject: number, at: number): InstanceSample {
  const value = (metric: MetricName): number => valueAt(load, subject, metric, at);
  return {
    subjectId: subject, at, cpuPercent: value('instance.cpu'), detailAt: at - (at % 60_000), memoryUsedMib: Math.round(value('instance.memory-used')), memoryAvailableMib: Math.round(value('instance.memory-available')),
    diskReadBytesPerSecond: value('instance.disk-read'), diskWriteBytesPerSecond: value('instance.disk-write'), diskReadOpsPerSecond: value('instance.disk-read-ops'), diskWriteOpsPerSecond: value('instance.disk-write-ops'),
    diskAllocationMib: Math.round(value('instance.disk-allocation')), networkReceiveBytesPerSecond: value('instance.network-receive'), networkTransmitBytesPerSecond: value('instance.network-transmit'),
    networkReceivePacketsPerSecond: value('instance.network-receive-packets'), networkTransmitPacketsPerSecond: value('instance.network-transmit-packets'), networkDropsPerSecond: value('instance.network-drops'),
  };
}

/** Arguments of `rrdtool create` for a file with the same metrics and tiers. */
export function rrdCreate(file: string, beginning: number, { minuteDays, quarterDays }: { readonly minuteDays: number; readonly quarterDays: number }): string[] {
  const archives = ['AVERAGE', 'MIN', 'MAX'].flatMap((kind) => [`RRA:${kind}:0.5:6:${minuteDays * 1440}`, `RRA:${kind}:0.5:90:${quarterDays * 96}`]);
  return ['create', file, '--step', '10', '--start', String(Math.floor(beginning / 1000)), ...instanceMetrics.map((_, index) => `DS:m${index}:GAUGE:1800:U:U`), 'RRA:AVERAGE:0.5:1:720', ...archives];
}

/** The same history as lines of `rrdtool -`: coarse where only the coarse tier will be looked at. */
export function* rrdUpdates(file: string, load: Load, subject: number, now: number, quarterDays: number): Generator<string> {
  const line = (at: number): string => `${Math.floor(at / 1000)}:${instanceMetrics.map((metric) => valueAt(load, subject, metric, at).toPrecision(8)).join(':')}`;
  const times: number[] = [];
  for (let at = now - quarterDays * dayMs + 900_000; at < now;) {
    times.push(at);
    at += at < now - 2 * dayMs - hourMs ? 900_000 : at < now - 2 * hourMs ? 60_000 : 10_000;
  }
  for (let start = 0; start < times.length; start += 200) yield `update ${file} ${times.slice(start, start + 200).map(line).join(' ')}`;
}
