// Every route of the table × visitor, user, another user, admin: a new route is in here without anybody remembering to add it.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { emptyDrillReport } from '../src/model/drill.ts';
import { createApiToken, selectTokensByUser } from '../src/store/api-tokens.ts';
import type { Db } from '../src/store/db.ts';
import { insertContactMessage } from '../src/store/contact-messages.ts';
import { insertBurnIn } from '../src/store/burn-ins.ts';
import { insertDrill } from '../src/store/drills.ts';
import { insertAlertRule } from '../src/store/alert-rules.ts';
import { upsertDiscrepancy } from '../src/store/discrepancies.ts';
import { insertWebhookTarget } from '../src/store/webhook-targets.ts';
import { defaultRules } from '../src/model/alert-rule.ts';
import { allRoutes, type Route } from '../src/web/routes.ts';
import { catalogue } from '../src/web/locales/index.ts';
import { makeRecords, type Records } from './api/records.ts';
import { auditSettled, loggedIn } from './helpers/accounts.ts';
import type { Client } from './helpers/portal.ts';

let records: Records;
let routes: Route[];
let clients: { visitor: Client; user: Client; other: Client; admin: Client };
let tokenId: string;
const messageId = crypto.randomUUID();
const discrepancyId = crypto.randomUUID();
const drillId = crypto.randomUUID();
const burnInId = crypto.randomUUID();
const ruleId = crypto.randomUUID();
const targetId = crypto.randomUUID();

before(async () => {
  records = await makeRecords();
  const { portal, user } = records;
  const { db } = portal.deps;
  await createApiToken(db, { userId: user.id, name: 'of the user', scope: 'write', expiresAt: Date.now() + 3_600_000 }, Date.now());
  tokenId = (await selectTokensByUser(db, user.id, Date.now()))[0]?.id ?? '';
  await insertContactMessage(db, { id: messageId, at: Date.now(), userId: user.id, name: 'U', email: 'u@example.org', subject: 's', body: 'b' });
  await upsertDiscrepancy(db, { id: discrepancyId, kind: 'unknown-domain', hostId: records.hostId, instanceId: null, domainUuid: crypto.randomUUID(), domainName: 'stranger' }, Date.now());
  await insertBurnIn(db, { id: burnInId, hostId: records.hostId, userId: null, state: 'passed', startedAt: 1, endedAt: 2, imageName: 'Debian', targetName: null, reserved: null, steps: [], error: null, fix: null });
  await insertDrill(db, { id: drillId, hostId: records.hostId, hostName: 'host1', mode: 'simulation', state: 'done', userId: null, startedAt: 1, endedAt: 1, report: emptyDrillReport });
  const [rule] = defaultRules;
  assert.ok(rule);
  await insertAlertRule(db, { ...rule, id: ruleId }, 1);
  await insertWebhookTarget(db, { id: targetId, name: 'chat', url: 'http://127.0.0.1:9/', enabled: false, minSeverity: 'info', resolved: true, updatedAt: 0 }, Buffer.from('sealed'), 1);
  routes = allRoutes(portal.deps);
  clients = { visitor: portal.client(), user: await loggedIn(portal, 'user'), other: await loggedIn(portal, 'other'), admin: await loggedIn(portal, 'admin') };
  for (const client of Object.values(clients)) await client.get('/');
});
after(() => records.portal.close());

/** Changes nothing that lasts, or only the asker's own cookie: no audit row needed. */
const unaudited = ['/language', '/instances/new', '/instances/new/review', '/events/painted', '/admin/alerts/rules/preview'];
/** What belongs to one user: for another it must look as if it did not exist. */
const owned = /^(?:\/api\/v1)?\/(?:account\/)?(?:instances|operations|tokens)\/:id/;
const isApi = (route: Route): boolean => route.path.startsWith('/api/');
const nameOf = (route: Route): string => `${route.method} ${route.path}`;

