import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { movePercent, moveProgress, movesToStart, type Move } from './move.ts';

type Open = Pick<Move, 'id' | 'state' | 'fromHostId' | 'toHostId'>;
const queued = (id: string, fromHostId: string, toHostId: string): Open => ({ id, state: 'queued', fromHostId, toHostId });
const moving = (id: string, fromHostId: string, toHostId: string): Open => ({ ...queued(id, fromHostId, toHostId), state: 'moving' });
const limits = { perHost: 2, total: 5 };

describe('which moves may begin', () => {
  const cases: readonly [name: string, open: readonly Open[], started: readonly string[]][] = [
    ['nothing waits', [moving('1', 'a', 'b')], []],
    ['as many as one host may send', [queued('1', 'a', 'b'), queued('2', 'a', 'c'), queued('3', 'a', 'd')], ['1', '2']],
    ['as many as one host may receive', [queued('1', 'a', 'd'), queued('2', 'b', 'd'), queued('3', 'c', 'd')], ['1', '2']],
    ['in order', [moving('1', 'a', 'b'), queued('2', 'a', 'c'), queued('3', 'a', 'c')], ['2']],
    ['younger ones between other hosts are not held up', [moving('1', 'a', 'b'), moving('2', 'a', 'c'), queued('3', 'a', 'd'), queued('4', 'c', 'd')], ['4']],
    ['as many as in all', [moving('1', 'a', 'b'), moving('2', 'b', 'c'), moving('3', 'c', 'd'), moving('4', 'd', 'a'), queued('5', 'e', 'f'), queued('6', 'f', 'e')], ['5']],
    ['more than allowed go on: none', [moving('1', 'a', 'b'), moving('2', 'a', 'b'), moving('3', 'a', 'b'), queued('4', 'a', 'c')], []],
  ];
  for (const [name, open, started] of cases) it(name, () => assert.deepEqual(movesToStart(open, limits), started));
});

const mib = 1024 ** 2;
const memory = {
  operation: 5, memory_total: 1024 * mib, memory_processed: 256 * mib, memory_remaining: 768 * mib, memory_bps: 128 * mib, memory_dirty_rate: 0, memory_page_size: 4096,
  memory_iteration: 1, disk_total: 0, disk_processed: 0, disk_remaining: 0, disk_bps: 0,
};

describe('progress of a move', () => {
  it('of memory, with the time it will take', () => {
    assert.deepEqual(moveProgress(memory, 7), {
      phase: 'memory', transferredBytes: 256 * mib, remainingBytes: 768 * mib, totalBytes: 1024 * mib, dirtyBytesPerSecond: 0, iteration: 1, etaMs: 6000, progressAt: 7,
    });
  });
  it('of a guest that dirties its memory: longer, and without end when it is as fast', () => {
    const dirty = { ...memory, memory_dirty_rate: (64 * mib) / 4096 };
    assert.deepEqual([moveProgress(dirty, 0).dirtyBytesPerSecond, moveProgress(dirty, 0).etaMs], [64 * mib, 12_000]);
    assert.equal(moveProgress({ ...dirty, memory_bps: 60 * mib }, 0).etaMs, null);
    assert.deepEqual([moveProgress(dirty, 0, true).phase, moveProgress(dirty, 0, true).etaMs], ['post-copy', 6000]);
  });
  it('of a disk that goes before', () => {
    const disk = { operation: 5, disk_total: 100 * mib, disk_processed: 25 * mib, disk_remaining: 75 * mib, disk_bps: 25 * mib };
    assert.deepEqual(moveProgress(disk, 0), {
      phase: 'disk', transferredBytes: 25 * mib, remainingBytes: 75 * mib, totalBytes: 100 * mib, dirtyBytesPerSecond: null, iteration: null, etaMs: 3000, progressAt: 0,
    });
  });
  it('of a host that says nothing yet', () => {
    const nothing = moveProgress({}, 0);
    assert.deepEqual([nothing.totalBytes, nothing.etaMs, movePercent(nothing)], [null, null, null]);
  });
  it('takes figures that are too large for a number', () => assert.equal(moveProgress({ ...memory, memory_processed: 2n ** 60n }, 0).transferredBytes, 2 ** 60));
  it('as a percentage', () => {
    assert.equal(movePercent(moveProgress(memory, 0)), 25);
    assert.equal(movePercent({ totalBytes: 0, remainingBytes: 0 }), null);
    assert.equal(movePercent({ totalBytes: 10, remainingBytes: 20 }), 0);
  });
});
