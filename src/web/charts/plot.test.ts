import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { plotOf, type PlotInput, type Values } from './plot.ts';

const minute = 60_000;
const day = 86_400_000;
const from = Date.UTC(2026, 10, 23, 10);

function values(avg: readonly (number | null)[], stepMs = minute, min = avg, max = avg): Values {
  return { stepMs, at: avg.map((_, index) => from + index * stepMs), avg, min, max };
}
const plot = (over: Partial<PlotInput>) => plotOf({ from, to: from + 10 * minute, unit: 'percent', top: 100, stacked: [], lines: [], ...over });

describe('a line', () => {
  it('goes through the middle of each step, high values above', () => {
    assert.equal(plot({ lines: [values([0, 50, 100])] }).lines[0]?.line, 'M50 1000L150 500L250 0');
  });
  it('is interrupted where nothing was measured', () => {
    assert.equal(plot({ lines: [values([0, 0, null, null, 50, 50])] }).lines[0]?.line, 'M50 1000L150 1000M450 500L550 500');
  });
  it('goes on over steps that are finer than the polling', () => {
    assert.equal(plot({ lines: [values([0, null, null, 50, null, null, 100, null, null, 0])] }).lines[0]?.line, 'M50 1000L350 500L650 0L950 1000');
  });
  it('is a dot where one point stands alone', () => {
    const [line] = plot({ lines: [values([50, 50, null, null, null, null, 50])] }).lines;
    assert.equal(line?.line, 'M50 500L150 500M650 500h0');
    assert.equal(line?.dots, 'M650 500h0');
  });
  it('has dots where it is too short to be seen', () => {
    const year = plot({ to: from + 365 * day, lines: [values([50, 100], day)] }).lines[0];
    assert.equal(year?.dots, 'M1 500h0M4 0h0');
  });
  it('does not leave the picture', () => {
    assert.equal(plot({ lines: [values([120, -3])] }).lines[0]?.line, 'M50 0L150 1000');
  });
  it('is nothing without values', () => {
    assert.deepEqual(plot({ lines: [values([null, null])] }).lines[0], { line: '', dots: '', area: '', band: '' });
    assert.equal(plot({ lines: [values([])] }).lines[0]?.line, '');
  });
});

describe('a band', () => {
  it('lies between the lowest and the highest of each step', () => {
    assert.equal(plot({ lines: [values([50, 50], minute, [25, 50], [100, 75])] }).lines[0]?.band, 'M50 0L150 250L150 500L50 750Z');
  });
  it('is left out where it would be thinner than the line', () => {
    assert.equal(plot({ lines: [values([50, 50], minute, [49.9, 50], [50.1, 50])] }).lines[0]?.band, '');
  });
});

describe('a stack', () => {
  it('adds up, and stands on what is below', () => {
    const { stacked } = plot({ stacked: [values([20, 20]), values([30, 10])] });
    assert.equal(stacked[0]?.area, 'M50 800L150 800L150 1000L50 1000Z');
    assert.equal(stacked[1]?.line, 'M50 500L150 700');
    assert.equal(stacked[1]?.area, 'M50 500L150 700L150 800L50 800Z');
  });
  it('shows nothing upon what is not known', () => {
    assert.equal(plot({ stacked: [values([20, null, null, null]), values([30, 10, 10, 10])] }).stacked[1]?.line, 'M50 500h0');
  });
});

describe('the scale', () => {
  for (const [name, unit, highest, top, levels] of [
    ['bytes by powers of two', 'bytes-per-second', 3000, 4096, [0, 1024, 2048, 3072, 4096]],
    ['memory too', 'mib', 900, 1024, [0, 256, 512, 768, 1024]],
    ['counts by 1, 2 and 5', 'per-second', 31, 50, [0, 10, 20, 30, 40, 50]],
    ['of nothing ends at one', 'per-second', 0, 1, [0, 0.25, 0.5, 0.75, 1]],
  ] as const) {
    it(name, () => {
      const made = plot({ unit, top: null, lines: [values([highest])] });
      assert.equal(made.top, top);
      assert.deepEqual(made.levels.map(({ value }) => value), levels);
    });
  }
  it('has room for the highest of the band', () => assert.equal(plot({ unit: 'per-second', top: null, lines: [values([1], minute, [0], [40])] }).top, 50));
  it('of percent is always the whole', () => assert.deepEqual(plot({}).levels.map(({ position }) => position), [100, 75, 50, 25, 0]));
});

describe('the times below it', () => {
  const times = (length: number, begin = from): string[] => plot({ from: begin, to: begin + length }).times.map(({ at }) => new Date(at).toISOString().slice(0, 16));
  it('are round and few', () => {
    assert.deepEqual(times(60 * minute, from + 1), ['2026-11-23T10:10', '2026-11-23T10:20', '2026-11-23T10:30', '2026-11-23T10:40', '2026-11-23T10:50', '2026-11-23T11:00']);
    assert.deepEqual(times(7 * day), ['2026-11-25T00:00', '2026-11-27T00:00', '2026-11-29T00:00']);
    assert.deepEqual(times(365 * day), ['2027-01-01T00:00', '2027-04-01T00:00', '2027-07-01T00:00', '2027-10-01T00:00']);
    for (let length = minute; length < 1200 * day; length *= 1.7) {
      const found = times(length);
      assert.ok(found.length >= 1 && found.length <= 8, `${length}: ${found.join(' ')}`);
    }
  });
});
