// Who may be kept from logging in by strangers: nobody on a device that has logged in before. And what a login tells about
// accounts: nothing.
import assert from 'node:assert/strict';
import bcrypt from 'bcrypt';
import { after, before, describe, it } from 'node:test';
import type { RateLimit } from '../../src/store/rate-limits.ts';
import { selectOptionalUserByName } from '../../src/store/users.ts';
import { limits, networkOf, spend } from '../../src/web/session/limits.ts';
import { auditSettled, makeFirstAdmin, makeUser, testPassword } from '../helpers/accounts.ts';
import { assertShows } from '../helpers/page-text.ts';
import { startTestPortal, type Client, type TestPortal } from '../helpers/portal.ts';

let now = Date.now();
let portal: TestPortal;
before(async () => {
  portal = await startTestPortal({ runner: false, clock: { now: () => now }, env: { TRUST_PROXY: 'loopback' } });
  await makeFirstAdmin(portal.deps.db, 'boss');
  await makeUser(portal.deps.db, 'mallory');
});
after(() => portal.close());

interface Answer { readonly status: number; readonly text: string; readonly headers: Headers }

/** Posts a form from that address, with the token that a visitor's browser has. */
async function post(client: Client, path: string, form: Readonly<Record<string, string>>, ip: string): Promise<Answer> {
  const headers = { accept: 'text/html', 'x-forwarded-for': ip };
  const page = await client.get('/about', headers);
  const _csrf = /<meta name="csrf-token" content="([^"]+)"/.exec(page.text)?.[1] ?? '';
  const answer = await client.request(path, { method: 'POST', body: new URLSearchParams({ _csrf, ...form }), headers });
  return { status: answer.status, text: await answer.text(), headers: answer.headers };
}
const logIn = (client: Client, name: string, password: string, ip: string): Promise<Answer> => post(client, '/login', { name, password }, ip);

/** A browser that has logged in as this user some time ago: of its cookies only that of the device is left. */
async function knownDevice(name: string, ip: string): Promise<Client> {
  const before = portal.client();
  assert.equal((await logIn(before, name, testPassword, ip)).status, 303);
  return withDevice(before.cookies.get('device') ?? assert.fail('no device cookie'));
}
function withDevice(cookie: string): Client {
  const client = portal.client();
  client.cookies.set('device', cookie);
  return client;
}

/** Whatever of it is left. */
async function useUp(limit: RateLimit, subject: string): Promise<void> {
  for (let i = 0; i < limit.points; i++) await spend(portal.deps.db, limit, subject, now).catch(() => undefined);
}
const count = async (table: string): Promise<number> => (await portal.deps.db.query<{ n: number }>(`SELECT COUNT(*) AS n FROM ${table}`))[0]?.n ?? 0;
const plain = (html: string): string => html.replace(/(name="_csrf" value|name="csrf-token" content|nonce)="[^"]*"/g, '$1=""');

