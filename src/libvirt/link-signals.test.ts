import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, it } from 'node:test';
import { linkSignals } from './link-signals.ts';

describe('linked signals', () => {
  it('abort with the first of them and its reason', () => {
    const [one, two] = [new AbortController(), new AbortController()];
    const { signal } = linkSignals([one.signal, undefined, two.signal]);
    assert.equal(signal.aborted, false);
    two.abort('enough');
    one.abort('late');
    assert.equal(signal.reason, 'enough');
  });

  it('are aborted at once when one of them was', () => {
    assert.equal(linkSignals([AbortSignal.abort('before')]).signal.reason, 'before');
  });

  it('leave nothing behind', () => {
    const long = new AbortController();
    const { signal, release } = linkSignals([long.signal]);
    release();
    long.abort();
    assert.deepEqual([signal.aborted, getEventListeners(long.signal, 'abort').length], [false, 0]);
  });
});
