// Usage and what it costs, from periods and price lists.
//
// What is reserved counts, whether the machine runs or not: nobody else can have it. Prices are for a month, a calendar
// month in UTC with its real length, so that a machine that was there for the whole of any month costs exactly the list's
// price, and a day of February costs more than a day of March. Each moment is paid by the list in force at it. Amounts stay
// exact while they are added up and are rounded once, to the hundredth, when they are shown (roundAmount): rows may differ
// from their total by hundredths. Amounts in two currencies are never added.
import type { PriceList } from './price.ts';
import type { Size } from './size.ts';

export interface UsagePeriod extends Size {
  readonly instanceId: string;
  readonly instanceName: string;
  readonly userId: string;
  readonly openedAt: number;
  /** null: it is there */
  readonly closedAt: number | null;
}

export interface DatedPriceList extends PriceList {
  /** ms UTC; in force until the next one is */
  readonly validFrom: number;
}

/** A day or a month that usage is told of. */
export interface Bucket {
  /** "2026-11-03" or "2026-11" */
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

/** Amounts × milliseconds; `costs`: currency → exact amount. */
export interface Usage {
  readonly instanceMs: number;
  readonly vcpuMs: number;
  readonly memoryMibMs: number;
  readonly diskGibMs: number;
  readonly costs: ReadonlyMap<string, number>;
}

const dayMs = 86_400_000;
/** How far back usage can be told: three whole years and this one. What is older is deleted, else the table would grow without end. */
export const usageKeptYears = 3;
export const usageKeptMs = (usageKeptYears + 1) * 366 * dayMs;
export const noUsage: Usage = { instanceMs: 0, vcpuMs: 0, memoryMibMs: 0, diskGibMs: 0, costs: new Map() };

/** The start of the UTC month that `at` lies in, or of one `months` later. */
export function monthStart(at: number, months = 0): number {
  const date = new Date(at);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months, 1);
}

/** The days of the UTC month that `at` lies in. */
export function daysOfMonth(at: number): Bucket[] {
  const [start, end] = [monthStart(at), monthStart(at, 1)];
  return Array.from({ length: (end - start) / dayMs }, (_, day) => {
    const from = start + day * dayMs;
    return { name: new Date(from).toISOString().slice(0, 10), from, to: from + dayMs };
  });
}

/** The twelve months of a year, UTC. */
export function monthsOfYear(year: number): Bucket[] {
  return Array.from({ length: 12 }, (_, month) => {
    const from = Date.UTC(year, month, 1);
    return { name: new Date(from).toISOString().slice(0, 7), from, to: monthStart(from, 1) };
  });
}

/** To the hundredth, half up. */
export function roundAmount(amount: number): number {
  // a ten-millionth up: sums of binary fractions that should end in 5 may lie a little below
  return Math.round(amount * 100 + 1e-7) / 100;
}

export function addUsage(a: Usage, b: Usage): Usage {
  const costs = new Map(a.costs);
  for (const [currency, amount] of b.costs) costs.set(currency, (costs.get(currency) ?? 0) + amount);
  return {
    instanceMs: a.instanceMs + b.instanceMs, vcpuMs: a.vcpuMs + b.vcpuMs, memoryMibMs: a.memoryMibMs + b.memoryMibMs, diskGibMs: a.diskGibMs + b.diskGibMs, costs,
  };
}

/** A stretch of time within one bucket, one month and one price list. */
interface Segment { readonly from: number; readonly to: number; readonly bucket: number; readonly monthMs: number; readonly prices: PriceList }

function segmentsOf(buckets: readonly Bucket[], lists: readonly DatedPriceList[], now: number): Segment[] {
  return buckets.flatMap(({ from, to }, bucket) => {
    const end = Math.min(to, now);
    const cuts = [...new Set([from, ...lists.map((list) => list.validFrom).filter((at) => at > from && at < end), end])];
    return cuts.slice(0, -1).map((start, i) => ({
      from: start, to: cuts[i + 1] ?? end, bucket, monthMs: monthStart(start, 1) - monthStart(start), prices: inForce(lists, start),
    })).filter((segment) => segment.to > segment.from);
  });
}

/** The list in force at this moment; before the first one, the first: what was asked then nobody wrote down. */
function inForce(lists: readonly DatedPriceList[], at: number): PriceList {
  const list = lists.findLast((each) => each.validFrom <= at) ?? lists[0];
  if (list === undefined) throw new Error('no price list');
  return list;
}

