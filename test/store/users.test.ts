import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { openDatabase } from '../../src/store/db.ts';
import {
  adminExists, countUsersByState, insertFirstAdmin, insertUser, selectOptionalUserByName, selectPasswordHash, selectUser, selectUsersPage,
  updatePassword, updatePasswordHash, updateProfile, updateQuota, updateUserAccess,
} from '../../src/store/users.ts';
import { aNewUser, makeFirstAdmin, makeUser } from '../helpers/accounts.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';

describe('users', () => {
  let database: TestDatabase;
  before(async () => {
    database = await createTestDatabase();
  });
  after(() => database.close());

  it('makes one first admin however many portals try at once', async () => {
    const { db } = database;
    const other = openDatabase([database.url], { connectionLimit: 10 });
    assert.equal(await adminExists(db), false);
    const candidates = await Promise.all(Array.from({ length: 16 }, (_, i) => aNewUser(`first${i}`)));
    const results = await Promise.all(candidates.map((candidate, i) => insertFirstAdmin(i % 2 === 0 ? db : other, candidate)));
    await other.close();
    assert.deepEqual(results.filter((result) => result === 'made').length, 1);
    assert.equal(results.filter((result) => result === 'admin-exists').length, 15);
    const { users } = await selectUsersPage(db, { role: 'admin' }, 10, 0);
    assert.equal(users.length, 1);
    const winner = candidates[results.indexOf('made')];
    assert.equal(users[0]?.id, winner?.id);
    assert.equal(users[0]?.state, 'active');
    // repeated, as after a lost answer
    assert.equal(winner && (await insertFirstAdmin(db, winner)), 'made');
  });

  it('tells a taken name, and that a repeated insert is the same one', async () => {
    const user = await aNewUser('twice');
    assert.equal(await insertUser(database.db, user), true);
    assert.equal(await insertUser(database.db, user), true);
    assert.equal(await insertUser(database.db, { ...user, id: crypto.randomUUID() }), false);
  });

  it('keeps what is written', async () => {
    const { db } = database;
    const user = await makeUser(db, 'kept', { displayName: '王小明 <b>', language: null, createdAt: 1_700_000_000_123 });
    assert.equal(user.displayName, '王小明 <b>');
    assert.equal(user.createdAt, 1_700_000_000_123);
    assert.deepEqual(user.usage, { instances: 0, vcpus: 0, memoryMib: 0, diskGib: 0 });
    await updateProfile(db, user.id, { displayName: 'K', email: 'k@example.org', language: 'zh-TW' }, 5);
    await updateQuota(db, user.id, { instances: 0, vcpus: null, memoryMib: 4096, diskGib: null }, 5);
    const after = await selectUser(db, user.id);
    assert.deepEqual([after.displayName, after.email, after.language], ['K', 'k@example.org', 'zh-TW']);
    assert.deepEqual(after.quota, { instances: 0, vcpus: null, memoryMib: 4096, diskGib: null });
    assert.equal(after.sessionEpoch, 0);
  });

  it('finds by part of name, name shown or mail, and takes % and _ as they are', async () => {
    const { db } = database;
    await makeUser(db, 'search_me', { displayName: 'Ada 100% Lovelace', email: 'ADA@Example.org' });
    const find = async (search: string): Promise<string[]> => (await selectUsersPage(db, { search }, 50, 0)).users.map((user) => user.name);
    assert.deepEqual(await find('lovelace'), ['search_me']);
    assert.deepEqual(await find('ada@ex'), ['search_me']);
    assert.deepEqual(await find('100%'), ['search_me']);
    assert.deepEqual(await find('h_m'), ['search_me']);
    assert.deepEqual(await find('%'), ['search_me']);
    assert.deepEqual(await find("' OR 1=1 -- "), []);
    assert.deepEqual(await find('\\'), []);
  });

  it('pages, and counts by state', async () => {
    const { db } = database;
    for (const name of ['page1', 'page2', 'page3']) await makeUser(db, name, { state: 'pending' });
    const { users, total } = await selectUsersPage(db, { state: 'pending' }, 2, 1);
    assert.deepEqual(users.map((user) => user.name), ['page2', 'page3']);
    assert.equal(total, 3);
    assert.equal((await countUsersByState(db)).pending, 3);
  });

  it('ends sessions when password, role or state change, and only then', async () => {
    const { db } = database;
    const user = await makeUser(db, 'epoch');
    const epoch = async (): Promise<number> => (await selectUser(db, user.id)).sessionEpoch;
    await updatePassword(db, user.id, 'x', 1);
    assert.equal(await epoch(), 1);
    assert.equal(await updateUserAccess(db, user.id, { role: 'admin' }, 1), 'done');
    assert.equal(await epoch(), 2);
    assert.equal(await updateUserAccess(db, user.id, { role: 'admin' }, 1), 'done');
    assert.equal(await epoch(), 2, 'no change, no end');
    assert.equal(await updateUserAccess(db, user.id, { role: 'user' }, 1), 'done');
    assert.equal(await updateUserAccess(db, crypto.randomUUID(), { role: 'user' }, 1), 'missing');
    await updatePasswordHash(db, user.id, 'not the hash', 'y');
    assert.equal(await selectPasswordHash(db, user.id), 'x');
    await updatePasswordHash(db, user.id, 'x', 'y');
    assert.equal(await selectPasswordHash(db, user.id), 'y');
    assert.equal(await epoch(), 3);
  });
});

