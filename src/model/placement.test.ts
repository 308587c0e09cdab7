import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { aFleet, aHost, aPool } from '../../test/helpers/fleet.ts';
import type { Fleet } from './admission.ts';
import { placeInstance } from './placement.ts';

const request = { vcpus: 2, memoryMib: 2048, diskGib: 20, poolId: 'p' };
const settings = { overcommit: { vcpus: 1, memory: 1, disk: 1 } };

interface Case { readonly name: string; readonly fleet: Fleet; readonly order: readonly string[]; readonly refused: Readonly<Record<string, readonly string[]>> }

const cases: readonly Case[] = [
  { name: 'no hosts', fleet: aFleet([]), order: [], refused: {} },
  { name: 'equal hosts go by name', fleet: aFleet([aHost('b'), aHost('c'), aHost('a')]), order: ['a', 'b', 'c'], refused: {} },
  { name: 'spreads to the emptier', fleet: aFleet([aHost('a', { usedMemoryMib: 16384 }), aHost('b', { usedMemoryMib: 8192 })]), order: ['b', 'a'], refused: {} },
  { name: 'counts shares, not sizes', fleet: aFleet([aHost('large', { memoryMib: 65536, usedMemoryMib: 49152 }), aHost('small', { memoryMib: 16384, usedMemoryMib: 0 })]), order: ['small', 'large'], refused: {} },
  { name: 'prefers the less loaded of equals', fleet: aFleet([aHost('a'), aHost('b')], undefined, { hostCpuPercent: new Map([['a', 80], ['b', 5]]) }), order: ['b', 'a'], refused: {} },
  { name: 'a silent host stands between idle and busy', fleet: aFleet([aHost('a'), aHost('b'), aHost('c')], undefined, { hostCpuPercent: new Map([['a', 95], ['c', 3]]) }), order: ['c', 'b', 'a'], refused: {} },
  { name: 'disabled', fleet: aFleet([aHost('a', { wish: 'disabled' }), aHost('b')]), order: ['b'], refused: { a: ['placement.refused.disabled'] } },
  { name: 'down, and why else is of no interest', fleet: aFleet([aHost('a', { state: 'unreachable', usedVcpus: 8 })]), order: [], refused: { a: ['placement.refused.down'] } },
  { name: 'never reached', fleet: aFleet([aHost('a', { state: 'unknown' })]), order: [], refused: { a: ['placement.refused.down'] } },
  { name: 'without the pool', fleet: aFleet([aHost('a'), aHost('b')], undefined, { hostPools: new Map([['b', new Set(['p'])]]) }), order: ['b'], refused: { a: ['placement.refused.no-pool'] } },
  { name: 'pool full', fleet: aFleet([aHost('a')], [aPool('p', { usedGib: 790 })]), order: [], refused: { a: ['placement.refused.disk'] } },
  { name: 'too little of everything', fleet: aFleet([aHost('a', { usedVcpus: 7, usedMemoryMib: 32000 })], [aPool('p', { usedGib: 799 })]), order: [], refused: { a: ['placement.refused.disk', 'placement.refused.vcpus', 'placement.refused.memory'] } },
  { name: 'exactly enough', fleet: aFleet([aHost('a', { usedVcpus: 6, usedMemoryMib: 30720 })], [aPool('p', { usedGib: 780 })]), order: ['a'], refused: {} },
];

describe('placeInstance', () => {
  for (const { name, fleet, order, refused } of cases) {
    it(name, () => {
      const { placement, considered } = placeInstance(request, fleet, settings);
      assert.deepEqual(considered.filter((host) => host.score !== null).map((host) => host.hostName), order);
      assert.deepEqual(Object.fromEntries(considered.filter((host) => host.score === null).map((host) => [host.hostName, host.reasons.map((reason) => reason.key)])), refused);
      assert.equal(placement?.hostName, order[0]);
      assert.equal(considered.length, fleet.hosts.length);
    });
  }

  it('scores 0 to 100 and gives the reasons of the score', () => {
    const { considered } = placeInstance(request, aFleet([aHost('a')], undefined, { hostCpuPercent: new Map([['a', 10]]) }), settings);
    assert.deepEqual(considered[0]?.reasons, [
      { key: 'placement.score.memory', params: { percent: 94 } },
      { key: 'placement.score.vcpus', params: { percent: 75 } },
      { key: 'placement.score.cpu', params: { percent: 10 } },
    ]);
    assert.equal(considered[0]?.score, 88.9);
  });

  it('places 1,250 hosts in a few milliseconds', () => {
    const fleet = aFleet(Array.from({ length: 1250 }, (_, index) => aHost(`h${index}`, { usedVcpus: index % 9 })));
    const started = performance.now();
    placeInstance(request, fleet, settings);
    assert.ok(performance.now() - started < 200, `${performance.now() - started} ms`);
  });
});
