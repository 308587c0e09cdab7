// Logging in and out, registering, and the user's own page, over HTTP on a real database.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createApiToken, selectTokensByUser } from '../../src/store/api-tokens.ts';
import { selectAuditPage } from '../../src/store/audit.ts';
import { updateSettings } from '../../src/store/settings.ts';
import { bumpSessionEpoch, selectOptionalUserByName, selectUser, updatePassword, updateUserAccess } from '../../src/store/users.ts';
import { defaultSettings } from '../../src/model/settings.ts';
import { pathForLog } from '../../src/web/middleware/error-handler.ts';
import bcrypt from 'bcrypt';
import { auditSettled, logIn, loggedIn, makeFirstAdmin, makeUser, testPassword } from '../helpers/accounts.ts';
import { startTestPortal, type TestPortal } from '../helpers/portal.ts';

let now = Date.now();
const clock = { now: () => now };
let portal: TestPortal;
/** a second portal on the same database */
let other: TestPortal;

before(async () => {
  portal = await startTestPortal({ clock, runner: false });
  other = await startTestPortal({ clock, runner: false, database: portal.database });
  await makeFirstAdmin(portal.deps.db);
  await makeUser(portal.deps.db, 'ann');
});
after(async () => {
  await other.close();
  await portal.close();
});

/** What a reader sees of a page: without what differs from request to request. */
function plain(html: string, name: string): string {
  return html.replaceAll(name, 'NAME').replace(/(name="_csrf" value|name="csrf-token" content|nonce)="[^"]*"/g, '$1=""');
}

async function cpuMsOf<T>(work: () => Promise<T>): Promise<[T, number]> {
  const start = process.cpuUsage();
  const result = await work();
  const used = process.cpuUsage(start);
  return [result, (used.user + used.system) / 1000];
}

