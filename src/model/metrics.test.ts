import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clusterLoad, hostSample, instanceSample, isStale, ratePerSecond, type HostReading, type InstanceReading } from './metrics.ts';

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

const reading = (change: Partial<InstanceReading> = {}): InstanceReading => ({
  monotonicMs: 0, domainId: 3, vcpus: 2, cpuNs: 50e9, diskReadBytes: 1000, diskWriteBytes: 2000, networkReceiveBytes: 3000, networkTransmitBytes: 4000, memoryUsedMib: 256, ...change,
});
const tenSecondsLater = (change: Partial<InstanceReading> = {}): InstanceReading => reading({
  monotonicMs: 10_000, cpuNs: 60e9, diskReadBytes: 2000, diskWriteBytes: 2000, networkReceiveBytes: 13_000, networkTransmitBytes: 4010, ...change,
});
const rates = (sample: ReturnType<typeof instanceSample>) => [
  sample.cpuPercent, sample.diskReadBytesPerSecond, sample.diskWriteBytesPerSecond, sample.networkReceiveBytesPerSecond, sample.networkTransmitBytesPerSecond,
];

test('an instance’s CPU % is of all its vCPUs', () => {
  assert.deepEqual(rates(instanceSample(reading(), tenSecondsLater(), 1, 7)), [50, 100, 0, 1000, 1]);
});

test('the first reading, another run and a lower counter give no rate', () => {
  assert.deepEqual(rates(instanceSample(undefined, reading(), 1, 7)), [null, null, null, null, null]);
  assert.equal(instanceSample(undefined, reading(), 1, 7).memoryUsedMib, 256);
  // a restart between two polls: a new id, although every counter may already be higher than before
  assert.deepEqual(rates(instanceSample(reading(), tenSecondsLater({ domainId: 4 }), 1, 7)), [null, null, null, null, null]);
  assert.deepEqual(rates(instanceSample(reading(), tenSecondsLater({ networkReceiveBytes: 5 }), 1, 7)), [50, 100, 0, null, 1]);
});

test('a percent stays between 0 and 100', () => {
  assert.equal(instanceSample(reading(), tenSecondsLater({ cpuNs: 90e9 }), 1, 7).cpuPercent, 100);
});

const host = (change: Partial<HostReading> = {}): HostReading => ({ monotonicMs: 0, busyNs: 100, totalNs: 1000, memoryUsedMib: 1, memoryTotalMib: 2, ...change });

test('a host’s CPU % is busy time of all time', () => {
  assert.equal(hostSample(host(), host({ busyNs: 150, totalNs: 1200 }), 1, 7).cpuPercent, 25);
  assert.equal(hostSample(undefined, host(), 1, 7).cpuPercent, null);
  assert.equal(hostSample(host(), host(), 1, 7).cpuPercent, null);
  // after a reboot
  assert.equal(hostSample(host(), host({ busyNs: 10, totalNs: 90 }), 1, 7).cpuPercent, null);
  assert.equal(hostSample(host(), host({ busyNs: 10, totalNs: 2000 }), 1, 7).cpuPercent, null);
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
