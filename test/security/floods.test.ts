// What one person with a script can make the portal do or keep: bounded, and nobody else notices.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { makeRecords, type Records } from '../api/records.ts';
import { auditSettled, loggedIn, testPassword } from '../helpers/accounts.ts';
import { makeInstance } from '../helpers/instances.ts';
import { assertShows } from '../helpers/page-text.ts';
import { purgeExpired } from '../../src/jobs/purge-expired.ts';
import { maxFailedInstances } from '../../src/operations/instance-create.ts';
import type { Database } from '../../src/store/db.ts';
import { diaryLength, insertInstanceEvent } from '../../src/store/instance-events.ts';
import { EventsHub } from '../../src/web/events/hub.ts';
import type { Subscriber } from '../../src/web/events/subscriptions.ts';
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
    for (let i = 0; i < limits.logins.points + 3; i++) {
      client.forgetToken();
      const { status } = await client.post('/login', { name: 'other', password: testPassword });
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    // the first was a stranger's, those after it a known device's
    assert.ok((statuses.get(303) ?? 0) <= 1 + limits.logins.points && (statuses.get(429) ?? 0) >= 2, JSON.stringify([...statuses]));
    now += limits.logins.windowMs;
  });
});

describe('what piles up', () => {
  it('is not the record of failed creations, which count in no quota', async () => {
    const { db } = records.portal.deps;
    for (let n = 1; n <= maxFailedInstances; n++) await makeInstance(db, records.other, { name: `other-${n}` }, { state: 'failed', hostId: null, poolId: null });
    const api = await records.api.token(records.other.id);
    const problem = await api.refused(409, 'POST', '/instances', { raw: JSON.stringify({ name: 'one-more', imageId: records.imageId, vcpus: 1, memoryMib: 128, diskGib: 1 }) });
    assert.match(problem.detail, /100 machines whose creation failed/);
    // the page proposes a name without trying them all
    const page = await (await loggedIn(records.portal, 'other')).get('/instances/new');
    assertShows(page.text, /value="other-[0-9a-f]{6}"/);
  });

  it('is not the diary of an instance', async () => {
    const { db, clock, log } = records.portal.deps;
    const entries = Array.from({ length: diaryLength + 700 }, (_, at) => ({ instanceId: records.instanceId, at, userId: null, sentence: { key: 'x' } }));
    for (let start = 0; start < entries.length; start += 50) await Promise.all(entries.slice(start, start + 50).map((entry) => insertInstanceEvent(db, entry)));
    await purgeExpired({ db, clock, log }, new AbortController().signal);
    const [row] = await db.query<{ n: number; newest: number }>('SELECT COUNT(*) AS n, MAX(at) AS newest FROM instance_events WHERE instance_id = ?', [records.instanceId]);
    assert.equal(row?.n, diaryLength);
    assert.ok((row?.newest ?? 0) >= diaryLength + 699);
  });

  it('is not the work for streams that are opened and closed in a loop', async () => {
    let reads = 0;
    const { db } = records.portal.deps;
    const counting: Database = { ...db, query: (sql, params) => { if (sql.includes('FROM sessions')) reads++; return db.query(sql, params); } };
    const hub = new EventsHub({ ...records.portal.deps, db: counting });
    const subscriber = (): Subscriber => ({ userId: records.user.id, role: 'user', sessionRowId: 'x'.repeat(64), language: 'en', instanceIds: [], hostIds: [], cluster: false, moves: false, send: () => undefined, close: () => undefined });
    const stays = subscriber();
    hub.subscribe(stays);
    for (const end = performance.now() + 1000; performance.now() < end; await delay(5)) {
      const comes = subscriber();
      hub.subscribe(comes);
      hub.unsubscribe(comes);
    }
    hub.unsubscribe(stays);
    assert.ok(reads >= 2 && reads <= 6, `${reads} reads in a second`);
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
