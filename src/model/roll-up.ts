// How measured values become fewer: equal steps of time, each with the mean, the least and the most of what fell into it.
// The longer tiers are made of the finer ones by this, and charts of the tiers.

/** Parallel arrays, one entry a step. NaN: nothing was measured there. */
export interface Points {
  readonly avg: Float64Array;
  readonly min: Float64Array;
  readonly max: Float64Array;
}

/** A tier that is kept in chunks, of so many points each. A chunk's number is its time divided by its length. */
export interface Tier {
  readonly stepMs: number;
  readonly points: number;
}

/** One minute: chunks of an hour. A quarter of an hour: chunks of a day (UTC). */
export const minuteTier: Tier = { stepMs: 60_000, points: 60 };
export const quarterTier: Tier = { stepMs: 900_000, points: 96 };

export const hourMs = minuteTier.stepMs * minuteTier.points;
export const dayMs = quarterTier.stepMs * quarterTier.points;

export interface Steps {
  /** A value measured at this time, or a finer step that begins then; outside of the steps it is not counted. NaN and null are nothing. */
  add(at: number, avg: number | null, min?: number | null, max?: number | null): void;
  points(): Points;
}

export function createSteps(start: number, stepMs: number, count: number): Steps {
  const sum = new Float64Array(count);
  const counted = new Uint32Array(count);
  const min = new Float64Array(count).fill(NaN);
  const max = new Float64Array(count).fill(NaN);
  return {
    add(at, avg, least = avg, most = avg) {
      const step = Math.floor((at - start) / stepMs);
      if (step < 0 || step >= count || avg === null || least === null || most === null || Number.isNaN(avg)) return;
      sum[step] = (sum[step] ?? 0) + avg;
      counted[step] = (counted[step] ?? 0) + 1;
      // written so that the NaN of an empty step gives way
      if (!((min[step] ?? NaN) <= least)) min[step] = least;
      if (!((max[step] ?? NaN) >= most)) max[step] = most;
    },
    points: () => ({ avg: sum.map((total, step) => ((counted[step] ?? 0) === 0 ? NaN : total / (counted[step] ?? 1))), min, max }),
  };
}

/** Every measured point of a chunk into coarser steps. */
export function addPoints(steps: Steps, start: number, stepMs: number, points: Points): void {
  for (let index = 0; index < points.avg.length; index++) {
    steps.add(start + index * stepMs, points.avg[index] ?? NaN, points.min[index], points.max[index]);
  }
}

/** Steps of at most `most` over a time, whole multiples of the tier's own and on the same bounds whenever they are asked for. */
export function stepsBetween(from: number, to: number, ownStepMs: number, most: number): { readonly start: number; readonly stepMs: number; readonly count: number } {
  const steps = (factor: number): { start: number; stepMs: number; count: number } => {
    const stepMs = ownStepMs * factor;
    const start = Math.floor(from / stepMs) * stepMs;
    return { start, stepMs, count: Math.max(1, Math.ceil((to - start) / stepMs)) };
  };
  let factor = Math.max(1, Math.ceil((to - from) / ownStepMs / Math.max(1, most)));
  while (steps(factor).count > Math.max(1, most)) factor++;
  return steps(factor);
}

/** Fewer distances than these say nothing about a rhythm. */
const rhythm = 8;

/** Where samples come more seldom than the steps are long, how many steps are one: else a chart would be gaps and dots. */
export function widenSteps(series: readonly Points[]): number {
  const distances: number[] = [];
  for (const { avg } of series) {
    let before = -1;
    for (let step = 0; step < avg.length; step++) {
      if (Number.isNaN(avg[step] ?? NaN)) continue;
      if (before >= 0) distances.push(step - before);
      before = step;
    }
  }
  // the usual distance, the longer one where two take turns; gaps are fewer than samples
  return distances.length < rhythm ? 1 : (distances.sort((a, b) => a - b)[Math.floor(0.6 * distances.length)] ?? 1);
}
