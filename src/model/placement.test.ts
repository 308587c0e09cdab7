import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { aFleet, aHost, aPool, gib } from '../../test/helpers/fleet.ts';
import { say } from '../errors.ts';
import type { Fleet } from './admission.ts';
import { newDiskPool, placeInstance, poolAt, type PlacementRequest, type PlacementSettings } from './placement.ts';
import { defaultSettings } from './settings.ts';

const request: PlacementRequest = { vcpus: 2, memoryMib: 2048, diskGib: 20, poolId: 'p' };
const settings: PlacementSettings = { overcommit: { vcpus: 1, memory: 1, disk: 1 }, placement: defaultSettings.placement };
const pack: Partial<PlacementSettings> = { placement: { ...defaultSettings.placement, strategy: 'pack' } };
const loadOnly: Partial<PlacementSettings> = { placement: { ...defaultSettings.placement, loadWeightPercent: 100 } };
const promisedOnly: Partial<PlacementSettings> = { placement: { ...defaultSettings.placement, loadWeightPercent: 0 } };
const cpu = (percents: Readonly<Record<string, number>>): Partial<Fleet> => ({ hostCpuPercent: new Map(Object.entries(percents)) });
const memory = (percents: Readonly<Record<string, number>>): Partial<Fleet> => ({ hostMemoryPercent: new Map(Object.entries(percents)) });
const kvm = { id: 'from', arch: 'x86_64', virtType: 'kvm', cpuModel: 'Skylake' } as const;
const tcg = { ...kvm, virtType: 'qemu' } as const;

interface Case {
  readonly name: string;
  readonly fleet: Fleet;
  readonly request?: Partial<PlacementRequest>;
  readonly settings?: Partial<PlacementSettings>;
  /** accepted, best first */
  readonly order: readonly string[];
  readonly refused?: Readonly<Record<string, readonly string[]>>;
}

const local = (host: string, over: Parameters<typeof aPool>[1] = {}): ReturnType<typeof aPool> => aPool(`local-${host}`, { name: 'local', shared: false, ...over });
const locals = (over: Partial<Fleet> = {}, b: Parameters<typeof aPool>[1] = {}): Fleet =>
  aFleet([aHost('a'), aHost('b'), aHost('c')], [local('a'), local('b', b)], { hostPools: new Map([['a', new Set(['local-a'])], ['b', new Set(['local-b'])]]), ...over });

