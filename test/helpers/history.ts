// Measured history for tests of charts: a host's and an instance's last two hours, and days of an instance's long tier.
import { encodeChunk } from '../../src/model/chunk.ts';
import { metrics, type MetricName } from '../../src/model/metric.ts';
import type { Db } from '../../src/store/db.ts';
import { insertInstanceSamples } from '../../src/store/samples.ts';

const slotMs = 10_000;
const dayMs = 86_400_000;

/** A sample each 10 s over the last `minutes`, with nothing measured between `gap` minutes ago. CPU is 50 % and 10 % by turns of a minute. */
export async function insertRecent(db: Db, subjectId: number, now: number, { minutes, gap }: { readonly minutes: number; readonly gap?: readonly [from: number, to: number] }): Promise<void> {
  const samples = Array.from({ length: minutes * 6 }, (_, index) => now - (minutes * 6 - index) * slotMs)
    .filter((at) => gap === undefined || now - at > gap[0] * 60_000 || now - at < gap[1] * 60_000)
    .map((at) => ({ subjectId, at, detailAt: at, cpuPercent: Math.floor(at / 60_000) % 2 === 0 ? 50 : 10, memoryUsedMib: 512, memoryAvailableMib: 256, diskReadBytesPerSecond: 2048, networkReceiveBytesPerSecond: 1024 }));
  await insertInstanceSamples(db, samples);
}

/** Whole days of one metric, the newest `to` days ago: mean `mean`, between half and twice as much. */
export async function insertDays(db: Db, subjectId: number, metric: MetricName, now: number, { from, to, mean }: { readonly from: number; readonly to: number; readonly mean: number }): Promise<void> {
  const points = (value: number): Float64Array => new Float64Array(96).fill(value);
  const data = encodeChunk({ avg: points(mean), min: points(mean / 2), max: points(2 * mean) });
  if (data === undefined) throw new Error('there are values');
  for (let back = from; back >= to; back--) {
    await db.execute('INSERT INTO sample_days (subject_id, metric, chunk, data) VALUES (?, ?, ?, ?)', [subjectId, metrics[metric].id, Math.floor(now / dayMs) - back, data]);
  }
}
