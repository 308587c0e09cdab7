// Whoever removes or releases something asks first what uses it. A transaction that is just putting something there holds the
// row, so the question has to be asked after the wait for it: MySQL Cluster answers subqueries before it waits.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Db } from '../../src/store/db.ts';
import { claimHostCheckedIn, claimHostFenced, claimHostStillFenced, deleteHostIfEmpty, insertHost, updateHostContact } from '../../src/store/hosts.ts';
import { deletePoolIfUnused, unlinkHostPoolIfUnused, upsertPool } from '../../src/store/storage-pools.ts';
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

async function insertHome(tx: Db, hostId: string, operationKind: string | null, poolId: string | null): Promise<void> {
  const id = randomUUID();
  await tx.execute(
    `INSERT INTO instances (id, user_id, name, state, state_at, host_id, pool_id, operation_kind, image_id, vcpus, memory_mib, disk_gib, mac, subject_id, created_at)
     VALUES (?, ?, 'vm', 'stopped', 1, ?, ?, ?, ?, 1, 128, 1, ?, 1, 1)`,
    [id, randomUUID(), hostId, poolId, operationKind, randomUUID(), id.slice(0, 17)],
  );
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
