// The audit log when it is long: what is old is deleted in batches, and one user's entries are found by an index. On a real database.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { deleteAuditBefore, selectAuditPage } from '../../src/store/audit.ts';
import { createTestDatabase, databaseEngine, type TestDatabase } from '../helpers/database.ts';

const total = 3000;
let database: TestDatabase;
before(async () => {
  database = await createTestDatabase();
  const { db } = database;
  // entry i is of user i % 100
  const rows = Array.from({ length: total }, (_, i) => [crypto.randomUUID(), 1000 + i, `user${i % 100}`, 'instance.create', 'vm', '192.0.2.1', 'ok', '']);
  for (let start = 0; start < total; start += 500) {
    const some = rows.slice(start, start + 500);
    await db.execute(`INSERT INTO audit (id, at, user_name, action, target, ip, result, detail) VALUES ${some.map(() => '(?, ?, ?, ?, ?, ?, ?, ?)').join(', ')}`, some.flat());
  }
});
after(() => database.close());

it('one user’s are found by an index, newest first', async () => {
  const { db } = database;
  const { entries, total: found } = await selectAuditPage(db, { userName: 'user7' }, 10, 0);
  assert.deepEqual([entries.length, entries[0]?.at, found], [10, 1000 + total - 100 + 7, total / 100]);
  const plan = JSON.stringify(await db.query('EXPLAIN SELECT id, at, detail FROM audit WHERE user_name = ? ORDER BY at DESC, id DESC LIMIT 50', ['user7']));
  assert.match(plan, /user_name_at/);
  if (databaseEngine() === 'innodb') assert.doesNotMatch(plan, /filesort|Sort:/);
});

it('old ones are deleted a batch at a time; again it finds none', async () => {
  const { db } = database;
  const deleted: number[] = [];
  for (let run = 0; run < 4; run++) deleted.push(await deleteAuditBefore(db, 2000, 400));
  assert.deepEqual(deleted, [400, 400, 200, 0]);
  const { total: left } = await selectAuditPage(db, {}, 1, 0);
  assert.equal(left, total - 1000);
});
