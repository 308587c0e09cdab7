// Thresholds tried on the last days before they are saved, over HTTP on a real database with measured history.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { clusterOwnerId } from '../../src/model/metric.ts';
import { defaultSettings } from '../../src/model/settings.ts';
import type { User } from '../../src/model/user.ts';
import { insertOperation } from '../../src/store/operations.ts';
import { insertSampleSubject } from '../../src/store/sample-subjects.ts';
import { selectSettings } from '../../src/store/settings.ts';
import { auditSettled, loggedIn, makeFirstAdmin, makeUser } from '../helpers/accounts.ts';
import { formFields } from '../helpers/form.ts';
import { writeQuarters } from '../helpers/long-tiers.ts';
import { assertHides, assertShows, assertStatus } from '../helpers/page-text.ts';
import { startTestPortal, type Client, type TestPortal } from '../helpers/portal.ts';

const now = Date.UTC(2026, 10, 20, 12);
const hour = 3_600_000;
/** four days ago, for two hours */
const storm = { from: now - 96 * hour, to: now - 94 * hour };
let portal: TestPortal;
let admin: Client;
let [anna, bob]: User[] = [];

before(async () => {
  portal = await startTestPortal({ runner: false, clock: { now: () => now } });
  await makeFirstAdmin(portal.deps.db, 'root');
  anna = await makeUser(portal.deps.db, 'anna');
  bob = await makeUser(portal.deps.db, 'bob');
  admin = await loggedIn(portal, 'root');
});
after(() => portal.close());

async function preview(over: Readonly<Record<string, string>> = {}): Promise<Awaited<ReturnType<Client['post']>>> {
  const { text } = await admin.get('/admin/thresholds');
  const fields = formFields(text.slice(text.indexOf('<section class="card mb-3" id="thresholds"')), /<form class="card-body" method="post"/);
  return admin.post('/admin/thresholds/preview', { ...fields, ...over });
}

const asked = (user: User | undefined, at: number): Promise<void> => portal.deps.db.transaction((tx) => insertOperation(tx, {
  id: crypto.randomUUID(), kind: 'instance-create', instanceId: crypto.randomUUID(), hostId: null, userId: user?.id ?? null, input: {}, stepNames: ['place'], createdAt: at,
}));

describe('a preview of thresholds', () => {
  it('says that nothing was measured where nothing was', async () => {
    const answer = await preview();
    assertStatus(answer, 200);
    assertShows(answer.text, /Nothing was measured in these days/);
    assertShows(answer.text, /Nothing has been saved yet/);
  });

  it('says when the gate would have been closed, and who would have been refused', async () => {
    const { db } = portal.deps;
    const subjectId = await insertSampleSubject(db, clusterOwnerId, now);
    const days = { from: now - 7 * 24 * hour, to: now - 48 * hour };
    await writeQuarters(db, subjectId, 'host.cpu', days, (at) => (at >= storm.from && at < storm.to ? 85 : 30));
    await writeQuarters(db, subjectId, 'host.memory-used', days, () => 500);
    await writeQuarters(db, subjectId, 'host.memory-total', days, () => 1000);
    for (const at of [storm.from - hour, storm.from + 30_000, storm.from + hour, storm.from + hour + 1, storm.to + hour]) await asked(anna, at);
    await asked(bob, storm.from + 1.5 * hour);

    assertShows((await preview()).text, /open all the time/);
    const answer = await preview({ 'thresholds.cpuPercent.close': '80', 'thresholds.cpuPercent.open': '60' });
    assertStatus(answer, 200);
    // closed one minute after the storm begins, open one minute after it has passed: the hold time
    assertShows(answer.text, /closed for 2 h in all, 1.7 % of what was measured; number of times: 1/);
    assertShows(answer.text, /3 of 6 machines that were asked for would have been refused/);
    assertShows(answer.text, /anna[\s\S]*?>2<[\s\S]*?bob[\s\S]*?>1</);
    assertShows(answer.text, /2026-11-16 12:01:00 UTC[\s\S]*?2026-11-16 14:01:00 UTC/);
    assertShows(answer.text, /value="80"/);
    assertShows(answer.text, /5 of 7 days have measured values/);
    const atOnce = await preview({ 'thresholds.cpuPercent.close': '80', 'thresholds.cpuPercent.open': '60', 'thresholds.holdSeconds': '0' });
    assertShows(atOnce.text, /4 of 6 machines/);
  });

  it('looks at memory too, and at nothing when switched off', async () => {
    assertShows((await preview({ 'thresholds.memoryPercent.close': '45', 'thresholds.memoryPercent.open': '40' })).text, /number of times: 1[\s\S]*still closed/);
    assertShows((await preview({ 'thresholds.memoryPercent.close': '45', 'thresholds.memoryPercent.open': '40', 'thresholds.enabled': '' })).text, /Switched off/);
  });

  it('keeps what was typed, refuses what cannot be, and saves nothing', async () => {
    const wrong = await preview({ 'thresholds.cpuPercent.close': '500' });
    assertStatus(wrong, 422);
    assertShows(wrong.text, /At most 100/);
    assertHides(wrong.text, /Nothing has been saved yet/);
    assert.deepEqual((await selectSettings(portal.deps.db)).thresholds, defaultSettings.thresholds);
    // the form that came back can be saved as it is
    const tried = await preview({ 'thresholds.cpuPercent.close': '77' });
    const fields = formFields(tried.text.slice(tried.text.indexOf('<section class="card mb-3" id="thresholds"')), /<form class="card-body" method="post"/);
    assertStatus(await admin.post('/admin/thresholds', { ...fields, 'thresholds.cpuPercent.open': '70' }), 303);
    assert.equal((await selectSettings(portal.deps.db)).thresholds.cpuPercent.close, 77);
    await auditSettled(portal.deps.db);
    const [row] = await portal.deps.db.query<{ result: string; target: string }>("SELECT result, target FROM audit WHERE action = 'settings.preview' ORDER BY at DESC LIMIT 1");
    assert.equal(row?.target, 'thresholds');
    assert.equal((await admin.get('/admin/thresholds/preview')).status, 303, 'a page that is asked for again later');
  });
});
