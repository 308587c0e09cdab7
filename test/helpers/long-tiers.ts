// History in the longer tiers of samples, as the roll-up would have written it.
import { encodeChunk } from '../../src/model/chunk.ts';
import { metrics, type MetricName } from '../../src/model/metric.ts';
import { dayMs, quarterTier } from '../../src/model/roll-up.ts';
import type { Db } from '../../src/store/db.ts';

/** `valueAt` of each quarter of an hour of the UTC days from `from` until `to`; null: not measured. */
export async function writeQuarters(db: Db, subjectId: number, metric: MetricName, { from, to }: { readonly from: number; readonly to: number }, valueAt: (at: number) => number | null): Promise<void> {
  for (let chunk = Math.floor(from / dayMs); chunk * dayMs < to; chunk++) {
    const values = Float64Array.from({ length: quarterTier.points }, (_, i) => {
      const at = chunk * dayMs + i * quarterTier.stepMs;
      return at < from || at >= to ? Number.NaN : (valueAt(at) ?? Number.NaN);
    });
    const data = encodeChunk({ avg: values, min: values, max: values });
    if (data !== undefined) await db.execute('INSERT INTO sample_days (subject_id, metric, chunk, data) VALUES (?, ?, ?, ?)', [subjectId, metrics[metric].id, chunk, data]);
  }
}
