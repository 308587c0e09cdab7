// What one person with a script can make the portal do or keep: bounded, and nobody else notices.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { makeRecords, type Records } from '../api/records.ts';
import { auditSettled, loggedIn, testPassword } from '../helpers/accounts.ts';
import { limits } from '../../src/web/session/limits.ts';

let records: Records;
let now = Date.now();
before(async () => { records = await makeRecords({ clock: { now: () => now } }); });
after(() => records.portal.close());

const count = async (table: string): Promise<number> => (await records.portal.deps.db.query<{ n: number }>(`SELECT COUNT(*) AS n FROM ${table}`))[0]?.n ?? 0;

describe('a visitor', () => {
  it('leaves no session behind by opening pages', async () => {
    const before = await count('sessions');
    for (const path of ['/', '/login', '/register', '/about', '/contact', '/nothing']) {
      for (let i = 0; i < 5; i++) await records.portal.client().get(path);
    }
    assert.equal(await count('sessions'), before);
  });

  it('leaves no session behind by posting without a token, nor audit rows', async () => {
    const [sessions, audit] = [await count('sessions'), await count('audit')];
    for (const path of ['/login', '/register', '/contact', '/logout', '/language', '/setup/x']) {
      assert.equal((await records.portal.client().post(path, {}, { csrf: false })).status, 403, path);
    }
    assert.deepEqual([await count('sessions'), await count('audit')], [sessions, audit]);
  });

  it('gets a token that is good for their own cookie only, and not for one they make up', async () => {
    const [mine, theirs] = [records.portal.client(), records.portal.client()];
    await mine.get('/login');
    await theirs.get('/login');
    assert.notEqual(mine.csrfToken, theirs.csrfToken);
    assert.equal((await mine.post('/language', { language: 'en', _csrf: theirs.csrfToken })).status, 403);
    assert.equal((await mine.post('/language', { language: 'en' })).status, 303);
    mine.cookies.set('visitor', 'x');
    assert.equal((await mine.post('/language', { language: 'en' })).status, 403);
  });

  it('cannot use it once logged in: then the session has its own', async () => {
    const client = records.portal.client();
    await client.get('/login');
    const before = client.csrfToken;
    assert.equal((await client.post('/login', { name: 'other', password: testPassword })).status, 303);
    assert.equal((await client.post('/language', { language: 'en', _csrf: before })).status, 403);
  });
});

describe('a user', () => {
  it('is stopped after many changes, refused ones too, before the audit log takes more rows; others are not', async () => {
    const [user, other] = [await loggedIn(records.portal, 'user'), await loggedIn(records.portal, 'other')];
    await user.get('/about');
    const nowhere = `/instances/${crypto.randomUUID()}/actions/start`;
    const statuses: number[] = [];
    while (statuses.length < limits.changes.points + 50) statuses.push(...await Promise.all(Array.from({ length: 25 }, async () => (await user.post(nowhere)).status)));
    assert.deepEqual(new Set(statuses), new Set([404, 429]));
    assert.ok(statuses.filter((status) => status === 404).length <= limits.changes.points);
    await auditSettled(records.portal.deps.db);
    const rows = await count('audit');
    assert.equal((await user.post(nowhere)).status, 429);
    assert.equal((await user.post('/admin/flavours', {})).status, 429);
    const { status } = await (await records.api.token(records.user.id)).call('POST', `/instances/${records.instanceId}/actions/start`);
    assert.equal(status, 429);
    assert.equal(await count('audit'), rows);
    assert.equal((await other.post(nowhere)).status, 404);
    assert.equal((await user.get('/instances')).status, 200);
    now += limits.changes.windowMs;
    assert.equal((await user.post(nowhere)).status, 404);
  });

  it('cannot keep the password hash busy with right passwords', async () => {
    const client = records.portal.client();
    await client.get('/login');
    const statuses = new Map<number, number>();
    for (let i = 0; i < limits.logins.points + 2; i++) {
      client.forgetToken();
      const { status } = await client.post('/login', { name: 'other', password: testPassword });
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    assert.ok((statuses.get(303) ?? 0) <= limits.logins.points && (statuses.get(429) ?? 0) >= 2, JSON.stringify([...statuses]));
    now += limits.logins.windowMs;
  });
});

describe('a path in other letters', () => {
  it('is another path: nothing that looks at paths is passed by', async () => {
    const token = await records.api.token(records.user.id);
    assert.equal((await token.call('GET', '/me')).status, 200);
    for (const path of ['/API/v1/me', '/Api/v1/openapi.json', '/SETUP/token', '/EVENTS', '/Admin/users', '/LOGIN']) {
      assert.equal((await records.portal.client().get(path)).status, 404, path);
    }
  });

  it('nor is any answer kept by a cache', async () => {
    const user = await loggedIn(records.portal, 'user');
    for (const path of ['/', '/instances', '/nothing', '/admin', `/instances/${crypto.randomUUID()}`, '/api/v1/me', '/api/v1/nothing']) {
      assert.equal((await user.get(path)).headers.get('cache-control'), 'no-store', path);
    }
  });
});
