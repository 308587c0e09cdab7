import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../src/clock.ts';
import { createSchedule as newSchedule, type Job, type Schedule } from '../../src/jobs/schedule.ts';
import { createLog } from '../../src/log.ts';
import { claimJob, releaseJobs, selectJobs, updateJobEnded } from '../../src/store/jobs.ts';
import { clockMarginMs } from '../../src/store/lease-watch.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';

async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  for (const end = Date.now() + 20_000; !(await holds()); await delay(10)) if (Date.now() > end) assert.fail(`not within 20 s: ${what}`);
}

let database: TestDatabase;
const log = createLog('silent');
/** all that were made, for whatever becomes of their test: one that goes on keeps its process */
const schedules: Schedule[] = [];
function createSchedule(...how: Parameters<typeof newSchedule>): Schedule {
  const schedule = newSchedule(...how);
  schedules.push(schedule);
  return schedule;
}
afterEach(() => Promise.all(schedules.splice(0).map((schedule) => schedule.stop())));
before(async () => { database = await createTestDatabase(); });
after(() => database.close());

test('of two portals one holds a job, until it stops, or for as long as its lease and what clocks may differ', async () => {
  const { db } = database;
  const at = (now: number): { now: number; leaseMs: number } => ({ now, leaseMs: 500 });
  assert.equal(await claimJob(db, 'a', 'one', at(1000)), true);
  assert.equal(await claimJob(db, 'a', 'two', at(1400)), false);
  assert.equal(await claimJob(db, 'a', 'one', at(1400)), true);
  assert.equal(await claimJob(db, 'a', 'two', at(1900 + clockMarginMs)), false);
  assert.equal(await claimJob(db, 'a', 'two', at(1901 + clockMarginMs)), true);
  await releaseJobs(db, 'two');
  assert.equal(await claimJob(db, 'a', 'three', at(1902)), true);
});

test('what has run is not run again in the same period, wherever; what did not end is', async () => {
  const { db } = database;
  const at = (now: number): { now: number; leaseMs: number; notWithinMs: number } => ({ now, leaseMs: 500, notWithinMs: 30_000 });
  assert.equal(await claimJob(db, 'rare', 'one', at(100_000)), true);
  assert.equal(await claimJob(db, 'rare', 'one', at(100_000)), true, 'repeated after a lost answer');
  await updateJobEnded(db, 'rare', 'one', 100_100, null);
  await releaseJobs(db, 'one');
  assert.equal(await claimJob(db, 'rare', 'two', at(97_000)), false, 'by a clock that is behind');
  assert.equal(await claimJob(db, 'rare', 'two', at(129_000)), false);
  assert.equal(await claimJob(db, 'rare', 'two', at(131_000)), true);
  await releaseJobs(db, 'two');
  assert.equal(await claimJob(db, 'rare', 'one', at(132_000)), true, 'its run did not end');
});

test('of twenty portals at one moment one wins', async () => {
  const wins = await Promise.all(Array.from({ length: 20 }, () => claimJob(database.db, 'race', randomUUID(), { now: 5000, leaseMs: 500 })));
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
  // whoever stops lets go of it: nobody waits for this lease
  const leaseMs = 600_000;
  const first = createSchedule(deps, [slow('first')], 'first', { leaseMs });
  const second = createSchedule(deps, [slow('second')], 'second', { leaseMs });
  const began = performance.now();
  first.start();
  await until('the first portal has it', () => runs.first >= 1);
  second.start();
  await until('it runs again and again, also after a failure', () => runs.first >= 4);
  assert.ok(performance.now() - began >= 3 * 115, 'one run after the other');
  assert.equal(runs.second, 0);
  await first.stop();
  const stoppedAt = runs.first;
  await until('the other portal takes over, and goes on', () => runs.second >= 3);
  assert.equal(runs.first, stoppedAt);
  assert.equal(most, 1);
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
  await until('both have run', async () => runs > 0 && (await selectJobs(database.db)).find((job) => job.name === 'bad')?.error != null);
  await schedule.stop();
  const jobs = await selectJobs(database.db);
  assert.equal(jobs.find((job) => job.name === 'bad')?.error, 'a bad day');
  assert.equal(jobs.find((job) => job.name === 'here'), undefined);
  assert.equal(runs, 1);
});