describe('login', () => {
  it('opens the account with the right password, goes on where it was asked from, and is in the audit log', async () => {
    const client = portal.client();
    const asked = await client.get('/account');
    assert.equal(asked.status, 303);
    assert.equal(asked.headers.get('location'), '/login?next=%2Faccount');
    const page = await client.get('/login?next=%2Faccount');
    assert.match(page.text, /name="next" value="\/account"/);
    const answer = await client.post('/login', { name: ' Ann ', password: testPassword, next: '/account' });
    assert.deepEqual([answer.status, answer.location], [303, '/account']);
    assert.match((await client.get('/account')).text, /ann@example\.org/);
    await auditSettled(portal.deps.db);
    const { entries } = await selectAuditPage(portal.deps.db, { action: 'session.login' }, 1, 0);
    assert.deepEqual([entries[0]?.userName, entries[0]?.target, entries[0]?.result, entries[0]?.ip], ['ann', 'ann', 'ok', '127.0.0.1']);
  });

  it('answers an unknown name as it answers a wrong password: the same words, the same work', async () => {
    const wrong = portal.client();
    await wrong.get('/login');
    await wrong.post('/login', { name: 'warm-up', password: 'x' });
    const [known, knownMs] = await cpuMsOf(() => wrong.post('/login', { name: 'ann', password: 'not her password' }));
    const [unknown, unknownMs] = await cpuMsOf(() => wrong.post('/login', { name: 'zed', password: 'not her password' }));
    assert.equal(known.status, 401);
    assert.equal(unknown.status, 401);
    assert.equal(plain(unknown.text, 'zed'), plain(known.text, 'ann'));
    // CPU time, not the clock: bcrypt really ran for both, though at its lowest cost (a page alone takes some 10 ms)
    assert.ok(knownMs > 35 && unknownMs > 35, `${knownMs} ms and ${unknownMs} ms of CPU`);
    const long = await wrong.post('/login', { name: 'ann', password: `${testPassword}${'x'.repeat(80)}` });
    assert.equal(long.status, 401);
  });

  it('tells a pending or disabled account so only after the right password', async () => {
    const { db } = portal.deps;
    await makeUser(db, 'pat', { state: 'pending' });
    await makeUser(db, 'dis', { state: 'disabled' });
    const client = portal.client();
    await client.get('/login');
    for (const [name, words] of [['pat', /waits for an administrator/], ['dis', /has been disabled/]] as const) {
      assert.equal((await client.post('/login', { name, password: 'not the password' })).status, 401);
      const right = await client.post('/login', { name, password: testPassword });
      assert.equal(right.status, 403);
      assert.match(right.text, words);
      assert.ok(right.text.includes('action="/login"') && right.text.includes(`value="${name}"`), 'the form is there again');
      assert.equal((await client.get('/account')).status, 303);
    }
  });

  it('gives the session a new id, so that a planted one opens nothing', async () => {
    await makeUser(portal.deps.db, 'bob');
    const attacker = await loggedIn(portal, 'bob');
    const planted = attacker.cookies.get('session');
    assert.ok(planted);
    const victim = portal.client();
    victim.cookies.set('session', planted);
    await victim.get('/');
    const answer = await victim.post('/login', { name: 'ann', password: testPassword });
    assert.equal(answer.status, 303);
    assert.notEqual(victim.cookies.get('session'), planted);
    assert.match((await victim.get('/account')).text, /ann@example\.org/);
    assert.equal((await attacker.get('/account')).status, 303);
  });

  it('ends at logout, on the other portal too', async () => {
    const client = await loggedIn(portal, 'ann');
    const elsewhere = other.client();
    for (const [name, value] of client.cookies) elsewhere.cookies.set(name, value);
    assert.equal((await elsewhere.get('/account')).status, 200);
    await client.get('/account');
    const answer = await client.post('/logout');
    assert.deepEqual([answer.status, answer.location], [303, '/']);
    assert.equal((await elsewhere.get('/account')).status, 303);
  });

  it('is refused without the CSRF token, with a foreign one, and from another site', async () => {
    const client = portal.client();
    await client.get('/login');
    assert.equal((await client.post('/login', { name: 'ann', password: testPassword }, { csrf: false })).status, 403);
    assert.equal((await client.post('/login', { name: 'ann', password: testPassword, _csrf: 'x'.repeat(128) })).status, 403);
    const foreign = await client.request('/login', {
      method: 'POST',
      headers: { 'sec-fetch-site': 'cross-site' },
      body: new URLSearchParams({ name: 'ann', password: testPassword, _csrf: client.csrfToken }),
    });
    assert.equal(foreign.status, 403);
    assert.equal((await client.get('/account')).status, 303);
  });

  it('never leaves the portal afterwards', async () => {
    // every variant is tried beside localPath; here, that the login asks it
    const evil = ['//evil.example', '/\\evil.example', 'https://evil.example', '/..//evil.example/x'];
    for (const next of evil) {
      const client = portal.client();
      await client.get(`/login?next=${encodeURIComponent(next)}`);
      const { location, status } = await client.post('/login', { name: 'ann', password: testPassword, next });
      assert.equal(status, 303);
      assert.equal(location, '/');
    }
  });

  it('hashes anew, harder, when the cost has grown', async () => {
    const { db } = portal.deps;
    const weak = await makeUser(db, 'weak', { passwordHash: await bcrypt.hash(testPassword, 5) });
    await loggedIn(portal, 'weak');
    const [row] = await db.query<{ password_hash: string }>('SELECT password_hash FROM users WHERE id = ?', [weak.id]);
    assert.ok(bcrypt.getRounds(row?.password_hash ?? '') >= 10);
    await loggedIn(portal, 'weak');
  });
});

describe('brute force', () => {
  it('is stopped by limits that both portals share, in the same words for unknown names', async () => {
    const { db } = portal.deps;
    await makeUser(db, 'quarry');
    now += 3_600_000;
    const attempt = async (at: TestPortal, name: string, password: string) => {
      const client = at.client();
      await client.get('/login');
      return client.post('/login', { name, password });
    };
    // tries at once are tries, too
    const results = await Promise.all(Array.from({ length: 12 }, (_, i) => attempt(i % 2 === 0 ? portal : other, 'quarry', 'guess')));
    assert.equal(results.filter((result) => result.status === 401).length, 10);
    const refused = results.find((result) => result.status === 429);
    const wait = Number(refused?.headers.get('retry-after'));
    assert.ok(wait > 800 && wait <= 900, String(wait));
    const right = await attempt(other, 'quarry', testPassword);
    assert.equal(right.status, 429, 'even with the right password');

    await Promise.all(Array.from({ length: 10 }, () => attempt(portal, 'nobody-here', 'guess')));
    const unknown = await attempt(portal, 'nobody-here', 'guess');
    assert.equal(plain(unknown.text, 'nobody-here'), plain((await attempt(portal, 'quarry', 'guess')).text, 'quarry'));
    assert.equal((await attempt(portal, 'ann', testPassword)).status, 303, 'others are not touched');

    now += 15 * 60_000;
    assert.equal((await attempt(portal, 'quarry', testPassword)).status, 303);
  });
});

