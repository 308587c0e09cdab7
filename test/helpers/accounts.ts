// Accounts for tests: made in the database, logged in over HTTP. One password for all, hashed once per process.
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { hashPassword, useLowestPasswordCost } from '../../src/password.ts';
import type { User } from '../../src/model/user.ts';
import type { Database, Db } from '../../src/store/db.ts';
import { insertFirstAdmin, insertUser, selectUser, type NewUser } from '../../src/store/users.ts';
import type { Client, TestPortal } from './portal.ts';

export const testPassword = 'four calm words here';
useLowestPasswordCost();
let hash: Promise<string> | undefined;

export async function aNewUser(name: string, over: Partial<NewUser> = {}): Promise<NewUser> {
  return {
    id: crypto.randomUUID(), name, displayName: name, email: `${name}@example.org`,
    passwordHash: await (hash ??= hashPassword(testPassword, 'nobody')), role: 'user', state: 'active', language: 'en', createdAt: Date.now(), ...over,
  };
}

export async function makeUser(db: Database, name: string, over: Partial<NewUser> = {}): Promise<User> {
  const user = await aNewUser(name, over);
  assert.equal(await insertUser(db, user), true);
  return selectUser(db, user.id);
}

/** Through the guard, as set-up does it. */
export async function makeFirstAdmin(db: Database, name = 'admin'): Promise<User> {
  const user = await aNewUser(name, { role: 'admin' });
  assert.equal(await insertFirstAdmin(db, user), 'made');
  return selectUser(db, user.id);
}

export async function logIn(client: Client, name: string, password = testPassword): Promise<void> {
  await client.get('/login');
  const answer = await client.post('/login', { name, password });
  assert.equal(answer.status, 303, answer.text);
  client.forgetToken();
}

export async function loggedIn(portal: TestPortal, name: string): Promise<Client> {
  const client = portal.client();
  await logIn(client, name);
  return client;
}

/** Until every audit row has its result: it is written when the answer has been sent. */
export async function auditSettled(db: Db): Promise<void> {
  for (const end = Date.now() + 20_000; Date.now() < end; await delay(20)) {
    const [row] = await db.query<{ open: number }>("SELECT COUNT(*) AS open FROM audit WHERE result = 'begun'");
    if (row?.open === 0) return;
  }
  assert.fail('an audit row never got its result');
}
