import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeChunk, encodeChunk } from './chunk.ts';
import type { Points } from './roll-up.ts';

/** The same number three times at each point, or the three of a triple. */
function pointsOf(values: readonly (number | readonly [avg: number, min: number, max: number])[]): Points {
  const triples = values.map((value) => (typeof value === 'number' ? ([value, value, value] as const) : value));
  return { avg: Float64Array.from(triples, ([avg]) => avg), min: Float64Array.from(triples, ([, min]) => min), max: Float64Array.from(triples, ([, , max]) => max) };
}

function noise(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 1_103_515_245 + 12_345) % 2_147_483_648) / 2_147_483_648;
}

function roundTrip(points: Points): Points {
  const bytes = encodeChunk(points);
  assert.ok(bytes !== undefined);
  const decoded = decodeChunk(bytes, points.avg.length);
  assert.ok(decoded !== undefined);
  return decoded;
}

const gap = NaN;
const cases: readonly { readonly name: string; readonly points: Points; readonly atMostBytes?: number }[] = [
  { name: 'one value all the hour', points: pointsOf(Array.from({ length: 60 }, () => 12.5)), atMostBytes: 16 },
  { name: 'nothing but zeros', points: pointsOf(Array.from({ length: 60 }, () => 0)), atMostBytes: 12 },
  { name: 'one point among gaps', points: pointsOf(Array.from({ length: 60 }, (_, index) => (index === 30 ? 7 : gap))), atMostBytes: 16 },
  { name: 'a gap at the beginning', points: pointsOf(Array.from({ length: 96 }, (_, index) => (index < 10 ? gap : index))) },
  { name: 'a gap at the end', points: pointsOf(Array.from({ length: 96 }, (_, index) => (index > 90 ? gap : index))) },
  { name: 'every other point missing', points: pointsOf(Array.from({ length: 96 }, (_, index) => (index % 2 === 0 ? gap : 1e9 / (index + 1)))) },
  { name: 'from nothing to the most a float holds', points: pointsOf([0, 1e-38, 1e-6, 0.004, 1, 99.9, 100, 1e6, 1e12, 3e38, [1, 0, 3e38], [5e5, 3, 6e5]]) },
  { name: 'jumps', points: pointsOf(Array.from({ length: 96 }, (_, index) => (index % 2 === 0 ? 0 : 3e38))), atMostBytes: 1600 },
  { name: 'a single point', points: pointsOf([42]) },
];

describe('chunks of measured values', () => {
  for (const { name, points, atMostBytes } of cases) {
    it(`come back within 0.2 %: ${name}`, () => {
      const decoded = roundTrip(points);
      for (const key of ['avg', 'min', 'max'] as const) {
        points[key].forEach((value, index) => {
          const back = decoded[key][index] ?? NaN;
          if (Number.isNaN(value)) assert.ok(Number.isNaN(back), `${key} ${index}`);
          else assert.ok(Math.abs(back - value) <= 0.00196 * value + 1e-37, `${key} ${index}: ${value} came back as ${back}`);
        });
      }
      if (atMostBytes !== undefined) assert.ok((encodeChunk(points)?.length ?? 0) <= atMostBytes);
    });
  }

  it('keep least ≤ mean ≤ most, and round values as they are', () => {
    const random = noise(7);
    const decoded = roundTrip(pointsOf(Array.from({ length: 96 }, () => {
      const [min = 0, avg = 0, max = 0] = [random() * 1e5, random() * 1e5, random() * 1e5].sort((a, b) => a - b);
      return [avg, min, max] as const;
    })));
    decoded.avg.forEach((avg, index) => assert.ok((decoded.min[index] ?? NaN) <= avg && avg <= (decoded.max[index] ?? NaN)));
    assert.deepEqual([...roundTrip(pointsOf([0, 1, 2, 50, 100, 256])).avg], [0, 1, 2, 50, 100, 256]);
  });

  it('are not worth a row when nothing was measured', () => {
    assert.equal(encodeChunk(pointsOf([gap, gap])), undefined);
  });

  it('take what no metric should hold without failing: below nothing, infinity', () => {
    const decoded = roundTrip(pointsOf([-5, Infinity, 1e300]));
    assert.equal(decoded.avg[0], 0);
    assert.ok((decoded.avg[1] ?? 0) > 3e38 && (decoded.avg[2] ?? 0) > 3e38);
  });

  it('fit their columns whatever was measured', () => {
    const random = noise(1);
    const wild = (count: number): Points => pointsOf(Array.from({ length: count }, (_, index) => {
      const avg = index % 2 === 0 ? 1e-30 : 1e30 * random();
      return [avg, 0, 3e38] as const;
    }));
    assert.ok((encodeChunk(wild(60))?.length ?? 0) <= 1000);
    assert.ok((encodeChunk(wild(96))?.length ?? 0) <= 1600);
  });

  it('of a busy metric take a third of what floats would', () => {
    const random = noise(3);
    const busy = pointsOf(Array.from({ length: 96 }, () => {
      const avg = 40 + 20 * random();
      return [avg, avg * 0.8, avg * 1.2] as const;
    }));
    assert.ok((encodeChunk(busy)?.length ?? 0) < 384);
  });

  it('are nothing, and never an error, when damaged', () => {
    const random = noise(11);
    const points = pointsOf(Array.from({ length: 60 }, (_, index) => (index % 7 === 0 ? gap : random() * 1e6)));
    const bytes = encodeChunk(points) ?? Buffer.alloc(0);
    for (let index = 0; index < bytes.length; index++) {
      const damaged = Buffer.from(bytes);
      damaged[index] = (damaged[index] ?? 0) ^ (1 << (index % 8));
      assert.equal(decodeChunk(damaged, 60), undefined, `byte ${index}`);
      assert.equal(decodeChunk(bytes.subarray(0, index), 60), undefined, `cut at ${index}`);
    }
    assert.equal(decodeChunk(bytes, 96), undefined, 'another number of points');
    assert.equal(decodeChunk(Buffer.concat([bytes, bytes]), 60), undefined, 'too long');
    for (let run = 0; run < 2000; run++) {
      decodeChunk(Buffer.from(Array.from({ length: Math.floor(random() * 40) }, () => Math.floor(random() * 256))), 60);
    }
  });
});
