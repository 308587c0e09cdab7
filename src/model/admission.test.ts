import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { aFleet, aHost, aPool, aQuestion, gib } from '../../test/helpers/fleet.ts';
import { say } from '../errors.ts';
import { decideAdmission, type AdmissionInput } from './admission.ts';
import { sizeKeys } from './size.ts';

interface Case {
  readonly name: string;
  readonly input: AdmissionInput;
  /** keys of the reasons in order; none: allowed */
  readonly reasons: readonly string[];
  readonly largest?: readonly [vcpus: number, memoryMib: number, diskGib: number];
  readonly fits?: readonly [vcpus: number, memoryMib: number, diskGib: number] | null;
}

const used = (over: Partial<AdmissionInput['usage']>): Pick<AdmissionInput, 'usage'> => ({ usage: { instances: 0, vcpus: 0, memoryMib: 0, diskGib: 0, ...over } });
const quota = (over: Partial<AdmissionInput['quota']>): Pick<AdmissionInput, 'quota'> => ({ quota: { instances: 5, vcpus: 8, memoryMib: 16384, diskGib: 200, ...over } });
const hosts = (...list: Parameters<typeof aFleet>[0]): Pick<AdmissionInput, 'fleet'> => ({ fleet: aFleet(list) });

const cases: readonly Case[] = [
  { name: 'a small one on an empty cluster', input: aQuestion(), reasons: [], largest: [4, 8192, 100], fits: [1, 1024, 10] },
  { name: 'exactly the caps', input: aQuestion({}, { vcpus: 4, memoryMib: 8192, diskGib: 100 }), reasons: [], fits: [4, 8192, 100] },

  // what was typed
  { name: 'no vCPU', input: aQuestion({}, { vcpus: 0 }), reasons: ['admission.whole.vcpus'], largest: [4, 0, 0], fits: [1, 1024, 10] },
  { name: 'a negative disk', input: aQuestion({}, { diskGib: -1 }), reasons: ['admission.whole.diskGib'], fits: [1, 1024, 1] },
  { name: 'half a vCPU', input: aQuestion({}, { vcpus: 1.5 }), reasons: ['admission.whole.vcpus'], fits: [1, 1024, 10] },
  { name: 'not a number', input: aQuestion({}, { memoryMib: Number.NaN }), reasons: ['admission.whole.memoryMib'], largest: [0, 8192, 0], fits: [1, 128, 10] },
  { name: 'less memory than the image needs', input: aQuestion({}, { memoryMib: 64 }), reasons: ['admission.minimum.memoryMib'], fits: [1, 128, 10] },
  { name: 'a disk smaller than the image', input: aQuestion({}, { diskGib: 10, minDiskGib: 20 }), reasons: ['admission.minimum.diskGib'], largest: [0, 0, 100], fits: [1, 1024, 20] },
  { name: 'more vCPUs than the cap', input: aQuestion({}, { vcpus: 5 }), reasons: ['admission.cap.vcpus'], largest: [4, 0, 0], fits: [4, 1024, 10] },
  { name: 'more memory than the cap', input: aQuestion({}, { memoryMib: 8193 }), reasons: ['admission.cap.memoryMib'], fits: [1, 8192, 10] },
  { name: 'a larger disk than the cap', input: aQuestion({}, { diskGib: 101 }), reasons: ['admission.cap.diskGib'], fits: [1, 1024, 100] },
  { name: 'an image that needs more than the cap', input: aQuestion({}, { memoryMib: 8192, minMemoryMib: 9000 }), reasons: ['admission.minimum.memoryMib'], largest: [0, 0, 0], fits: null },

  // quota
  { name: 'the last instance of the quota', input: aQuestion(used({ instances: 4 })), reasons: [] },
  { name: 'one instance too many', input: aQuestion(used({ instances: 5 })), reasons: ['admission.quota.instances'], largest: [0, 0, 0], fits: null },
  { name: 'the last vCPU of the quota', input: aQuestion(used({ vcpus: 7 })), reasons: [], largest: [1, 8192, 100] },
  { name: 'one vCPU too many', input: aQuestion(used({ vcpus: 7 }), { vcpus: 2 }), reasons: ['admission.quota.vcpus'], largest: [1, 0, 0], fits: [1, 1024, 10] },
  { name: 'memory past the quota', input: aQuestion(used({ memoryMib: 16000 })), reasons: ['admission.quota.memoryMib'], largest: [0, 384, 0], fits: [1, 384, 10] },
  { name: 'disk past the quota', input: aQuestion(used({ diskGib: 195 })), reasons: ['admission.quota.diskGib'], largest: [0, 0, 5], fits: [1, 1024, 5] },
  { name: 'quota left is less than the image needs', input: aQuestion(used({ diskGib: 195 }), { minDiskGib: 8 }), reasons: ['admission.quota.diskGib'], largest: [0, 0, 0], fits: null },
  { name: '0 is none, not unlimited', input: aQuestion(quota({ instances: 0, vcpus: 0, memoryMib: 0, diskGib: 0 })), reasons: ['admission.quota.instances', 'admission.quota.vcpus', 'admission.quota.memoryMib', 'admission.quota.diskGib'], largest: [0, 0, 0], fits: null },
  { name: 'usage past a quota that was lowered', input: aQuestion({ ...used({ vcpus: 12 }), ...quota({ vcpus: 4 }) }), reasons: ['admission.quota.vcpus'], largest: [0, 0, 0], fits: null },
  { name: 'two fields past the quota', input: aQuestion({ ...used({ vcpus: 8, diskGib: 200 }) }), reasons: ['admission.quota.vcpus', 'admission.quota.diskGib'], largest: [0, 0, 0], fits: null },

  // gate
  { name: 'gate closed by CPU', input: aQuestion({ gate: { closed: true, since: 1, reasons: [say('admission.gate.cpuPercent', { value: 93, close: 90, open: 80 })] } }), reasons: ['admission.gate.cpuPercent'], largest: [0, 0, 0], fits: null },
  { name: 'gate closed by two', input: aQuestion({ gate: { closed: true, since: 1, reasons: [say('admission.gate.cpuPercent', { value: 93 }), say('admission.gate.storagePercent', { value: 91 })] } }), reasons: ['admission.gate.cpuPercent', 'admission.gate.storagePercent'] },
  { name: 'gate closed and nobody said why', input: aQuestion({ gate: { closed: true, since: 1, reasons: [] } }), reasons: ['admission.gate.closed'] },
  { name: 'own quota is told before the gate', input: aQuestion({ ...used({ instances: 5 }), gate: { closed: true, since: 1, reasons: [] } }), reasons: ['admission.quota.instances', 'admission.gate.closed'] },

  // capacity
  { name: 'no hosts yet', input: aQuestion({ fleet: aFleet([]) }), reasons: ['admission.capacity.no-hosts'], largest: [0, 0, 0], fits: null },
  { name: 'the only host is down', input: aQuestion(hosts(aHost('a', { state: 'unreachable' }))), reasons: ['admission.capacity.no-open-hosts'], largest: [0, 0, 0], fits: null },
  { name: 'the only host was never reached', input: aQuestion(hosts(aHost('a', { state: 'unknown' }))), reasons: ['admission.capacity.no-open-hosts'] },
  { name: 'the only host is disabled', input: aQuestion(hosts(aHost('a', { wish: 'disabled' }))), reasons: ['admission.capacity.no-open-hosts'] },
  { name: 'a host that is down gives no room', input: aQuestion(hosts(aHost('a', { state: 'unreachable' }), aHost('b', { usedMemoryMib: 32768 }))), reasons: ['admission.capacity.memoryMib'], largest: [0, 0, 0], fits: null },
  { name: 'no host has the pool', input: aQuestion({}, { poolId: 'other' }), reasons: ['admission.capacity.no-pool'], fits: null },
  { name: 'the pool is known but on no open host', input: aQuestion({ fleet: aFleet([aHost('a')], [aPool('p')], { hostPools: new Map() }) }), reasons: ['admission.capacity.no-pool'] },
  { name: 'every host is too busy', input: aQuestion({ fleet: aFleet([aHost('a'), aHost('b')], undefined, { hostCpuPercent: new Map([['a', 99]]), hostMemoryPercent: new Map([['b', 99]]) }) }), reasons: ['admission.capacity.busy'], largest: [0, 0, 0], fits: null },
  { name: 'the host with room is too busy', input: aQuestion({ fleet: aFleet([aHost('a'), aHost('b', { usedVcpus: 7 })], undefined, { hostCpuPercent: new Map([['a', 99]]) }) }, { vcpus: 2 }), reasons: ['admission.capacity.vcpus'], largest: [1, 0, 0], fits: [1, 1024, 10] },
  { name: 'its group is on every host', input: aQuestion(hosts(aHost('a'), aHost('b')), { antiAffinityHosts: new Set(['a', 'b']) }), reasons: ['admission.capacity.anti-affinity'], largest: [0, 0, 0], fits: null },
  { name: 'its group is on the larger host', input: aQuestion(hosts(aHost('a'), aHost('b', { usedVcpus: 6 })), { vcpus: 3, antiAffinityHosts: new Set(['a']) }), reasons: ['admission.capacity.vcpus'], largest: [2, 0, 0], fits: [2, 1024, 10] },
  { name: 'the host without its group', input: aQuestion(hosts(aHost('a'), aHost('b')), { antiAffinityHosts: new Set(['a']) }), reasons: [] },
  { name: 'vCPUs left are too few', input: aQuestion(hosts(aHost('a', { usedVcpus: 6 })), { vcpus: 3 }), reasons: ['admission.capacity.vcpus'], largest: [2, 0, 0], fits: [2, 1024, 10] },
  { name: 'exactly the vCPUs left', input: aQuestion(hosts(aHost('a', { usedVcpus: 6 })), { vcpus: 2 }), reasons: [], largest: [2, 8192, 100] },
  { name: 'memory left is too little', input: aQuestion(hosts(aHost('a', { usedMemoryMib: 32000 }))), reasons: ['admission.capacity.memoryMib'], largest: [0, 768, 0], fits: [1, 768, 10] },
  { name: 'pool without room', input: aQuestion({ fleet: aFleet([aHost('a')], [aPool('p', { usedGib: 795 })]) }), reasons: ['admission.capacity.diskGib'], largest: [0, 0, 5], fits: [1, 1024, 5] },
  { name: 'pool without size yet', input: aQuestion({ fleet: aFleet([aHost('a')], [aPool('p', { capacityBytes: 0 })]) }), reasons: ['admission.capacity.diskGib'], largest: [0, 0, 0], fits: null },
  { name: 'promised past the ratio after it was lowered', input: aQuestion(hosts(aHost('a', { usedVcpus: 20 }))), reasons: ['admission.capacity.vcpus'], largest: [0, 0, 0], fits: null },
  { name: 'enough in the cluster but not on one host', input: aQuestion(hosts(aHost('a', { usedVcpus: 6 }), aHost('b', { usedVcpus: 6 })), { vcpus: 4 }), reasons: ['admission.capacity.vcpus'], largest: [2, 0, 0], fits: [2, 1024, 10] },
  {
    name: 'vCPUs on one host, memory on another',
    input: aQuestion(hosts(aHost('a', { usedVcpus: 6 }), aHost('b', { usedMemoryMib: 31744 })), { vcpus: 4, memoryMib: 4096 }),
    reasons: ['admission.capacity.together'], largest: [2, 1024, 0], fits: [2, 4096, 10],
  },
  { name: 'overcommit of vCPUs', input: aQuestion({ ...hosts(aHost('a', { cpus: 1, usedVcpus: 2 })), settings: { ...aQuestion().settings, overcommit: { vcpus: 4, memory: 1, disk: 1 } } }, { vcpus: 2 }), reasons: [], largest: [2, 8192, 100] },
  { name: 'overcommit is rounded down', input: aQuestion({ ...hosts(aHost('a', { cpus: 1 })), settings: { ...aQuestion().settings, overcommit: { vcpus: 1.9, memory: 1, disk: 1 } } }, { vcpus: 2 }), reasons: ['admission.capacity.vcpus'], largest: [1, 0, 0] },
  { name: 'overcommit 0 promises nothing', input: aQuestion({ settings: { ...aQuestion().settings, overcommit: { vcpus: 0, memory: 1, disk: 1 } } }), reasons: ['admission.capacity.vcpus'], largest: [0, 0, 0], fits: null },
  { name: 'caps, quota and capacity at once', input: aQuestion({ ...used({ diskGib: 150 }), ...hosts(aHost('a', { usedMemoryMib: 30720 })) }, { vcpus: 9, memoryMib: 4096, diskGib: 60 }), reasons: ['admission.cap.vcpus', 'admission.quota.vcpus', 'admission.quota.diskGib', 'admission.capacity.vcpus', 'admission.capacity.memoryMib'], fits: [4, 2048, 50] },
];

