// What usage pages, files and the API are made from. However many machines somebody made and deleted, the figures are of all of
// them; only so many of them are kept to be listed.
import { addUsage, createUsageMeter, noUsage, roundAmount, type DatedPriceList, type Usage, type UsageByBucket, type UsagePeriod, type UsageSums } from '../../model/usage.ts';
import type { Db } from '../../store/db.ts';
import { selectPriceLists } from '../../store/price-lists.ts';
import { selectSettingsVersion } from '../../store/settings.ts';
import { selectUsagePeriods } from '../../store/usage-periods.ts';
import type { UsageRange } from './range.ts';

/** Of one user, on a page. More machines than this in one month are a script's; the file has them all. */
export const maxMachines = 200;

export interface UsagePrices {
  /** all that there were, oldest first */
  readonly history: readonly DatedPriceList[];
  /** those in force at some time of the range, oldest first */
  readonly lists: readonly DatedPriceList[];
  /** of these, that of the newest first */
  readonly currencies: readonly string[];
}

export interface MachineUsage {
  readonly period: UsagePeriod;
  readonly usage: Usage;
}

export interface LoadedUsage extends Pick<UsagePrices, 'lists'> {
  /** of the costs, that of the newest list first */
  readonly currencies: readonly string[];
  /** user's id → their usage; without those who had nothing */
  readonly users: ReadonlyMap<string, UsageByBucket>;
  /** of all, in each bucket */
  readonly buckets: readonly Usage[];
  readonly sum: Usage;
  /** of the one user asked for: the dearest `maxMachines`, dearest first; of everybody: none */
  readonly machines: readonly MachineUsage[];
  /** how many there are in all */
  readonly machineCount: number;
  /** of one usage, rounded, in the order of `currencies` */
  amounts(usage: Usage): { readonly currency: string; readonly amount: number }[];
}

/** `userId` absent: everybody's. */
export async function loadUsage(db: Db, range: UsageRange, now: number, userId?: string): Promise<LoadedUsage> {
  const { history, lists, currencies: allCurrencies } = await loadPrices(db, range, now);
  const addPeriod = createUsageMeter({ buckets: range.buckets, lists: history, now });
  const dearest = dearestFirst(allCurrencies);
  const dearestMachines = (machines: MachineUsage[]): MachineUsage[] => machines.sort((a, b) => dearest(a.usage, b.usage)).slice(0, maxMachines);
  const users = new Map<string, UsageSums>();
  let machines: MachineUsage[] = [];
  let machineCount = 0;
  for await (const period of selectUsagePeriods(db, { from: range.from, to: Math.min(range.to, now), userId })) {
    machineCount++;
    const own: UsageSums = users.get(period.userId) ?? new Map();
    addPeriod(own, period);
    if (own.size > 0) users.set(period.userId, own);
    if (userId === undefined) continue;
    const sums: UsageSums = new Map();
    addPeriod(sums, period);
    machines.push({ period, usage: sumOf(sums.values()) });
    // not after each: sorting is dearer than keeping twice as many for a while
    if (machines.length >= 2 * maxMachines) machines = dearestMachines(machines);
  }
  const buckets = range.buckets.map((_, i) => sumOf([...users.values()].map((own) => own.get(i) ?? noUsage)));
  const sum = sumOf(buckets);
  const currencies = allCurrencies.filter((currency) => sum.costs.has(currency));
  return {
    lists, currencies, users, buckets, sum, machines: dearestMachines(machines), machineCount,
    amounts: ({ costs }) => currencies.filter((currency) => costs.has(currency)).map((currency) => ({ currency, amount: roundAmount(costs.get(currency) ?? 0) })),
  };
}

export async function loadPrices(db: Db, range: UsageRange, now: number): Promise<UsagePrices> {
  const history = await selectPriceLists(db, await selectSettingsVersion(db, 'prices'));
  const lists = listsBetween(history, range.from, Math.min(range.to, now));
  return { history, lists, currencies: [...new Set(lists.map(({ currency }) => currency).reverse())] };
}

export function sumOf(usages: Iterable<Usage>): Usage {
  let sum = noUsage;
  for (const usage of usages) sum = addUsage(sum, usage);
  return sum;
}

function listsBetween(lists: readonly DatedPriceList[], from: number, to: number): DatedPriceList[] {
  return lists.filter((list, i) => (i === 0 || list.validFrom < to) && (lists[i + 1]?.validFrom ?? Infinity) > from);
}

/** Those with the highest costs first, in the first currency in which they differ; then by their vCPU hours. */
export function dearestFirst(currencies: readonly string[]): (a: Usage, b: Usage) => number {
  return (a, b) => {
    for (const currency of currencies) {
      const difference = (b.costs.get(currency) ?? 0) - (a.costs.get(currency) ?? 0);
      if (difference !== 0) return difference;
    }
    return b.vcpuMs - a.vcpuMs;
  };
}
