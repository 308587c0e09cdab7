// Which time a usage page tells of: a month day by day, or a year month by month. In the URL, so that it can be kept.
import { z } from 'zod';
import { daysOfMonth, monthStart, monthsOfYear, usageKeptYears, type Bucket } from '../../model/usage.ts';

export interface UsageRange {
  readonly by: 'day' | 'month';
  /** "2026-11" or "2026" */
  readonly name: string;
  readonly buckets: readonly Bucket[];
  readonly from: number;
  readonly to: number;
  readonly query: string;
  /** queries of the range before and after this one; null: nothing can be told of it */
  readonly previous: string | null;
  readonly next: string | null;
  /** query of the other view of the same time */
  readonly other: string;
}

/** Out of the URL: what cannot be used is left out, a page is never an error. */
const usageQuery = z.object({
  by: z.enum(['day', 'month']).catch('day'),
  month: z.string().regex(/^\d{4}-(?:0[1-9]|1[0-2])$/).optional().catch(undefined),
  year: z.string().regex(/^\d{4}$/).optional().catch(undefined),
});

const monthName = (at: number): string => new Date(at).toISOString().slice(0, 7);
const yearOf = (at: number): number => new Date(at).getUTCFullYear();
const dayQuery = (at: number): string => `by=day&month=${monthName(at)}`;
const monthQuery = (year: number): string => `by=month&year=${year}`;

export function usageRange(query: unknown, now: number): UsageRange {
  const { by, month, year } = usageQuery.parse(query);
  const [first, last] = [Date.UTC(yearOf(now) - usageKeptYears, 0, 1), monthStart(now)];
  if (by === 'month') {
    const shown = Math.min(Math.max(Number(year ?? yearOf(now)), yearOf(first)), yearOf(last));
    return {
      ...rangeOf('month', String(shown), monthsOfYear(shown)), query: monthQuery(shown), other: dayQuery(Math.min(last, Date.UTC(shown, 11, 1))),
      previous: shown > yearOf(first) ? monthQuery(shown - 1) : null, next: shown < yearOf(last) ? monthQuery(shown + 1) : null,
    };
  }
  const shown = Math.min(Math.max(month === undefined ? last : Date.parse(`${month}-01T00:00:00Z`), first), last);
  return {
    ...rangeOf('day', monthName(shown), daysOfMonth(shown)), query: dayQuery(shown), other: monthQuery(yearOf(shown)),
    previous: shown > first ? dayQuery(monthStart(shown, -1)) : null, next: shown < last ? dayQuery(monthStart(shown, 1)) : null,
  };
}

function rangeOf(by: UsageRange['by'], name: string, buckets: readonly Bucket[]): Pick<UsageRange, 'by' | 'name' | 'buckets' | 'from' | 'to'> {
  return { by, name, buckets, from: buckets[0]?.from ?? 0, to: buckets.at(-1)?.to ?? 0 };
}
