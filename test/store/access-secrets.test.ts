// One-time links, API tokens, counters of tries, and the audit log.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { AppError } from '../../src/errors.ts';
import { createApiToken, revokeToken, selectOptionalTokenUser, selectTokensByUser } from '../../src/store/api-tokens.ts';
import { insertAudit, selectAuditActions, selectAuditPage, updateAudit, type AuditEntry } from '../../src/store/audit.ts';
import { openDatabase } from '../../src/store/db.ts';
import { clearPoints, purgeRateLimits, refundPoints, spendPoint, spendPoints } from '../../src/store/rate-limits.ts';
import { claimPasswordLink, createPasswordLink, createSetupLink, purgeSetupLinks, selectOptionalSetupLink, setupLinkLifeMs, spendFirstAdminLinks } from '../../src/store/setup-links.ts';
import { selectPasswordHash, selectUser, updateUserAccess } from '../../src/store/users.ts';
import { makeFirstAdmin, makeUser } from '../helpers/accounts.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';

let database: TestDatabase;
before(async () => {
  database = await createTestDatabase();
});
after(() => database.close());

describe('one-time links', () => {
  let now = 1_800_000_000_000;
  const clock = { now: () => now };

  it('make the first admin only while there is none', async () => {
    const { db } = database;
    const token = await createSetupLink(db, clock);
    assert.match(token, /^[\w-]{43}$/);
    assert.deepEqual(await selectOptionalSetupLink(db, token, now), { kind: 'first-admin' });
    assert.equal(await selectOptionalSetupLink(db, `${token}x`, now), undefined);
    assert.equal(await selectOptionalSetupLink(db, token, now + setupLinkLifeMs), undefined);
    assert.ok(!JSON.stringify(await db.query('SELECT * FROM setup_links')).includes(token));
    await makeFirstAdmin(db);
    assert.equal(await selectOptionalSetupLink(db, token, now), undefined, 'even before it is marked as used');
    await spendFirstAdminLinks(db, now);
    await assert.rejects(createSetupLink(db, clock), (error) => error instanceof AppError && error.kind === 'conflict');
  });

  it('set a password once, however many use them at once; a newer link replaces an older one', async () => {
    const { db } = database;
    const user = await makeUser(db, 'forgetful');
    const old = await createPasswordLink(db, user.id, clock);
    const token = await createPasswordLink(db, user.id, clock);
    assert.equal(await selectOptionalSetupLink(db, old, now), undefined);
    assert.deepEqual(await selectOptionalSetupLink(db, token, now), { kind: 'password', userId: user.id });
    const results = await Promise.all(Array.from({ length: 8 }, (_, i) => claimPasswordLink(db, token, user.id, `hash-${i}`, now)));
    assert.equal(results.filter(Boolean).length, 1);
    assert.equal(await selectPasswordHash(db, user.id), `hash-${results.indexOf(true)}`);
    assert.equal((await selectUser(db, user.id)).sessionEpoch, 1);
    assert.equal(await claimPasswordLink(db, token, user.id, 'again', now), false);
  });

  it('are purged when they have expired', async () => {
    now += setupLinkLifeMs + 1;
    assert.ok((await purgeSetupLinks(database.db, now)) >= 2);
    assert.equal((await database.db.query('SELECT * FROM setup_links')).length, 0);
  });
});

describe('API tokens', () => {
  const now = 1_800_000_000_000;

  it('open the account until they expire or are revoked, and are kept hashed', async () => {
    const { db } = database;
    const user = await makeUser(db, 'programmer');
    const { id, secret } = await createApiToken(db, { userId: user.id, name: 'CI', scope: 'read', expiresAt: now + 1000 }, now);
    const found = await selectOptionalTokenUser(db, secret, now);
    assert.equal(found?.user.id, user.id);
    assert.equal(found?.token.scope, 'read');
    assert.equal(await selectOptionalTokenUser(db, secret, now + 1000), undefined, 'expired');
    assert.equal(await selectOptionalTokenUser(db, secret.slice(0, -1), now), undefined);
    assert.equal((await selectTokensByUser(db, user.id, now))[0]?.lastUsedAt, now);
    assert.ok(!JSON.stringify(await db.query('SELECT * FROM api_tokens')).includes(secret));

    const other = await makeUser(db, 'other-programmer');
    assert.equal(await revokeToken(db, other.id, id, now), false, "another's token");
    assert.ok(await selectOptionalTokenUser(db, secret, now));
    assert.equal(await revokeToken(db, user.id, id, now), true);
    assert.equal(await selectOptionalTokenUser(db, secret, now), undefined, 'revoked');
    assert.deepEqual(await selectTokensByUser(db, user.id, now), []);
  });

  it('do not outlive the account', async () => {
    const { db } = database;
    const user = await makeUser(db, 'leaver');
    const { secret } = await createApiToken(db, { userId: user.id, name: 'x', scope: 'write', expiresAt: now + 1000 }, now);
    await updateUserAccess(db, user.id, { state: 'disabled' }, now);
    assert.equal(await selectOptionalTokenUser(db, secret, now), undefined);
  });
});

