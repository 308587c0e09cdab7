// What usage pages, files and the API are made from.
import { addUsage, noUsage, roundAmount, usageBy, type DatedPriceList, type Usage, type UsagePeriod } from '../../model/usage.ts';
import type { Db } from '../../store/db.ts';
import { selectPriceLists } from '../../store/price-lists.ts';
import { selectSettingsVersion } from '../../store/settings.ts';
import { selectUsagePeriods } from '../../store/usage-periods.ts';
import type { UsageRange } from './range.ts';

export interface LoadedUsage {
  readonly periods: readonly UsagePeriod[];
  /** those in force at some time of the range, oldest first */
  readonly lists: readonly DatedPriceList[];
  /** key of a period → usage in each bucket */
  by(keyOf: (period: UsagePeriod) => string): Map<string, Usage[]>;
  /** of all periods, in each bucket */
  readonly buckets: readonly Usage[];
  readonly sum: Usage;
  /** of the costs, that of the newest list first */
  readonly currencies: readonly string[];
  /** of one usage, rounded, in the order of `currencies` */
  amounts(usage: Usage): { readonly currency: string; readonly amount: number }[];
}

/** `userId` absent: everybody's. */
export async function loadUsage(db: Db, range: UsageRange, now: number, userId?: string): Promise<LoadedUsage> {
  const [periods, lists] = await Promise.all([
    selectUsagePeriods(db, { from: range.from, to: Math.min(range.to, now), userId }),
    selectSettingsVersion(db, 'prices').then((current) => selectPriceLists(db, current)),
  ]);
  const by = (keyOf: (period: UsagePeriod) => string): Map<string, Usage[]> => usageBy(periods, keyOf, { buckets: range.buckets, lists, now });
  const buckets = by(() => '').get('') ?? range.buckets.map(() => noUsage);
  const sum = sumOf(buckets);
  const currencies = [...sum.costs.keys()].reverse();
  return {
    periods, lists: listsBetween(lists, range.from, Math.min(range.to, now)), by, buckets, sum, currencies,
    amounts: ({ costs }) => currencies.filter((currency) => costs.has(currency)).map((currency) => ({ currency, amount: roundAmount(costs.get(currency) ?? 0) })),
  };
}

export function sumOf(usages: readonly Usage[]): Usage {
  return usages.reduce(addUsage, noUsage);
}

function listsBetween(lists: readonly DatedPriceList[], from: number, to: number): DatedPriceList[] {
  return lists.filter((list, i) => (i === 0 || list.validFrom < to) && (lists[i + 1]?.validFrom ?? Infinity) > from);
}

/** Those with the highest costs first, in the currency that is listed first; then by their vCPU hours. */
export function dearestFirst(currencies: readonly string[]): (a: Usage, b: Usage) => number {
  const [currency = ''] = currencies;
  return (a, b) => (b.costs.get(currency) ?? 0) - (a.costs.get(currency) ?? 0) || b.vcpuMs - a.vcpuMs;
}
