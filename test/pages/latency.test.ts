// From a sample to a window that says it has painted it: only what a stream asked for counts, once, of that person.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import type { Instance } from '../../src/model/instance.ts';
import { insertInstanceSamples } from '../../src/store/samples.ts';
import { portalIdOf, upsertPortal } from '../../src/store/portals.ts';
import { LatencyMeter, loadLatencies } from '../../src/web/events/latency.ts';
import { loggedIn, makeFirstAdmin, makeUser } from '../helpers/accounts.ts';
import { makeInstance } from '../helpers/instances.ts';
import { startTestPortal, type Client, type TestPortal } from '../helpers/portal.ts';

let portal: TestPortal;
let instance: Instance;
let ann: Client;
let bob: Client;
let annId: string;

before(async () => {
  portal = await startTestPortal({ runner: false });
  const { db, config } = portal.deps;
  await makeFirstAdmin(db);
  const owner = await makeUser(db, 'ann');
  annId = owner.id;
  await makeUser(db, 'bob');
  instance = await makeInstance(db, owner);
  await upsertPortal(db, { id: portalIdOf(config.portalName), name: config.portalName, url: portal.url, version: '1', leaseOwner: randomUUID() });
  [ann, bob] = [await loggedIn(portal, 'ann'), await loggedIn(portal, 'bob')];
  await Promise.all([ann.get('/instances'), bob.get('/instances')]);
});
after(() => portal.close());

const handIn = async (client: Client, ticket: string): Promise<number> =>
  (await client.request('/events/painted', { method: 'POST', headers: { 'content-type': 'application/json', 'x-csrf-token': client.csrfToken }, body: JSON.stringify({ ticket }) })).status;
const measured = async (): Promise<number> => (await loadLatencies(portal.deps.db, Date.now()))[0]?.latency?.count ?? 0;

describe('the monitor’s own latency', { timeout: 120_000 }, () => {
  it('is measured by a ticket that comes with a new sample, and not with what a window opens with', async () => {
    const { db } = portal.deps;
    const sample = (at: number, cpuPercent: number) => insertInstanceSamples(db, [{ subjectId: instance.subjectId, at, cpuPercent }]);
    await sample(Date.now() - 20_000, 5);
    const stop = new AbortController();
    const response = await ann.request(`/events?instances=${instance.id}`, { headers: { accept: 'text/event-stream' }, signal: stop.signal });
    assert.ok(response.body);
    let ticket: string | undefined;
    let patches = 0;
    let text = '';
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      for (let end = text.indexOf('\n\n'); end >= 0; text = text.slice(end + 2), end = text.indexOf('\n\n')) {
        const data = /^data: (.*)$/m.exec(text.slice(0, end))?.[1];
        if (data === undefined) continue;
        const patch = JSON.parse(data) as { confirm?: string };
        if (patches++ === 0) {
          assert.equal(patch.confirm, undefined);
          await sample(Date.now() - 1000, 50);
        } else ticket = patch.confirm;
      }
      if (ticket !== undefined) break;
    }
    stop.abort();
    assert.ok(ticket !== undefined);
    for (const [client, wrong] of [[bob, ticket], [ann, ticket.replace(/^\d/, '9')], [ann, `${ticket}x`], [ann, ''], [ann, '1.2.3']] as const) {
      assert.equal(await handIn(client, wrong), 204, 'nothing is told about why');
      assert.equal(await measured(), 0);
    }
    assert.equal(await handIn(ann, ticket), 204);
    assert.equal(await handIn(ann, ticket), 204);
    assert.equal(await measured(), 1, 'once');
    const [told] = await loadLatencies(db, Date.now());
    assert.ok((told?.latency?.p50Ms ?? 0) >= 1000 && (told?.latency?.p99Ms ?? 0) < 60_000);
    assert.deepEqual((await loadLatencies(db, Date.now() + 3_700_000))[0]?.latency, null, 'old figures are no figures');
  });

  it('asks few windows, each seldom; a ticket ends after a minute', async () => {
    const meter = new LatencyMeter(portal.deps);
    const now = Date.now();
    const ticket = meter.offer(annId, now - 500, 0, now);
    assert.ok(ticket !== undefined);
    assert.equal(meter.offer('another', now, 0, now + 5000), undefined, 'of all windows one in ten seconds');
    assert.equal(meter.offer(annId, now, now, now + 20_000), undefined, 'of one window one in half a minute');
    assert.ok(meter.offer(annId, now, now, now + 30_000) !== undefined);
    assert.equal(await meter.confirm(annId, ticket, now + 61_000), false);
    assert.equal(await meter.confirm(annId, ticket, now + 59_000), true);
  });

  it('needs the session’s token', async () => {
    const answer = await ann.request('/events/painted', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"ticket":"x"}' });
    assert.equal(answer.status, 403);
  });
});
