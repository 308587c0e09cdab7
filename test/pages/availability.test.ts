// Lost hosts, fence agents and drills for admins, over HTTP and in a browser: what is said, what may be decided, and that no
// password comes back.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Browser } from 'playwright-core';
import { updateHostContact, selectHost } from '../../src/store/hosts.ts';
import { selectOptionalFence } from '../../src/store/fences.ts';
import { selectDrills } from '../../src/store/drills.ts';
import { claimHostRecovery, selectOpenRecoveries, updateRecovery } from '../../src/store/recoveries.ts';
import { insertMove } from '../../src/store/moves.ts';
import { say } from '../../src/errors.ts';
import { updateLanguage } from '../../src/store/users.ts';
import { startTestCloud, type TestCloud } from '../api/cloud.ts';
import { auditSettled, loggedIn, testPassword } from '../helpers/accounts.ts';
import { launchBrowser, noBrowser, openContext, overflow, seriousViolations } from '../helpers/browser.ts';
import { agentsDirectory, createFencedMachine, type FencedMachine } from '../helpers/fence-agent.ts';
import { assertHides, assertShows, assertStatus } from '../helpers/page-text.ts';
import type { Client } from '../helpers/portal.ts';

const secret = 'pass-word-of-the-board';
let cloud: TestCloud;
let admin: Client;
let machine: FencedMachine;
let hostIds: string[];
const db = () => cloud.portal.deps.db;
const page = '/admin/availability';
const fencing = (index: number): string => `/admin/hosts/${hostIds[index] ?? ''}/fencing`;

before(async () => {
  cloud = await startTestCloud({ hosts: 3, runner: false, env: { FENCE_AGENTS_PATH: agentsDirectory } });
  admin = await loggedIn(cloud.portal, 'admin');
  machine = await createFencedMachine();
  hostIds = (await db().query<{ id: string }>('SELECT id FROM hosts ORDER BY name')).map(({ id }) => id);
  for (const id of hostIds) await updateHostContact(db(), id, { state: 'up', at: Date.now() });
});
after(async () => {
  await cloud.close();
  await machine.remove();
});

/** Recorded as away, as the watcher would. */
async function lose(index: number): Promise<void> {
  await updateHostContact(db(), hostIds[index] ?? '', { state: 'unreachable', at: Date.now(), reason: 'no answer' });
}
const find = (index: number): Promise<void> => updateHostContact(db(), hostIds[index] ?? '', { state: 'up', at: Date.now() }).then(() => undefined);

describe('fence agents', () => {
  it('are listed, and one that is chosen shows its parameters but never those that run programs', async () => {
    assertShows((await admin.get(fencing(0))).text, /fence_test/);
    const { text } = await admin.get(`${fencing(0)}?agent=fence_test`);
    assertShows(text, /name="parameter:directory"/);
    assertShows(text, /name="parameter:password" type="password"/);
    assertHides(text, /password_script|parameter:passwd|parameter:action/);
    assertShows((await admin.get(`${fencing(0)}?agent=../../bin/sh`)).text, /There is no fence agent/);
  });

  it('are set with what was typed; what is wrong is said beside its field', async () => {
    const wrong = await admin.post(fencing(0), { agent: 'fence_test', 'parameter:directory': '', 'parameter:ipport': 'x', 'parameter:method': 'rm' });
    assertStatus(wrong, 422);
    assertShows(wrong.text, /required|needed|fill/i);
    assertStatus(await admin.post(fencing(0), { agent: 'fence_test', 'parameter:directory': `${machine.directory}`, 'parameter:password': 'a\nb' }), 422);
    assertStatus(await admin.post(fencing(0), { agent: 'sh', 'parameter:directory': 'x' }), 422);
    assert.equal(await selectOptionalFence(db(), hostIds[0] ?? ''), undefined);
    assertStatus(await admin.post(fencing(0), { agent: 'fence_test', 'parameter:directory': machine.directory, 'parameter:password': secret, 'parameter:password_script': '/bin/sh', 'parameter:ssl': '1' }), 303);
    const fence = await selectOptionalFence(db(), hostIds[0] ?? '');
    assert.deepEqual(fence?.parameters, { directory: machine.directory, ssl: '1' });
    assert.ok(fence.sealed !== null && !fence.sealed.toString('latin1').includes(secret));
  });

  it('show no password again, and keep it when none is typed', async () => {
    const { text } = await admin.get(fencing(0));
    assertHides(text, new RegExp(secret));
    assertShows(text, /leave empty to keep it/);
    assertStatus(await admin.post(fencing(0), { agent: 'fence_test', 'parameter:directory': machine.directory, 'parameter:ssl': '1', 'parameter:method': 'cycle' }), 303);
    const fence = await selectOptionalFence(db(), hostIds[0] ?? '');
    assert.deepEqual(cloud.portal.deps.operations.fencing.open(hostIds[0] ?? '', fence?.sealed ?? Buffer.alloc(0)), { password: secret });
  });

  it('send no stored password to another address, or in another way', async () => {
    const before = await selectOptionalFence(db(), hostIds[0] ?? '');
    for (const change of [{ 'parameter:directory': '/tmp' }, { 'parameter:ssl': '0' }, { 'parameter:ssl': '' }, { 'parameter:ipport': '1' }]) {
      const refused = await admin.post(fencing(0), { agent: 'fence_test', 'parameter:directory': machine.directory, 'parameter:ssl': '1', ...change });
      assertStatus(refused, 422);
      assertShows(refused.text, /Enter it again/);
    }
    assert.deepEqual(await selectOptionalFence(db(), hostIds[0] ?? ''), before);
  });

  it('are tested by asking alone', async () => {
    assertStatus(await admin.post(`${fencing(0)}/test`), 303);
    assertShows((await admin.get(fencing(0))).text, /host1 has power/);
    assert.deepEqual(await machine.calls(), ['status']);
    await db().execute('UPDATE hosts SET fence_secret = ? WHERE id = ?', [Buffer.from('not sealed by us'), hostIds[0] ?? '']);
    await admin.post(`${fencing(0)}/test`);
    assertShows((await admin.get(fencing(0))).text, /Enter the password again/);
    await auditSettled(db());
    assert.ok(!JSON.stringify(await db().query('SELECT * FROM audit')).includes(secret));
  });

  it('are removed', async () => {
    assertStatus(await admin.post(`${fencing(0)}/remove`), 303);
    assert.equal(await selectOptionalFence(db(), hostIds[0] ?? ''), undefined);
  });
});

