import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../src/clock.ts';
import { createSchedule, type Job } from '../../src/jobs/schedule.ts';
import { createLog } from '../../src/log.ts';
import { claimJob, releaseJobs, selectJobs } from '../../src/store/jobs.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';

let database: TestDatabase;
const log = createLog('silent');
before(async () => { database = await createTestDatabase(); });
after(() => database.close());

test('of two portals one holds a job, until it stops, or for as long as its lease', async () => {
  const { db } = database;
  assert.equal(await claimJob(db, 'a', 'one', 1000, 500), true);
  assert.equal(await claimJob(db, 'a', 'two', 1400, 500), false);
  assert.equal(await claimJob(db, 'a', 'one', 1400, 500), true);
  assert.equal(await claimJob(db, 'a', 'two', 1800, 500), false);
  assert.equal(await claimJob(db, 'a', 'two', 1901, 500), true);
  await releaseJobs(db, 'two');
  assert.equal(await claimJob(db, 'a', 'three', 1902, 500), true);
});

test('of twenty portals at one moment one wins', async () => {
  const wins = await Promise.all(Array.from({ length: 20 }, () => claimJob(database.db, 'race', randomUUID(), 5000, 500)));
  assert.equal(wins.filter(Boolean).length, 1);
});

test('no overlap, one portal at a time, and a failure is written down', async () => {
  const deps = { db: database.db, clock: systemClock, log };
  let now = 0;
  let most = 0;
  const runs = { first: 0, second: 0 };
  const slow = (who: 'first' | 'second'): Job => ({
    name: 'slow',
    every: 50,
    async run() {
      runs[who]++;
      most = Math.max(most, ++now);
      await delay(120);
      now--;
      if (runs[who] === 2) throw new Error('a bad day');
    },
  });
  const first = createSchedule(deps, [slow('first')], 'first');
  const second = createSchedule(deps, [slow('second')], 'second');
  first.start();
  await delay(100);
  second.start();
  await delay(500);
  assert.equal(most, 1);
  assert.equal(runs.second, 0);
  assert.ok(runs.first >= 3 && runs.first <= 5, `${runs.first} runs`);
  await first.stop();
  const stoppedAt = runs.first;
  await delay(250);
  assert.equal(runs.first, stoppedAt);
  assert.ok(runs.second >= 1, 'the other portal takes over at once');
  await delay(200);
  assert.ok(runs.second >= 2);
  await second.stop();
  const row = (await selectJobs(database.db)).find((job) => job.name === 'slow');
  assert.equal(row?.leaseOwner, null);
});

test('an error is kept for the admin, and a job that runs everywhere needs no lease', async () => {
  const deps = { db: database.db, clock: systemClock, log };
  let runs = 0;
  const schedule = createSchedule(deps, [
    { name: 'bad', every: 60_000, run: () => Promise.reject(new Error('a bad day')) },
    { name: 'here', every: 60_000, everywhere: true, run: async () => { runs++; } },
  ], 'me');
  schedule.start();
  for (let wait = 0; wait < 50 && (await selectJobs(database.db)).find((job) => job.name === 'bad')?.error == null; wait++) await delay(20);
  await schedule.stop();
  const jobs = await selectJobs(database.db);
  assert.equal(jobs.find((job) => job.name === 'bad')?.error, 'a bad day');
  assert.equal(jobs.find((job) => job.name === 'here'), undefined);
  assert.equal(runs, 1);
});
