import assert from 'node:assert/strict';
import { it } from 'node:test';
import { backoffMs } from './backoff.ts';

it('waits twice as long each time, up to a longest, spread over half of it', () => {
  const options = { firstMs: 100, maxMs: 1000 };
  const range = (attempt: number) => [backoffMs(attempt, options, () => 0), backoffMs(attempt, options, () => 1)];
  assert.deepEqual([0, 1, 2, 3, 4, 5, 100].map(range), [[50, 100], [100, 200], [200, 400], [400, 800], [500, 1000], [500, 1000], [500, 1000]]);
});
