// Set-up links, and what admins do with users and the audit log, over HTTP on a real database.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createApiToken, selectOptionalTokenUser } from '../../src/store/api-tokens.ts';
import { createSetupLink } from '../../src/store/setup-links.ts';
import { adminExists, selectOptionalUserByName, selectUser, selectUsersPage } from '../../src/store/users.ts';
import { auditSettled, logIn, loggedIn, makeFirstAdmin, makeUser, testPassword } from '../helpers/accounts.ts';
import { startTestPortal, type Client, type TestPortal } from '../helpers/portal.ts';

/** the day may change while these tests run */
const began = Date.now();

const clock = { now: () => Date.now() };
const person = (name: string) => ({ name, displayName: 'The First', email: `${name}@example.org`, password: 'a quiet sentence', passwordAgain: 'a quiet sentence' });

describe('the set-up link', () => {
  let portal: TestPortal;
  let other: TestPortal;
  before(async () => {
    portal = await startTestPortal({ runner: false });
    other = await startTestPortal({ runner: false, database: portal.database });
  });
  after(async () => {
    await other.close();
    await portal.close();
  });

  it('opens nothing when it is wrong, and keeps its address to itself when it is right', async () => {
    const { db } = portal.deps;
    const token = await createSetupLink(db, clock);
    const client = portal.client();
    assert.equal((await client.get('/setup/wrong')).status, 404);
    const page = await client.get(`/setup/${token}`);
    assert.equal(page.status, 200);
    assert.equal(page.headers.get('referrer-policy'), 'no-referrer');
    assert.equal(page.headers.get('cache-control'), 'no-store');
    assert.match(page.text, /Make the first administrator/);
    assert.equal(await adminExists(db), false, 'opening it spends nothing');
    assert.equal((await client.post(`/setup/${token}`, person('eve'), { csrf: false })).status, 403);
    assert.equal((await client.post(`/setup/${token}`, { ...person('eve'), passwordAgain: 'x' })).status, 422);
    assert.equal(await adminExists(db), false);
  });

  it('makes one admin when ten people use it at once on two portals, and logs that one in', async () => {
    const { db } = portal.deps;
    const token = await createSetupLink(db, clock);
    const clients = Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? portal : other).client());
    const results = await Promise.all(clients.map(async (client, i) => {
      await client.get(`/setup/${token}`);
      return client.post(`/setup/${token}`, person(`racer${i}`));
    }));
    const won = results.findIndex((result) => result.status === 303);
    assert.equal(results.filter((result) => result.status === 303).length, 1, results.map((result) => result.status).join());
    assert.ok(results.every((result) => [303, 404, 409].includes(result.status)), results.map((result) => result.status).join());
    assert.equal((await selectUsersPage(db, {}, 100, 0)).total, 1);
    assert.equal((await clients[won]?.get('/admin/users'))?.status, 200);

    const late = portal.client();
    assert.equal((await late.get(`/setup/${token}`)).status, 404, 'used');
    assert.equal((await late.post(`/setup/${token}`, person('late'))).status, 404);
    for (const table of ['sessions', 'audit', 'setup_links']) assert.ok(!JSON.stringify(await db.query(`SELECT * FROM ${table}`)).includes(token), table);
  });
});

