import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { aHost } from '../../test/helpers/fleet.ts';
import type { Host } from './host.ts';
import { hostsToRecover, suspectsOwnNetwork } from './recovery.ts';

const now = 10_000_000;
const away = (name: string, secondsAgo: number, over: Partial<Host> = {}): Host => aHost(name, { state: 'unreachable', stateSince: now - secondsAgo * 1000, ...over });

const cases: readonly [string, Host[], boolean][] = [
  ['nobody lost', [aHost('a'), aHost('b'), aHost('c')], false],
  ['one of four', [away('a', 20), aHost('b'), aHost('c'), aHost('d')], false],
  ['two of four', [away('a', 20), away('b', 20), aHost('c'), aHost('d')], false],
  ['three of four', [away('a', 20), away('b', 20), away('c', 25), aHost('d')], true],
  ['one of two', [away('a', 20), aHost('b')], false],
  ['both of two', [away('a', 20), away('b', 20)], true],
  ['the only one', [away('a', 20)], true],
  ['two of three, one of them since yesterday', [away('a', 80_000), away('b', 20), aHost('c')], false],
  ['the last one, after the others were fenced', [away('a', 20), aHost('b', { state: 'fenced' }), aHost('c', { state: 'fenced' })], true],
  ['one of two, beside fenced ones', [away('a', 20), aHost('b'), aHost('c', { state: 'fenced' }), aHost('d', { state: 'fenced' })], false],
  ['one never reached is not lost', [aHost('a', { state: 'unknown' }), aHost('b')], false],
  ['those out of service say nothing', [away('a', 20, { wish: 'disabled' }), away('b', 20, { wish: 'disabled' }), away('c', 20), aHost('d')], false],
];

describe('suspecting our own network', () => {
  for (const [name, hosts, expected] of cases) it(name, () => assert.equal(suspectsOwnNetwork(hosts), expected));
});

describe('hosts to recover', () => {
  it('are those away for longer than the grace', () => {
    const hosts = [away('a', 14), away('b', 15), aHost('c'), aHost('d'), aHost('e', { state: 'fenced' })];
    assert.deepEqual(hostsToRecover(hosts, 15, now).map((host) => host.id), ['b']);
  });
  it('are none while most are lost', () => {
    assert.deepEqual(hostsToRecover([away('a', 60), away('b', 60), aHost('c')], 15, now), []);
  });
});
