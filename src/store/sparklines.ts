// The last hour of many subjects as a few points each, for lists: single measurements and not means, because reading some
// 20 rows of each keeps a list of fifty as quick as one without; whoever wants to know opens the chart.
import type { Db } from './db.ts';
import { rings } from './sample-ring.ts';

const table = { host: 'host_samples', instance: 'instance_samples' } as const;
const { slotMs, slots } = rings.samples;

export interface Sparkline {
  /** when the first point is, and how far the points are apart */
  readonly from: number;
  readonly stepMs: number;
  /** CPU in %; null: not measured */
  readonly values: readonly (number | null)[];
}

/** subjectId → its CPU load: `points` of them, evenly over the time before `now`. A subject without any is not in the map. */
export async function selectSparklines(
  db: Db, kind: keyof typeof table, subjectIds: readonly number[], { now, lengthMs, points, pollIntervalMs }: { readonly now: number; readonly lengthMs: number; readonly points: number; readonly pollIntervalMs: number },
): Promise<Map<number, Sparkline>> {
  if (subjectIds.length === 0) return new Map();
  const stepSlots = Math.max(1, Math.round(lengthMs / points / slotMs));
  const last = Math.floor(now / slotMs) - 1;
  // slower polling leaves slots empty: of so many in a row one has a measurement
  const tries = Math.min(stepSlots, Math.ceil(pollIntervalMs / slotMs));
  const first = last - (points - 1) * stepSlots;
  const wanted = Array.from({ length: points }, (_, index) => first + index * stepSlots).flatMap((slot) => Array.from({ length: tries }, (_, back) => slot - back));
  const rows = await db.query<{ subject_id: number; at: number; cpu_percent: number | null }>(
    `SELECT subject_id, at, cpu_percent FROM ${table[kind]} WHERE subject_id IN (?) AND slot IN (?) AND at > ?`,
    [subjectIds, wanted.map((slot) => slot % slots), (first - tries) * slotMs],
  );
  const lines = new Map<number, (number | null)[]>();
  for (const row of rows) {
    const line = lines.get(row.subject_id) ?? Array.from({ length: points }, () => null);
    const index = Math.ceil((Math.floor(row.at / slotMs) - first) / stepSlots);
    if (index >= 0 && index < points) line[index] = row.cpu_percent;
    lines.set(row.subject_id, line);
  }
  return new Map([...lines].map(([id, values]) => [id, { from: first * slotMs, stepMs: stepSlots * slotMs, values }]));
}