describe('users, for admins', () => {
  let portal: TestPortal;
  let other: TestPortal;
  let admin: Client;
  before(async () => {
    portal = await startTestPortal({ runner: false });
    other = await startTestPortal({ runner: false, database: portal.database });
    await makeFirstAdmin(portal.deps.db);
    admin = await loggedIn(portal, 'admin');
    await admin.get('/admin/users');
  });
  after(async () => {
    await other.close();
    await portal.close();
  });
  const page = (id: string, action = ''): string => `/admin/users/${id}${action}`;

  it('are listed, searched and paged; text of users stays text', async () => {
    const { db } = portal.deps;
    await makeUser(db, 'mallory', { displayName: '"><script>alert(1)</script>', email: 'm@example.org' });
    for (let i = 0; i < 52; i++) await makeUser(db, `crowd${String(i).padStart(2, '0')}`);
    const all = await admin.get('/admin/users');
    assert.match(all.text, /crowd00/);
    assert.doesNotMatch(all.text, /crowd51/);
    const second = await admin.get('/admin/users?page=2');
    assert.match(second.text, /crowd51/);
    assert.match(second.text, /&lt;script&gt;/);
    assert.doesNotMatch(second.text, /<script>alert/);
    const found = await admin.get('/admin/users?q=M%40EXAMPLE');
    assert.match(found.text, />mallory</);
    assert.doesNotMatch(found.text, /crowd/);
    for (const odd of ['?page=-1', '?page=x', '?state=evil', '?q=%25', '?q[]=a', `?q=${'x'.repeat(500)}`]) assert.equal((await admin.get(`/admin/users${odd}`)).status, 200, odd);
    assert.equal((await admin.get('/admin/users/no-such-id')).status, 404);
    assert.equal((await admin.get(page(crypto.randomUUID()))).status, 404);
  });

  it('are approved, disabled at once on every portal, and enabled again', async () => {
    const { db } = portal.deps;
    const user = await makeUser(db, 'waiting', { state: 'pending' });
    const client = other.client();
    await client.get('/login');
    assert.equal((await client.post('/login', { name: 'waiting', password: testPassword })).status, 403);
    assert.equal((await admin.post(page(user.id, '/approve'))).status, 303);
    await logIn(client, 'waiting');
    assert.equal((await client.get('/account')).status, 200);
    assert.equal((await admin.post(page(user.id, '/disable'))).status, 303);
    assert.equal((await client.get('/account')).status, 303);
    assert.match((await admin.get(page(user.id))).text, /its sessions have ended/);
    assert.equal((await admin.post(page(user.id, '/enable'))).status, 303);
    assert.equal((await client.get('/account')).status, 303, 'the old session stays ended');
    await logIn(client, 'waiting');
  });

  it('get another role, and a new session for it', async () => {
    const { db } = portal.deps;
    const user = await makeUser(db, 'riser');
    const client = await loggedIn(other, 'riser');
    assert.equal((await client.get('/admin/users')).status, 403);
    assert.equal((await admin.post(page(user.id, '/role'), { role: 'root' })).status, 422);
    assert.equal((await admin.post(page(user.id, '/role'), { role: 'admin' })).status, 303);
    assert.equal((await client.get('/account')).status, 303);
    await logIn(client, 'riser');
    assert.equal((await client.get('/admin/users')).status, 200);
    assert.equal((await admin.post(page(user.id, '/role'), { role: 'user' })).status, 303);
    await logIn(client, 'riser');
    assert.equal((await client.get('/admin/users')).status, 403);
  });

  it('may have a quota of their own, where 0 is none and empty is the default', async () => {
    const { db } = portal.deps;
    const user = await makeUser(db, 'limited');
    const wrong = await admin.post(page(user.id, '/quota'), { instances: '-1', vcpus: '1.5', memoryMib: 'much', diskGib: '' });
    assert.equal(wrong.status, 422);
    assert.match(wrong.text, /value="much"/);
    assert.equal((await admin.post(page(user.id, '/quota'), { instances: '0', vcpus: '3', memoryMib: '', diskGib: '' })).status, 303);
    assert.deepEqual((await selectUser(db, user.id)).quota, { instances: 0, vcpus: 3, memoryMib: null, diskGib: null });
    assert.match((await admin.get(page(user.id))).text, /0 used of 3; default 8/);
  });

  it('choose a new password by a link that is shown once; their sessions and tokens end', async () => {
    const { db } = portal.deps;
    const user = await makeUser(db, 'forgot');
    const client = await loggedIn(other, 'forgot');
    const { secret } = await createApiToken(db, { userId: user.id, name: 'x', scope: 'read', expiresAt: Date.now() + 60_000 }, Date.now());
    const answer = await admin.post(page(user.id, '/password-link'));
    assert.equal(answer.status, 200);
    const link = /http:\/\/[^<\s]+\/setup\/[\w-]+/.exec(answer.text)?.[0];
    assert.ok(link);
    assert.ok(!(await admin.get(page(user.id))).text.includes('/setup/'));
    assert.equal((await client.get('/account')).status, 200, 'until the link is used');
    const { pathname } = new URL(link);
    const visitor = other.client();
    assert.match((await visitor.get(pathname)).text, /For the account forgot/);
    assert.equal((await visitor.post(pathname, { password: 'short', passwordAgain: 'short' })).status, 422);
    assert.equal((await visitor.post(pathname, { password: 'a brand new line', passwordAgain: 'a brand new line' })).status, 303);
    assert.equal((await visitor.post(pathname, { password: 'a brand new thing', passwordAgain: 'a brand new thing' })).status, 404);
    assert.equal((await client.get('/account')).status, 303);
    assert.equal(await selectOptionalTokenUser(db, secret, Date.now()), undefined);
    await logIn(other.client(), 'forgot', 'a brand new line');
  });

  it('can be added by hand', async () => {
    const { db } = portal.deps;
    assert.equal((await admin.post('/admin/users', { name: 'admin', displayName: 'A', email: 'a@example.org', role: 'user' })).status, 422);
    const made = await admin.post('/admin/users', { name: 'by-hand', displayName: 'By Hand', email: 'b@example.org', role: 'user' });
    assert.equal(made.status, 200);
    assert.match(made.text, /\/setup\/[\w-]{43}/);
    assert.equal((await selectOptionalUserByName(db, 'by-hand'))?.state, 'active');
  });

  it('keep at least one active admin, however many admins demote each other at once', async () => {
    const { db } = portal.deps;
    const me = await selectOptionalUserByName(db, 'admin');
    assert.ok(me);
    assert.equal((await admin.post(page(me.id, '/disable'))).status, 409);
    assert.equal((await admin.post(page(me.id, '/role'), { role: 'user' })).status, 409);
    const second = await makeUser(db, 'admin2', { role: 'admin' });
    const third = await makeUser(db, 'admin3', { role: 'admin' });
    const clients = [admin, await loggedIn(other, 'admin2'), await loggedIn(portal, 'admin3')];
    for (const client of clients) await client.get('/admin/users');
    const victims = [second, third, me];
    await Promise.all(clients.map((client, i) => client.post(page(victims[i]?.id ?? '', '/role'), { role: 'user' })));
    assert.equal((await selectUsersPage(db, { role: 'admin', state: 'active' }, 10, 0)).total >= 1, true);
  });
});

