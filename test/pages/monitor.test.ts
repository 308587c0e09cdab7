// VM Monitor, Resource Monitor and the event stream, over HTTP on a real database.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Instance } from '../../src/model/instance.ts';
import type { User } from '../../src/model/user.ts';
import { insertHost, selectHost, updateHostContact, updateHostFacts } from '../../src/store/hosts.ts';
import { insertHostSamples, insertInstanceSamples } from '../../src/store/samples.ts';
import { upsertPool } from '../../src/store/storage-pools.ts';
import { loggedIn, makeFirstAdmin, makeUser } from '../helpers/accounts.ts';
import { makeInstance as makeRecord } from '../helpers/instances.ts';
import { startTestPortal, type Client, type TestPortal } from '../helpers/portal.ts';

const gib = 1024 ** 3;
let portal: TestPortal;
let ann: User;
let bob: User;
const hostId = randomUUID();
let hostSubject: number;

before(async () => {
  portal = await startTestPortal({ runner: false });
  const { db } = portal.deps;
  await makeFirstAdmin(db);
  ann = await makeUser(db, 'ann');
  bob = await makeUser(db, 'bob');
});
after(() => portal.close());

const makeInstance = (user: User, name: string, state: 'running' | 'stopped' = 'running'): Promise<Instance> =>
  makeRecord(portal.deps.db, user, { name, hostId, memoryMib: 2048, diskGib: 20 }, { state, address: '192.0.2.7' });

const sampleOf = (subjectId: number, at: number, cpuPercent: number) => ({
  subjectId, at, cpuPercent, memoryUsedMib: 512, diskReadBytesPerSecond: 2048, diskWriteBytesPerSecond: 0, networkReceiveBytesPerSecond: 1024 ** 2, networkTransmitBytesPerSecond: 100,
});

