import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { selectSnapshot, upsertSnapshot } from '../../src/store/snapshots.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';

let database: TestDatabase;
before(async () => { database = await createTestDatabase(); });
after(() => database.close());

test('a snapshot is the newest one written, whatever came last', async () => {
  const { db } = database;
  assert.equal(await selectSnapshot(db, 'top'), undefined);
  await upsertSnapshot(db, 'top', { names: ['核心'] }, 2000);
  await upsertSnapshot(db, 'top', { names: ['late'] }, 1000);
  assert.deepEqual(await selectSnapshot(db, 'top'), { at: 2000, value: { names: ['核心'] } });
  await upsertSnapshot(db, 'top', {}, 3000);
  assert.deepEqual(await selectSnapshot(db, 'top'), { at: 3000, value: {} });
  await assert.rejects(upsertSnapshot(db, 'top', 'x'.repeat(20_000), 4000), RangeError);
});
