import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  addUsage, createLevelSums, createUsageMeter, daysOfMonth, monthsOfYear, monthStart, noUsage, roundAmount, type DatedPriceList, type Level, type Usage, type UsagePeriod, type UsageSums,
} from './usage.ts';

const day = 86_400_000;
const list = (validFrom: number, perVcpu: number, currency = 'NT$'): DatedPriceList => ({ validFrom, currency, perVcpu, perMemoryGib: 0, perDiskGib: 0 });
const period = (openedAt: number, closedAt: number | null, over: Partial<UsagePeriod> = {}): UsagePeriod =>
  ({ instanceId: 'i', instanceName: 'vm', userId: 'u', vcpus: 1, memoryMib: 1024, diskGib: 10, openedAt, closedAt, ...over });
const total = (rows: readonly Usage[] = []): Usage => rows.reduce(addUsage, noUsage);
const amount = (usage: Usage, currency = 'NT$'): number => roundAmount(usage.costs.get(currency) ?? 0);
const far = Date.UTC(2100, 0, 1);

/** Key of a period → usage in each bucket. */
function usageBy(periods: readonly UsagePeriod[], keyOf: (period: UsagePeriod) => string, frame: Parameters<typeof createUsageMeter>[0]): Map<string, Usage[]> {
  const addPeriod = createUsageMeter(frame);
  const sums = new Map<string, UsageSums>();
  for (const each of periods) {
    const own = sums.get(keyOf(each)) ?? new Map();
    addPeriod(own, each);
    if (own.size > 0) sums.set(keyOf(each), own);
  }
  return new Map([...sums].map(([key, own]) => [key, frame.buckets.map((_, i) => own.get(i) ?? noUsage)]));
}

function levelsBy(periods: readonly UsagePeriod[], keyOf: (period: UsagePeriod) => string, moments: readonly number[]): Map<string, Level[]> {
  const sums = createLevelSums(moments);
  for (const each of periods) sums.add(keyOf(each), each);
  return sums.levels();
}

const user = ({ userId }: UsagePeriod): string => userId;

test('days and months are those of the calendar, in UTC', () => {
  assert.equal(daysOfMonth(Date.UTC(2028, 1, 10)).length, 29);
  assert.equal(daysOfMonth(Date.UTC(2026, 9, 31, 23)).length, 31, 'no hour is lost or doubled when clocks are changed somewhere');
  assert.deepEqual(monthsOfYear(2026).map(({ name }) => name).slice(10), ['2026-11', '2026-12']);
  assert.deepEqual(daysOfMonth(Date.UTC(2026, 10, 3))[2], { name: '2026-11-03', from: Date.UTC(2026, 10, 3), to: Date.UTC(2026, 10, 4) });
});

test('a whole month costs what the list says, however long the month is', () => {
  const lists = [{ validFrom: 0, currency: 'NT$', perVcpu: 1000, perMemoryGib: 1500.5, perDiskGib: 3.33 }];
  const periods = [period(0, null, { vcpus: 2, memoryMib: 512, diskGib: 7 })];
  for (const month of usageBy(periods, user, { buckets: monthsOfYear(2028), lists, now: far }).get('u') ?? []) assert.equal(amount(month), 2773.56);
});

test('a day of February costs more than a day of March', () => {
  const cost = (at: number): number => amount(total(usageBy([period(at, at + day)], user, { buckets: daysOfMonth(at), lists: [list(0, 310)], now: far }).get('u')));
  assert.deepEqual([cost(Date.UTC(2026, 2, 5)), cost(Date.UTC(2026, 1, 5))], [10, 11.07]);
});

test('each moment is paid by the list in force; currencies stay apart', () => {
  const start = Date.UTC(2026, 10, 1);
  const lists = [list(0, 300), list(start + 10 * day, 600), list(start + 20 * day, 30, '€')];
  const usage = total(usageBy([period(0, null)], user, { buckets: daysOfMonth(start), lists, now: far }).get('u'));
  assert.deepEqual([...usage.costs].map(([currency, exact]) => [currency, roundAmount(exact)]), [['NT$', 300], ['€', 10]]);
  assert.equal(usage.instanceMs, 30 * day);
});

test('before the first list that is known, that one holds', () => {
  const at = Date.UTC(2026, 3, 1);
  assert.equal(amount(total(usageBy([period(at, at + 15 * day)], user, { buckets: daysOfMonth(at), lists: [list(at + 100 * day, 300)], now: far }).get('u'))), 150);
});

test('what is there is paid until now, and nothing before it was there', () => {
  const at = Date.UTC(2026, 10, 10);
  const rows = usageBy([period(at + day / 2, null)], user, { buckets: daysOfMonth(at), lists: [list(0, 300)], now: at + 2 * day }).get('u') ?? [];
  assert.deepEqual(rows.map((row) => row.instanceMs / day), rows.map((_, i) => (i === 9 ? 0.5 : i === 10 ? 1 : 0)));
  assert.equal(usageBy([period(at, at)], user, { buckets: daysOfMonth(at), lists: [list(0, 1)], now: far }).get('u'), undefined, 'an empty period is no usage');
});

test('amounts are rounded once, half up, to the hundredth', () => {
  assert.deepEqual([roundAmount(1.005), roundAmount(2.675), roundAmount(10.004999), roundAmount(0)], [1.01, 2.68, 10, 0]);
});