/** The route's path with real ids. Fails for a route whose thing it does not know: then it must be added here. */
function pathOf(route: Route): string {
  const resource = /([^/]+)\/:id/.exec(route.path)?.[1] ?? '';
  const id = {
    instances: records.instanceId, operations: records.operationId, tokens: tokenId, users: records.other.id, hosts: records.hostId,
    images: records.imageId, flavours: records.flavourId, messages: messageId, discrepancies: discrepancyId,
    moves: records.moveId, suggestions: records.suggestionId, balancing: records.suggestionId, recoveries: records.recoveryId, drills: drillId, 'burn-ins': burnInId,
    portals: crypto.randomUUID(), incidents: records.incidentId, rules: ruleId, targets: targetId, deliveries: crypto.randomUUID(),
  }[resource];
  if (route.path.includes(':id')) assert.ok(id, `${nameOf(route)}: which id?`);
  const path = route.path.replace(':id', id ?? '').replace(':action', 'start').replace(':token', 'unknown');
  assert.doesNotMatch(path, /[:*]/, `${nameOf(route)}: what stands for this parameter?`);
  return path;
}

/** The status of one request; a stream is closed as soon as it has begun. */
async function ask(client: Client, route: Route, token?: string): Promise<{ status: number; location: string | null }> {
  const asJson = isApi(route);
  const form = { ...(token === undefined ? {} : { _csrf: token }) };
  const response = await client.request(pathOf(route), {
    method: route.method.toUpperCase(),
    headers: {
      accept: asJson ? 'application/json' : 'text/html',
      ...(asJson && token !== undefined ? { 'x-csrf-token': token } : {}),
      ...(asJson && route.method !== 'get' ? { 'content-type': 'application/json' } : {}),
    },
    ...(route.method === 'get' ? {} : { body: asJson ? '{}' : new URLSearchParams(form) }),
  });
  await response.body?.cancel();
  return { status: response.status, location: response.headers.get('location') };
}

/** All rows of all tables, as one hash a table. What a visit may write (sessions, counters of tries) is left out. */
async function contents(db: Db, leftOut: readonly string[]): Promise<Record<string, string>> {
  const tables = await db.query<{ name: string }>('SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 1');
  const hashes: Record<string, string> = {};
  for (const { name } of tables) {
    if (leftOut.includes(name)) continue;
    const rows = (await db.query(`SELECT * FROM ${name}`)).map((row) => JSON.stringify(row)).sort();
    hashes[name] = createHash('sha256').update(rows.join('\n')).digest('hex');
  }
  return hashes;
}
/** the last is the database's own note of which transactions it has ended */
const written = ['sessions', 'rate_limits', 'transaction_marks'];

describe('the route table', () => {
  it('is what /admin is for: admins, and nobody else', () => {
    const wrong = routes.filter((route) => !isApi(route) && (route.path === '/admin' || route.path.startsWith('/admin/')) !== (route.access === 'admin'));
    assert.deepEqual(wrong.map(nameOf), []);
  });

  it('names every change for the audit log, in words of both languages', () => {
    const changes = routes.filter((route) => route.method !== 'get');
    assert.deepEqual(changes.filter((route) => route.audit === undefined && !unaudited.includes(route.path)).map(nameOf), []);
    const names = new Set(routes.flatMap((route) => (route.audit === undefined ? [] : [route.audit])));
    assert.deepEqual([...names].filter((name) => !(`audit.action.${name}` in catalogue)), []);
    assert.deepEqual(routes.filter((route) => route.method === 'get' && route.audit !== undefined).map(nameOf), []);
  });

  it('has each route once', () => {
    const seen = routes.map(nameOf);
    assert.deepEqual(seen.filter((name, i) => seen.indexOf(name) !== i), []);
  });
});