describe('monitors', () => {
  it('are for people who are logged in', async () => {
    for (const path of ['/instances', '/resources']) {
      const answer = await portal.client().get(path);
      assert.equal(answer.status, 303);
      assert.match(answer.headers.get('location') ?? '', /^\/login\?next=/);
    }
    assert.equal((await portal.client().request('/events', { headers: { accept: 'text/event-stream' } })).status, 401);
  });

  it('tell an empty cloud what to do next', async () => {
    const client = await loggedIn(portal, 'ann');
    const list = await client.get('/instances');
    assert.equal(list.status, 200);
    assert.match(list.text, /href="\/instances\/new"/);
    assert.match(list.text, /No machines yet/);
    const resources = await client.get('/resources');
    assert.equal(resources.status, 200);
    assert.match(resources.text, /No host yet/);
    // nothing remains, and that is 0
    assert.deepEqual(counts(resources.text), { vcpus: '0', memory: '0', disk: '0', instances: '0', stopped: '0' });
  });

  it('show the table of the thesis, in both languages', async () => {
    const { db } = portal.deps;
    const now = Date.now();
    await insertHost(db, { id: hostId, name: 'alpha', uri: 'qemu+tcp://127.0.0.1:1/system', consoleAddress: '127.0.0.1', network: 'default', virtTypeWish: 'auto', createdAt: now });
    await updateHostFacts(db, hostId, { virtType: 'kvm', arch: 'x86_64', cpuModel: 'Xeon', libvirtVersion: '9.0.0', qemuVersion: '7.2.0', hostUuid: randomUUID(), cpus: 4, memoryMib: 16384 });
    await updateHostContact(db, hostId, { state: 'up', at: now });
    await upsertPool(db, { hostId, name: 'shared', shared: true, kind: 'netfs', path: '/srv/pool', capacityBytes: 800 * gib, availableBytes: 740 * gib }, now);
    hostSubject = (await selectHost(db, hostId)).subjectId;
    await insertHostSamples(db, [{ subjectId: hostSubject, at: now - 1000, cpuPercent: 37.5, memoryUsedMib: 8192, memoryTotalMib: 16384 }]);
    await makeInstance(ann, 'web');
    await makeInstance(ann, 'off', 'stopped');
    const client = await loggedIn(portal, 'ann');
    const { text } = await client.get('/resources');
    // overcommit by default: CPU × 4, memory × 1, disk × 2
    assert.deepEqual(counts(text), { vcpus: '16', memory: '16', disk: '1,600', instances: '2', stopped: '1' });
    assert.match(text, /NT\$16,000/);
    assert.match(text, /60 GB \/ 800 GB/);
    assert.match(text, /37\.5|38 %/);
    assert.equal(text.match(/N\/A/g)?.length, 2);
    assert.match(text, new RegExp(`data-chart="host-${hostId}" data-unit="percent"`));
    assert.match(text, /data-avg="[\d.,]*\b37\.5\b/);
    const chinese = (await client.get('/resources', { 'accept-language': 'zh-TW' })).text;
    assert.doesNotMatch(chinese, /項目名稱/, 'the user’s own language wins');
    await makeUser(db, 'chen', { language: 'zh-TW' });
    const words = (await (await loggedIn(portal, 'chen')).get('/resources')).text;
    for (const word of ['項目名稱', '項目數量', '項目單位', '價格小計', '核心殘存', '記憶體殘存', '硬碟空間殘存', '虛擬機器總數', '機器關閉數', '個', '台', 'GB']) assert.match(words, new RegExp(word));
    // the cluster's totals, but nobody else's machines
    assert.doesNotMatch(words, />web</);
  });

  it('list a person’s own machines, with figures, their age and what may be done', async () => {
    const { db } = portal.deps;
    const mine = await makeInstance(ann, 'fresh');
    const old = await makeInstance(ann, 'silent');
    await makeInstance(bob, 'secret-of-bob');
    const now = Date.now();
    await insertInstanceSamples(db, [sampleOf(mine.subjectId, now - 2000, 12.3), sampleOf(old.subjectId, now - 600_000, 77)]);
    const client = await loggedIn(portal, 'ann');
    const { text } = await client.get('/instances');
    assert.doesNotMatch(text, /secret-of-bob/);
    const fresh = rowOf(text, mine.id);
    assert.match(fresh, /12 %/);
    assert.match(fresh, /512 MiB/);
    assert.match(fresh, /2 KiB\/s/);
    assert.match(fresh, /1 MiB\/s/);
    assert.match(fresh, /192\.0\.2\.7/);
    assert.match(fresh, /data-stale[^>]*hidden/);
    assert.doesNotMatch(fresh, /is-stale/);
    assert.deepEqual([...fresh.matchAll(/data-action="([\w-]+)"/g)].map((match) => match[1]), ['shutdown', 'force-off', 'reboot', 'delete', 'console']);
    assert.match(fresh, /<button [^>]*form="machine-action"[^>]*formaction="\/instances\/[^"]+\/actions\/shutdown"/);
    // old figures are shown as old
    const silent = rowOf(text, old.id);
    assert.match(silent, /77 %/);
    assert.match(silent, /is-stale/);
    assert.match(silent, /10 min ago/);
    assert.doesNotMatch(silent.slice(silent.indexOf('data-stale')), /^data-stale[^>]*hidden/);
    // search and an admin's view
    assert.doesNotMatch((await client.get('/instances?search=fre')).text, />silent</);
    assert.match((await client.get('/instances?search=nothing-has-this')).text, /nothing-has-this/);
    assert.doesNotMatch((await client.get('/instances?all=1')).text, /secret-of-bob/, 'for admins only');
    const admin = await loggedIn(portal, 'admin');
    const everybody = (await admin.get('/instances?all=1')).text;
    assert.match(everybody, /secret-of-bob/);
    assert.match(everybody, /<td data-label="Owner">bob<\/td>/);
  });

  it('page a thousand machines by fifty', async () => {
    const user = await makeUser(portal.deps.db, 'many');
    await Promise.all(Array.from({ length: 60 }, (_, index) => makeInstance(user, `m${String(index).padStart(3, '0')}`)));
    const client = await loggedIn(portal, 'many');
    const first = (await client.get('/instances')).text;
    assert.equal(first.match(/data-live="instance:/g)?.length, 50);
    assert.match(first, /page=2/);
    assert.equal((await client.get('/instances?page=2')).text.match(/data-live="instance:/g)?.length, 10);
    assert.equal((await client.get('/instances?page=-1')).status, 200);
  });

});

describe('the event stream', () => {
  it('brings each window what it may see, at once and when it changes, also what another portal wrote', async () => {
    const { db } = portal.deps;
    const mine = await makeInstance(ann, 'streamed');
    const theirs = await makeInstance(bob, 'not-yours');
    const stream = await openStream(await loggedIn(portal, 'ann'), `/events?instances=${mine.id},${theirs.id}&cluster=1`);
    const first = await stream.next();
    const line = first.rows.find((row) => row.key === `instance:${mine.id}`);
    assert.equal(line?.state, 'running');
    assert.equal(line?.cells?.['state'], 'Running');
    assert.deepEqual(first.rows.find((row) => row.key === `instance:${theirs.id}`), { key: `instance:${theirs.id}`, gone: true });
    assert.ok(first.rows.some((row) => row.key === 'item:vcpus'));
    assert.doesNotMatch(JSON.stringify(first), /not-yours/);
    await insertInstanceSamples(db, [sampleOf(mine.subjectId, Date.now(), 55), sampleOf(theirs.subjectId, Date.now(), 99)]);
    // what is shown of the cluster may change before
    let last = first;
    while (!last.rows.some((row) => row.key === `instance:${mine.id}` && row.cells?.['cpu'] !== undefined && last !== first)) {
      const next = await stream.next();
      assert.ok(!next.rows.some((row) => row.key === `instance:${theirs.id}`));
      assert.ok(next.now >= last.now);
      last = next;
    }
    assert.equal(last.rows.find((row) => row.key === `instance:${mine.id}`)?.cells?.['cpu'], '55 %');
    stream.close();
  });

  it('ends with the session', async () => {
    const client = await loggedIn(portal, 'bob');
    const stream = await openStream(client, '/events?cluster=1');
    await stream.next();
    await client.get('/instances');
    assert.equal((await client.post('/logout')).status, 303);
    assert.equal(await stream.ended(30_000), true);
  });

  it('keeps no place for windows that were closed before it began', async () => {
    await makeUser(portal.deps.db, 'hasty');
    const client = await loggedIn(portal, 'hasty');
    const open = (signal: AbortSignal): Promise<number | undefined> =>
      client.request('/events?cluster=1', { headers: { accept: 'text/event-stream' }, signal }).then(({ status }) => status, () => undefined);
    // from before its first byte to after its first patch
    await Promise.all(Array.from({ length: 100 }, async (_, index) => {
      const hasty = new AbortController();
      const gone = open(hasty.signal);
      await delay(index / 2);
      hasty.abort();
      await gone;
    }));
    // the portal hears of the last ones a moment later
    const placesFree = async (): Promise<number> => {
      const trial = new AbortController();
      const statuses = await Promise.all(Array.from({ length: 12 }, () => open(trial.signal)));
      trial.abort();
      return statuses.filter((status) => status === 200).length;
    };
    let free = 0;
    for (const end = Date.now() + 10_000; free < 12 && Date.now() < end; await delay(50)) free = await placesFree();
    assert.equal(free, 12);
  });

  it('is refused past the cap, without harm to those that are open', async () => {
    const client = await loggedIn(portal, 'many');
    const streams = await Promise.all(Array.from({ length: 12 }, () => openStream(client, '/events?cluster=1')));
    const refused = await client.request('/events?cluster=1', { headers: { accept: 'text/event-stream' } });
    assert.equal(refused.status, 429);
    assert.ok(Number(refused.headers.get('retry-after')) > 0);
    await refused.text();
    assert.ok((await streams[11]?.next())?.rows.length);
    for (const stream of streams) stream.close();
    // the portal hears of it a moment later
    const isFree = async (): Promise<boolean> => {
      const trial = new AbortController();
      const { status } = await client.request('/events?cluster=1', { headers: { accept: 'text/event-stream' }, signal: trial.signal });
      trial.abort();
      return status === 200;
    };
    for (const end = Date.now() + 20_000; !(await isFree()); await delay(50)) assert.ok(Date.now() < end, 'no place is given back');
    const again = await openStream(client, '/events?cluster=1');
    await again.next();
    again.close();
  });
});

interface Patch {
  readonly now: number;
  readonly rows: readonly { readonly key: string; readonly state?: string; readonly gone?: true; readonly cells?: Readonly<Record<string, string>> }[];
}

/** A window's end of the stream. `next` waits for a patch that brings something. */
async function openStream(client: Client, path: string): Promise<{ next(): Promise<Patch>; ended(timeoutMs: number): Promise<boolean>; close(): void }> {
  const aborting = new AbortController();
  const response = await client.request(path, { headers: { accept: 'text/event-stream' }, signal: aborting.signal });
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/);
  assert.ok(response.body);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = '';
  const read = async (): Promise<string | undefined> => {
    while (!buffer.includes('\n\n')) {
      const { value, done } = await reader.read();
      if (done) return undefined;
      buffer += value;
    }
    const end = buffer.indexOf('\n\n');
    const message = buffer.slice(0, end);
    buffer = buffer.slice(end + 2);
    return message;
  };
  return {
    async next() {
      for (;;) {
        const message = await read();
        assert.ok(message !== undefined, 'the stream ended');
        const data = /^data: (.*)$/m.exec(message)?.[1];
        if (!message.includes('event: patch') || data === undefined) continue;
        const patch = JSON.parse(data) as Patch;
        if (patch.rows.length > 0) return patch;
      }
    },
    async ended(timeoutMs) {
      const finished = (async () => {
        while ((await read()) !== undefined);
        return true;
      })();
      return Promise.race([finished, delay(timeoutMs, false)]);
    },
    close: () => aborting.abort(),
  };
}

function rowOf(html: string, id: string): string {
  const start = html.indexOf(`<tr data-live="instance:${id}"`);
  assert.ok(start >= 0, `no row for ${id}`);
  return html.slice(start, html.indexOf('</tr>', start));
}

function counts(html: string): Record<string, string> {
  return Object.fromEntries([...html.matchAll(/data-live="item:(\w+)"[\s\S]*?data-cell="count">([^<]*)</g)].map((match) => [match[1], match[2]]));
}