describe('a device that has logged in to an account', () => {
  const lab = '192.0.2.10';

  it('logs in again whatever strangers have tried at the name, from its address, or from its network in all', async () => {
    const tries = [
      { limit: limits.loginName, subject: 'boss' },
      { limit: limits.loginPair, subject: `${lab} boss` },
      { limit: limits.logins, subject: `${lab} boss` },
      { limit: limits.loginFromAddress, subject: lab },
      { limit: limits.changes, subject: networkOf(lab) },
      { limit: limits.visitorChangesPerDay, subject: networkOf(lab) },
    ];
    for (const { limit, subject } of tries) {
      const device = await knownDevice('boss', lab);
      await useUp(limit, subject);
      assert.equal((await logIn(portal.client(), 'boss', testPassword, lab)).status, 429, `${limit.name}: a stranger`);
      assert.equal((await logIn(device, 'boss', testPassword, lab)).status, 303, limit.name);
      now += limit.windowMs;
    }
  });

  it('has ten tries of its own, which others cannot use up', async () => {
    const [device, copy] = [await knownDevice('boss', lab), await knownDevice('boss', lab)];
    const answers = await Promise.all(Array.from({ length: 12 }, () => logIn(withDevice(copy.cookies.get('device') ?? ''), 'boss', 'a guess', lab)));
    assert.deepEqual(answers.map(({ status }) => status).sort((a, b) => a - b), [...Array<number>(10).fill(401), 429, 429]);
    assert.equal((await logIn(copy, 'boss', testPassword, lab)).status, 429);
    assert.equal((await logIn(device, 'boss', testPassword, lab)).status, 303);
    assert.equal((await logIn(portal.client(), 'boss', testPassword, '192.0.2.77')).status, 303);
  });

  it('is no stranger’s way in, nor one to another account: neither the cookie alone, nor changed, nor another’s', async () => {
    const device = await knownDevice('mallory', lab);
    assert.equal((await device.get('/account')).status, 303);
    assert.equal((await device.get('/api/v1/me')).status, 401);
    await useUp(limits.loginName, 'boss');
    await useUp(limits.loginName, 'nobody-here');
    const [own = '', id = '', mac = ''] = (device.cookies.get('device') ?? '').split('.');
    const boss = await selectOptionalUserByName(portal.deps.db, 'boss');
    const cookies = [`${own}.${id}.${mac}`, `${boss?.id}.${id}.${mac}`, `${boss?.id}.${id}.${'0'.repeat(64)}`, `${own}.${id}.${mac}x`, `${boss?.id}.${id}.`, '%E0%A4%A', ''];
    const stranger = await logIn(portal.client(), 'boss', testPassword, lab);
    assert.equal(stranger.status, 429);
    for (const cookie of cookies) {
      for (const name of ['boss', 'nobody-here']) {
        const answer = await logIn(withDevice(cookie), name, testPassword, lab);
        assert.equal(answer.status, 429, cookie);
        assert.equal(plain(answer.text), plain(stranger.text), 'not a word about whether the account exists');
      }
    }
    assert.equal((await logIn(device, 'mallory', testPassword, lab)).status, 303);
    now += limits.loginName.windowMs;
  });

  it('is known by a cookie that scripts do not see and other sites do not send, and that a wrong password does not give', async () => {
    const client = portal.client();
    const wrong = await logIn(client, 'boss', 'a guess', lab);
    assert.deepEqual(wrong.headers.getSetCookie().filter((cookie) => cookie.startsWith('device=')), []);
    const right = await logIn(client, 'boss', testPassword, lab);
    const [cookie = ''] = right.headers.getSetCookie().filter((each) => each.startsWith('device='));
    assert.match(cookie, /^device=[0-9a-f-]{36}\.[0-9a-f]{32}\.[0-9a-f]{64}; Max-Age=31536000; Path=\/; Expires=[^;]+; HttpOnly; SameSite=Lax$/);
  });

  it('that copies of its cookie have used up is a stranger’s to the audit log, and not shut out', async () => {
    const device = await knownDevice('boss', lab);
    const boss = await selectOptionalUserByName(portal.deps.db, 'boss');
    await useUp(limits.changes, `devices of ${boss?.id}`);
    assert.equal((await logIn(device, 'boss', testPassword, lab)).status, 303);
    now += limits.changes.windowMs;
  });
});

describe('people behind one address', () => {
  const nat = '198.51.100.1';

  it('are not refused for what others there do without a trace: the language, and what needs a login', async () => {
    const before = await count('rate_limits');
    for (const path of ['/language', '/instances', '/account/profile']) await post(portal.client(), path, { language: 'en' }, nat);
    const api = await fetch(`${portal.url}/api/v1/instances`, { method: 'POST', headers: { 'x-forwarded-for': nat, 'content-type': 'application/json' }, body: '{}' });
    assert.equal(api.status, 401);
    assert.equal(await count('rate_limits'), before);
  });

  it('may all log in every day: a good login is no stranger’s try', async () => {
    const spent = async (): Promise<number> => (await portal.deps.db.query<{ n: number }>("SELECT COALESCE(SUM(points), 0) AS n FROM rate_limits WHERE `key` LIKE 'visitor-changes-day:%' AND expire > ?", [now]))[0]?.n ?? 0;
    now += limits.visitorChangesPerDay.windowMs;
    for (const name of ['boss', 'mallory', 'boss']) assert.equal((await logIn(portal.client(), name, testPassword, nat)).status, 303);
    assert.equal(Number(await spent()), 0);
    assert.equal((await logIn(portal.client(), 'boss', 'a guess', nat)).status, 401);
    assert.equal(Number(await spent()), 1);
  });
});

