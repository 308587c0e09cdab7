import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { addPoints, createSteps, minuteTier, stepsBetween, widenSteps } from './roll-up.ts';

describe('steps of time', () => {
  it('have the mean, the least and the most of what fell into them; the rest are gaps', () => {
    const steps = createSteps(1000, 10, 4);
    steps.add(1000, 1);
    steps.add(1009, 3);
    steps.add(1010, 5, 4, 9);
    steps.add(1030, null);
    steps.add(1031, NaN);
    const { avg, min, max } = steps.points();
    assert.deepEqual([...avg], [2, 5, NaN, NaN]);
    assert.deepEqual([...min], [1, 4, NaN, NaN]);
    assert.deepEqual([...max], [3, 9, NaN, NaN]);
  });

  it('leave out what is before and after them', () => {
    const steps = createSteps(1000, 10, 2);
    steps.add(999, 1);
    steps.add(1020, 1);
    assert.deepEqual([...steps.points().avg], [NaN, NaN]);
  });

  it('of steps keep their least and most', () => {
    const fine = createSteps(0, minuteTier.stepMs, 4);
    [2, 4, 9, 1].forEach((value, index) => { fine.add(index * minuteTier.stepMs, value, value - 1, value + 1); });
    const coarse = createSteps(0, 2 * minuteTier.stepMs, 2);
    addPoints(coarse, 0, minuteTier.stepMs, fine.points());
    assert.deepEqual(coarse.points(), { avg: Float64Array.of(3, 5), min: Float64Array.of(1, 0), max: Float64Array.of(5, 10) });
  });
});

describe('the bounds of steps', () => {
  const cases = [
    { name: 'an hour of ten seconds', from: 0, to: 3_600_000, own: 10_000, most: 400, stepMs: 10_000, start: 0, count: 360 },
    { name: 'two hours of ten seconds', from: 0, to: 7_200_000, own: 10_000, most: 400, stepMs: 20_000, start: 0, count: 360 },
    { name: 'a beginning inside a step', from: 65_000, to: 200_000, own: 60_000, most: 400, stepMs: 60_000, start: 60_000, count: 3 },
    { name: 'one step more because of the bounds', from: 5000, to: 405_000, own: 10_000, most: 40, stepMs: 20_000, start: 0, count: 21 },
    { name: 'a year', from: 0, to: 365 * 86_400_000, own: 900_000, most: 400, stepMs: 88 * 900_000, start: 0, count: 399 },
    { name: 'nothing', from: 100, to: 100, own: 10_000, most: 400, stepMs: 10_000, start: 0, count: 1 },
    { name: 'one point', from: 0, to: 86_400_000, own: 60_000, most: 1, stepMs: 86_400_000, start: 0, count: 1 },
    { name: 'one point across a bound of its own length', from: 43_200_000, to: 129_600_000, own: 60_000, most: 1, stepMs: 129_600_000, start: 0, count: 1 },
  ];
  for (const { name, from, to, own, most, ...expected } of cases) {
    it(`cover ${name}`, () => { assert.deepEqual(stepsBetween(from, to, own, most), expected); });
  }
});

describe('steps finer than what was measured', () => {
  const cases: { name: string; measured: (step: number) => boolean; expected: number }[] = [
    { name: 'measured in each', measured: () => true, expected: 1 },
    { name: 'measured in every third', measured: (step) => step % 3 === 0, expected: 3 },
    { name: 'measured in two of three', measured: (step) => step % 3 !== 2, expected: 2 },
    { name: 'measured in each, but for a gap', measured: (step) => step < 10 || step > 40, expected: 1 },
    { name: 'measured three times', measured: (step) => step === 0 || step === 20 || step === 40, expected: 1 },
    { name: 'never measured', measured: () => false, expected: 1 },
  ];
  for (const { name, measured, expected } of cases) {
    it(`are as wide as that: ${name}`, () => {
      const steps = createSteps(0, 10_000, 60);
      for (let step = 0; step < 60; step++) if (measured(step)) steps.add(step * 10_000, step);
      assert.equal(widenSteps([steps.points()]), expected);
    });
  }
});