describe('registration', () => {
  const person = (name: string, over: Record<string, string> = {}) => ({
    name, displayName: '王小明', email: `${name}@example.org`, password: 'a quiet sentence', passwordAgain: 'a quiet sentence', ...over,
  });
  const setRegistration = (registration: 'open' | 'approval' | 'closed') =>
    updateSettings(portal.deps.db, 'site', { ...defaultSettings.site, registration }, null, now);

  it('open: makes an active user and logs in', async () => {
    await setRegistration('open');
    const client = portal.client();
    await client.get('/register');
    assert.equal(client.cookies.get('session'), undefined);
    const answer = await client.post('/register', person('newcomer', { role: 'admin', state: 'active' }));
    assert.deepEqual([answer.status, answer.location], [303, '/']);
    assert.equal((await client.get('/account')).status, 200);
    const user = await selectOptionalUserByName(portal.deps.db, 'newcomer');
    assert.deepEqual([user?.role, user?.state, user?.displayName], ['user', 'active', '王小明']);
  });

  it('keeps what was typed and says what is wrong, but never shows a password again', async () => {
    const client = portal.client();
    await client.get('/register');
    const cases: [Record<string, string>, RegExp][] = [
      [person('Ann Smith'), /2 to 32 of a-z/],
      [person('ann'), /This name is taken/],
      [person('brief', { password: 'sh0rt!', passwordAgain: 'sh0rt!' }), /At least 10 characters/],
      [person('differ', { passwordAgain: 'another sentence' }), /The two are not the same/],
      [person('longer', { password: '長'.repeat(25), passwordAgain: '長'.repeat(25) }), /takes 75 bytes, and only 72/],
      [person('plain', { password: 'aaaaaaaaaaaa', passwordAgain: 'aaaaaaaaaaaa' }), /guessed at once/],
      [person('nomail', { email: 'nobody' }), /does not look like a mail address/],
    ];
    for (const [form, words] of cases) {
      const answer = await client.post('/register', form);
      assert.equal(answer.status, 422, JSON.stringify(form));
      assert.match(answer.text, words);
      assert.match(answer.text, /value="王小明"/);
      assert.ok(!answer.text.includes(form['password'] ?? ''), `${form['name']}: the password is in the page`);
    }
    const both = await client.post('/register', person('Ann Smith', { password: 'sh0rt!', passwordAgain: 'sh0rt!', email: 'nobody' }));
    for (const words of [/2 to 32 of a-z/, /At least 10 characters/, /does not look like a mail address/]) assert.match(both.text, words);
    // 72 bytes are not too many, and the 72nd counts
    const longest = '長'.repeat(23) + 'abc';
    assert.equal((await client.post('/register', person('longest', { password: longest, passwordAgain: longest }))).status, 303);
    const again = portal.client();
    await again.get('/login');
    assert.equal((await again.post('/login', { name: 'longest', password: `${longest.slice(0, -1)}x` })).status, 401);
    assert.equal((await again.post('/login', { name: 'longest', password: longest })).status, 303);
  });

  it('by approval: makes a user who cannot log in yet', async () => {
    await setRegistration('approval');
    const client = portal.client();
    assert.match((await client.get('/register')).text, /administrator looks at every new account/);
    const answer = await client.post('/register', person('waiter'));
    assert.equal(answer.status, 303);
    assert.match((await client.get('/')).text, /as soon as an administrator has approved/);
    assert.equal((await client.get('/account')).status, 303);
    assert.equal((await selectOptionalUserByName(portal.deps.db, 'waiter'))?.state, 'pending');
  });

  it('closed: offers no form and takes none', async () => {
    await setRegistration('closed');
    const client = portal.client();
    const page = await client.get('/register');
    assert.match(page.text, /Registration is closed/);
    assert.doesNotMatch(page.text, /name="passwordAgain"/);
    assert.equal((await client.post('/register', person('intruder'))).status, 403);
    assert.equal(await selectOptionalUserByName(portal.deps.db, 'intruder'), undefined);
    await setRegistration('open');
  });
});

