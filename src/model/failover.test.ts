import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { aFleet, aHost, anInstance, aPool } from '../../test/helpers/fleet.ts';
import type { Fleet } from './admission.ts';
import { hostRoom } from './capacity.ts';
import { nMinusOne, planFailover, type FailoverInput } from './failover.ts';
import type { Host } from './host.ts';
import type { HaPriority, Instance } from './instance.ts';
import type { PlacementSettings } from './placement.ts';
import { defaultSettings } from './settings.ts';

const settings: PlacementSettings = { overcommit: { vcpus: 4, memory: 1, disk: 1 }, placement: defaultSettings.placement };
const gibs = (gib: number): Partial<Instance> => ({ memoryMib: gib * 1024 });

/** Hosts with what the instances on them have reserved. */
function reserved(hosts: readonly Host[], instances: readonly Instance[]): Host[] {
  return hosts.map((host) => {
    const there = instances.filter((instance) => instance.hostId === host.id);
    return { ...host, usedVcpus: there.reduce((sum, { vcpus }) => sum + vcpus, host.usedVcpus), usedMemoryMib: there.reduce((sum, { memoryMib }) => sum + memoryMib, host.usedMemoryMib) };
  });
}

interface Case {
  readonly name: string;
  readonly hosts: readonly Host[];
  readonly instances: readonly Instance[];
  readonly dead?: readonly string[];
  readonly over?: Partial<FailoverInput>;
  readonly fleet?: Partial<Fleet>;
  readonly pools?: Parameters<typeof aFleet>[1];
  /** in order: instance → host */
  readonly restarts: readonly (readonly [string, string])[];
  readonly unfit?: Readonly<Record<string, readonly string[]>>;
}

