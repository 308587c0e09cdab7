// The small picture of the last hour beside a name in a list.
import type { Db } from '../../store/db.ts';
import { selectSparklines } from '../../store/sparklines.ts';
import { plotOf } from './plot.ts';

const lengthMs = 3_600_000;
const points = 20;

/** subjectId → path in a square of 1000 × 1000; 100 % is at its top. Who was not measured is not in the map. */
export async function loadSparklines(db: Db, kind: 'host' | 'instance', subjectIds: readonly number[], now: number, pollIntervalMs: number): Promise<Map<number, string>> {
  const lines = await selectSparklines(db, kind, subjectIds, { now, lengthMs, points, pollIntervalMs });
  return new Map([...lines].map(([id, { from, stepMs, values }]) => {
    const series = { stepMs, at: values.map((_, index) => from + index * stepMs), avg: values, min: values, max: values };
    const plot = plotOf({ from: now - lengthMs, to: now, unit: 'percent', top: 100, stacked: [], lines: [series] });
    return [id, plot.lines[0]?.line ?? ''];
  }));
}