const cases: readonly Case[] = [
  { name: 'no hosts', fleet: aFleet([]), order: [] },
  { name: 'equal hosts go by name', fleet: aFleet([aHost('b'), aHost('c'), aHost('a')]), order: ['a', 'b', 'c'] },

  // spread and pack
  { name: 'spreads to the emptier', fleet: aFleet([aHost('a', { usedMemoryMib: 16384 }), aHost('b', { usedMemoryMib: 8192 })]), order: ['b', 'a'] },
  { name: 'packs onto the fuller', fleet: aFleet([aHost('a', { usedMemoryMib: 8192 }), aHost('b', { usedMemoryMib: 16384 }), aHost('c')]), settings: pack, order: ['b', 'a', 'c'] },
  { name: 'packs, but not past what fits', fleet: aFleet([aHost('a', { usedMemoryMib: 8192 }), aHost('b', { usedMemoryMib: 31000 })]), settings: pack, order: ['a'], refused: { b: ['placement.refused.memory'] } },
  { name: 'counts shares, not sizes', fleet: aFleet([aHost('large', { memoryMib: 65536, usedMemoryMib: 49152 }), aHost('small', { memoryMib: 16384, usedMemoryMib: 0 })]), order: ['small', 'large'] },
  { name: 'memory counts for more than vCPUs', fleet: aFleet([aHost('a', { usedVcpus: 3 }), aHost('b', { usedMemoryMib: 12288 })]), order: ['a', 'b'] },
  { name: 'packs by load too: of equals the idler', fleet: aFleet([aHost('a'), aHost('b')], undefined, cpu({ a: 60, b: 5 })), settings: pack, order: ['b', 'a'] },

  // measured load in the score
  { name: 'prefers the less loaded of equals', fleet: aFleet([aHost('a'), aHost('b')], undefined, cpu({ a: 80, b: 5 })), order: ['b', 'a'] },
  { name: 'a silent host stands between idle and busy', fleet: aFleet([aHost('a'), aHost('b'), aHost('c')], undefined, cpu({ a: 95, c: 3 })), order: ['c', 'b', 'a'] },
  { name: 'memory in use is load as well', fleet: aFleet([aHost('a'), aHost('b')], undefined, { ...cpu({ a: 5, b: 10 }), ...memory({ a: 70, b: 12 }) }), order: ['b', 'a'] },
  { name: 'load alone decides when it has all the weight', fleet: aFleet([aHost('a', { usedMemoryMib: 28000 }), aHost('b')], undefined, cpu({ a: 5, b: 10 })), settings: loadOnly, order: ['a', 'b'] },
  { name: 'load says nothing without weight', fleet: aFleet([aHost('a', { usedMemoryMib: 1024 }), aHost('b')], undefined, cpu({ a: 1, b: 90 })), settings: promisedOnly, order: ['b', 'a'] },

  // state
  { name: 'disabled', fleet: aFleet([aHost('a', { wish: 'disabled' }), aHost('b')]), order: ['b'], refused: { a: ['placement.refused.disabled'] } },
  { name: 'in maintenance', fleet: aFleet([aHost('a', { wish: 'maintenance' }), aHost('b')]), order: ['b'], refused: { a: ['placement.refused.maintenance'] } },
  { name: 'fenced, whatever else', fleet: aFleet([aHost('a', { state: 'fenced', wish: 'maintenance' })]), order: [], refused: { a: ['placement.refused.fenced'] } },
  { name: 'down, and why else is of no interest', fleet: aFleet([aHost('a', { state: 'unreachable', usedVcpus: 8 })]), order: [], refused: { a: ['placement.refused.down'] } },
  { name: 'never reached', fleet: aFleet([aHost('a', { state: 'unknown' })]), order: [], refused: { a: ['placement.refused.down'] } },
  {
    name: 'excepted by the caller, in the caller’s words', fleet: aFleet([aHost('a', { usedVcpus: 8 }), aHost('b')]), request: { except: new Map([['a', say('placement.refused.here')]]) },
    order: ['b'], refused: { a: ['placement.refused.here'] },
  },
  { name: 'excepted and down: it is down', fleet: aFleet([aHost('a', { state: 'unreachable' })]), request: { except: new Map([['a', say('placement.refused.here')]]) }, order: [], refused: { a: ['placement.refused.down'] } },

  // measured load as a filter
  { name: 'at the limit of CPU load', fleet: aFleet([aHost('a')], undefined, cpu({ a: 95 })), order: ['a'] },
  { name: 'above the limit of CPU load', fleet: aFleet([aHost('a'), aHost('b')], undefined, cpu({ a: 95.1, b: 90 })), order: ['b'], refused: { a: ['placement.refused.cpu-busy'] } },
  { name: 'above the limit of CPU load for a moment only', fleet: aFleet([aHost('a'), aHost('b')], undefined, { ...cpu({ a: 100, b: 90 }), hostCpuSettled: new Set(['b']) }), order: ['b', 'a'] },
  { name: 'above the limit of memory in use', fleet: aFleet([aHost('a'), aHost('b')], undefined, memory({ a: 98 })), order: ['b'], refused: { a: ['placement.refused.memory-busy'] } },
  { name: 'above both', fleet: aFleet([aHost('a')], undefined, { ...cpu({ a: 99 }), ...memory({ a: 98 }) }), order: [], refused: { a: ['placement.refused.cpu-busy', 'placement.refused.memory-busy'] } },
  { name: 'limits that an admin has lowered', fleet: aFleet([aHost('a')], undefined, cpu({ a: 61 })), settings: { placement: { ...defaultSettings.placement, maxCpuPercent: 60 } }, order: [], refused: { a: ['placement.refused.cpu-busy'] } },
  { name: 'load does not keep a restart away', fleet: aFleet([aHost('a')], undefined, { ...cpu({ a: 99 }), ...memory({ a: 98 }) }), request: { despiteLoad: true }, order: ['a'] },

  // anti-affinity
  { name: 'kept apart from its group', fleet: aFleet([aHost('a'), aHost('b')]), request: { antiAffinityHosts: new Set(['a']) }, order: ['b'], refused: { a: ['placement.refused.anti-affinity'] } },
  { name: 'its group is everywhere', fleet: aFleet([aHost('a'), aHost('b')]), request: { antiAffinityHosts: new Set(['a', 'b']) }, order: [], refused: { a: ['placement.refused.anti-affinity'], b: ['placement.refused.anti-affinity'] } },

  // pools and disks
  { name: 'without the pool', fleet: aFleet([aHost('a'), aHost('b')], undefined, { hostPools: new Map([['b', new Set(['p'])]]) }), order: ['b'], refused: { a: ['placement.refused.no-pool'] } },
  { name: 'a pool that is not known any more', fleet: aFleet([aHost('a')], [], { hostPools: new Map([['a', new Set(['p'])]]) }), order: [], refused: { a: ['placement.refused.no-pool'] } },
  { name: 'pool full', fleet: aFleet([aHost('a')], [aPool('p', { usedGib: 790 })]), order: [], refused: { a: ['placement.refused.disk'] } },
  { name: 'pool full, but its disk is in there', fleet: aFleet([aHost('a')], [aPool('p', { usedGib: 800 })]), request: { from: kvm }, order: ['a'] },
  { name: 'a local disk stays where it is', fleet: locals(), request: { poolId: 'local-a', from: kvm }, order: ['a'], refused: { b: ['placement.refused.no-pool'], c: ['placement.refused.no-pool'] } },
  {
    name: 'a local disk is copied into the pool of the same name', fleet: locals(), request: { poolId: 'local-a', from: kvm, withDisk: true, except: new Map([['a', say('placement.refused.here')]]) },
    order: ['b'], refused: { a: ['placement.refused.here'], c: ['placement.refused.no-pool-named'] },
  },
  {
    name: 'a copied disk needs room there', fleet: locals({}, { usedGib: 790 }), request: { poolId: 'local-a', from: kvm, withDisk: true, except: new Map([['a', say('placement.refused.here')]]) },
    order: [], refused: { a: ['placement.refused.here'], b: ['placement.refused.disk'], c: ['placement.refused.no-pool-named'] },
  },

  // CPU
  { name: 'a new one runs on any architecture offered', fleet: aFleet([aHost('a', { arch: 'aarch64' })]), order: ['a'] },
  { name: 'an existing one does not change its architecture', fleet: aFleet([aHost('a', { arch: 'aarch64' }), aHost('b')]), request: { from: kvm }, order: ['b'], refused: { a: ['placement.refused.arch'] } },
  { name: 'a host that was never checked is not refused for it', fleet: aFleet([aHost('a', { arch: null })]), request: { from: kvm }, order: ['a'] },
  { name: 'KVM needs KVM', fleet: aFleet([aHost('a', { virtType: 'qemu' }), aHost('b', { virtType: null }), aHost('c')]), request: { from: kvm }, order: ['c'], refused: { a: ['placement.refused.no-kvm'], b: ['placement.refused.no-kvm'] } },
  { name: 'what is emulated runs everywhere', fleet: aFleet([aHost('a', { virtType: 'qemu' }), aHost('b', { cpuModel: 'Haswell' })]), request: { from: tcg, live: true }, order: ['a', 'b'] },
  { name: 'a running machine keeps its CPU model', fleet: aFleet([aHost('a', { cpuModel: 'Haswell' }), aHost('b', { cpuModel: 'Skylake' }), aHost('c')]), request: { from: kvm, live: true }, order: ['b', 'c'], refused: { a: ['placement.refused.cpu-model'] } },
  { name: 'one that is off does not care', fleet: aFleet([aHost('a', { cpuModel: 'Haswell' })]), request: { from: kvm }, order: ['a'] },

  // room
  { name: 'too little of everything', fleet: aFleet([aHost('a', { usedVcpus: 7, usedMemoryMib: 32000 })], [aPool('p', { usedGib: 799 })]), order: [], refused: { a: ['placement.refused.disk', 'placement.refused.vcpus', 'placement.refused.memory'] } },
  { name: 'exactly enough', fleet: aFleet([aHost('a', { usedVcpus: 6, usedMemoryMib: 30720 })], [aPool('p', { usedGib: 780 })]), order: ['a'] },
  { name: 'enough by overcommit', fleet: aFleet([aHost('a', { usedVcpus: 14 })]), settings: { overcommit: { vcpus: 2, memory: 1, disk: 1 } }, order: ['a'] },
  { name: 'overcommit below 1 holds a part back', fleet: aFleet([aHost('a', { usedMemoryMib: 15000 })]), settings: { overcommit: { vcpus: 1, memory: 0.5, disk: 1 } }, order: [], refused: { a: ['placement.refused.memory'] } },
  { name: 'a limit of nothing', fleet: aFleet([aHost('a', { cpus: 0, memoryMib: 0 })]), order: [], refused: { a: ['placement.refused.vcpus', 'placement.refused.memory'] } },
  { name: 'every reason that holds for the host is told at once', fleet: aFleet([aHost('a', { arch: 'aarch64' })], [], cpu({ a: 99 })), request: { from: kvm, antiAffinityHosts: new Set(['a']) }, order: [], refused: { a: ['placement.refused.no-pool', 'placement.refused.arch', 'placement.refused.anti-affinity', 'placement.refused.cpu-busy'] } },
];

