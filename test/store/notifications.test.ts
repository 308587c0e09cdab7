import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { say } from '../../src/errors.ts';
import type { Database, Db } from '../../src/store/db.ts';
import { claimDelivery, deleteNotificationsBefore, insertNotification, selectDueDeliveries, updateDeliveryFailed } from '../../src/store/notifications.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';

const now = 1_800_000_000_000;
const leaseMs = 90_000;
let database: TestDatabase;
let db: Database;
before(async () => {
  database = await createTestDatabase();
  ({ db } = database);
});
after(() => database.close());

async function insertOne(targets = 1): Promise<void> {
  await db.transaction((tx) => insertNotification(tx, { id: randomUUID(), kind: 'incidents', at: now, content: { groups: [] } }, Array.from({ length: targets }, () => ({ kind: 'mail', id: randomUUID() }))));
}

describe('a delivery', () => {
  it('that one portal has just failed with is not tried at once by another that had found it before', async () => {
    await insertOne();
    const [first, second] = [randomUUID(), randomUUID()];
    const [due] = await selectDueDeliveries(db, now, 10);
    assert.ok(due);
    assert.equal(await claimDelivery(db, due.id, first, now, leaseMs), true);
    assert.equal(await claimDelivery(db, due.id, second, now, leaseMs), false, 'somebody has it');
    await updateDeliveryFailed(db, due.id, first, say('alerts.delivery.no-answer', { reason: 'x' }), now + 15_000, now);
    assert.equal(await claimDelivery(db, due.id, second, now + 1000, leaseMs), false, 'its time has not come');
    assert.equal(await claimDelivery(db, due.id, second, now + 15_000, leaseMs), true);
    assert.deepEqual(await db.query('SELECT attempts FROM deliveries'), [{ attempts: 2 }]);
  });
});

describe('a notification', () => {
  it('goes with its deliveries, never many rows in a statement', async () => {
    await insertOne(25);
    let most = 0;
    const watched: Db = {
      query: (sql, params) => db.query(sql, params),
      async execute(sql, params) {
        const result = await db.execute(sql, params);
        most = Math.max(most, result.affectedRows);
        return result;
      },
    };
    assert.equal(await deleteNotificationsBefore(watched, now + 1, 10), 2);
    assert.ok(most <= 10, String(most));
    assert.deepEqual(await db.query('SELECT id FROM deliveries'), []);
    assert.deepEqual(await db.query('SELECT id FROM notifications'), []);
  });
});