interface Sum { instanceMs: number; vcpuMs: number; memoryMibMs: number; diskGibMs: number; costs: Map<string, number> }

/** Index of a bucket → its usage. Only of those in which there was any: a machine of a few seconds is one entry, not a month of zeros. */
export type UsageByBucket = ReadonlyMap<number, Usage>;
/** The same, while periods are added to it. */
export type UsageSums = Map<number, Sum>;

/**
 * A function that adds a period's usage, up to `now`, to sums (of its user, of its machine). Periods come one at a time, so that
 * nobody need hold them all: a script makes and deletes machines without end. A bucket is a day or a month: it does not reach
 * over the end of a month. `lists`: oldest first, at least one.
 */
export function createUsageMeter(
  { buckets, lists, now }: { readonly buckets: readonly Bucket[]; readonly lists: readonly DatedPriceList[]; readonly now: number },
): (sums: UsageSums, period: UsagePeriod) => void {
  const segments = segmentsOf(buckets, lists, now);
  return (sums, period) => {
    const closedAt = period.closedAt ?? now;
    for (let i = firstAfter(segments, period.openedAt); i < segments.length; i++) {
      const segment = segments[i];
      if (segment === undefined || segment.from >= closedAt) break;
      const ms = Math.min(segment.to, closedAt) - Math.max(segment.from, period.openedAt);
      if (ms <= 0) continue;
      let sum = sums.get(segment.bucket);
      if (sum === undefined) sums.set(segment.bucket, sum = { instanceMs: 0, vcpuMs: 0, memoryMibMs: 0, diskGibMs: 0, costs: new Map() });
      add(sum, period, segment, ms);
    }
  };
}

function add(sum: Sum, { vcpus, memoryMib, diskGib }: Size, { prices, monthMs }: Segment, ms: number): void {
  sum.instanceMs += ms;
  sum.vcpuMs += ms * vcpus;
  sum.memoryMibMs += ms * memoryMib;
  sum.diskGibMs += ms * diskGib;
  const monthly = vcpus * prices.perVcpu + (memoryMib / 1024) * prices.perMemoryGib + diskGib * prices.perDiskGib;
  sum.costs.set(prices.currency, (sum.costs.get(prices.currency) ?? 0) + (monthly * ms) / monthMs);
}

/** Index of the first segment that ends after `at`. */
function firstAfter(segments: readonly Segment[], at: number): number {
  let [low, high] = [0, segments.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((segments[middle]?.to ?? Infinity) > at) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** What is there at one moment. */
export interface Level extends Size { readonly instances: number }

export interface LevelSums {
  add(key: string, period: UsagePeriod): void;
  /** key → what is there at each of the moments; without those of whom nothing was there at any */
  levels(): Map<string, Level[]>;
}

/** Adds up what is there at each of these moments, oldest first, a period at a time. */
export function createLevelSums(moments: readonly number[]): LevelSums {
  // what is added and taken away between two moments; summed up at the end, so that a period is two steps however long it is
  const changes = new Map<string, { instances: number; vcpus: number; memoryMib: number; diskGib: number }[]>();
  const change = (key: string, index: number, sign: 1 | -1, { vcpus, memoryMib, diskGib }: Size): void => {
    let own = changes.get(key);
    if (own === undefined) changes.set(key, own = moments.map(() => ({ instances: 0, vcpus: 0, memoryMib: 0, diskGib: 0 })));
    const at = own[index];
    if (at === undefined) return;
    at.instances += sign;
    at.vcpus += sign * vcpus;
    at.memoryMib += sign * memoryMib;
    at.diskGib += sign * diskGib;
  };
  const firstFrom = (at: number): number => {
    let [low, high] = [0, moments.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((moments[middle] ?? Infinity) >= at) high = middle;
      else low = middle + 1;
    }
    return low;
  };
  return {
    add(key, period) {
      const [opened, closed] = [firstFrom(period.openedAt), period.closedAt === null ? moments.length : firstFrom(period.closedAt)];
      if (opened >= closed) return;
      change(key, opened, 1, period);
      change(key, closed, -1, period);
    },
    levels: () => new Map([...changes].map(([key, own]) => {
      let level = { instances: 0, vcpus: 0, memoryMib: 0, diskGib: 0 };
      return [key, own.map((each) => (level = { instances: level.instances + each.instances, vcpus: level.vcpus + each.vcpus, memoryMib: level.memoryMib + each.memoryMib, diskGib: level.diskGib + each.diskGib }))];
    })),
  };
}