describe('the audit log, for admins', () => {
  let portal: TestPortal;
  before(async () => {
    portal = await startTestPortal({ runner: false });
  });
  after(() => portal.close());

  it('says who, what, when, from where and the result, and filters', async () => {
    const { db } = portal.deps;
    await makeFirstAdmin(db);
    const user = await makeUser(db, 'subject');
    const admin = await loggedIn(portal, 'admin');
    await admin.get('/admin/users');
    await admin.post(`/admin/users/${user.id}/disable`);
    await admin.post('/account/password', { oldPassword: 'my old secret', password: 'x', passwordAgain: 'x' });
    const visitor = portal.client();
    await visitor.get('/login');
    await visitor.post('/login', { name: '<i>x', password: 'my guessed secret' });
    await auditSettled(db);
    const all = await admin.get('/admin/audit');
    assert.match(all.text, /disable a user/);
    assert.match(all.text, /deleted after 400 days/);
    assert.match(all.text, /127\.0\.0\.1/);
    assert.match(all.text, /&lt;i&gt;x/);
    assert.doesNotMatch(JSON.stringify(await db.query('SELECT * FROM audit')), /secret/);
    const rows = (html: string): number => html.match(/<tr>/g)?.length ?? 0;
    const filtered = async (query: string): Promise<number> => rows((await admin.get(`/admin/audit?${query}`)).text);
    assert.equal(await filtered('who=admin&action=user.disable&result=ok'), 2);
    assert.equal(await filtered('action=user.disable&result=refused'), 0);
    assert.equal(await filtered('result=refused'), 3);
    const day = (at: number): string => new Date(at).toISOString().slice(0, 10);
    assert.ok((await filtered(`from=${day(began)}&until=${day(Date.now())}`)) >= 4);
    assert.equal(await filtered('until=2020-01-01'), 0);
    for (const odd of ['from=yesterday', 'page=0', 'result=x', "who='--", 'action=%00']) assert.equal((await admin.get(`/admin/audit?${odd}`)).status, 200, odd);
  });
});
