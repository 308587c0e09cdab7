// The stretch of time that charts show: one of six that end now, or any from one moment to another. Whatever an address
// asks for, it comes out bounded: nothing after now, nothing before what any history keeps, never shorter than a minute.

export const rangeNames = ['1h', '6h', '1d', '1w', '1mo', '1y'] as const;
export type RangeName = (typeof rangeNames)[number];

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const lengthsMs: Readonly<Record<RangeName, number>> = { '1h': hourMs, '6h': 6 * hourMs, '1d': dayMs, '1w': 7 * dayMs, '1mo': 30 * dayMs, '1y': 365 * dayMs };
const shortestMs = 60_000;
/** Longer than the longest history that may be kept (settings, `monitoring`): three years and a little. */
const furthestMs = 1200 * dayMs;

export interface TimeRange {
  readonly from: number;
  readonly to: number;
  /** it ends now and moves along; null: a stretch that stays where it is */
  readonly name: RangeName | null;
}

type Query = Readonly<Record<string, unknown>>;

export function rangeOf(query: Query, now: number): TimeRange {
  const from = momentOf(query['from']);
  const to = momentOf(query['to']);
  if (from !== null && to !== null && from !== to) return fixedRange(Math.min(from, to), Math.max(from, to), now);
  const name = rangeNames.find((each) => each === query['range']) ?? '1h';
  return { from: now - lengthsMs[name], to: now, name };
}

/** Whether what is shown is what an address asks for, to the minute of the fields; one that asks for nothing is content with the last hour. */
export function isAsAsked(query: Query, { from, to, name }: TimeRange): boolean {
  const near = (asked: unknown, shown: number): boolean => Math.abs((momentOf(asked) ?? Number.NaN) - shown) < shortestMs;
  if (query['from'] || query['to']) return near(query['from'], from) && near(query['to'], to);
  return !query['range'] || query['range'] === name;
}

/** What fields show: the moments that were typed; what is none (a browser would leave the field empty) is replaced by what is shown. */
export function fieldsOf(query: Query, { from, to }: TimeRange): { from: string; to: string } {
  const text = (typed: unknown, shown: number): string => new Date(momentOf(typed) ?? shown).toISOString().slice(0, 16);
  return { from: text(query['from'], from), to: text(query['to'], to) };
}

/** ISO 8601 with or without seconds and zone, as inputs of forms write it too; without a zone it is UTC. */
function momentOf(value: unknown): number | null {
  if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?Z?$/.test(value)) return null;
  const at = Date.parse(value.endsWith('Z') ? value : `${value}Z`);
  // of the 31st of February the parser makes the 3rd of March
  return Number.isFinite(at) && new Date(at).toISOString().startsWith(value.slice(0, 16)) ? at : null;
}

function fixedRange(from: number, to: number, now: number): TimeRange {
  const length = Math.min(furthestMs, Math.max(shortestMs, to - from));
  // moved as a whole: what was asked for keeps its length where it can
  const last = Math.max(now - furthestMs + length, Math.min(now, from + length));
  return { from: last - length, to: last, name: null };
}

/** As parameters of an address: whole seconds, UTC. */
export function rangeQuery(range: TimeRange): Record<string, string> {
  return range.name === null ? { from: isoSeconds(range.from), to: isoSeconds(range.to) } : { range: range.name };
}

export const isoSeconds = (at: number): string => `${new Date(at).toISOString().slice(0, 19)}Z`;

export interface RangeSteps {
  readonly earlier: TimeRange;
  /** null: it ends now already */
  readonly later: TimeRange | null;
  readonly closer: TimeRange | null;
  readonly wider: TimeRange | null;
}

/** Where one may go from here. */
export function stepsFrom({ from, to }: TimeRange, now: number): RangeSteps {
  const length = to - from;
  const endsNow = now - to < length / 50;
  return {
    earlier: fixedRange(from - length, from, now),
    later: endsNow ? null : fixedRange(to, to + length, now),
    closer: length < 2 * shortestMs ? null : endsNow ? fixedRange(to - length / 2, to, now) : fixedRange(from + length / 4, to - length / 4, now),
    wider: length > furthestMs / 2 ? null : fixedRange(from - length / 2, to + length / 2, now),
  };
}