const four = [aHost('a', { memoryMib: 4096 }), aHost('b', { memoryMib: 4096 }), aHost('c', { memoryMib: 4096 }), aHost('d', { memoryMib: 4096 })];
const cases: readonly Case[] = [
  { name: 'an empty host', hosts: four, instances: [], restarts: [] },
  { name: 'spreads while there is room', hosts: four, instances: ['1', '2', '3'].map((name) => anInstance(name, 'a')), restarts: [['1', 'b'], ['2', 'c'], ['3', 'd']] },
  { name: 'high priority first, then the larger', hosts: four, instances: [anInstance('low', 'a', { haPriority: 0, ...gibs(4) }), anInstance('small', 'a'), anInstance('large', 'a', gibs(2)), anInstance('high', 'a', { haPriority: 2 })], restarts: [['high', 'b'], ['large', 'b'], ['small', 'b'], ['low', 'c']] },
  { name: 'a high one takes the room of a larger low one', hosts: four.slice(0, 2), instances: [anInstance('low', 'a', { haPriority: 0, ...gibs(4) }), anInstance('high', 'a', { haPriority: 2 })], restarts: [['high', 'b']], unfit: { low: ['failover.unfit.memory'] } },
  { name: 'small ones fill what large ones leave', hosts: four.slice(0, 2), instances: [anInstance('1', 'a'), anInstance('3', 'a', gibs(3)), anInstance('2', 'a', gibs(2))], restarts: [['3', 'b'], ['1', 'b']], unfit: { 2: ['failover.unfit.memory'] } },
  {
    name: 'packs tightly when that takes more', hosts: four.slice(0, 3), instances: [anInstance('b1', 'b'), anInstance('first', 'a', { haPriority: 2 }), anInstance('large', 'a', gibs(4))],
    restarts: [['first', 'b'], ['large', 'c']],
  },
  { name: 'what stays on the others counts', hosts: four.slice(0, 2), instances: [anInstance('b1', 'b', gibs(3)), anInstance('1', 'a', gibs(2))], restarts: [], unfit: { 1: ['failover.unfit.memory'] } },
  { name: 'vCPUs run out first', hosts: [aHost('a'), aHost('b', { cpus: 1 })], instances: [anInstance('1', 'a', { vcpus: 8 })], restarts: [], unfit: { 1: ['failover.unfit.vcpus'] } },
  { name: 'vCPUs on one host, memory on the other', hosts: [aHost('a'), aHost('b', { cpus: 1 }), aHost('c', { memoryMib: 512 })], instances: [anInstance('1', 'a', { vcpus: 8 })], restarts: [], unfit: { 1: ['failover.unfit.together'] } },
  { name: 'two hosts at once', hosts: four, dead: ['a', 'b'], instances: [anInstance('1', 'a'), anInstance('2', 'b', { haPriority: 2 }), anInstance('3', 'c')], restarts: [['2', 'd'], ['1', 'c']] },
  { name: 'nobody is left', hosts: four, dead: ['a', 'b', 'c', 'd'], instances: [anInstance('1', 'a')], restarts: [], unfit: { 1: ['failover.unfit.no-hosts'] } },
  { name: 'hosts that are down, fenced, disabled or in maintenance take nothing', hosts: [four[0] as Host, aHost('b', { state: 'unreachable' }), aHost('c', { state: 'fenced' }), aHost('d', { wish: 'disabled' }), aHost('e', { wish: 'maintenance' })], instances: [anInstance('1', 'a')], restarts: [], unfit: { 1: ['failover.unfit.no-hosts'] } },
  { name: 'its disk was on the dead host', hosts: four, pools: [aPool('p', { shared: false })], fleet: { hostPools: new Map([['a', new Set(['p'])]]) }, instances: [anInstance('1', 'a')], restarts: [], unfit: { 1: ['failover.unfit.no-pool'] } },
  { name: 'a calm host first', hosts: [four[0] as Host, aHost('b', { memoryMib: 4096 }), aHost('c', { memoryMib: 2048, usedMemoryMib: 1024 })], fleet: { hostCpuPercent: new Map([['b', 100]]) }, instances: [anInstance('1', 'a')], restarts: [['1', 'c']] },
  { name: 'a busy host when no calm one has room', hosts: four.slice(0, 2), fleet: { hostCpuPercent: new Map([['b', 100]]) }, instances: [anInstance('1', 'a')], restarts: [['1', 'b']] },
  { name: 'a busy host for moves too', hosts: four.slice(0, 2), fleet: { hostMemoryPercent: new Map([['b', 100]]) }, over: { mode: 'move' }, instances: [anInstance('1', 'a')], restarts: [['1', 'b']] },
  { name: 'but not when told otherwise', hosts: four.slice(0, 2), fleet: { hostCpuPercent: new Map([['b', 100]]) }, over: { mode: 'move', overload: false }, instances: [anInstance('1', 'a')], restarts: [], unfit: { 1: ['failover.unfit.cpu-busy'] } },
  { name: 'a group is kept apart', hosts: four, instances: [anInstance('1', 'a', { antiAffinity: 'web' }), anInstance('2', 'b', { antiAffinity: 'WEB' }), anInstance('3', 'a', { antiAffinity: 'web' })], restarts: [['1', 'c'], ['3', 'd']] },
  { name: 'a group of somebody else is another group', hosts: four.slice(0, 2), instances: [anInstance('1', 'a', { antiAffinity: 'web' }), anInstance('2', 'b', { antiAffinity: 'web', userId: 'v' })], restarts: [['1', 'b']] },
  { name: 'a group larger than the cluster', hosts: four.slice(0, 2), instances: [anInstance('1', 'a', { antiAffinity: 'web' }), anInstance('2', 'b', { antiAffinity: 'web' })], restarts: [], unfit: { 1: ['failover.unfit.anti-affinity'] } },
  { name: 'KVM and emulation', hosts: [aHost('a'), aHost('b', { virtType: 'qemu' })], instances: [anInstance('1', 'a')], restarts: [], unfit: { 1: ['failover.unfit.no-kvm'] } },
  { name: 'another CPU model does for a restart', hosts: [aHost('a', { cpuModel: 'x' }), aHost('b', { cpuModel: 'y' })], instances: [anInstance('1', 'a')], restarts: [['1', 'b']] },
  { name: 'another CPU model does not do for what runs on', hosts: [aHost('a', { cpuModel: 'x' }), aHost('b', { cpuModel: 'y' })], over: { mode: 'move' }, instances: [anInstance('1', 'a'), anInstance('off', 'a', { state: 'stopped' })], restarts: [['off', 'b']], unfit: { 1: ['failover.unfit.cpu-model'] } },
  { name: 'what has no domain needs no place', hosts: four, instances: [anInstance('1', 'a', { state: 'creating' }), anInstance('2', 'a', { state: 'failed' }), anInstance('3', 'a', { state: 'lost' }), anInstance('4', 'a', { state: 'paused' })], restarts: [['4', 'b']] },
  { name: 'only those asked for', hosts: four, over: { which: ({ ha }) => ha }, instances: [anInstance('1', 'a', { ha: false }), anInstance('2', 'a')], restarts: [['2', 'b']] },
];

