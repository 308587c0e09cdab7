import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  clusterLoad, clusterSample, hostSample, instanceDetail, instanceSample, isStale, ratePerSecond, totalRate, type DetailReading, type DeviceCounters, type HostReading, type InstanceReading,
} from './metrics.ts';

test('a rate is over the time that really passed', () => {
  const table: readonly (readonly [before: number | null, after: number | null, elapsedMs: number, rate: number | null])[] = [
    [0, 1000, 10_000, 100],
    [0, 1000, 12_500, 80],
    [500, 500, 10_000, 0],
    [1000, 900, 10_000, null],
    [null, 900, 10_000, null],
    [900, null, 10_000, null],
    [0, 1000, 0, null],
    [0, 1000, -5, null],
    [0, 1000, 50, null],
  ];
  for (const [before, after, elapsedMs, rate] of table) assert.equal(ratePerSecond(before, after, elapsedMs), rate);
});

const nic = (change: Partial<DeviceCounters> = {}): DeviceCounters => ({ name: 'vnet1', readBytes: 3000, writeBytes: 4000, readOps: 30, writeOps: 40, drops: 5, allocationMib: null, ...change });
const disk = (change: Partial<DeviceCounters> = {}): DeviceCounters => ({ name: 'vda', readBytes: 1000, writeBytes: 2000, readOps: 10, writeOps: 20, drops: null, allocationMib: 700, ...change });
const reading = (change: Partial<InstanceReading> = {}): InstanceReading => ({ monotonicMs: 0, domainId: 3, vcpus: 2, cpuNs: 50e9, interfaces: [nic()], ...change });
const tenSecondsLater = (change: Partial<InstanceReading> = {}): InstanceReading => reading({
  monotonicMs: 10_000, cpuNs: 60e9, interfaces: [nic({ readBytes: 13_000, writeBytes: 4010, readOps: 130, writeOps: 40, drops: 6 })], ...change,
});
const detail = (change: Partial<DetailReading> = {}): DetailReading => ({ monotonicMs: 0, at: 1000, domainId: 3, memoryUsedMib: 256, memoryAvailableMib: 128, disks: [disk()], interfaces: [nic()], ...change });
const minuteLater = (change: Partial<DetailReading> = {}): DetailReading => detail({ monotonicMs: 60_000, at: 61_000, disks: [disk({ readBytes: 7000, readOps: 70, allocationMib: 701 })], ...change });
const about = { subjectId: 1, at: 7, detailMaxAgeMs: 90_000 };
const rates = (sample: ReturnType<typeof instanceSample>) => [
  sample.cpuPercent, sample.networkReceiveBytesPerSecond, sample.networkTransmitBytesPerSecond, sample.networkReceivePacketsPerSecond, sample.networkTransmitPacketsPerSecond, sample.networkDropsPerSecond,
];

test('an instance’s CPU % is of all its vCPUs', () => {
  assert.deepEqual(rates(instanceSample(reading(), tenSecondsLater(), undefined, about)), [50, 1000, 1, 10, 0, 0.1]);
});

test('the first reading, another run and a lower counter give no rate', () => {
  assert.deepEqual(rates(instanceSample(undefined, reading(), undefined, about)), [null, null, null, null, null, null]);
  // a restart between two polls: a new id, although every counter may already be higher than before
  assert.deepEqual(rates(instanceSample(reading(), tenSecondsLater({ domainId: 4 }), undefined, about)), [null, null, null, null, null, null]);
  assert.deepEqual(rates(instanceSample(reading(), tenSecondsLater({ interfaces: [nic({ readBytes: 5, readOps: 130, drops: 6 })] }), undefined, about)), [50, null, 0, 10, 0, 0.1]);
});

test('a percent stays between 0 and 100', () => {
  assert.equal(instanceSample(reading(), tenSecondsLater({ cpuNs: 90e9 }), undefined, about).cpuPercent, 100);
});

test('a device that is put in or taken out bends no total', () => {
  const [a, b] = [nic({ name: 'a' }), nic({ name: 'b' })];
  const grown = nic({ name: 'b', readBytes: 4000 });
  assert.equal(totalRate([a, b], [grown], 'readBytes', 10_000), 100);
  assert.equal(totalRate([b], [nic({ name: 'new', readBytes: 9e9 }), grown], 'readBytes', 10_000), 100);
  assert.equal(totalRate([a], [b], 'readBytes', 10_000), null);
  assert.equal(totalRate([], [], 'readBytes', 10_000), null);
  assert.equal(totalRate([a, b], [a, nic({ name: 'b', readBytes: 1 })], 'readBytes', 10_000), null, 'one began anew');
  assert.equal(totalRate([a, nic({ name: 'cd', readBytes: null })], [a, nic({ name: 'cd', readBytes: null })], 'readBytes', 10_000), 0, 'one that never tells');
});