describe('lost hosts', () => {
  it('are shown with what can be decided; a name that differs decides nothing', async () => {
    assertShows((await admin.get(page)).text, /Every host answers/);
    await lose(0);
    const { text } = await admin.get(page);
    assertShows(text, /I have powered it off/);
    await admin.post(`/admin/hosts/${hostIds[0] ?? ''}/powered-off`, { name: 'host2' });
    assertShows((await admin.get(page)).text, /The name typed is not host1/);
    assert.deepEqual(await selectOpenRecoveries(db()), []);
  });

  it('that answer are not off, whoever says so', async () => {
    await admin.post(`/admin/hosts/${hostIds[0] ?? ''}/powered-off`, { name: 'host1' });
    assertShows((await admin.get(page)).text, /answers, so it is not powered off/);
    assert.deepEqual(await selectOpenRecoveries(db()), []);
    await find(0);
    await admin.post(`/admin/hosts/${hostIds[0] ?? ''}/recover`);
    assertShows((await admin.get(page)).text, /host1 is not lost/);
  });

  it('that are really off are noted as such', async () => {
    await cloud.hosts[0]?.refuse();
    await lose(0);
    await admin.post(`/admin/hosts/${hostIds[0] ?? ''}/powered-off`, { name: 'host1' });
    const [recovery] = await selectOpenRecoveries(db());
    assert.deepEqual([recovery?.hostId, recovery?.confirmedBy], [hostIds[0], cloud.admin.id]);
    assertHides((await admin.get(page)).text, /I have powered it off/);
    assertShows((await admin.get(`${page}/recoveries/${recovery?.id ?? ''}`)).text, /Recovery of host1/);
    await db().execute("UPDATE recoveries SET state = 'done', ended_at = 1 WHERE ended_at IS NULL");
    await db().execute("UPDATE hosts SET recovery_id = NULL, state = 'up'");
    await db().execute("UPDATE operations SET state = 'done', ended_at = 1");
    await cloud.hosts[0]?.accept();
  });

  it('all at once are suspected to be our own network, also on the overview', async () => {
    for (const index of [0, 1]) await lose(index);
    assertShows((await admin.get(page)).text, /Most hosts do not answer at once/);
    assertShows((await admin.get(page)).text, /Begin its recovery/);
    assertShows((await admin.get('/admin')).text, /fault of the portal’s own network/);
    for (const index of [0, 1]) await find(index);
  });
});

