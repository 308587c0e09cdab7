// When something runs out, from one value a day: robust, and honest about what it does not know.
//
// The growth is the median of the slopes between all pairs of days (Theil 1950, Sen 1968): up to 29 % of the days may be
// anything (a backup, an outage) without moving it. Its range is Sen's, from the ranks of the slopes, widened for days that
// resemble the day before (variance × (1 + r) / (1 − r), r the lag-one correlation of what the line leaves over; as Hamed and
// Rao 1998 do for the test of Mann and Kendall). The level it grows from is what the last week says, not the line: after a
// big change the line is wrong for a while. It foresees nothing but more of the same.

export interface DayValue {
  /** ms UTC, the middle of what the value is of */
  readonly at: number;
  readonly value: number;
}

export type Forecast =
  /** too few days with a value, or too short a time: nothing is said */
  | { readonly kind: 'not-enough'; readonly days: number; readonly needed: number }
  /** it is all in use now */
  | { readonly kind: 'full' }
  /** no growth that could not be chance; `earliest`: when it would be full at the fastest growth that could still be, if soon */
  | { readonly kind: 'not-growing'; readonly perDay: number; readonly earliest: number | null }
  /** grows, and is full past the time that can be foreseen */
  | { readonly kind: 'far'; readonly perDay: number; readonly earliest: number | null }
  /** full at about `at`, 9 times of 10 between `earliest` and `latest` if it goes on so; null: `latest` is past what can be foreseen */
  | { readonly kind: 'runs-out'; readonly at: number; readonly earliest: number; readonly latest: number | null; readonly perDay: number };

const dayMs = 86_400_000;
/** Days that forecasts are made from. More: what was long ago weighs as much as last week; fewer: a wider range. */
export const forecastDays = 90;
/** With less, a week's rhythm looks like a trend. */
export const neededDays = 14;
/** Nothing is said of a time longer than this many times the days that were looked at, nor of more than two years. */
const farTimes = 4;
const farMs = 730 * dayMs;
/** Of a standard normal: 90 % lie within. */
const z = 1.645;
const levelDays = 7;

/** The range of the series that a forecast is made from, ms UTC. Whole days: today is not over, and the first hours of a day are not like its others. */
export function forecastRange(now: number): { readonly from: number; readonly to: number; readonly points: number; readonly now: number } {
  const to = Math.floor(now / dayMs) * dayMs;
  return { from: to - forecastDays * dayMs, to, points: forecastDays, now };
}

/** Of what was measured in that range; days without a value are no days of nothing. `capacity` in the values' unit, as it is now. */
export function forecastSeries({ stepMs, at, avg }: { readonly stepMs: number; readonly at: readonly number[]; readonly avg: readonly (number | null)[] }, capacity: number, now: number): Forecast {
  const days = at.flatMap((begin, i): DayValue[] => {
    const value = avg[i];
    return value === null || value === undefined ? [] : [{ at: begin + stepMs / 2, value }];
  });
  return forecastFull(days, capacity, now);
}

/** `days`: oldest first. `capacity` in the values' unit, as it is now. */
export function forecastFull(days: readonly DayValue[], capacity: number, now: number): Forecast {
  const last = days.at(-1);
  const spanDays = days.length === 0 ? 0 : ((last?.at ?? 0) - (days[0]?.at ?? 0)) / dayMs;
  if (last === undefined || days.length < neededDays || spanDays < neededDays - 1) return { kind: 'not-enough', days: days.length, needed: neededDays };
  if (last.value >= capacity) return { kind: 'full' };
  const { slope, low, high } = trendOf(days);
  const recent = days.filter(({ at }) => at > last.at - levelDays * dayMs);
  const level = median(recent.map(({ at, value }) => value + (slope * (now - at)) / dayMs));
  if (level >= capacity) return { kind: 'full' };
  const horizon = now + Math.min(farMs, farTimes * spanDays * dayMs);
  const fullAt = (perDay: number): number | null => {
    const at = perDay <= 0 ? Infinity : now + ((capacity - level) / perDay) * dayMs;
    return at > horizon ? null : at;
  };
  const [earliest, at, latest] = [fullAt(high), fullAt(slope), fullAt(low)];
  if (low <= 0) return { kind: 'not-growing', perDay: slope, earliest };
  if (at === null || earliest === null) return { kind: 'far', perDay: slope, earliest };
  return { kind: 'runs-out', at, earliest, latest, perDay: slope };
}

interface Trend { readonly slope: number; readonly low: number; readonly high: number }

/** Growth a day, and its range. */
function trendOf(days: readonly DayValue[]): Trend {
  const slopes = new Float64Array((days.length * (days.length - 1)) / 2);
  let count = 0;
  for (const [i, later] of days.entries()) {
    for (let j = 0; j < i; j++) {
      const earlier = days[j];
      if (earlier !== undefined && later.at > earlier.at) slopes[count++] = ((later.value - earlier.value) * dayMs) / (later.at - earlier.at);
    }
  }
  const sorted = slopes.subarray(0, count).sort();
  const slope = medianOfSorted(sorted);
  const n = days.length;
  const variance = (n * (n - 1) * (2 * n + 5)) / 18;
  const spread = z * Math.sqrt(variance * dependence(days, slope));
  const at = (rank: number): number => sorted[Math.min(count - 1, Math.max(0, Math.round(rank)))] ?? slope;
  return { slope, low: at((count - spread) / 2 - 1), high: at((count + spread) / 2) };
}

/** How many times the variance of independent days: 1 for those, more when a day resembles the one before. */
function dependence(days: readonly DayValue[], slope: number): number {
  const residuals = days.map(({ at, value }) => value - (slope * at) / dayMs);
  const middle = median(residuals);
  const left = residuals.map((each) => each - middle);
  const total = left.reduce((sum, each) => sum + each * each, 0);
  if (total === 0) return 1;
  const r = left.slice(1).reduce((sum, each, i) => sum + each * (left[i] ?? 0), 0) / total;
  // close to 1 nothing could be said at all; below 0 would narrow the range
  const bounded = Math.min(0.9, Math.max(0, r));
  return (1 + bounded) / (1 - bounded);
}

function median(values: readonly number[]): number {
  return medianOfSorted(Float64Array.from(values).sort());
}

function medianOfSorted(sorted: Float64Array): number {
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}
