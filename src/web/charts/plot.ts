// From measured series to what an SVG draws: paths in a square of 1000 × 1000 that the page stretches to its width, and the
// places of the scale's marks as percentages. Pure; the same figures stand in the table and in the CSV file.
import type { MetricUnit } from '../../model/metric.ts';

/** As store/series.ts gives it: equal steps, null where nothing was measured. */
export interface Values {
  readonly stepMs: number;
  readonly at: readonly number[];
  readonly avg: readonly (number | null)[];
  readonly min: readonly (number | null)[];
  readonly max: readonly (number | null)[];
}

export interface PlotInput {
  readonly from: number;
  readonly to: number;
  readonly unit: MetricUnit;
  /** where the scale ends; null: at a round figure above the highest value */
  readonly top: number | null;
  /** one upon the other, in their order */
  readonly stacked: readonly Values[];
  readonly lines: readonly Values[];
}

export interface PlotLine {
  readonly line: string;
  /** what is too short to be seen as a line */
  readonly dots: string;
  /** filled down to what it stands on; '' for a line that is not stacked */
  readonly area: string;
  /** from the lowest to the highest of each step; '' where these do not differ */
  readonly band: string;
}

export interface Plot {
  readonly top: number;
  readonly stacked: readonly PlotLine[];
  readonly lines: readonly PlotLine[];
  /** `position`: per cent from the top */
  readonly levels: readonly { readonly value: number; readonly position: number }[];
  /** `position`: per cent from the left */
  readonly times: readonly { readonly at: number; readonly position: number }[];
  readonly timeStepMs: number;
}

const size = 1000;
/** Longer without a figure than this many usual steps: nothing was measured in between, and no line is drawn there. */
const gapSteps = 2.5;

export function plotOf(input: PlotInput): Plot {
  const sums = stack(input.stacked);
  const top = topOf(input, sums);
  const x = (at: number): number => Math.round(clamp((at - input.from) / (input.to - input.from)) * size);
  const y = (value: number): number => Math.round((1 - clamp(value / top)) * size);
  const { times, stepMs } = timesOf(input.from, input.to);
  return {
    top,
    stacked: sums.map((values, index) => ({ line: lineOf(values, values.avg, x, y), dots: dotsOf(values, values.avg, x, y), area: areaOf(values, values.avg, sums[index - 1]?.avg, x, y), band: '' })),
    lines: input.lines.map((values) => ({ line: lineOf(values, values.avg, x, y), dots: dotsOf(values, values.avg, x, y), area: '', band: bandDiffers(values, top) ? areaOf(values, values.max, values.min, x, y) : '' })),
    levels: levelsOf(top, input.unit).map((value) => ({ value, position: Math.round((1 - value / top) * 1000) / 10 })),
    times: times.map((at) => ({ at, position: Math.round(((at - input.from) / (input.to - input.from)) * 1000) / 10 })),
    timeStepMs: stepMs,
  };
}

function clamp(share: number): number {
  return Math.max(0, Math.min(1, share));
}

/** Sums from below; where one is not known, what stands upon it is not drawn either. */
function stack(series: readonly Values[]): Values[] {
  const sums: Values[] = [];
  for (const values of series) {
    const below = sums.at(-1);
    const avg = values.avg.map((value, index) => {
      const base = below === undefined ? 0 : (below.avg[index] ?? null);
      return value === null || base === null ? null : base + value;
    });
    sums.push({ ...values, avg });
  }
  return sums;
}

function topOf({ top, lines, unit }: PlotInput, sums: readonly Values[]): number {
  if (top !== null && top > 0) return top;
  const highest = Math.max(0, ...[...sums.flatMap(({ avg }) => avg), ...lines.flatMap(({ max }) => max)].map((value) => value ?? 0));
  return roundAbove(highest * 1.05, unit);
}

const isBinary = (unit: MetricUnit): boolean => unit === 'mib' || unit === 'bytes-per-second';

/** The next of 1, 2, 4, 8 … (bytes) or 1, 2, 5, 10 … (all else); at least 1, so that nothing at all is a line at the bottom. */
function roundAbove(value: number, unit: MetricUnit): number {
  if (value <= 1) return 1;
  if (isBinary(unit)) return 2 ** Math.ceil(Math.log2(value));
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 2, 5, 10].find((factor) => factor * power >= value) ?? 10);
}

