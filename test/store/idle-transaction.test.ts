// A portal that stands still in the middle of a transaction: its machine hangs, its process is stopped. What it has locked is
// free again within seconds, and its work is done once, by itself, when it goes on.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openDatabase, type Database } from '../../src/store/db.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';

let database: TestDatabase;
let hanging: Database;
before(async () => {
  database = await createTestDatabase();
  hanging = openDatabase([database.url]);
});
after(async () => {
  await hanging.close();
  await database.close();
});

test('locks of a transaction that nobody goes on with are given up, and it is run again', async () => {
  const { db } = database;
  await db.execute("INSERT INTO jobs (name, lease_until) VALUES ('locked', 0)");
  const add = 'UPDATE jobs SET lease_until = lease_until + ? WHERE name = ?';
  let goOn: () => void = () => undefined;
  const stoodStill = new Promise<void>((resolve) => { goOn = resolve; });
  let isLocked: () => void = () => undefined;
  const locked = new Promise<void>((resolve) => { isLocked = resolve; });
  let runs = 0;
  const stopped = hanging.transaction(async (tx) => {
    runs++;
    await tx.execute(add, [1, 'locked']);
    isLocked();
    await stoodStill;
    await tx.execute(add, [10, 'locked']);
  });
  await locked;
  const began = performance.now();
  await db.execute(add, [100, 'locked']);
  const waitedMs = performance.now() - began;
  assert.ok(waitedMs < 9000, `${Math.round(waitedMs)} ms`);
  goOn();
  await stopped;
  assert.equal(runs, 2);
  assert.deepEqual((await db.query<{ n: number }>("SELECT lease_until AS n FROM jobs WHERE name = 'locked'")).map(({ n }) => n), [111]);
});
