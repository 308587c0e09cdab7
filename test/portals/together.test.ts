// Three portals as real processes on one database, their clocks five seconds apart, and people whose every request reaches
// another one: nobody notices that there are three.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { createPasswordLink } from '../../src/store/setup-links.ts';
import { selectJobs } from '../../src/store/jobs.ts';
import { selectPortals } from '../../src/store/portals.ts';
import { systemClock } from '../../src/clock.ts';
import { createApiToken } from '../../src/store/api-tokens.ts';
import { selectInstancesByIds } from '../../src/store/instances.ts';
import { logIn, makeFirstAdmin, makeUser, testPassword } from '../helpers/accounts.ts';
import { createCloud, type Cloud } from '../helpers/cloud.ts';
import { formFields } from '../helpers/form.ts';
import { Client } from '../helpers/portal.ts';
import { createPortalProcess, type PortalProcess } from '../helpers/portal-process.ts';

const clockOffsets = [0, 2500, -2500];

let cloud: Cloud;
const portals: PortalProcess[] = [];

before(async () => {
  cloud = await createCloud();
  await makeFirstAdmin(cloud.db);
  for (const name of ['ann', 'ben', 'cleo', 'dora']) await makeUser(cloud.db, name);
  for (const [index, clockOffsetMs] of clockOffsets.entries()) portals.push(await createPortalProcess({ name: `portal${index + 1}`, databaseUrl: cloud.url, clockOffsetMs, env: { POLL_INTERVAL_MS: '1000' } }));
  await Promise.all(portals.map((portal) => portal.start()));
});
after(async () => {
  await Promise.all(portals.map((portal) => portal.kill()));
  await cloud.close();
});

/** Never twice in a row the same portal: what needs a sticky session fails for certain. */
let turn = 0;
const anyPortal = (): string => portals[turn++ % portals.length]?.url ?? '';
const browser = (): Client => new Client(anyPortal);
const cookiesOf = (client: Client): string => [...client.cookies].map(([name, value]) => `${name}=${value}`).join('; ');

async function within<T>(ms: number, what: string, look: () => Promise<T | undefined | false>): Promise<T> {
  for (const end = Date.now() + ms; ; await delay(50)) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > end) assert.fail(`${what}: not within ${ms} ms`);
  }
}

