// Where a machine's record belongs, by what the hosts say of it after a backup of the database was loaded.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { restoredHome, type RestoredHome, type Sighting } from './restored.ts';

const on = (hostId: string, state: Sighting['state']): Sighting => ({ hostId, state });

describe('the home of a machine after a restore', () => {
  const cases: [string, string | null, Sighting[], RestoredHome][] = [
    ['runs where it was', 'a', [on('a', 'running')], { kind: 'found', at: on('a', 'running') }],
    ['has moved since', 'a', [on('b', 'running')], { kind: 'found', at: on('b', 'running') }],
    ['has moved since and is off', 'a', [on('b', 'stopped')], { kind: 'found', at: on('b', 'stopped') }],
    ['runs, and the host of the record kept a definition', 'a', [on('a', 'stopped'), on('b', 'running')], { kind: 'found', at: on('b', 'running') }],
    ['is paused, and another host kept a definition', 'a', [on('b', 'stopped'), on('c', 'paused')], { kind: 'found', at: on('c', 'paused') }],
    ['is off on several: the record is believed', 'b', [on('a', 'stopped'), on('b', 'stopped')], { kind: 'found', at: on('b', 'stopped') }],
    ['runs on two', 'a', [on('a', 'running'), on('b', 'running')], { kind: 'several', hostIds: ['a', 'b'] }],
    ['moves at this moment', 'a', [on('a', 'running'), on('b', 'paused')], { kind: 'several', hostIds: ['a', 'b'] }],
    ['is nowhere', 'a', [], { kind: 'nowhere' }],
    ['was on a host that is off', 'off', [], { kind: 'on-a-host-that-is-off' }],
    ['was on a host that is off, and runs elsewhere', 'off', [on('a', 'running')], { kind: 'found', at: on('a', 'running') }],
    ['was never made', null, [], { kind: 'unmade' }],
    ['was never made by the record, and is there', null, [on('a', 'running')], { kind: 'found', at: on('a', 'running') }],
  ];
  for (const [what, hostId, sightings, home] of cases) it(what, () => assert.deepEqual(restoredHome({ hostId }, sightings, new Set(['off'])), home));
});
