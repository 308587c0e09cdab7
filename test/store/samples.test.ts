import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  deleteSamples, insertHostSamples, insertInstanceSamples, insertPoolSamples, selectHostMeans, selectHostSampleRange, selectHostSampleRanges, selectInstanceSampleRange,
  selectLastHostSamples, selectLatestHostSamples, selectLatestInstanceSamples, selectPoolMeans, slotOf,
} from '../../src/store/samples.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';

const now = 1_800_000_000_000;
const turnMs = 7_200_000;
let database: TestDatabase;
before(async () => { database = await createTestDatabase(); });
after(() => database.close());

function sample(subjectId: number, at: number, cpuPercent: number | null = 10) {
  return {
    subjectId, at, cpuPercent, detailAt: at - 5000, memoryUsedMib: 100, memoryAvailableMib: 412, diskReadBytesPerSecond: 1.5, diskWriteBytesPerSecond: null,
    diskReadOpsPerSecond: 2, diskWriteOpsPerSecond: null, diskAllocationMib: 3_000_000, networkReceiveBytesPerSecond: 0, networkTransmitBytesPerSecond: 3e9,
    networkReceivePacketsPerSecond: 0, networkTransmitPacketsPerSecond: 250_000, networkDropsPerSecond: 0.25,
  };
}

test('a slot is 10 s of a turn of two hours', () => {
  assert.equal(slotOf(now + turnMs), slotOf(now));
  assert.equal(slotOf(now + 10_000), (slotOf(now) + 1) % 720);
});

test('the latest is the newest of the last minute, and a repeated write is one row', async () => {
  await insertInstanceSamples(database.db, [sample(1, now - 20_000), sample(1, now - 10_000, 42.5), sample(2, now - 120_000)]);
  await insertInstanceSamples(database.db, [sample(1, now - 10_000, 42.5)]);
  const latest = await selectLatestInstanceSamples(database.db, [1, 2, 3], now);
  assert.deepEqual([...latest.keys()], [1]);
  assert.deepEqual(latest.get(1), sample(1, now - 10_000, 42.5));
  const [rows] = await database.db.query<{ n: number }>('SELECT COUNT(*) AS n FROM instance_samples WHERE subject_id = 1');
  assert.equal(rows?.n, 2);
});

test('a value of the turn before is never taken for a new one', async () => {
  await insertInstanceSamples(database.db, [sample(7, now - turnMs)]);
  assert.equal((await selectLatestInstanceSamples(database.db, [7], now)).size, 0);
  assert.equal((await selectInstanceSampleRange(database.db, 7, now - 60_000, now)).length, 0);
});

test('a ring never grows past one turn', async () => {
  const samples = Array.from({ length: 900 }, (_, index) => sample(9, now + index * 10_000, index));
  await insertInstanceSamples(database.db, samples);
  const range = await selectInstanceSampleRange(database.db, 9, 0, now + 9_000_000);
  assert.equal(range.length, 720);
  assert.equal(range.at(-1)?.cpuPercent, 899);
  assert.equal(range[0]?.cpuPercent, 180);
  await deleteSamples(database.db, 9);
  assert.equal((await selectInstanceSampleRange(database.db, 9, 0, now + 9_000_000)).length, 0);
});

test('means leave out what was not measured and what is outside the window', async () => {
  const host = (at: number, cpuPercent: number | null) => ({ subjectId: 20, at, cpuPercent, memoryUsedMib: 512, memoryTotalMib: 1024 });
  await insertHostSamples(database.db, [host(now - 200_000, 100), host(now - 30_000, 20), host(now - 20_000, null), host(now - 10_000, 40)]);
  const means = await selectHostMeans(database.db, [20, 21], now - 120_000, now);
  assert.deepEqual([...means], [[20, { firstAt: now - 30_000, cpuPercent: 30, memoryUsedMib: 512, memoryTotalMib: 1024 }]]);
  assert.equal((await selectLatestHostSamples(database.db, [20], now)).get(20)?.cpuPercent, 40);
  assert.equal((await selectHostMeans(database.db, [], 0, now)).size, 0);
  await insertPoolSamples(database.db, [{ subjectId: 30, at: now, capacityBytes: 8e14, availableBytes: 2e14 }]);
  assert.deepEqual((await selectPoolMeans(database.db, [30], now - 60_000, now)).get(30), { capacityBytes: 8e14, availableBytes: 2e14 });
});

test('what says that a host did not answer is in its history, and never taken for a measurement', async () => {
  const measured = { subjectId: 40, at: now - 20_000, up: 1 as const, cpuPercent: 50, cpuUserPercent: 30, cpuSystemPercent: 20, cpuIowaitPercent: 5, memoryUsedMib: 1, memoryTotalMib: 2, memoryCachedMib: 1 };
  await insertHostSamples(database.db, [measured, { subjectId: 40, at: now - 10_000, up: 0 }, { subjectId: 41, at: now - 10_000, up: 0 }]);
  for (const samples of [await selectLatestHostSamples(database.db, [40, 41], now), await selectLastHostSamples(database.db, [40, 41], now)]) {
    assert.deepEqual([...samples], [[40, { ...measured, cpuStealPercent: null, swapUsedMib: null, swapTotalMib: null }]]);
  }
  assert.deepEqual([...(await selectHostMeans(database.db, [40, 41], now - 60_000, now)).keys()], [40]);
  assert.equal((await selectHostSampleRanges(database.db, [40], now - 60_000, now)).get(40)?.length, 1);
  assert.deepEqual((await selectHostSampleRange(database.db, 40, now - 60_000, now)).map(({ up, cpuPercent }) => [up, cpuPercent]), [[1, 50], [0, null]]);
});
