// Whoever removes or releases something asks first what uses it. A transaction that is just putting something there holds the
// row, so the question has to be asked after the wait for it: MySQL Cluster answers subqueries before it waits. And it commits
// the rows of a transaction one after the other: whoever was let in by the first of them has to wait for the others, too.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Db } from '../../src/store/db.ts';
import { claimHostCheckedIn, claimHostFenced, claimHostStillFenced, deleteHostIfEmpty, insertHost, updateHostContact } from '../../src/store/hosts.ts';
import { deleteUnusedImage, insertImage } from '../../src/store/images.ts';
import { deletePoolIfUnused, unlinkHostPoolIfUnused, upsertPool } from '../../src/store/storage-pools.ts';
import { insertFirstAdmin, insertUser, selectUser, updateUserAccess } from '../../src/store/users.ts';
import { aNewUser, makeUser } from '../helpers/accounts.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';

let database: TestDatabase;
before(async () => { database = await createTestDatabase(); });
after(() => database.close());

async function newHost(): Promise<string> {
  const id = randomUUID();
  await insertHost(database.db, { id, name: id.slice(0, 8), uri: 'test:///', consoleAddress: '127.0.0.1', network: 'default', virtTypeWish: 'auto', createdAt: 1 });
  await updateHostContact(database.db, id, { state: 'up', at: 1 });
  return id;
}

async function insertHome(tx: Db, hostId: string, operationKind: string | null, poolId: string | null, imageId: string = randomUUID()): Promise<void> {
  const id = randomUUID();
  await tx.execute(
    `INSERT INTO instances (id, user_id, name, state, state_at, host_id, pool_id, operation_kind, image_id, vcpus, memory_mib, disk_gib, mac, subject_id, created_at)
     VALUES (?, ?, 'vm', 'stopped', 1, ?, ?, ?, ?, 1, 128, 1, ?, 1, 1)`,
    [id, randomUUID(), hostId, poolId, operationKind, imageId, id.slice(0, 17)],
  );
}

/** As MySQL Cluster leaves it for a moment: the guard is free again, and the rest of what was done under it is still held. */
async function askedBeforeTheRest(rest: (tx: Db) => Promise<unknown>, question: () => Promise<boolean>): Promise<boolean> {
  return askedMeanwhile(rest, question, async () => undefined);
}

/** What `question` answers that is asked while a transaction holds the row by `hold` and has not yet written `put`. */
async function askedMeanwhile(hold: (tx: Db) => Promise<unknown>, question: () => Promise<boolean>, put: (tx: Db) => Promise<void>): Promise<boolean> {
  const asked: { answer?: Promise<boolean>; answered: boolean } = { answered: false };
  await database.db.transaction(async (tx) => {
    await hold(tx);
    asked.answer ??= question().finally(() => { asked.answered = true; });
    await delay(200);
    assert.equal(asked.answered, false, 'it did not wait');
    await put(tx);
  });
  return asked.answer ?? assert.fail('never asked');
}

test('a fenced host is not checked in while one of its instances is being restarted elsewhere', async () => {
  const host = await newHost();
  assert.equal(await claimHostFenced(database.db, host, 'agent', 2), true);
  assert.equal(await askedMeanwhile(
    async (tx) => assert.equal(await claimHostStillFenced(tx, host), true),
    () => database.db.transaction((tx) => claimHostCheckedIn(tx, host, 3)),
    (tx) => insertHome(tx, host, 'instance-recover', null),
  ), false);
});

test('a host that an instance is just being placed on is not removed', async () => {
  const host = await newHost();
  assert.equal(await askedMeanwhile(
    (tx) => tx.execute('UPDATE hosts SET used_vcpus = used_vcpus WHERE id = ?', [host]),
    () => deleteHostIfEmpty(database.db, host),
    (tx) => insertHome(tx, host, null, null),
  ), false);
});

test('a pool that an instance is just being placed in keeps its host, and stays', async () => {
  const host = await newHost();
  const pool = await upsertPool(database.db, { hostId: host, name: 'default', path: `/srv/${host}`, shared: false, kind: 'dir', capacityBytes: 1, availableBytes: 1 }, 1);
  assert.equal(await askedMeanwhile(
    (tx) => tx.execute('UPDATE hosts SET used_vcpus = used_vcpus WHERE id = ?', [host]),
    () => unlinkHostPoolIfUnused(database.db, host, pool),
    (tx) => insertHome(tx, host, null, pool),
  ), false);
  await database.db.execute('DELETE FROM host_pools WHERE pool_id = ?', [pool]);
  await database.db.execute('DELETE FROM instances WHERE pool_id = ?', [pool]);
  assert.equal(await askedMeanwhile(
    (tx) => tx.execute('UPDATE storage_pools SET used_gib = used_gib WHERE id = ?', [pool]),
    () => deletePoolIfUnused(database.db, pool),
    (tx) => insertHome(tx, host, null, pool),
  ), false);
});

test('what has just been placed is seen by whoever waited for its host or its image alone', async () => {
  const { db } = database;
  const host = await newHost();
  assert.equal(await claimHostFenced(db, host, 'agent', 2), true);
  assert.equal(await askedBeforeTheRest((tx) => insertHome(tx, host, 'instance-recover', null), () => db.transaction((tx) => claimHostCheckedIn(tx, host, 3))), false);
  const pool = await upsertPool(db, { hostId: host, name: 'default', path: `/srv/${host}`, shared: false, kind: 'dir', capacityBytes: 1, availableBytes: 1 }, 1);
  assert.equal(await askedBeforeTheRest((tx) => insertHome(tx, host, null, pool), () => unlinkHostPoolIfUnused(db, host, pool)), false);
  const image = { id: randomUUID(), name: 'i', description: '', poolId: pool, volume: 'i', format: 'qcow2' as const, virtualSizeBytes: 1, minMemoryMib: 1, cloudInit: false, enabled: true, createdAt: 1 };
  await insertImage(db, image);
  assert.equal(await askedBeforeTheRest((tx) => insertHome(tx, host, null, pool, image.id), () => deleteUnusedImage(db, image.id)), false);
});

test('the last admin is not demoted because of another one who is just being demoted', async () => {
  const { db } = database;
  const [first, second] = [await makeUser(db, 'first', { role: 'admin' }), await makeUser(db, 'second', { role: 'admin' })];
  assert.equal(await askedBeforeTheRest(
    (tx) => tx.execute("UPDATE users SET role = 'user' WHERE id = ?", [second.id]),
    async () => (await updateUserAccess(db, first.id, { role: 'user' }, 1)) === 'done',
  ), false);
  assert.equal((await selectUser(db, first.id)).role, 'admin');
  await db.execute('DELETE FROM users');
});

test('there is no second first admin because the first one is just being made', async () => {
  const { db } = database;
  const [first, second] = [await aNewUser('racer1', { role: 'admin' }), await aNewUser('racer2', { role: 'admin' })];
  assert.equal(await askedBeforeTheRest((tx) => insertUser(tx, first), async () => (await insertFirstAdmin(db, second)) === 'made'), false);
  assert.deepEqual((await db.query<{ name: string }>('SELECT name FROM users')).map(({ name }) => name), ['racer1']);
});
