import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { instanceStates } from './instance.ts';
import { byTurn, homeOf, isMovable } from './maintenance.ts';

describe('an instance on a host that is emptied', () => {
  it('can be moved while it has a domain that is whole', () => {
    assert.deepEqual(instanceStates.filter((state) => isMovable({ state })), ['stopped', 'running', 'paused']);
  });

  it('leaves first when it is off, else in the order of the plan', () => {
    const planned = (['running', 'stopped', 'paused', 'running', 'stopped'] as const).map((state, index) => ({ state, index }));
    assert.deepEqual(planned.sort(byTurn).map(({ index }) => index), [1, 4, 0, 2, 3]);
  });

  it('belongs to the host it leaves, or still to its own one while that is in maintenance too', () => {
    assert.equal(homeOf({ returnHostId: null }, 'b', new Set(['b'])), 'b');
    assert.equal(homeOf({ returnHostId: 'a' }, 'b', new Set(['b'])), 'b', 'it could have gone back to a and has not');
    assert.equal(homeOf({ returnHostId: 'a' }, 'b', new Set(['a', 'b'])), 'a');
  });
});