test('a dead portal’s job comes over within its lease, whatever the clocks say, and runs at once', async () => {
  const { db } = database;
  const now = Date.now();
  // its clock was an hour ahead; it died in its run
  await claimJob(db, 'orphan', 'dead', { now: now + 3_600_000, leaseMs: 1000 });
  const ranAt: number[] = [];
  const schedule = createSchedule({ db, clock: systemClock, log }, [{ name: 'orphan', every: 600_000, run: async () => void ranAt.push(Date.now()) }], 'alive', { leaseMs: 1000 });
  schedule.start();
  await until('it runs', () => ranAt.length > 0);
  await schedule.stop();
  assert.equal(ranAt.length, 1);
  assert.ok((ranAt[0] ?? 0) - now >= 1000, 'not before it stood still for a lease');
});

test('a run whose lease is taken, or cannot be renewed, is told to stop', async () => {
  const { db } = database;
  let answers: Promise<void> | undefined;
  let answer: () => void = () => undefined;
  const slow: typeof db = { ...db, execute: async (sql, params) => (await answers, db.execute(sql, params)) };
  for (const how of ['taken', 'hanging'] as const) {
    const name = `long-${how}`;
    let [runs, stopped] = [0, false];
    const job: Job = { name, every: 500, run: (signal) => new Promise((resolve) => { runs++; signal.addEventListener('abort', () => { stopped = true; resolve(); }); }) };
    const schedule = createSchedule({ db: slow, clock: systemClock, log }, [job], 'slow', { leaseMs: 2000 });
    schedule.start();
    try {
      await until('it runs', () => runs > 0);
      if (how === 'taken') await db.execute('UPDATE jobs SET lease_owner = ?, lease_until = ? WHERE name = ?', ['other', Date.now() + 60_000, name]);
      else answers = new Promise((resolve) => { answer = resolve; });
      await until(`it is told: ${how}`, () => stopped);
    } finally {
      answer();
    }
    await schedule.stop();
  }
});

test('a run is not begun when its claim is answered after the lease', async () => {
  const { db } = database;
  let isLate = true;
  const late: typeof db = {
    ...db,
    async execute(sql, params) {
      const result = await db.execute(sql, params);
      if (isLate && sql.startsWith('UPDATE jobs SET lease_owner')) await delay(1200);
      return result;
    },
  };
  let [runs, refused] = [0, 0];
  const schedule = createSchedule({ db: late, clock: systemClock, log }, [{ name: 'late', every: 300, run: async (signal) => { runs++; if (signal.aborted) refused++; } }], 'late', { leaseMs: 500 });
  schedule.start();
  await until('it is claimed', async () => (await selectJobs(db)).some(({ name, leaseOwner }) => name === 'late' && leaseOwner === 'late'));
  await delay(1500);
  assert.equal(runs, 0);
  isLate = false;
  await until('it runs when claims are answered in time', () => runs - refused > 0);
  assert.equal(refused, 0);
  await schedule.stop();
});

test('a dead portal’s job comes over while this one’s own renewals hang', async () => {
  const { db } = database;
  await claimJob(db, 'while-hanging', 'dead', { now: Date.now(), leaseMs: 1000 });
  let answer: () => void = () => undefined;
  const answers = new Promise<void>((resolve) => { answer = resolve; });
  const hanging: typeof db = {
    ...db,
    async execute(sql, params) {
      if (sql.startsWith('UPDATE jobs SET lease_until')) await answers;
      return db.execute(sql, params);
    },
  };
  let runs = 0;
  const schedule = createSchedule({ db: hanging, clock: systemClock, log }, [{ name: 'while-hanging', every: 600_000, run: async () => void runs++ }], 'alive', { leaseMs: 1000 });
  schedule.start();
  await until('it runs', () => runs > 0).finally(answer);
  await schedule.stop();
  assert.equal(runs, 1);
});

test('where another portal has a job, what it has to know for it is kept up', async () => {
  const deps = { db: database.db, clock: systemClock, log };
  const did: Record<string, number> = {};
  const count = (what: string) => async (): Promise<void> => { did[what] = (did[what] ?? 0) + 1; };
  const [first, second] = ['first', 'second'].map((who) => createSchedule(deps, [{ name: 'watched', every: 50, run: count(`${who} runs`), standBy: count(`${who} stands by`) }], who));
  first?.start();
  await until('the first has it', () => (did['first runs'] ?? 0) > 0);
  second?.start();
  await until('the second keeps it up', () => (did['second stands by'] ?? 0) >= 3);
  assert.deepEqual(Object.keys(did).sort(), ['first runs', 'second stands by']);
  await first?.stop();
  await until('the second takes over', () => (did['second runs'] ?? 0) >= 1);
  await second?.stop();
});