function levelsOf(top: number, unit: MetricUnit): number[] {
  const quarters = isBinary(unit) || /^[124]/.test(String(top)) ? 4 : 5;
  return Array.from({ length: quarters + 1 }, (_, index) => (top * index) / quarters);
}

/** The points that have a value; each as [index of the step, value]. */
function present(list: readonly (number | null)[]): [index: number, value: number][] {
  return list.flatMap((value, index): [number, number][] => (value === null ? [] : [[index, value]]));
}

/** Runs of points without a gap between them. A host polled every 30 s has no gap between 10 s steps. */
function runsOf(points: readonly [index: number, value: number][]): [index: number, value: number][][] {
  const distances = points.slice(1).map(([index], before) => index - (points[before]?.[0] ?? 0)).sort((a, b) => a - b);
  const longest = gapSteps * (distances[Math.floor((distances.length - 1) / 2)] ?? 1);
  const runs: [number, number][][] = [];
  let last = Number.NEGATIVE_INFINITY;
  for (const point of points) {
    if (point[0] - last > longest) runs.push([]);
    runs.at(-1)?.push(point);
    last = point[0];
  }
  return runs;
}

type Scale = (value: number) => number;

/** A step's point stands in its middle. */
function middles({ at, stepMs }: Values, x: Scale): Scale {
  return (index) => x((at[index] ?? 0) + stepMs / 2);
}

function lineOf(values: Values, list: readonly (number | null)[], x: Scale, y: Scale): string {
  const place = middles(values, x);
  // a point alone is a line of no length, which a round cap makes a dot
  return runsOf(present(list)).map((run) => `M${run.map(([index, value]) => `${place(index)} ${y(value)}`).join('L')}${run.length === 1 ? 'h0' : ''}`).join('');
}

/** A hundredth of the width is some pixels of a card. */
const shortRun = size / 100;

/** Each point of runs that are hardly a line: a point alone, or a young machine's day in a year. */
function dotsOf(values: Values, list: readonly (number | null)[], x: Scale, y: Scale): string {
  const place = middles(values, x);
  return runsOf(present(list)).filter((run) => place(run.at(-1)?.[0] ?? 0) - place(run[0]?.[0] ?? 0) < shortRun)
    .flatMap((run) => run.map(([index, value]) => `M${place(index)} ${y(value)}h0`)).join('');
}

/** Filled between two lists; without a lower one, down to nothing. */
function areaOf(values: Values, upper: readonly (number | null)[], lower: readonly (number | null)[] | undefined, x: Scale, y: Scale): string {
  const place = middles(values, x);
  return runsOf(present(upper)).filter((run) => run.length > 1).map((run) => {
    const above = run.map(([index, value]) => `${place(index)} ${y(value)}`);
    const below = run.map(([index]) => `${place(index)} ${y(lower?.[index] ?? 0)}`).reverse();
    return `M${[...above, ...below].join('L')}Z`;
  }).join('');
}

/** Narrower than a line everywhere, a band says nothing. */
function bandDiffers({ min, max }: Values, top: number): boolean {
  return max.some((value, index) => value !== null && value - (min[index] ?? value) > top / 200);
}

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const steps = [minute / 6, minute / 2, minute, 2 * minute, 5 * minute, 10 * minute, 15 * minute, 30 * minute, hour, 2 * hour, 3 * hour, 6 * hour, 12 * hour, day, 2 * day, 7 * day, 14 * day];
/** More would run into each other on a phone. */
const mostTimes = 6;

/** Round moments (UTC) in the range; months where days would be too many. */
function timesOf(from: number, to: number): { times: number[]; stepMs: number } {
  const step = steps.find((each) => (to - from) / each <= mostTimes);
  if (step === undefined) return { times: monthsOf(from, to), stepMs: 30 * day };
  const first = Math.ceil(from / step) * step;
  return { times: Array.from({ length: Math.max(0, Math.floor((to - first) / step) + 1) }, (_, index) => first + index * step), stepMs: step };
}

function monthsOf(from: number, to: number): number[] {
  const months = (to - from) / (30 * day);
  const every = [1, 2, 3, 6, 12].find((each) => months / each <= mostTimes) ?? 12;
  const begin = new Date(from);
  const first = begin.getUTCFullYear() * 12 + begin.getUTCMonth();
  const found: number[] = [];
  for (let month = Math.ceil(first / every) * every; ; month += every) {
    const at = Date.UTC(Math.floor(month / 12), month % 12, 1);
    if (at > to) return found;
    if (at >= from) found.push(at);
  }
}
