import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Cookie, type SessionData } from 'express-session';
import type { Clock } from '../../src/clock.ts';
import type { Db } from '../../src/store/db.ts';
import { purgeExpiredSessions, selectSessionsByUser } from '../../src/store/sessions.ts';
import { bumpSessionEpoch, updateUserAccess } from '../../src/store/users.ts';
import { DatabaseSessionStore, maxAgeMs, sessionRowId } from '../../src/web/session/store.ts';
import { makeUser } from '../helpers/accounts.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';

const hourMs = 3_600_000;

describe('the session store', () => {
  let database: TestDatabase;
  let now = 1_800_000_000_000;
  const clock: Clock = { now: () => now };
  let statements = 0;
  let store: DatabaseSessionStore;
  before(async () => {
    database = await createTestDatabase();
    const counting: Db = {
      query: (sql, params) => database.db.query(sql, params),
      execute: (sql, params) => {
        statements++;
        return database.db.execute(sql, params);
      },
    };
    store = new DatabaseSessionStore(counting, clock);
  });
  after(() => database.close());

  const get = (sid: string): Promise<SessionData | null | undefined> =>
    new Promise((resolve, reject) => store.get(sid, (error, session) => (error ? reject(error) : resolve(session))));
  const set = (sid: string, session: SessionData): Promise<void> =>
    new Promise((resolve, reject) => store.set(sid, session, (error) => (error ? reject(error) : resolve())));
  const touch = (sid: string, session: SessionData): Promise<void> => new Promise((resolve, reject) => store.touch(sid, session, (error) => (error ? reject(error) : resolve())));
  const destroy = (sid: string): Promise<void> => new Promise((resolve, reject) => store.destroy(sid, (error) => (error ? reject(error) : resolve())));
  const session = (data: Partial<SessionData> = {}): SessionData => {
    const cookie = new Cookie();
    cookie.originalMaxAge = 24 * hourMs;
    return { cookie, ...data } as SessionData;
  };

  it('gives back what was set, and knows nothing else', async () => {
    await set('sid-1', session({ csrfToken: '權杖' }));
    assert.equal((await get('sid-1'))?.csrfToken, '權杖');
    assert.equal(await get('sid-2'), null);
    assert.equal(await get(sessionRowId('sid-1')), null, 'the row id of the table opens nothing');
    const rows = await database.db.query<{ id: string; data: string }>('SELECT id, data FROM sessions');
    assert.ok(rows.every((row) => !JSON.stringify(row).includes('sid-1')));
  });

  it('refuses what does not fit, instead of cutting it', async () => {
    await assert.rejects(set('sid-big', session({ csrfToken: 'x'.repeat(4000) })), /4000/);
    assert.equal(await get('sid-big'), null);
  });

  it('writes a touch at most once a minute', async () => {
    await set('sid-touch', session());
    const loaded = await get('sid-touch');
    assert.ok(loaded);
    statements = 0;
    for (let i = 0; i < 50; i++) {
      now += 1000;
      await touch('sid-touch', loaded);
    }
    assert.equal(statements, 0);
    now += 11_000;
    await touch('sid-touch', loaded);
    assert.equal(statements, 1);
  });

  it('ends an idle login after the cookie time, a visitor sooner, and any login after a week', async () => {
    const user = await makeUser(database.db, 'idle');
    await set('sid-visitor', session());
    await set('sid-login', session({ userId: user.id, epoch: 0 }));
    const start = now;
    now = start + 3 * hourMs;
    assert.equal(await get('sid-visitor'), null);
    assert.ok(await get('sid-login'));
    for (; now < start + maxAgeMs; now += 20 * hourMs) {
      const loaded = await get('sid-login');
      assert.ok(loaded, `${(now - start) / hourMs} h`);
      await touch('sid-login', loaded);
    }
    now = start + maxAgeMs + 1;
    assert.equal(await get('sid-login'), null);
  });

  it('does not bring a session back that ended while a request was under way', async () => {
    await set('sid-slow', session({ csrfToken: 'a' }));
    const slow = await get('sid-slow');
    assert.ok(slow);
    await destroy('sid-slow');
    slow.csrfToken = 'changed';
    await set('sid-slow', slow);
    await touch('sid-slow', slow);
    assert.equal(await get('sid-slow'), null);
  });

  it('ends with the epoch of its user, and with the account', async () => {
    const { db } = database;
    const user = await makeUser(db, 'ending');
    await set('sid-e1', session({ userId: user.id, epoch: 0, ip: '192.0.2.7', userAgent: '瀏覽器/1.0' }));
    await set('sid-e2', session({ userId: user.id, epoch: 0, ip: '2001:db8::1', userAgent: '' }));
    assert.equal((await selectSessionsByUser(db, user.id, now)).length, 2);
    assert.deepEqual((await selectSessionsByUser(db, user.id, now)).map((each) => each.userAgent).sort(), ['', '瀏覽器/1.0']);
    await bumpSessionEpoch(db, user.id, now);
    assert.equal(await get('sid-e1'), null);
    assert.equal(await get('sid-e2'), null);
    assert.equal((await selectSessionsByUser(db, user.id, now)).length, 0);
    await set('sid-e3', session({ userId: user.id, epoch: 1 }));
    assert.ok(await get('sid-e3'));
    await updateUserAccess(db, user.id, { state: 'disabled' }, now);
    assert.equal(await get('sid-e3'), null);
    await db.execute('DELETE FROM users WHERE id = ?', [user.id]);
    assert.equal(await get('sid-e3'), null);
  });

  it('purges what has expired, in batches, and nothing else', async () => {
    const { db } = database;
    await db.execute('DELETE FROM sessions');
    const rows = Array.from({ length: 1203 }, (_, i) => [sessionRowId(`old-${i}`), now - 1]);
    await db.execute(
      `INSERT INTO sessions (id, data, ip, user_agent, created_at, seen_at, expires_at) VALUES ${rows.map(() => "(?, '{}', '', '', 0, 0, ?)").join(', ')}`,
      rows.flat(),
    );
    await set('sid-alive', session());
    statements = 0;
    assert.equal(await purgeExpiredSessions(db, now), 1203);
    assert.ok(await get('sid-alive'));
    assert.equal(await purgeExpiredSessions(db, now), 0);
  });
});