const localPools = [aPool('p', { name: 'local', shared: false }), aPool('q', { name: 'local', shared: false, capacityBytes: 15 * 1024 ** 3 })];

describe('planFailover', () => {
  for (const { name, hosts, instances, dead = ['a'], over = {}, fleet = {}, pools, restarts, unfit = {} } of cases) {
    it(name, () => {
      const plan = planFailover({ fleet: aFleet(reserved(hosts, instances), pools, fleet), settings, instances, deadHostIds: new Set(dead), ...over });
      assert.deepEqual(plan.restarts.map(({ instance, hostId }) => [instance.id, hostId]), restarts);
      assert.deepEqual(Object.fromEntries(plan.unfit.map(({ instance, reasons }) => [instance.id, reasons.map(({ key }) => key)])), unfit);
    });
  }

  it('explains each place as it was when it was chosen', () => {
    const instances = ['1', '2'].map((name) => anInstance(name, 'a', gibs(3)));
    const { restarts } = planFailover({ fleet: aFleet(reserved(four.slice(0, 3), instances)), settings, instances, deadHostIds: new Set(['a']) });
    assert.deepEqual(restarts.map(({ considered }) => considered.map(({ hostName, score, reasons }) => [hostName, score !== null, reasons[0]?.key])), [
      [['b', true, 'placement.score.memory'], ['c', true, 'placement.score.memory'], ['a', false, 'placement.refused.fenced']],
      [['c', true, 'placement.score.memory'], ['a', false, 'placement.refused.fenced'], ['b', false, 'placement.refused.memory']],
    ]);
  });

  it('copies local disks along while there is room, when the host can still be read', () => {
    const instances = ['1', '2'].map((name) => anInstance(name, 'a'));
    const fleet = aFleet(four.slice(0, 2), localPools, { hostPools: new Map([['a', new Set(['p'])], ['b', new Set(['q'])]]) });
    const plan = planFailover({ fleet, settings, instances, deadHostIds: new Set(['a']), mode: 'move' });
    assert.deepEqual(plan.restarts.map(({ instance, hostId }) => [instance.id, hostId]), [['1', 'b']]);
    assert.deepEqual(plan.unfit.map(({ instance, reasons }) => [instance.id, reasons]), [['2', [{ key: 'failover.unfit.disk', params: { need: 10 } }]]]);
  });

  it('never promises more than there is, nor puts a group together, whatever the cluster', () => {
    const anyInstance = fc.record({ host: fc.integer({ min: 0, max: 3 }), memoryMib: fc.integer({ min: 100, max: 3000 }), vcpus: fc.integer({ min: 1, max: 6 }), haPriority: fc.constantFrom<HaPriority>(0, 1, 2), antiAffinity: fc.constantFrom(null, 'x', 'y') });
    fc.assert(fc.property(fc.array(anyInstance, { maxLength: 20 }), fc.subarray(['a', 'b', 'c', 'd'], { minLength: 1 }), (list, dead) => {
      const instances = list.map(({ host, ...over }, index) => anInstance(String(index), 'abcd'[host] ?? 'a', over));
      const hosts = reserved(four, instances);
      const plan = planFailover({ fleet: aFleet(hosts), settings, instances, deadHostIds: new Set(dead) });
      assert.equal(plan.restarts.length + plan.unfit.length, instances.filter(({ hostId }) => dead.includes(hostId ?? '')).length);
      for (const host of hosts) {
        const coming = plan.restarts.filter(({ hostId }) => hostId === host.id).map(({ instance }) => instance);
        const room = hostRoom(host, settings.overcommit);
        assert.ok(coming.reduce((sum, { memoryMib }) => sum + memoryMib, 0) <= room.memoryMib && coming.reduce((sum, { vcpus }) => sum + vcpus, 0) <= room.vcpus);
        if (coming.length > 0) assert.ok(!dead.includes(host.id));
        for (const { antiAffinity, id } of coming) {
          if (antiAffinity !== null) assert.ok(![...coming, ...instances.filter(({ hostId }) => hostId === host.id)].some((other) => other.id !== id && other.antiAffinity === antiAffinity));
        }
      }
      // none that was left out would have found room before one of lower priority was placed
      for (const { instance } of plan.unfit) {
        for (const lower of plan.restarts.filter((each) => each.instance.haPriority < instance.haPriority)) {
          const { antiAffinity, memoryMib, vcpus } = instance;
          if (antiAffinity === null) assert.ok(memoryMib > lower.instance.memoryMib || vcpus > lower.instance.vcpus);
        }
      }
    }), { numRuns: 300 });
  });
});