describe('drills', () => {
  const host = () => hostIds[1] ?? '';

  it('on paper are recorded at once', async () => {
    const answer = await admin.post(`${page}/drills`, { mode: 'simulation', host: host() });
    assertStatus(answer, 303);
    assertShows((await admin.get(answer.location)).text, /Drill: loss of host2/);
    assert.deepEqual((await selectDrills(db(), 5)).map(({ mode, state, hostName }) => [mode, state, hostName]), [['simulation', 'done', 'host2']]);
  });

  for (const [what, form, words] of [
    ['without its name typed', { name: 'host1' }, /The name typed is not host2/],
    ['without a fence agent', { name: 'host2' }, /has no fence agent/],
    ['in a window that is no time', { name: 'host2', notBefore: 'soon' }, /Times look like/],
  ] as const) {
    it(`for real are refused ${what}`, async () => {
      await admin.post(`${page}/drills`, { mode: 'real', host: host(), ...form });
      assertShows((await admin.get(page)).text, words);
      assert.equal((await selectDrills(db(), 5)).length, 1);
      assert.equal((await selectHost(db(), host())).state, 'up');
    });
  }
});

describe('the pages', { skip: noBrowser(), timeout: 240_000 }, () => {
  let browser: Browser;
  before(async () => { browser = await launchBrowser(); });
  after(() => browser?.close());

  it('fit a phone and a screen, light and dark, in both languages', async () => {
    await admin.post(fencing(1), { agent: 'fence_test', 'parameter:directory': machine.directory, 'parameter:password': secret });
    const recoveryId = crypto.randomUUID();
    await lose(2);
    const at = Date.now();
    await claimHostRecovery(db(), { id: recoveryId, hostId: hostIds[2] ?? '', hostName: 'host3', drill: false, userId: null, forced: false, confirmedBy: null, seenAt: at - 12_000, noticedAt: at - 3000,
      report: { owed: 3, restarted: 1, stopped: 2, unfit: [{ instanceId: crypto.randomUUID(), name: 'large-one', reason: say('failover.unfit.memory', { need: '64 GiB', largest: '8 GiB' }) }], unfitInAll: 1 } });
    await updateRecovery(db(), recoveryId, { state: 'waiting', waitsFor: say('recovery.waits.proof', { host: 'host3' }) });
    await insertMove(db(), { id: crypto.randomUUID(), instanceId: crypto.randomUUID(), instanceName: 'web', userId: cloud.user.id, kind: 'restart', withDisk: false, fromHostId: hostIds[2] ?? '', fromHostName: 'host3', toHostId: hostIds[0] ?? '', toHostName: 'host1', trigger: 'recovery', why: say('recovery.why', { host: 'host3' }), batchId: recoveryId, actorId: null, createdAt: at });
    const [drill] = await selectDrills(db(), 1);
    const paths = [page, `${page}/recoveries/${recoveryId}`, `${page}/drills/${drill?.id ?? ''}`, fencing(1), '/admin'];
    const findings: string[] = [];
    for (const look of [{ language: 'en' }, { language: 'zh-TW', width: 360, dark: true }, { language: 'en', width: 360 }, { language: 'zh-TW', dark: true }] as const) {
      await updateLanguage(db(), cloud.admin.id, look.language, Date.now());
      const context = await openContext(browser, cloud.portal.url, look);
      const tab = await context.newPage();
      await tab.goto('/login');
      await tab.fill('main [name=name]', 'admin');
      await tab.fill('main [name=password]', testPassword);
      await tab.locator('main form button').last().click();
      await tab.waitForURL((url) => url.pathname !== '/login');
      tab.on('console', (message) => { if (message.type() === 'error') findings.push(message.text()); });
      for (const path of paths) {
        await tab.goto(path);
        for (const details of await tab.locator('main details:not(.admin-menu)').all()) await details.evaluate((element) => element.setAttribute('open', ''));
        const name = `${look.language}-${'width' in look ? 'phone' : 'wide'}-${'dark' in look ? 'dark' : 'light'} ${path}`;
        for (const finding of [...(await overflow(tab)), ...('dark' in look ? [] : await seriousViolations(tab))]) findings.push(`${name}: ${finding}`);
        const keys = (await tab.locator('main').innerText()).match(/\b(?:availability|fencing|recovery|drill|settings|common|hosts)\.[a-z][a-z.-]+\b/g);
        if (keys !== null) findings.push(`${name}: untranslated ${keys.join(', ')}`);
        const folder = process.env['SCREENSHOTS'];
        if (folder !== undefined) await tab.screenshot({ path: `${folder}/${name.replace(/[^\w-]+/g, '_').slice(0, 90)}.png`, fullPage: true });
      }
      await context.close();
    }
    assert.deepEqual(findings, []);
  });
});