test('rates of what is dear to ask for are over the time between its own readings', () => {
  const { values, devices, isRated } = instanceDetail(detail(), minuteLater());
  assert.equal(isRated, true);
  assert.deepEqual(values, {
    detailAt: 61_000, memoryUsedMib: 256, memoryAvailableMib: 128, diskReadBytesPerSecond: 100, diskWriteBytesPerSecond: 0, diskReadOpsPerSecond: 1, diskWriteOpsPerSecond: 0, diskAllocationMib: 701,
  });
  assert.deepEqual(devices.map((device) => [device.device, device.name, device.readBytesPerSecond, device.dropsPerSecond, device.allocationMib]), [[0, 'vda', 100, null, 701], [16, 'vnet1', 0, 0, null]]);
  const other = instanceDetail(detail({ domainId: 2 }), minuteLater());
  assert.deepEqual([other.isRated, other.values.diskReadBytesPerSecond, other.values.memoryUsedMib], [false, null, 256]);
});

test('dear values are carried with their age while they are worth it, and never into another run', () => {
  const known = instanceDetail(detail(), minuteLater());
  const sampled = (monotonicMs: number, domainId = 3) => {
    const { detailAt, memoryUsedMib, diskReadBytesPerSecond } = instanceSample(undefined, reading({ monotonicMs, domainId }), known, about);
    return [detailAt, memoryUsedMib, diskReadBytesPerSecond];
  };
  assert.deepEqual(sampled(70_000), [61_000, 256, 100]);
  assert.deepEqual(sampled(150_000), [61_000, 256, 100]);
  assert.deepEqual(sampled(150_001), [null, null, null]);
  assert.deepEqual(sampled(70_000, 4), [null, null, null]);
});

const second = 1e9;
const host = (change: Partial<HostReading> = {}): HostReading => ({
  monotonicMs: 0, userNs: 100 * second, systemNs: 50 * second, iowaitNs: 10 * second, idleNs: 1000 * second, stealNs: null, memoryUsedMib: 1, memoryTotalMib: 4, memoryCachedMib: 2, swapUsedMib: null, swapTotalMib: null, ...change,
});
const hostRates = (before: HostReading | undefined, after: HostReading) => {
  const sample = hostSample(before, after, 1, 7);
  return [sample.cpuPercent, sample.cpuUserPercent, sample.cpuSystemPercent, sample.cpuIowaitPercent];
};

test('a host’s CPU % is busy time of all time', () => {
  const later = host({ userNs: 102 * second, systemNs: 51 * second, iowaitNs: 11 * second, idleNs: 1006 * second });
  assert.deepEqual(hostRates(host(), later), [30, 20, 10, 10]);
  assert.deepEqual(hostRates(undefined, later), [null, null, null, null]);
  assert.deepEqual(hostRates(host(), host()), [null, null, null, null]);
  // after a reboot
  assert.deepEqual(hostRates(host(), host({ userNs: second, systemNs: second, idleNs: 9 * second })), [null, null, null, null]);
  assert.deepEqual(hostRates(host(), host({ userNs: second, systemNs: second, idleNs: 2000 * second })), [null, null, null, null]);
  // the kernel takes a little of it back
  assert.deepEqual(hostRates(host(), host({ userNs: 101 * second, iowaitNs: 9.9 * second, idleNs: 1009 * second })), [10, 10, 0, 0]);
  const stolen = hostSample(host({ stealNs: 0 }), host({ userNs: 102 * second, stealNs: 2 * second, idleNs: 1006 * second }), 1, 7);
  assert.deepEqual([stolen.cpuPercent, stolen.cpuStealPercent, hostSample(host(), later, 1, 7).cpuStealPercent], [20, 20, null]);
  assert.deepEqual([hostSample(undefined, host(), 1, 7).up, hostSample(undefined, host(), 1, 7).memoryCachedMib], [1, 2]);
});

test('the cluster is its hosts weighed by their CPUs, and the sum of their memory', () => {
  const of = (cpus: number, cpuPercent: number | null, memoryUsedMib: number | null) => ({ cpus, sample: { ...hostSample(undefined, host(), 9, 1), cpuPercent, cpuIowaitPercent: cpuPercent, memoryUsedMib } });
  const sample = clusterSample([of(30, 100, 300), of(10, 0, 100), of(8, null, null)], 5, 70);
  assert.deepEqual([sample.subjectId, sample.at, sample.up, sample.cpuPercent, sample.cpuIowaitPercent, sample.cpuUserPercent], [5, 70, 1, 75, 75, null]);
  assert.deepEqual([sample.memoryUsedMib, sample.memoryTotalMib, sample.memoryCachedMib, sample.swapTotalMib], [400, 12, 6, null]);
  assert.deepEqual([clusterSample([], 5, 70).up, clusterSample([], 5, 70).memoryUsedMib], [0, null]);
});

test('the cluster’s load weighs hosts by their size and leaves out what was not measured', () => {
  const big = { cpus: 30, cpuPercent: 100, memoryUsedMib: 300, memoryTotalMib: 400 };
  const small = { cpus: 10, cpuPercent: 0, memoryUsedMib: 0, memoryTotalMib: 200 };
  const silent = { cpus: 10, cpuPercent: null, memoryUsedMib: null, memoryTotalMib: null };
  assert.deepEqual(clusterLoad([big, small, silent], [{ capacityBytes: 800, availableBytes: 740 }]), { cpuPercent: 75, memoryPercent: 50, storagePercent: 7.5 });
  assert.deepEqual(clusterLoad([silent], []), { cpuPercent: null, memoryPercent: null, storagePercent: null });
});

test('past two polling periods a figure is stale', () => {
  assert.equal(isStale(0, 20_000, 10_000), false);
  assert.equal(isStale(0, 20_001, 10_000), true);
});