describe('placeInstance', () => {
  for (const { name, fleet, order, refused = {}, ...over } of cases) {
    it(name, () => {
      const { placement, considered } = placeInstance({ ...request, ...over.request }, fleet, { ...settings, ...over.settings });
      assert.deepEqual(considered.filter((host) => host.score !== null).map((host) => host.hostName), order);
      assert.deepEqual(Object.fromEntries(considered.filter((host) => host.score === null).map((host) => [host.hostName, host.reasons.map((reason) => reason.key)])), refused);
      assert.equal(placement?.hostName, order[0]);
      assert.equal(considered.length, fleet.hosts.length);
      for (const { score, reasons } of considered) {
        assert.ok(score === null || (score >= 0 && score <= 100), `score ${score}`);
        assert.ok(reasons.length > 0);
      }
    });
  }

  it('gives the reasons of the score', () => {
    const { considered } = placeInstance(request, aFleet([aHost('a')], undefined, cpu({ a: 10 })), settings);
    assert.deepEqual(considered[0]?.reasons, [
      { key: 'placement.score.memory', params: { percent: 94 } },
      { key: 'placement.score.vcpus', params: { percent: 75 } },
      { key: 'placement.score.cpu', params: { percent: 10 } },
    ]);
    assert.equal(considered[0]?.score, 88.9);
  });

  it('gives numbers with refusals', () => {
    const { considered } = placeInstance(request, aFleet([aHost('a', { usedMemoryMib: 31744 }), aHost('b')], undefined, cpu({ b: 97.4 })), settings);
    assert.deepEqual(considered.map((host) => host.reasons), [[{ key: 'placement.refused.memory', params: { free: '1 GiB' } }], [{ key: 'placement.refused.cpu-busy', params: { percent: 97, max: 95 } }]]);
  });

  it('places 1,250 hosts in a few milliseconds', () => {
    const fleet = aFleet(Array.from({ length: 1250 }, (_, index) => aHost(`h${index}`, { usedVcpus: index % 9 })));
    const started = performance.now();
    placeInstance(request, fleet, settings);
    assert.ok(performance.now() - started < 1000, `${performance.now() - started} ms`);
  });
});

describe('the pool of a disk', () => {
  const fleet = locals({}, { capacityBytes: 10 * gib });
  it('is the one of that name on the other host when the disk is copied', () => {
    assert.equal(poolAt('b', { poolId: 'local-a', withDisk: true }, fleet)?.id, 'local-b');
    assert.equal(poolAt('b', { poolId: 'local-a' }, fleet), undefined);
    assert.equal(poolAt('c', { poolId: 'local-a', withDisk: true }, fleet), undefined);
  });
  it('needs no room when the disk is in it already', () => {
    assert.equal(newDiskPool('a', { poolId: 'local-a', from: kvm }, fleet), undefined);
    assert.equal(newDiskPool('a', { poolId: 'local-a' }, fleet)?.id, 'local-a');
    assert.equal(newDiskPool('b', { poolId: 'local-a', withDisk: true, from: kvm }, fleet)?.id, 'local-b');
  });
});