describe('nMinusOne', () => {
  it('says for each host what would fit, and counts those that nobody would start', () => {
    const instances = [anInstance('1', 'a', gibs(2)), anInstance('2', 'a', gibs(2)), anInstance('3', 'a', { ha: false }), anInstance('4', 'b', gibs(3)), anInstance('5', 'a', { state: 'stopped' })];
    const losses = nMinusOne({ fleet: aFleet(reserved([four[0] as Host, four[1] as Host, aHost('c', { memoryMib: 3072 })], instances)), settings, instances });
    assert.deepEqual(losses.map(({ host, restarts, withoutHa, unfit }) => [host.id, restarts, withoutHa, unfit.map(({ instance }) => instance.id)]), [
      ['a', 2, 1, ['2']], ['b', 1, 0, []], ['c', 0, 0, []],
    ]);
    assert.deepEqual(losses[0]?.unfit[0]?.reasons, [{ key: 'failover.unfit.memory', params: { need: '2 GiB', largest: '1 GiB' } }]);
  });

  it('with one lost already, is about one more, and what ran on the lost one needs room too', () => {
    const instances = [anInstance('1', 'a', gibs(2)), anInstance('2', 'b', gibs(2)), anInstance('3', 'c', gibs(1))];
    const hosts = reserved([aHost('a', { memoryMib: 4096, state: 'unreachable' }), aHost('b', { memoryMib: 4096 }), aHost('c', { memoryMib: 4096 })], instances);
    const losses = nMinusOne({ fleet: aFleet(hosts), settings, instances });
    assert.deepEqual(losses.map(({ host, restarts, unfit }) => [host.id, restarts, unfit.map(({ instance }) => instance.id)]), [['b', 2, ['2']], ['c', 2, ['3']]]);
  });

  it('takes well under a second of CPU for 40 hosts with 2,000 instances', () => {
    const instances = Array.from({ length: 2000 }, (_, index) => anInstance(`i${index}`, `h${index % 40}`, { memoryMib: 512 * (1 + (index % 7)), vcpus: 1 + (index % 4), haPriority: ([0, 1, 2] as const)[index % 3] ?? 1, antiAffinity: index % 10 === 0 ? `g${index % 50}` : null }));
    const hosts = reserved(Array.from({ length: 40 }, (_, index) => aHost(`h${index}`, { cpus: 64, memoryMib: 110_000 })), instances);
    const fleet = aFleet(hosts);
    nMinusOne({ fleet: aFleet(hosts.slice(0, 3)), settings, instances });
    const started = process.cpuUsage();
    const losses = nMinusOne({ fleet, settings, instances });
    const { user, system } = process.cpuUsage(started);
    assert.equal(losses.reduce((sum, { restarts }) => sum + restarts, 0), 2000);
    assert.ok(user + system < 1_000_000, `${(user + system) / 1000} ms`);
  });
});
