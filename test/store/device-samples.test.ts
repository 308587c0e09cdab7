import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { insertDeviceSamples, selectDeviceSampleRange, selectSampleDevices, upsertSampleDevices } from '../../src/store/device-samples.ts';
import { deleteSamples } from '../../src/store/samples.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';

const now = 1_800_000_000_000;
let database: TestDatabase;
before(async () => { database = await createTestDatabase(); });
after(() => database.close());

test('a device has a row a minute, and its own', async () => {
  const { db } = database;
  const disk = { subjectId: 1, device: 0, readBytesPerSecond: 1, writeBytesPerSecond: 2, readOpsPerSecond: 3, writeOpsPerSecond: 4, dropsPerSecond: null, allocationMib: 500 };
  await insertDeviceSamples(db, [{ ...disk, at: now - 60_000 }, { ...disk, at: now, allocationMib: 501 }, { subjectId: 1, device: 16, at: now, dropsPerSecond: 7 }]);
  await insertDeviceSamples(db, [{ ...disk, at: now + 10_000, allocationMib: 502 }]);
  const samples = await selectDeviceSampleRange(db, 1, 0, now - 120_000, now + 60_000);
  assert.deepEqual(samples.map(({ at, allocationMib }) => [at, allocationMib]), [[now - 60_000, 500], [now + 10_000, 502]]);
  assert.deepEqual(samples[0], { ...disk, at: now - 60_000 });
  assert.equal((await selectDeviceSampleRange(db, 1, 16, 0, now))[0]?.dropsPerSecond, 7);
});

test('a device’s name is the last one given, and goes with the samples', async () => {
  const { db } = database;
  await upsertSampleDevices(db, [{ subjectId: 2, device: 16, name: '52:54:00:00:00:01' }, { subjectId: 2, device: 0, name: 'vda' }], now);
  await upsertSampleDevices(db, [{ subjectId: 2, device: 0, name: 'sda' }], now + 1);
  assert.deepEqual(await selectSampleDevices(db, 2), [
    { device: 0, kind: 'disk', name: 'sda', seenAt: now + 1 },
    { device: 16, kind: 'interface', name: '52:54:00:00:00:01', seenAt: now },
  ]);
  await insertDeviceSamples(db, [{ subjectId: 2, device: 31, at: now }]);
  await deleteSamples(db, 2);
  assert.deepEqual([await selectSampleDevices(db, 2), await selectDeviceSampleRange(db, 2, 31, 0, now)], [[], []]);
});
