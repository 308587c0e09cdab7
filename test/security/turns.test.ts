// What somebody's script asks for at once: ten pages of one user, thirty of one network's visitors are worked on, more wait, and
// the rest is refused; everybody else goes on as before, also while the database answers nothing.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createApiToken } from '../../src/store/api-tokens.ts';
import type { Database } from '../../src/store/db.ts';
import { loggedIn, makeUser } from '../helpers/accounts.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';
import { assertShows } from '../helpers/page-text.ts';
import { startTestPortal, type Client, type TestPortal } from '../helpers/portal.ts';

let database: TestDatabase;
let portal: TestPortal;
/** held statements: of whose account page by the user's id, or of the top page by '/' */
const gates = new Map<string, { readonly opened: Promise<void>; open(): void; held: number; most: number }>();

before(async () => {
  database = await createTestDatabase();
  const db: Database = {
    ...database.db,
    async query(sql, params) {
      const gate = gates.get(sql.includes('ORDER BY s.seen_at') ? String(params?.[0]) : sql.includes('FROM gate') ? '/' : '');
      if (gate !== undefined) {
        gate.most = Math.max(gate.most, ++gate.held);
        await gate.opened;
        gate.held--;
      }
      return database.db.query(sql, params);
    },
  };
  portal = await startTestPortal({ runner: false, database: { ...database, db }, env: { TRUST_PROXY: 'loopback' } });
});
after(async () => {
  for (const name of gates.keys()) openGate(name);
  await portal.close();
  await database.close();
});

function closeGate(name: string): NonNullable<ReturnType<typeof gates.get>> {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => { open = resolve; });
  const gate = { opened, open, held: 0, most: 0 };
  gates.set(name, gate);
  return gate;
}

function openGate(name: string): void {
  gates.get(name)?.open();
  gates.delete(name);
}

async function until(what: string, look: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 30_000; !(await look()); await delay(10)) if (performance.now() > end) assert.fail(`not within 30 s: ${what}`);
}

interface Asked { readonly answers: Promise<readonly Response[]>; readonly counts: Map<number, number> }

/** So many at once; `counts` tells by status what has been answered up to now. */
function ask(total: number, one: (index: number) => Promise<Response>): Asked {
  const counts = new Map<number, number>();
  const answers = Promise.all(Array.from({ length: total }, async (_, index) => {
    const answer = await one(index);
    counts.set(answer.status, (counts.get(answer.status) ?? 0) + 1);
    return answer;
  }));
  return { answers, counts };
}

const account = (client: Client, signal?: AbortSignal): Promise<Response> => client.request('/account', { headers: { accept: 'text/html' }, ...(signal === undefined ? {} : { signal }) });
const home = (ip: string, cookie = ''): Promise<Response> => fetch(portal.url, { headers: { accept: 'text/html', 'x-forwarded-for': ip, cookie } });

