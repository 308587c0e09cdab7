import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LatencyLog } from './latency.ts';

describe('the latency of an hour', () => {
  it('is told by nearest rank', () => {
    const log = new LatencyLog();
    for (let n = 100; n >= 1; n--) log.add(n * 10, n);
    assert.deepEqual(log.summary(200), { count: 100, p50Ms: 500, p95Ms: 950, p99Ms: 990 });
  });
  it('forgets what is older, and has nothing to say of nothing', () => {
    const log = new LatencyLog();
    assert.equal(log.summary(0), undefined);
    log.add(5000, 0);
    log.add(70, 3_500_000);
    assert.deepEqual(log.summary(3_700_000), { count: 1, p50Ms: 70, p95Ms: 70, p99Ms: 70 });
    assert.equal(log.summary(9_000_000), undefined);
  });
  it('takes a clock that was set back for no time at all', () => {
    const log = new LatencyLog();
    log.add(-40, 0);
    assert.equal(log.summary(1)?.p50Ms, 0);
  });
});