/** A small generator with a seed: what fails can be run again. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test('random histories: days, months and users add up to the periods, and to the list moment by moment', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const next = random(seed);
    const start = Date.UTC(2024 + next(4), 0, 1);
    const end = monthStart(start, 12);
    const now = start + next(end - start);
    const lists = Array.from({ length: 1 + next(5) }, () => ({ validFrom: start - 40 * day + next(400) * day + next(day), currency: ['NT$', '€'][next(2)] ?? '', perVcpu: next(2000), perMemoryGib: next(1500) / 7, perDiskGib: next(100) / 3 }))
      .sort((a, b) => a.validFrom - b.validFrom);
    const periods = Array.from({ length: next(40) }, (_, i) => {
      const openedAt = start - 60 * day + next(420 * day);
      return period(openedAt, next(3) === 0 ? null : openedAt + next(90 * day), { instanceId: `i${i}`, userId: `u${next(4)}`, vcpus: 1 + next(8), memoryMib: 64 * (1 + next(64)), diskGib: 1 + next(50) });
    });
    const year = monthsOfYear(new Date(start).getUTCFullYear());
    const by = (keyOf: (each: UsagePeriod) => string, buckets = year): Usage => total([...usageBy(periods, keyOf, { buckets, lists, now }).values()].flat());
    const sum = by(user);
    const lengths = periods.map(({ openedAt, closedAt }) => Math.max(0, Math.min(closedAt ?? now, end, now) - Math.max(openedAt, start)));
    assert.equal(sum.instanceMs, lengths.reduce((a, b) => a + b, 0), `seed ${seed}`);
    assert.equal(sum.vcpuMs, periods.reduce((a, each, i) => a + each.vcpus * (lengths[i] ?? 0), 0), `seed ${seed}`);
    assert.equal(sum.diskGibMs, periods.reduce((a, each, i) => a + each.diskGib * (lengths[i] ?? 0), 0), `seed ${seed}`);
    const same = (other: Usage, what: string): void => {
      assert.equal(other.instanceMs, sum.instanceMs, `${what}, seed ${seed}`);
      assert.deepEqual([...other.costs.keys()].sort(), [...sum.costs.keys()].sort(), `${what}, seed ${seed}`);
      for (const [currency, exact] of other.costs) assert.ok(Math.abs(exact - (sum.costs.get(currency) ?? 0)) < 1e-6, `${what}, seed ${seed}`);
    };
    same(by(({ instanceId }) => instanceId), 'by instance');
    same(year.map((month) => by(user, daysOfMonth(month.from))).reduce(addUsage, noUsage), 'by day');
    // the same in another way: an hour at a time
    const slow = new Map<string, number>();
    for (const each of periods) {
      for (let from = Math.max(start, each.openedAt); from < Math.min(end, now, each.closedAt ?? now);) {
        const cuts = [start + (Math.floor((from - start) / 3_600_000) + 1) * 3_600_000, ...lists.map(({ validFrom }) => validFrom), each.closedAt ?? now, now, end].filter((at) => at > from);
        const to = Math.min(...cuts);
        const prices = lists.findLast(({ validFrom }) => validFrom <= from) ?? lists[0];
        assert.ok(prices);
        const monthly = each.vcpus * prices.perVcpu + (each.memoryMib / 1024) * prices.perMemoryGib + each.diskGib * prices.perDiskGib;
        slow.set(prices.currency, (slow.get(prices.currency) ?? 0) + (monthly * (to - from)) / (monthStart(from, 1) - monthStart(from)));
        from = to;
      }
    }
    same({ ...sum, costs: slow }, 'hour by hour');
  }
});

test('twenty thousand machines, day by day, take no time to speak of', () => {
  const at = Date.UTC(2026, 10, 1);
  const periods = Array.from({ length: 20_000 }, (_, i) => period(at - day, null, { userId: `u${i % 300}` }));
  const startedAt = performance.now();
  const sums = usageBy(periods, user, { buckets: daysOfMonth(at), lists: [list(0, 300)], now: far });
  assert.ok(performance.now() - startedAt < 2000);
  assert.equal(sums.size, 300);
});

test('a machine of a second is a sum of the one day it was there', () => {
  const at = Date.UTC(2026, 10, 12, 5);
  const addPeriod = createUsageMeter({ buckets: daysOfMonth(at), lists: [list(0, 300)], now: far });
  const sums: UsageSums = new Map();
  for (let i = 0; i < 1000; i++) addPeriod(sums, period(at + i, at + i + 1000));
  assert.deepEqual([...sums.keys()], [11]);
  assert.equal(sums.get(11)?.instanceMs, 1_000_000);
});

test('levels are what is there at each moment', () => {
  const periods = [period(10, 30), period(20, null, { vcpus: 3, userId: 'v' }), period(25, 26), period(30, 40)];
  const instances = (key: string): number[] | undefined => levelsBy(periods, user, [5, 10, 20, 30, 40]).get(key)?.map((level) => level.instances);
  assert.deepEqual(instances('u'), [0, 1, 1, 1, 0]);
  assert.deepEqual(instances('v'), [0, 0, 1, 1, 1]);
  assert.deepEqual(levelsBy(periods, () => '', [29]).get(''), [{ instances: 2, vcpus: 4, memoryMib: 2048, diskGib: 20 }]);
});

test('levels at random moments are those of each moment alone', () => {
  const next = random(7);
  const periods = Array.from({ length: 300 }, () => {
    const openedAt = next(1000);
    return period(openedAt, next(4) === 0 ? null : openedAt + next(300), { userId: `u${next(3)}`, vcpus: 1 + next(9) });
  });
  const moments = Array.from({ length: 50 }, () => next(1400)).sort((a, b) => a - b);
  for (const [key, levels] of levelsBy(periods, user, moments)) {
    const there = (at: number): number => periods.filter((each) => each.userId === key && each.openedAt <= at && (each.closedAt === null || at < each.closedAt)).reduce((sum, { vcpus }) => sum + vcpus, 0);
    assert.deepEqual(levels.map(({ vcpus }) => vcpus), moments.map(there));
  }
});