describe('three portals', () => {
  it('know each other, and how wrong their clocks are', async () => {
    const rows = await within(30_000, 'all three', async () => {
      const found = await selectPortals(cloud.db);
      return found.length === 3 && found.every(({ skewMs }) => skewMs !== null) && found;
    });
    assert.deepEqual(rows.map(({ name }) => name), ['portal1', 'portal2', 'portal3']);
    for (const [index, row] of rows.entries()) assert.ok(Math.abs((row.skewMs ?? 0) - (clockOffsets[index] ?? 0)) < 1000, JSON.stringify(row));
  });

  it('show one login, its words between two pages, and its end', async () => {
    const client = browser();
    await logIn(client, 'ann');
    for (let page = 0; page < 9; page++) assert.equal((await client.get(['/instances', '/resources', '/account'][page % 3] ?? '')).status, 200);
    assert.equal((await client.post('/account/profile', { displayName: 'Ann of Three', email: 'ann@example.org', language: 'en' })).status, 303);
    const page = await client.get('/account');
    assert.match(page.text, /alert-success/, 'what one portal said is shown by the next');
    assert.match(page.text, /Ann of Three/);
    assert.equal((await client.post('/logout')).status, 303);
    for (const { url } of portals) assert.equal((await fetch(`${url}/account`, { headers: { cookie: cookiesOf(client) }, redirect: 'manual' })).status, 303);
  });

  it('end the other sessions at once when somebody signs out everywhere', async () => {
    const [here, there] = [browser(), browser()];
    await logIn(here, 'ben');
    await logIn(there, 'ben');
    assert.equal((await there.get('/account')).status, 200);
    assert.equal((await here.post('/account/sessions/end')).status, 303);
    for (const { url } of portals) assert.notEqual((await fetch(`${url}/account`, { headers: { cookie: cookiesOf(there) }, redirect: 'manual' })).status, 200);
    for (const _ of portals) assert.equal((await here.get('/account')).status, 200);
  });

  it('count wrong passwords together', async () => {
    const guesser = browser();
    await guesser.get('/login');
    // at once: each is answered after a second or more
    const answers = await Promise.all(Array.from({ length: 12 }, async (_, guess) => (await guesser.post('/login', { name: 'cleo', password: `guess ${guess}` })).status));
    assert.deepEqual(answers.sort((a, b) => a - b), [...Array<number>(10).fill(401), 429, 429]);
    for (const _ of portals) assert.equal((await guesser.post('/login', { name: 'cleo', password: testPassword })).status, 429);
  });

  it('lead through the wizard to a machine, and show its screen through another', async () => {
    const client = browser();
    await logIn(client, 'ann');
    const first = formFields((await client.get('/instances/new')).text, /<form[^>]*id="wizard"/);
    const review = await client.post('/instances/new/review', { ...first, name: 'of-three', vcpus: '1', memoryMib: '512', diskGib: '2' });
    assert.equal(review.status, 200, review.text.slice(0, 2000));
    const made = await client.post('/instances', formFields(review.text, /<form[^>]*action="\/instances"/));
    assert.equal(made.status, 303, made.text.slice(0, 2000));
    const [row] = await cloud.db.query<{ id: string }>("SELECT id FROM instances WHERE name = 'of-three'");
    const id = row?.id ?? assert.fail('no instance');
    await within(60_000, 'it runs', async () => (await selectInstancesByIds(cloud.db, [id]))[0]?.state === 'running');
    await client.get(`/instances/${id}`);
    const { ticket } = JSON.parse((await client.post(`/instances/${id}/console/ticket`)).text) as { ticket: string };
    const open = async (portal: PortalProcess): Promise<number> => {
      const socket = new WebSocket(`${portal.url.replace('http', 'ws')}/console/ws`, ['binary', `ticket.${ticket}`], { headers: { cookie: cookiesOf(client), origin: 'http://cloud.test' } });
      socket.on('error', () => undefined);
      return new Promise((resolve) => {
        socket.once('open', () => { resolve(101); socket.close(); });
        socket.once('unexpected-response', (_req, res) => { resolve(res.statusCode ?? 0); res.resume(); socket.terminate(); });
      });
    };
    assert.equal(await open(portals[turn % 3] as PortalProcess), 101, 'the ticket is good at the next portal');
    assert.notEqual(await open(portals[(turn + 1) % 3] as PortalProcess), 101, 'once');
  });

  it('tell the windows at each of them what was done through another', async () => {
    const client = browser();
    await logIn(client, 'ann');
    const [row] = await cloud.db.query<{ id: string }>("SELECT id FROM instances WHERE name = 'of-three'");
    const id = row?.id ?? '';
    const stopping = new AbortController();
    const streams = await Promise.all(portals.map(({ url }) => fetch(`${url}/events?instances=${id}`, { headers: { cookie: cookiesOf(client) }, signal: stopping.signal })));
    const seen = streams.map(async (stream) => {
      let text = '';
      for await (const chunk of stream.body as unknown as AsyncIterable<Uint8Array>) {
        text += Buffer.from(chunk).toString();
        if (text.includes('"state":"stopped"')) return true;
      }
      return false;
    });
    await client.get(`/instances/${id}`);
    assert.equal((await client.post(`/instances/${id}/actions/force-off`)).status, 303);
    assert.deepEqual(await Promise.race([Promise.all(seen), delay(60_000, 'late', { ref: false })]), [true, true, true]);
    stopping.abort();
  });

  it('do once what is asked again with one key', async () => {
    const dora = (await cloud.db.query<{ id: string }>("SELECT id FROM users WHERE name = 'dora'"))[0]?.id ?? '';
    const { secret } = await createApiToken(cloud.db, { userId: dora, name: 'test', scope: 'write', expiresAt: Date.now() + 3_600_000 }, Date.now());
    const body = JSON.stringify({ name: 'only-once', imageId: cloud.image.id, vcpus: 1, memoryMib: 512, diskGib: 2 });
    const answers = await Promise.all(Array.from({ length: 9 }, async () => {
      const response = await fetch(`${anyPortal()}/api/v1/instances`, { method: 'POST', body, headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json', 'idempotency-key': 'one' } });
      return { status: response.status, id: ((await response.json()) as { id?: string }).id };
    }));
    assert.ok(answers.every(({ status }) => status === 202 || status === 409), JSON.stringify(answers));
    assert.equal(new Set(answers.filter(({ status }) => status === 202).map(({ id }) => id)).size, 1);
    assert.equal((await cloud.db.query("SELECT id FROM instances WHERE name = 'only-once'")).length, 1);
  });

  it('take a link once, wherever it was made', async () => {
    const dora = (await cloud.db.query<{ id: string }>("SELECT id FROM users WHERE name = 'dora'"))[0]?.id ?? '';
    const token = await createPasswordLink(cloud.db, dora, systemClock);
    const fresh = { password: 'quite other words now', passwordAgain: 'quite other words now' };
    const clients = portals.map(() => browser());
    for (const client of clients) assert.equal((await client.get(`/setup/${token}`)).status, 200);
    const answers = await Promise.all(clients.map((client) => client.post(`/setup/${token}`, fresh)));
    assert.deepEqual(answers.map(({ status }) => status).filter((status) => status === 303).length, 1, answers.map(({ status }) => status).join());
  });

  it('follow a setting within two seconds', async () => {
    const admin = browser();
    await logIn(admin, 'admin');
    const page = formFields((await admin.get('/admin/settings')).text, /<form[^>]*action="\/admin\/settings#site"/);
    assert.equal((await admin.post('/admin/settings', { ...page, 'site.name': 'Cloud of Three' })).status, 303);
    const changedAt = Date.now();
    await Promise.all(portals.map(async ({ url }) => {
      for (;; await delay(50)) {
        const asked = Date.now();
        if ((await (await fetch(`${url}/about`)).text()).includes('Cloud of Three')) return;
        assert.ok(asked - changedAt < 2000, `${url} was asked ${asked - changedAt} ms after the change`);
      }
    }));
  });

  it('are on the admin’s page, with what each is at', async () => {
    const admin = browser();
    await logIn(admin, 'admin');
    // a measurement is as good as the moment in which it was made: the next one may be better
    const text = await within(60_000, 'how far its clock is ahead', async () => {
      const page = await admin.get('/admin/portals');
      assert.equal(page.status, 200);
      return /2\.\d s ahead of the database/.test(page.text) && page.text;
    });
    for (const { name } of portals) assert.match(text, new RegExp(`>${name}<`));
    assert.equal(text.match(/bg-green-lt">up</g)?.length, 3);
    assert.match(text, /Past 5 s between two portals/);
    for (const { id } of await selectPortals(cloud.db)) assert.equal((await admin.post(`/admin/portals/${id}/forget`)).status, 303);
    assert.equal((await selectPortals(cloud.db)).length, 3, 'those that live stay');
  });

  it('keep their leases while all of their pages wait for the database', async () => {
    const clients = await Promise.all(Array.from({ length: 45 }, async () => {
      const client = browser();
      await client.get('/about');
      return client;
    }));
    let [lock, letGo] = [(): void => undefined, (): void => undefined];
    const locked = new Promise<void>((resolve) => { lock = resolve; });
    const held = new Promise<void>((resolve) => { letGo = resolve; });
    const holding = cloud.db.transaction(async (tx) => {
      // each change is counted there first
      await tx.query('SELECT points FROM rate_limits FOR UPDATE');
      lock();
      await held;
    });
    try {
      await locked;
      const before = (await selectJobs(cloud.db)).filter(({ leaseOwner }) => leaseOwner !== null);
      assert.ok(before.length > 5);
      const posts = clients.map((client) => client.post('/logout'));
      await within(30_000, 'pages wait at all three', async () => (await Promise.all(portals.map(async ({ url }) => (await fetch(`${url}/healthz`)).status))).every((status) => status === 503));
      await within(30_000, 'the leases are renewed', async () => {
        const now = new Map((await selectJobs(cloud.db)).map((job) => [job.name, job]));
        return before.every(({ name, leaseOwner, leaseUntil }) => now.get(name)?.leaseOwner === leaseOwner && (now.get(name)?.leaseUntil ?? 0) > leaseUntil + 5000);
      });
      letGo();
      assert.deepEqual(new Set((await Promise.all(posts)).map(({ status }) => status)), new Set([303]));
    } finally {
      letGo();
      await holding;
    }
  });

  it('say whether they are ready', async () => {
    for (const { url } of portals) await within(20_000, 'ready', async () => (await fetch(`${url}/healthz`)).status === 200);
    const [third] = portals.slice(-1);
    await third?.stop();
    const row = (await selectPortals(cloud.db)).find(({ name }) => name === 'portal3');
    assert.ok(row !== undefined && row.stoppedAt !== null);
    await third?.start();
    assert.equal((await selectPortals(cloud.db)).filter(({ id }) => id === row.id).length, 1, 'its id stays');
  });
});