describe('one user', () => {
  it('has ten pages worked on and ninety waiting; the rest is refused for a second, and nobody else notices', async () => {
    const [ann, ben] = [await makeUser(portal.deps.db, 'ann'), await makeUser(portal.deps.db, 'ben')];
    const [greedy, other] = [await loggedIn(portal, ann.name), await loggedIn(portal, ben.name)];
    const gate = closeGate(ann.id);
    // no more than the test needs: who waits is refused after ten seconds, whatever the machine does meanwhile
    const { answers, counts } = ask(130, () => account(greedy));
    await until('thirty are refused', () => counts.get(429) === 30);
    assert.equal(gate.held, 10);

    assert.equal((await account(other)).status, 200);
    assert.equal((await home('192.0.2.1')).status, 200);
    const refused = await account(greedy);
    assert.deepEqual([refused.status, refused.headers.get('retry-after')], [429, '1']);
    assertShows(await refused.text(), /Too much was asked for at once/);
    const { secret } = await createApiToken(portal.deps.db, { userId: ann.id, name: 'x', scope: 'read', expiresAt: Date.now() + 60_000 }, Date.now());
    const program = await fetch(`${portal.url}/api/v1/me`, { headers: { authorization: `Bearer ${secret}`, 'accept-language': 'zh-TW' } });
    assert.deepEqual([program.status, program.headers.get('content-type'), program.headers.get('retry-after')], [429, 'application/problem+json; charset=utf-8', '1']);
    const problem = (await program.json()) as { kind: string; detail: string; retryAfter: number };
    assert.deepEqual([problem.kind, problem.detail, problem.retryAfter], ['too-many', '同時送出的要求過多，請稍候再試。', 1]);

    openGate(ann.id);
    await answers;
    assert.deepEqual([counts.get(200), counts.get(429)], [100, 30]);
    assert.equal(gate.most, 10);
    assert.equal((await account(greedy)).status, 200);
  });

  it('loses no place to requests that are broken off, and gains none', async () => {
    const cut = await makeUser(portal.deps.db, 'cut');
    const client = await loggedIn(portal, cut.name);
    for (let round = 0; round < 3; round++) {
      const gate = closeGate(cut.id);
      const breaking = new AbortController();
      const asked = Array.from({ length: 150 }, () => account(client, breaking.signal).then(({ status }) => status, () => 'broken'));
      await until('ten are worked on', () => gate.held === 10);
      breaking.abort();
      await Promise.all(asked);
      await delay(300);
      // those that waited are gone; those that the database is at have their places still
      const next = ask(100, () => account(client));
      await until('nobody is worked on besides', async () => { await delay(200); return gate.held === 10; });
      openGate(cut.id);
      const statuses = (await next.answers).map(({ status }) => status);
      assert.ok(statuses.filter((status) => status === 200).length >= 90, JSON.stringify([...next.counts]));
      assert.equal(gate.most, 10);
    }
    const gate = closeGate(cut.id);
    const { answers } = ask(20, () => account(client));
    await until('ten are worked on again', () => gate.held === 10);
    openGate(cut.id);
    assert.ok((await answers).every(({ status }) => status === 200));
  });

  it('gets places back from pages that fail, are refused or not found', async () => {
    const clumsy = await loggedIn(portal, (await makeUser(portal.deps.db, 'clumsy')).name);
    const { answers } = ask(60, (index) => (index % 2 === 0 ? clumsy.request(`/instances/${crypto.randomUUID()}`) : clumsy.request('/account/profile', { method: 'POST' })));
    assert.deepEqual([...new Set((await answers).map(({ status }) => status))].sort((a, b) => a - b), [403, 404]);
    assert.equal((await account(clumsy)).status, 200);
  });

  it('needs no place for the event streams of many windows', async () => {
    const user = await makeUser(portal.deps.db, 'watcher');
    const watcher = await loggedIn(portal, user.name);
    const ending = new AbortController();
    const streams: Response[] = [];
    for (let window = 0; window < 6; window++) streams.push(await watcher.request('/events', { signal: ending.signal }));
    const gate = closeGate(user.id);
    const { answers } = ask(10, () => account(watcher));
    await until('ten pages are worked on beside them', () => gate.held === 10);
    // a browser whose stream is refused does not ask again
    for (let window = 0; window < 6; window++) streams.push(await watcher.request('/events', { signal: ending.signal }));
    assert.deepEqual(streams.map(({ status }) => status), Array<number>(12).fill(200));
    openGate(user.id);
    assert.ok((await answers).every(({ status }) => status === 200));
    ending.abort();
  });

  it('is told so when a turn does not come', { timeout: 60_000 }, async () => {
    const late = await makeUser(portal.deps.db, 'late');
    const client = await loggedIn(portal, late.name);
    closeGate(late.id);
    const { counts, answers } = ask(12, () => account(client));
    const began = performance.now();
    await until('one is told', () => counts.size > 0);
    assert.ok(performance.now() - began >= 9900, 'not before ten seconds');
    await until('both are told', () => counts.get(429) === 2);
    assert.deepEqual([...counts], [[429, 2]]);
    openGate(late.id);
    await answers;
    assert.equal(counts.get(200), 10);
  });
});

describe('the visitors of one network', () => {
  it('have thirty pages worked on; other networks, users and devices that are known are served', async () => {
    const user = await makeUser(portal.deps.db, 'known');
    const client = await loggedIn(portal, user.name);
    const gate = closeGate('/');
    // one network: of IPv6 the first 64 bits
    const { answers, counts } = ask(320, (index) => home(`2001:db8:0:1::${(index + 1).toString(16)}`));
    await until('twenty are refused', () => counts.get(429) === 20);
    assert.equal(gate.held, 30);
    const from = (ip: string, cookie = ''): Promise<Response> => fetch(`${portal.url}/login`, { headers: { 'x-forwarded-for': ip, cookie }, redirect: 'manual' });
    assert.equal((await from('2001:db8:0:1::ffff')).status, 429);
    assert.equal((await from('2001:db8:0:2::1')).status, 200);
    assert.equal((await from('2001:db8:0:1::1', `device=${client.cookies.get('device')}`)).status, 200);
    assert.equal((await client.request('/account', { headers: { 'x-forwarded-for': '2001:db8:0:1::1' } })).status, 200);
    openGate('/');
    await answers;
    assert.deepEqual([counts.get(200), counts.get(429)], [300, 20]);
    assert.equal((await from('2001:db8:0:1::ffff')).status, 200);
  });
});