describe('counters of tries', () => {
  const limit = { name: 'test', points: 5, windowMs: 60_000 };

  it('let exactly the limit through, however many try at once on two portals', async () => {
    const { db } = database;
    const other = openDatabase([database.url], { connectionLimit: 10 });
    const spent = await Promise.all(Array.from({ length: 30 }, (_, i) => spendPoint(i % 2 === 0 ? db : other, limit, '王', 1000)));
    await other.close();
    assert.equal(spent.filter((each) => each.allowed).length, 5);
    assert.ok(spent.every((each) => each.remainingMs === 60_000));
  });

  it('begin anew when the window is over, and count subjects and limits apart', async () => {
    const { db } = database;
    assert.equal((await spendPoint(db, limit, '王', 60_999)).allowed, false);
    assert.equal((await spendPoint(db, limit, '王', 61_000)).allowed, true);
    assert.equal((await spendPoint(db, limit, '李', 2000)).allowed, true);
    assert.equal((await spendPoint(db, { ...limit, name: 'other' }, '王', 61_000)).allowed, true);
  });

  it('count under several limits until one refuses', async () => {
    const { db } = database;
    const [short, long] = [{ name: 'short', points: 2, windowMs: 1000 }, { name: 'long', points: 3, windowMs: 60_000 }] as const;
    const spent = async (now: number): Promise<[string, boolean]> => {
      const { limit: { name }, allowed } = await spendPoints(db, [short, long], '王', now);
      return [name, allowed];
    };
    assert.deepEqual([await spent(1000), await spent(1000), await spent(1000)], [['long', true], ['long', true], ['short', false]]);
    assert.deepEqual([await spent(2000), await spent(2000)], [['long', true], ['long', false]], 'what the first refused is not counted');
    await refundPoints(db, [short, long], '王');
    await refundPoints(db, [short, long], '王');
    assert.deepEqual(await spent(2000), ['long', true]);
  });

  it('take tries back, forget, and are purged', async () => {
    const { db } = database;
    for (let i = 0; i < 5; i++) await spendPoint(db, limit, 'back', 1000);
    await refundPoints(db, [limit], 'back');
    assert.equal((await spendPoint(db, limit, 'back', 1000)).allowed, true);
    assert.equal((await spendPoint(db, limit, 'back', 1000)).allowed, false);
    await clearPoints(db, limit, 'back');
    assert.equal((await spendPoint(db, limit, 'back', 1000)).allowed, true);
    await purgeRateLimits(db, 10_000_000);
    assert.equal((await db.query('SELECT * FROM rate_limits')).length, 0);
  });
});

describe('the audit log', () => {
  const entry = (over: Partial<AuditEntry>): AuditEntry => ({
    id: crypto.randomUUID(), at: 1000, userId: null, userName: 'ann', action: 'instance.create', target: 'vm', ip: '192.0.2.1', result: 'ok', detail: '', ...over,
  });

  it('filters by who, what, result and period, newest first', async () => {
    const { db } = database;
    await insertAudit(db, entry({ at: 1000 }));
    await insertAudit(db, entry({ at: 2000, action: 'instance.delete', result: 'refused' }));
    await insertAudit(db, entry({ at: 3000, action: 'instances.other', userName: 'bob' }));
    const actions = async (filter: object): Promise<string[]> => (await selectAuditPage(db, filter, 10, 0)).entries.map((each) => each.action);
    assert.deepEqual(await actions({}), ['instances.other', 'instance.delete', 'instance.create']);
    assert.deepEqual(await actions({ userName: 'ann' }), ['instance.delete', 'instance.create']);
    assert.deepEqual(await actions({ action: 'instance' }), ['instance.delete', 'instance.create']);
    assert.deepEqual(await actions({ action: 'instance.create' }), ['instance.create']);
    assert.deepEqual(await actions({ result: 'refused' }), ['instance.delete']);
    assert.deepEqual(await actions({ from: 2000, until: 3000 }), ['instance.delete']);
    const page = await selectAuditPage(db, {}, 1, 1);
    assert.deepEqual([page.entries[0]?.at, page.total], [2000, 3]);
    assert.deepEqual(await selectAuditActions(db), ['instance.create', 'instance.delete', 'instances.other']);
  });

  it('gets its result once, and the name of a visitor who logged in', async () => {
    const { db } = database;
    const user = await makeUser(db, 'later-known');
    const begun = entry({ userName: '', result: 'begun' });
    await insertAudit(db, begun);
    await updateAudit(db, begun.id, { result: 'ok', target: 't', detail: 'd', userId: user.id });
    await updateAudit(db, begun.id, { result: 'failed', target: 'forged', detail: '', userId: null });
    const [row] = (await selectAuditPage(db, { userName: 'later-known' }, 10, 0)).entries;
    assert.deepEqual([row?.result, row?.target, row?.detail, row?.userId], ['ok', 't', 'd', user.id]);
  });

  it('cannot be made to show two entries, and cuts what is too long', async () => {
    const { db } = database;
    await insertAudit(db, entry({ userName: 'forger', target: 'vm\r\n2026 admin user.role ok\u2028x', detail: '😀'.repeat(3000) }));
    const [row] = (await selectAuditPage(db, { userName: 'forger' }, 10, 0)).entries;
    assert.doesNotMatch(row?.target ?? '', /[\r\n\u2028]/);
    assert.equal([...(row?.detail ?? '')].length, 2000);
  });
});