describe('the user information page', () => {
  it('changes name, mail and language', async () => {
    const { db } = portal.deps;
    await makeUser(db, 'pro');
    const client = await loggedIn(portal, 'pro');
    await client.get('/account');
    assert.equal((await client.post('/account/profile', { displayName: '', email: 'x', language: 'de' })).status, 422);
    const answer = await client.post('/account/profile', { displayName: '<b>Pro</b>', email: 'pro@example.net', language: 'zh-TW' });
    assert.equal(answer.status, 303);
    const page = await client.get('/account');
    assert.match(page.text, /&lt;b&gt;Pro&lt;\/b&gt;/);
    assert.match(page.text, /我的帳號/);
    assert.match(page.text, /pro@example\.net/);
  });

  it('changes the password with the old one; every other session ends on every portal, this one goes on', async () => {
    const { db } = portal.deps;
    const user = await makeUser(db, 'changer');
    const here = await loggedIn(portal, 'changer');
    const there = await loggedIn(other, 'changer');
    const before = here.cookies.get('session');
    await here.get('/account');
    const next = { password: 'another calm line', passwordAgain: 'another calm line' };
    const wrong = await here.post('/account/password', { oldPassword: 'not this one', ...next });
    assert.equal(wrong.status, 422);
    assert.match(wrong.text, /This is not your present password/);
    assert.equal((await there.get('/account')).status, 200);
    assert.equal((await here.post('/account/password', { oldPassword: testPassword, ...next })).status, 303);
    assert.equal((await there.get('/account')).status, 303);
    assert.equal((await here.get('/account')).status, 200);
    assert.notEqual(here.cookies.get('session'), before);
    await logIn(portal.client(), 'changer', 'another calm line');
    await updatePassword(db, user.id, 'whatever', now);
    assert.equal((await here.get('/account')).status, 303);
  });

  it('revokes the API tokens with the password, and says so before and after; another user’s go on', async () => {
    const { db } = portal.deps;
    const [user, stranger] = [await makeUser(db, 'renewer'), await makeUser(db, 'bystander')];
    const client = await loggedIn(portal, 'renewer');
    const [mine, theirs] = await Promise.all([user, stranger].map(({ id }) => createApiToken(db, { userId: id, name: 'ci', scope: 'read', expiresAt: now + 86_400_000 }, now)));
    const statusOf = async (token: { readonly secret: string } | undefined): Promise<number> => (await fetch(`${portal.url}/api/v1/me`, { headers: { authorization: `Bearer ${token?.secret ?? ''}` } })).status;
    assert.match((await client.get('/account')).text, /all your API tokens are revoked/);
    const next = { password: 'another calm line', passwordAgain: 'another calm line' };
    assert.equal((await client.post('/account/password', { oldPassword: 'not this one', ...next })).status, 422);
    assert.equal(await statusOf(mine), 200, 'a password that was not changed takes nothing away');
    assert.equal((await client.post('/account/password', { oldPassword: testPassword, ...next })).status, 303);
    assert.deepEqual([await statusOf(mine), await statusOf(theirs)], [401, 200]);
    assert.match((await client.get('/account')).text, /Your password is changed; all other sessions have ended, and all your API tokens are revoked/);
  });

  it('stops guessing the old password', async () => {
    await makeUser(portal.deps.db, 'guessed');
    const client = await loggedIn(portal, 'guessed');
    await client.get('/account');
    const next = { password: 'another calm line', passwordAgain: 'another calm line' };
    const tries = [];
    for (let i = 0; i < 11; i++) tries.push((await client.post('/account/password', { oldPassword: 'a guess', ...next })).status);
    assert.deepEqual(tries, [...Array<number>(10).fill(422), 429]);
  });

  it('lists sessions and signs out everywhere else', async () => {
    const { db } = portal.deps;
    const user = await makeUser(db, 'everywhere');
    const here = await loggedIn(portal, 'everywhere');
    const there = await loggedIn(other, 'everywhere');
    const page = await here.get('/account');
    assert.equal(page.text.match(/127\.0\.0\.1/g)?.length, 2);
    assert.equal((await here.post('/account/sessions/end')).status, 303);
    assert.equal((await there.get('/account')).status, 303);
    const none = await here.get('/account');
    assert.match(none.text, /All other sessions have ended\./);
    assert.doesNotMatch(none.text, /go on working/);

    for (const name of ['one', 'two']) await createApiToken(db, { userId: user.id, name, scope: 'read', expiresAt: now + 86_400_000 }, now);
    await createApiToken(db, { userId: user.id, name: 'dead', scope: 'read', expiresAt: now - 1 }, now - 2);
    assert.match((await here.get('/account')).text, /API tokens that go on working: 2\. <a href="#tokens">[\s\S]*? id="tokens"/);
    assert.equal((await here.post('/account/sessions/end')).status, 303);
    assert.match((await here.get('/account')).text, /All other sessions have ended\. API tokens that go on working: 2; they are listed below/);
    assert.equal((await selectTokensByUser(db, user.id, now)).length, 2);
  });

  it('shows a token once, and revokes it', async () => {
    const { db } = portal.deps;
    const user = await makeUser(db, 'coder');
    const client = await loggedIn(portal, 'coder');
    await client.get('/account');
    assert.equal((await client.post('/account/tokens', { tokenName: '', scope: 'all', days: '9999' })).status, 422);
    const made = await client.post('/account/tokens', { tokenName: '<i>ci</i>', scope: 'read', days: '30' });
    assert.equal(made.status, 200);
    const secret = /cloudhpc_[\w-]{43}/.exec(made.text)?.[0];
    assert.ok(secret);
    assert.equal(made.headers.get('cache-control'), 'no-store');
    assert.ok(!(await client.get('/account')).text.includes(secret));
    for (const table of ['sessions', 'audit', 'api_tokens']) {
      assert.ok(!JSON.stringify(await db.query(`SELECT * FROM ${table}`)).includes(secret), table);
    }
    const me = (): Promise<Response> => fetch(`${portal.url}/api/v1/me`, { headers: { authorization: `Bearer ${secret}` } });
    assert.equal((await me()).status, 200);
    const [token] = await selectTokensByUser(db, user.id, now);
    assert.equal(token?.expiresAt, now + 30 * 86_400_000);
    const stranger = await loggedIn(portal, 'ann');
    await stranger.get('/account');
    assert.equal((await stranger.post(`/account/tokens/${token?.id}/revoke`)).status, 404);
    assert.equal((await me()).status, 200);
    assert.equal((await client.post(`/account/tokens/${token?.id}/revoke`)).status, 303);
    assert.equal((await me()).status, 401);
  });

  it('ends at once, on every portal, when the account is disabled or its epoch moves', async () => {
    const { db } = portal.deps;
    const user = await makeUser(db, 'ender');
    const client = await loggedIn(other, 'ender');
    assert.equal((await client.get('/account')).status, 200);
    await bumpSessionEpoch(db, user.id, now);
    assert.equal((await client.get('/account')).status, 303);
    await logIn(client, 'ender');
    await updateUserAccess(db, user.id, { state: 'disabled' }, now);
    assert.equal((await client.get('/account')).status, 303);
    assert.equal((await selectUser(db, user.id)).state, 'disabled');
  });
});

