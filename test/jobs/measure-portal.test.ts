// The portal's own machine: what this one here really is.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { totalmem } from 'node:os';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../src/clock.ts';
import { createMeasurePortal } from '../../src/jobs/measure-portal.ts';
import { purgeExpired } from '../../src/jobs/purge-expired.ts';
import { createLog } from '../../src/log.ts';
import { clusterOwnerId } from '../../src/model/metric.ts';
import { upsertPortal } from '../../src/store/portals.ts';
import { insertSampleSubject } from '../../src/store/sample-subjects.ts';
import { insertHostSamples, selectHostSampleRange } from '../../src/store/samples.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';

let database: TestDatabase;
before(async () => { database = await createTestDatabase(); });
after(() => database.close());

test('a portal’s machine is measured like a host, with steal and swap', async () => {
  const portal = { id: randomUUID() };
  const measure = createMeasurePortal({ db: database.db, clock: systemClock }, portal);
  const subjectId = await insertSampleSubject(database.db, portal.id, Date.now());
  const latest = async () => (await selectHostSampleRange(database.db, subjectId, 0, Date.now())).at(-1);
  await measure();
  assert.equal((await latest())?.cpuPercent, null, 'one reading is no rate');
  await delay(300);
  await measure();
  const sample = await latest();
  assert.ok(sample !== undefined && sample.up === 1);
  const parts = [sample.cpuUserPercent, sample.cpuSystemPercent, sample.cpuIowaitPercent, sample.cpuStealPercent].map((part) => part ?? NaN);
  assert.ok(parts.every((part) => part >= 0 && part <= 100) && parts.reduce((a, b) => a + b) <= 100.01, String(parts));
  assert.ok(Math.abs((sample.cpuPercent ?? NaN) - (parts[0] ?? 0) - (parts[1] ?? 0)) < 0.01);
  assert.equal(sample.memoryTotalMib, Math.round(totalmem() / 2 ** 20));
  assert.ok((sample.memoryUsedMib ?? 0) > 0 && (sample.memoryUsedMib ?? 0) + (sample.memoryCachedMib ?? 0) <= (sample.memoryTotalMib ?? 0));
  assert.ok(sample.swapUsedMib !== null && sample.swapTotalMib !== null && sample.swapUsedMib <= sample.swapTotalMib);
});

test('what was measured of the cluster and of portals is kept, that of a portal that is forgotten is not', async () => {
  const { db } = database;
  const now = Date.now();
  const known = { id: randomUUID(), name: 'one', url: 'http://127.0.0.1:1', version: '1', leaseOwner: randomUUID() };
  await upsertPortal(db, known);
  const subjects = await Promise.all([clusterOwnerId, known.id, randomUUID()].map((owner) => insertSampleSubject(db, owner, now - 7_200_000)));
  await insertHostSamples(db, subjects.map((subjectId) => ({ subjectId, at: now - 1000, up: 1 as const })));
  await purgeExpired({ db, clock: systemClock, log: createLog('silent') }, new AbortController().signal);
  const left = await Promise.all(subjects.map(async (id) => (await selectHostSampleRange(db, id, 0, now)).length));
  assert.deepEqual(left, [1, 1, 0]);
});