describe('the last admin', () => {
  let database: TestDatabase;
  before(async () => {
    database = await createTestDatabase();
  });
  after(() => database.close());

  it('can neither be disabled nor demoted', async () => {
    const { db } = database;
    const admin = await makeFirstAdmin(db);
    assert.equal(await updateUserAccess(db, admin.id, { role: 'user' }, 1), 'last-admin');
    assert.equal(await updateUserAccess(db, admin.id, { state: 'disabled' }, 1), 'last-admin');
    // a disabled admin is no other admin
    const second = await makeUser(db, 'second', { role: 'admin', state: 'disabled' });
    assert.equal(await updateUserAccess(db, admin.id, { state: 'disabled' }, 1), 'last-admin');
    assert.equal(await updateUserAccess(db, second.id, { state: 'active' }, 1), 'done');
    assert.equal(await updateUserAccess(db, admin.id, { state: 'disabled' }, 1), 'done');
    assert.equal(await updateUserAccess(db, second.id, { role: 'user' }, 1), 'last-admin');
  });

  it('is left over when all admins demote each other at once, on two portals', async () => {
    const { db } = database;
    const other = openDatabase([database.url], { connectionLimit: 10 });
    for (let round = 0; round < 5; round++) {
      const admins = await Promise.all(Array.from({ length: 4 }, (_, i) => makeUser(db, `r${round}-${i}`, { role: 'admin' })));
      const all = [...admins, await selectOptionalUserByName(db, 'second')].filter((user) => user !== undefined);
      const results = await Promise.all(all.map((user, i) => updateUserAccess(i % 2 === 0 ? db : other, user.id, i % 3 === 0 ? { state: 'disabled' } : { role: 'user' }, 1)));
      assert.equal(results.filter((result) => result === 'last-admin').length, 1, results.join());
      const { total } = await selectUsersPage(db, { role: 'admin', state: 'active' }, 10, 0);
      assert.equal(total, 1);
      // for the next round: 'second' is the one
      const second = await selectOptionalUserByName(db, 'second');
      if (second === undefined) throw new Error('second is gone');
      await updateUserAccess(db, second.id, { role: 'admin', state: 'active' }, 1);
      const { users } = await selectUsersPage(db, { role: 'admin', state: 'active' }, 10, 0);
      for (const user of users) if (user.id !== second.id) assert.equal(await updateUserAccess(db, user.id, { role: 'user' }, 1), 'done');
    }
    await other.close();
  });
});