describe('cookies and logs', () => {
  it('sets a __Host- cookie over HTTPS', async () => {
    const secure = await startTestPortal({ clock, runner: false, database: portal.database, env: { PUBLIC_URL: 'https://cloud.example', TRUST_PROXY: 'loopback' } });
    const client = secure.client();
    const headers = { accept: 'text/html', 'x-forwarded-proto': 'https' };
    const page = await client.request('/login', { headers });
    const _csrf = /name="csrf-token" content="([0-9a-f]+)"/.exec(await page.text())?.[1] ?? '';
    const login = await client.request('/login', { method: 'POST', headers, body: new URLSearchParams({ name: 'ann', password: testPassword, _csrf }) });
    assert.equal(login.status, 303);
    const cookies = [...page.headers.getSetCookie(), ...login.headers.getSetCookie()];
    assert.deepEqual(cookies.map((cookie) => cookie.split('=')[0]), ['__Host-visitor', '__Host-device', '__Host-session']);
    for (const cookie of cookies) {
      for (const part of [/; Path=\/(?:;|$)/, /; HttpOnly/, /; Secure/, /; SameSite=Lax/]) assert.match(cookie, part);
      assert.doesNotMatch(cookie, /Domain/i);
    }
    await secure.close();
  });

  it('cuts one-time links out of the request log', () => {
    assert.equal(pathForLog('/setup/abc-def'), '/setup/[cut]');
    assert.equal(pathForLog('/account'), '/account');
  });
});