describe('access', () => {
  it('is refused to visitors, who are shown the login', async () => {
    for (const route of routes.filter((each) => each.access !== 'visitor')) {
      const { status, location } = await ask(clients.visitor, route, clients.visitor.csrfToken);
      if (route.method === 'get' && !isApi(route) && location !== null) assert.equal(status === 303 && location.startsWith('/login?next='), true, `${nameOf(route)}: ${status} ${location}`);
      else assert.equal(status, 401, nameOf(route));
    }
  });

  it('to pages for everybody is given to everybody', async () => {
    for (const route of routes.filter((each) => each.access === 'visitor' && each.method === 'get')) {
      for (const client of [clients.visitor, clients.user, clients.admin]) {
        const { status } = await ask(client, route);
        assert.ok(status < 400 || (route.path === '/setup/:token' && status === 404), `${nameOf(route)}: ${status}`);
      }
    }
  });

  it('to what admins do is refused to users', async () => {
    for (const route of routes.filter((each) => each.access === 'admin')) {
      assert.equal((await ask(clients.user, route, clients.user.csrfToken)).status, 403, nameOf(route));
    }
  });

  it("to a user's own things is not found by another user", async () => {
    const before = await contents(records.portal.deps.db, [...written, 'audit', 'idempotency_keys']);
    const found = routes.filter((each) => owned.test(each.path));
    assert.ok(found.length > 10);
    for (const route of found) assert.equal((await ask(clients.other, route, clients.other.csrfToken)).status, 404, nameOf(route));
    assert.deepEqual(await contents(records.portal.deps.db, [...written, 'audit', 'idempotency_keys']), before);
  });

  it('to every page of theirs is given to users and admins, and no page breaks', async () => {
    for (const route of routes.filter((each) => each.method === 'get')) {
      if (route.access === 'user') {
        const { status } = await ask(clients.user, route);
        assert.ok(status < 500 && ![401, 403, 404].includes(status), `user, ${nameOf(route)}: ${status}`);
      }
      if (route.access !== 'visitor' && !owned.test(route.path)) {
        const { status } = await ask(clients.admin, route);
        assert.ok(status < 500 && ![401, 403, 404].includes(status), `admin, ${nameOf(route)}: ${status}`);
      }
    }
  });

  it('to anything that is not in the table is not found', async () => {
    for (const path of ['/admin/nothing', '/nothing', '/.env', '/views/layout.ejs', '/..%2f..%2fpackage.json', '/%00', '/instances/x/y/z']) {
      const { status } = await clients.admin.get(path);
      assert.ok(status === 404 || status === 400, `${path}: ${status}`);
    }
    assert.equal((await clients.admin.request('/account', { method: 'PUT' })).status, 404);
    assert.equal((await clients.admin.request('/account', { method: 'TRACE' }).catch(() => ({ status: 404 }))).status, 404);
  });
});

describe('changes', () => {
  it('without the session’s token, with a foreign one or from another site are refused and change nothing', async () => {
    const { db } = records.portal.deps;
    const leftOut = [...written, 'audit', 'idempotency_keys'];
    const before = await contents(db, leftOut);
    for (const route of routes.filter((each) => each.method !== 'get')) {
      const client = route.access === 'admin' ? clients.admin : clients.user;
      assert.equal((await ask(client, route)).status, 403, `${nameOf(route)}, no token`);
      assert.equal((await ask(client, route, clients.other.csrfToken)).status, 403, `${nameOf(route)}, another session’s token`);
      const crossSite = await client.request(pathOf(route), {
        method: route.method.toUpperCase(),
        headers: { 'sec-fetch-site': 'cross-site', 'x-csrf-token': client.csrfToken },
      });
      await crossSite.body?.cancel();
      assert.equal(crossSite.status, 403, `${nameOf(route)}, from another site`);
    }
    assert.deepEqual(await contents(db, leftOut), before);
  });

  it('are never made by looking: every page opened twice by everybody leaves the database as it was', async () => {
    const { db } = records.portal.deps;
    await auditSettled(db);
    const before = await contents(db, written);
    for (let round = 0; round < 2; round++) {
      for (const route of routes.filter((each) => each.method === 'get')) {
        for (const client of Object.values(clients)) await ask(client, route);
      }
    }
    assert.deepEqual(await contents(db, written), before);
  });
});
