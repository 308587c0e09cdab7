import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { say } from '../../src/errors.ts';
import type { Database } from '../../src/store/db.ts';
import {
  claimDelivery, countWaitingDeliveries, deleteNotificationsBefore, giveUpWaitingDeliveries, insertNotification, selectDeliveriesPage, selectDueDeliveries, updateDeliveryFailed, updateDeliverySent,
} from '../../src/store/notifications.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';
import { watchedDb } from '../helpers/watched-db.ts';

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

describe('what waits for a receiver that is gone', () => {
  it('is given up in batches, but not what is just being sent to it, nor another receiver\'s', async () => {
    const [gone, other] = [{ kind: 'webhook', id: randomUUID() }, { kind: 'webhook', id: randomUUID() }] as const;
    for (let i = 0; i < 5; i++) await db.transaction((tx) => insertNotification(tx, { id: randomUUID(), kind: 'incidents', at: now, content: { groups: [] } }, [gone, other]));
    const sending = (await selectDueDeliveries(db, now, 100)).find(({ target }) => target.id === gone.id);
    assert.ok(sending);
    const owner = randomUUID();
    assert.equal(await claimDelivery(db, sending.id, owner, now, leaseMs), true);
    assert.equal(await countWaitingDeliveries(db, gone), 5);
    const batches = [];
    do batches.push(await giveUpWaitingDeliveries(db, gone, say('alerts.delivery.no-receiver'), now, 3));
    while (batches.at(-1) !== 0);
    assert.deepEqual(batches, [3, 1, 0]);
    assert.deepEqual([await countWaitingDeliveries(db, gone), await countWaitingDeliveries(db, other)], [1, 5]);
    await updateDeliverySent(db, sending.id, owner, now);
    const { deliveries } = await selectDeliveriesPage(db, {}, 100, 0);
    const states = deliveries.filter(({ target }) => target.id === gone.id).map(({ state, error }) => `${state} ${error?.key ?? ''}`).sort();
    assert.deepEqual(states, [...Array<string>(4).fill('failed alerts.delivery.no-receiver'), 'sent ']);
    await db.execute('DELETE FROM deliveries');
    await db.execute('DELETE FROM notifications');
  });
});

describe('a notification', () => {
  it('goes with its deliveries, never many rows in a statement', async () => {
    await insertOne(25);
    const { watched, most } = watchedDb(db);
    assert.equal(await deleteNotificationsBefore(watched, now + 1, 10), 1);
    assert.ok(most() <= 10, String(most()));
    assert.deepEqual(await db.query('SELECT id FROM deliveries'), []);
    assert.deepEqual(await db.query('SELECT id FROM notifications'), []);
  });
});
