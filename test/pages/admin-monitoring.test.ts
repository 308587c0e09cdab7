// The page of monitoring over HTTP on a real database: what measured values cost, and how long they are kept.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { rollUpSamples } from '../../src/jobs/roll-up-samples.ts';
import { createLog } from '../../src/log.ts';
import { dayMs, hourMs } from '../../src/model/roll-up.ts';
import { insertHost } from '../../src/store/hosts.ts';
import { insertSampleSubject } from '../../src/store/sample-subjects.ts';
import { insertHostSamples } from '../../src/store/samples.ts';
import { selectSettings } from '../../src/store/settings.ts';
import { loggedIn, makeFirstAdmin, makeUser } from '../helpers/accounts.ts';
import { formFields } from '../helpers/form.ts';
import { assertShows, assertStatus } from '../helpers/page-text.ts';
import { startTestPortal, type Client, type TestPortal } from '../helpers/portal.ts';

let portal: TestPortal;
let admin: Client;
before(async () => {
  portal = await startTestPortal({ runner: false });
  await makeFirstAdmin(portal.deps.db, 'root');
  await makeUser(portal.deps.db, 'anna');
  admin = await loggedIn(portal, 'root');
});
after(() => portal.close());

async function fields(): Promise<Record<string, string>> {
  const { text } = await admin.get('/admin/monitoring');
  return formFields(text.slice(text.indexOf('id="monitoring"')), /<form class="card-body" method="post"/);
}

describe('the page of monitoring', () => {
  it('says what a host and a machine will cost before anything is measured', async () => {
    const { text, status } = await admin.get('/admin/monitoring');
    assert.equal(status, 200);
    assertShows(text, /What one host costs/);
    assertShows(text, /0 \/ 720/);
    assertShows(text, /What one machine costs/);
  });

  it('says how full the tiers of a measured host are', async () => {
    const { db } = portal.deps;
    const id = randomUUID();
    await insertHost(db, { id, name: 'host1', uri: 'qemu+tcp://host1/system', consoleAddress: '192.0.2.1', network: 'default', virtTypeWish: 'auto', createdAt: 0 });
    const start = 20_000 * dayMs;
    const subjectId = await insertSampleSubject(db, id, start);
    await insertHostSamples(db, Array.from({ length: 360 }, (_, index) => ({ subjectId, at: start + index * 10_000, up: 1 as const, cpuPercent: index % 100, memoryUsedMib: 100 })));
    await rollUpSamples({ db, clock: { now: () => start + hourMs + 3_000_000 }, log: createLog('silent') }, new AbortController().signal);
    const { text } = await admin.get('/admin/monitoring');
    assertShows(text, /360 \/ 720/);
    // three metrics: CPU, memory, up; hours go once a day, so that there are three days of them at most
    assertShows(text, /3 \/ 216/);
    assertShows(text, /0 \/ 1,098/);
  });

  it('sets how long values are kept, within bounds', async () => {
    assertStatus(await admin.post('/admin/monitoring', { ...(await fields()), 'monitoring.minuteDays': '5', 'monitoring.quarterDays': '730' }), 303);
    assert.deepEqual((await selectSettings(portal.deps.db)).monitoring, { minuteDays: 5, quarterDays: 730 });
    const refused = await admin.post('/admin/monitoring', { ...(await fields()), 'monitoring.quarterDays': '5000' });
    assert.equal(refused.status, 422);
    assertShows(refused.text, /30 .* 1,100/);
    assert.deepEqual((await selectSettings(portal.deps.db)).monitoring, { minuteDays: 5, quarterDays: 730 });
  });

  it('is for administrators', async () => {
    assert.equal((await (await loggedIn(portal, 'anna')).get('/admin/monitoring')).status, 403);
  });
});