describe('decideAdmission', () => {
  for (const { name, input, reasons, largest, fits } of cases) {
    it(name, () => {
      const verdict = decideAdmission(input);
      assert.deepEqual(verdict.reasons.map((reason) => reason.sentence.key), reasons);
      assert.equal(verdict.allowed, reasons.length === 0);
      assert.equal(verdict.placement === null, !verdict.allowed);
      if (largest !== undefined) assert.deepEqual(sizeKeys.map((key) => verdict.largest[key]), largest);
      if (fits !== undefined) assert.deepEqual(verdict.fits === null ? null : sizeKeys.map((key) => verdict.fits?.[key]), fits);
    });
  }

  it('is worth asking again after the next poll', () => {
    assert.equal(decideAdmission(aQuestion({ now: 5000, pollIntervalMs: 10_000 })).checkAgainAt, 15_000);
  });

  it('offers controls what caps, quota and the best host leave, whatever the other fields say', () => {
    const input = aQuestion({ ...hosts(aHost('a', { usedVcpus: 6 }), aHost('b', { usedMemoryMib: 31744 })), ...used({ diskGib: 150 }) }, { vcpus: 4, memoryMib: 8192, minDiskGib: 3 });
    assert.deepEqual(decideAdmission(input).bounds, { min: { vcpus: 1, memoryMib: 128, diskGib: 3 }, max: { vcpus: 4, memoryMib: 8192, diskGib: 50 } });
  });

  it('says what remains in the cluster: open hosts, a shared pool once, never below 0', () => {
    const fleet = aFleet(
      [aHost('a', { usedVcpus: 3 }), aHost('b', { usedVcpus: 30 }), aHost('c', { state: 'unreachable' }), aHost('d', { wish: 'disabled' })],
      [aPool('p', { usedGib: 60 }), aPool('q', { shared: false, capacityBytes: 100.5 * gib })],
    );
    assert.deepEqual(decideAdmission(aQuestion({ fleet })).remaining, { vcpus: 5, memoryMib: 65536, diskGib: 840 });
  });

  // what it calls possible must be possible, whatever the cluster looks like
  it('never calls a size fitting or largest that it would refuse', () => {
    const natural = (max: number): fc.Arbitrary<number> => fc.integer({ min: 0, max });
    const sizes = fc.record({ vcpus: natural(10), memoryMib: natural(20_000), diskGib: natural(250) });
    const anyHosts = fc.array(fc.record({ cpus: natural(16), memoryMib: natural(40_000), usedVcpus: natural(20), usedMemoryMib: natural(40_000), state: fc.constantFrom('up' as const, 'unreachable' as const), cpuPercent: fc.constantFrom(10, 99), group: fc.boolean() }), { maxLength: 4 });
    fc.assert(
      fc.property(sizes, sizes, anyHosts, natural(800), natural(4000), natural(30), (asked, usage, list, usedGib, minMemoryMib, minDiskGib) => {
        const hostCpuPercent = new Map(list.map(({ cpuPercent }, index) => [`h${index}`, cpuPercent]));
        const antiAffinityHosts = new Set(list.flatMap(({ group }, index) => (group ? [`h${index}`] : [])));
        const fleet = aFleet(list.map(({ cpus, memoryMib, usedVcpus, usedMemoryMib, state }, index) => aHost(`h${index}`, { cpus, memoryMib, usedVcpus, usedMemoryMib, state })), [aPool('p', { usedGib })], { hostCpuPercent });
        const question = (request: Partial<AdmissionInput['request']>): AdmissionInput => aQuestion({ fleet, usage: { instances: 1, ...usage } }, { ...asked, minMemoryMib, minDiskGib, antiAffinityHosts, ...request });
        const verdict = decideAdmission(question({}));
        if (verdict.fits !== null) assert.equal(decideAdmission(question(verdict.fits)).allowed, true);
        if (verdict.allowed) assert.deepEqual(verdict.fits, { ...asked });
        for (const key of sizeKeys) {
          if (verdict.largest[key] === 0) continue;
          assert.equal(decideAdmission(question({ [key]: verdict.largest[key] })).allowed, true);
          assert.equal(decideAdmission(question({ [key]: verdict.largest[key] + 1 })).allowed, false);
        }
      }),
      { numRuns: 500 },
    );
  });
});