describe('a day', () => {
  it('has room for so many changes of one user, and so many of a network’s visitors; then the audit log takes no more', async () => {
    const { db } = portal.deps;
    const user = await makeUser(db, 'busy');
    const busy = portal.client();
    assert.equal((await logIn(busy, user.name, testPassword, '203.0.113.1')).status, 303);
    const nowhere = `/instances/${crypto.randomUUID()}/actions/start`;
    assert.equal((await post(busy, nowhere, {}, '203.0.113.1')).status, 404);
    assert.equal((await post(portal.client(), '/logout', {}, '203.0.113.1')).status, 303);
    await db.execute("UPDATE rate_limits SET points = 3000 WHERE `key` LIKE 'changes-day:%'");
    await db.execute("UPDATE rate_limits SET points = 1000 WHERE `key` LIKE 'visitor-changes-day:%'");
    now += limits.changes.windowMs;
    await auditSettled(db);
    const rows = await count('audit');
    const [ofUser, ofVisitor] = [await post(busy, nowhere, {}, '203.0.113.1'), await post(portal.client(), '/logout', {}, '203.0.113.1')];
    assert.deepEqual([ofUser.status, ofVisitor.status], [429, 429]);
    assertShows(ofUser.text, /Nobody makes more than 3000 changes within a day; without a login, no network does\. Please go on in 24 h\./);
    assertShows(ofVisitor.text, /more than 1000 changes within a day/);
    const wait = Number(ofUser.headers.get('retry-after'));
    assert.ok(wait > 85_000 && wait <= 86_400, String(wait));
    assert.equal(await count('audit'), rows);
    // what leaves no row is not counted by the day: windows that stay open confirm what they show
    assert.equal((await post(busy, '/events/painted', {}, '203.0.113.1')).status, 204);
    assert.equal((await busy.get('/instances')).status, 200);
    now += limits.changesPerDay.windowMs;
    assert.equal((await logIn(busy, user.name, testPassword, '203.0.113.1')).status, 303);
    assert.equal((await post(busy, nowhere, {}, '203.0.113.1')).status, 404);
  });

  it('is not used up by what the shorter limit has refused', async () => {
    const { db } = portal.deps;
    const user = await makeUser(db, 'hasty');
    await useUp(limits.changes, user.id);
    for (let i = 0; i < 5; i++) await assert.rejects(spend(db, [limits.changes, limits.changesPerDay], user.id, now));
    now += limits.changes.windowMs;
    await spend(db, [limits.changes, { ...limits.changesPerDay, points: 1 }], user.id, now);
    await assert.rejects(spend(db, [limits.changes, { ...limits.changesPerDay, points: 1 }], user.id, now));
  });
});

describe('the time of a wrong password', () => {
  it('is the same for an unknown name and for hashes of other costs', async () => {
    const slow = await startTestPortal({ runner: false, database: portal.database, refusalMs: 3000 });
    const { db } = portal.deps;
    await makeUser(db, 'old', { passwordHash: await bcrypt.hash(testPassword, 4) });
    const msOf = async (name: string): Promise<number> => {
      const client = slow.client();
      await client.get('/login');
      const began = performance.now();
      assert.equal((await client.post('/login', { name, password: 'a guess' })).status, 401);
      return performance.now() - began;
    };
    await Promise.all(['old', 'boss', 'nobody-at-all'].map(async (name) => {
      const ms = await msOf(name);
      // on a machine that is busy it may be the next multiple
      assert.ok(ms >= 3000 && ms % 3000 < 1500, `${name}: ${ms} ms`);
    }));
    const client = slow.client();
    await client.get('/login');
    const began = performance.now();
    assert.equal((await client.post('/login', { name: 'old', password: testPassword })).status, 303);
    assert.ok(performance.now() - began < 3000, 'who knows it does not wait');
    await slow.close();
  });
});
