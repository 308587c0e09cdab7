import assert from 'node:assert/strict';
import { test } from 'node:test';
import { forecastDays, forecastFull, forecastRange, forecastSeries, type DayValue, type Forecast } from './forecast.ts';

const day = 86_400_000;
const now = Date.UTC(2026, 10, 20);
/** `count` days that end with yesterday */
const days = (count: number, valueOf: (index: number) => number): DayValue[] => Array.from({ length: count }, (_, i) => ({ at: now - (count - i) * day + day / 2, value: valueOf(i) }));
const inDays = (at: number | null): number | null => (at === null ? null : Math.round((at - now) / day));
function ranOut(forecast: Forecast): Forecast & { kind: 'runs-out' } {
  assert.equal(forecast.kind, 'runs-out');
  return forecast;
}

function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
/** about normal */
const noise = (next: () => number): number => Array.from({ length: 12 }, next).reduce((sum, each) => sum + each, -6);

test('a straight line is full when it meets the capacity', () => {
  // 30 days of +2 a day from 100: 159 now, 200 in 20 days and a half
  const forecast = ranOut(forecastFull(days(30, (i) => 100 + 2 * i), 200, now));
  assert.equal(forecast.perDay, 2);
  assert.deepEqual([inDays(forecast.earliest), inDays(forecast.at), inDays(forecast.latest)], [21, 21, 21]);
});

const answers: readonly (readonly [name: string, given: readonly DayValue[], kind: Forecast['kind']])[] = [
  ['no values', [], 'not-enough'],
  ['thirteen days', days(13, (i) => i), 'not-enough'],
  ['many values of two days', Array.from({ length: 40 }, (_, i) => ({ at: now - i * 3_600_000, value: i })).reverse(), 'not-enough'],
  ['a flat line', days(60, () => 50), 'not-growing'],
  ['a falling line', days(60, (i) => 90 - i), 'not-growing'],
  ['noise around a level', days(60, (i) => 50 + ((i * 7919) % 13)), 'not-growing'],
  ['a wave of weeks', days(56, (i) => 50 + 10 * Math.sin((2 * Math.PI * i) / 7)), 'not-growing'],
  ['growth for years to come', days(60, (i) => 10 + i / 1000), 'far'],
  ['all in use', days(30, () => 100), 'full'],
  ['about to be', days(30, (i) => 70.9 + i), 'full'],
];
for (const [name, given, kind] of answers) test(`${name}: ${kind}`, () => assert.equal(forecastFull(given, 100, now).kind, kind));

test('some days that are anything do not move it', () => {
  const clean = ranOut(forecastFull(days(40, (i) => 20 + i), 100, now));
  const dirty = ranOut(forecastFull(days(40, (i) => (i % 5 === 2 ? (i % 2 === 0 ? 0 : 99) : 20 + i)), 100, now));
  assert.ok(Math.abs(dirty.at - clean.at) < 2 * day, `${inDays(dirty.at)} and not ${inDays(clean.at)}`);
  assert.ok(dirty.earliest <= clean.at && (dirty.latest ?? Infinity) >= clean.at);
});

test('days that are missing are no days of nothing', () => {
  const forecast = ranOut(forecastFull(days(40, (i) => 20 + i).filter((_, i) => i % 3 !== 1 && (i < 10 || i > 17)), 100, now));
  assert.equal(inDays(forecast.at), inDays(ranOut(forecastFull(days(40, (i) => 20 + i), 100, now)).at));
});

test('a measured series counts in the middle of its steps, over whole days', () => {
  const { from, to, points } = forecastRange(now + 5 * 3_600_000);
  assert.deepEqual([from, to, points], [now - forecastDays * day, now, forecastDays]);
  const at = Array.from({ length: 30 }, (_, i) => now - (30 - i) * day);
  const avg = at.map((_, i) => (i % 7 === 3 ? null : 100 + 2 * i));
  assert.deepEqual(forecastSeries({ stepMs: day, at, avg }, 200, now), forecastFull(days(30, (i) => 100 + 2 * i).filter((_, i) => i % 7 !== 3), 200, now));
});

test('after a big change it begins at what there is now', () => {
  // half was deleted four days ago
  const forecast = forecastFull(days(60, (i) => (i < 52 ? 30 + i : 30 + i - 50)), 100, now);
  assert.ok(forecast.kind !== 'full' && (forecast.kind !== 'runs-out' || (inDays(forecast.at) ?? 0) > 40), JSON.stringify(forecast));
});

test('never says a date beyond four times what it has seen', () => {
  assert.equal(forecastFull(days(20, (i) => 10 + i * 0.5), 100, now).kind, 'far');
});

test('the range holds the truth nine times of ten, also when days resemble each other', () => {
  for (const memory of [0, 0.6]) {
    let held = 0;
    let told = 0;
    for (let seed = 1; seed <= 300; seed++) {
      const next = random(seed);
      let left = 0;
      const given = days(45, (i) => 100 + i + (left = memory * left + 3 * noise(next)));
      // the truth: 1 a day from 145 on
      const forecast = forecastFull(given, 205, now);
      if (forecast.kind !== 'runs-out') continue;
      told++;
      if (forecast.earliest <= now + 63 * day && (forecast.latest ?? Infinity) >= now + 57 * day) held++;
    }
    assert.ok(told > 250, `${told} told with memory ${memory}`);
    assert.ok(held / told > 0.85, `${held} of ${told} with memory ${memory}`);
  }
});

test('chance is not taken for growth more than one time of ten', () => {
  let wrong = 0;
  for (let seed = 1; seed <= 300; seed++) {
    const next = random(seed);
    if (forecastFull(days(45, () => 50 + noise(next)), 100, now).kind !== 'not-growing') wrong++;
  }
  assert.ok(wrong <= 30, `${wrong} of 300`);
});
