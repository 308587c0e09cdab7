import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TopList, topLength } from './top-list.ts';

test('a top list holds the most, most first, whatever the order they come in', () => {
  const values = Array.from({ length: 500 }, (_, index) => (index * 7919) % 500);
  const list = new TopList();
  for (const value of values) list.add(`vm-${value}`, value, 1);
  assert.deepEqual(list.entries.map(({ value }) => value), [499, 498, 497, 496, 495, 494, 493, 492, 491, 490]);
  assert.equal(list.entries.length, topLength);
});

test('what takes nothing or is not known is on no list', () => {
  const list = new TopList();
  list.add('idle', 0, 1);
  list.add('silent', null, 1);
  list.add('busy', 0.5, 7);
  assert.deepEqual(list.entries, [{ id: 'busy', value: 0.5, at: 7 }]);
});
