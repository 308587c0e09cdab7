// What admins set: thresholds, caps, quotas, prices, site, flavours; over HTTP on a real database.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { Gate } from '../../src/model/admission.ts';
import { defaultSettings, type SettingsGroup } from '../../src/model/settings.ts';
import { meaningOf } from '../../src/web/admin/thresholds/routes.ts';
import { selectFlavours, seedFlavours } from '../../src/store/flavours.ts';
import { updateGate } from '../../src/store/gate.ts';
import { insertHost, updateHostFacts } from '../../src/store/hosts.ts';
import { insertHostSamples } from '../../src/store/samples.ts';
import { selectSettings, updateSettings } from '../../src/store/settings.ts';
import { selectHosts } from '../../src/store/hosts.ts';
import { auditSettled, loggedIn, makeFirstAdmin, makeUser } from '../helpers/accounts.ts';
import { formFields } from '../helpers/form.ts';
import { assertHides, assertShows, assertStatus } from '../helpers/page-text.ts';
import { startTestPortal, type Client, type TestPortal } from '../helpers/portal.ts';

let portal: TestPortal;
let admin: Client;
let second: Client;

before(async () => {
  portal = await startTestPortal({ runner: false });
  await makeFirstAdmin(portal.deps.db, 'root');
  await makeUser(portal.deps.db, 'anna', { role: 'admin' });
  await seedFlavours(portal.deps.db);
  admin = await loggedIn(portal, 'root');
  second = await loggedIn(portal, 'anna');
});
after(() => portal.close());

/** The fields of one group's form, as the page gives them. */
async function groupFields(client: Client, page: string, group: string): Promise<Record<string, string>> {
  const { text, status } = await client.get(`/admin/${page}`);
  assert.equal(status, 200);
  return formFields(text.slice(text.indexOf(`<section class="card mb-3" id="${group}"`)), /<form class="card-body" method="post"/);
}

const pages = [
  ['settings', 'site'], ['settings', 'power'], ['settings', 'console'], ['caps', 'caps'], ['caps', 'overcommit'], ['prices', 'prices'], ['quotas', 'quota'], ['thresholds', 'thresholds'],
  ['placement', 'placement'], ['placement', 'migration'], ['balancing', 'balancing'],
] as const;

describe('settings', () => {
  beforeEach(async () => {
    for (const [, group] of pages) await updateSettings(portal.deps.db, group, defaultSettings[group], null, Date.now());
  });

  for (const [page, group] of pages) {
    it(`${group}: what the page shows can be sent back, and changes nothing`, async () => {
      const answer = await admin.post(`/admin/${page}`, await groupFields(admin, page, group));
      assertStatus(answer, 303);
      assert.deepEqual((await selectSettings(portal.deps.db))[group], defaultSettings[group]);
    });
  }

  it('saves, tells so on the next page, and writes down what changed', async () => {
    const answer = await admin.post('/admin/caps', { ...(await groupFields(admin, 'caps', 'caps')), 'caps.vcpus': '16', 'caps.diskGib': ' 250 ' });
    assert.equal(answer.location, '/admin/caps');
    assertShows((await admin.get('/admin/caps')).text, /Saved\./);
    assert.deepEqual((await selectSettings(portal.deps.db)).caps, { vcpus: 16, memoryMib: 8192, diskGib: 250 });
    await auditSettled(portal.deps.db);
    const [row] = await portal.deps.db.query<{ target: string; detail: string; result: string }>("SELECT target, detail, result FROM audit WHERE action = 'settings.change' ORDER BY at DESC LIMIT 1");
    assert.deepEqual({ ...row }, { target: 'caps', detail: 'vcpus 4 → 16; diskGib 100 → 250', result: 'ok' });
  });

  it('of two admins the second is told who was first, with both values, and can insist', async () => {
    const mine = await groupFields(admin, 'prices', 'prices');
    const theirs = await groupFields(second, 'prices', 'prices');
    assert.equal((await second.post('/admin/prices', { ...theirs, 'prices.perVcpu': '900' })).status, 303);
    const late = await admin.post('/admin/prices', { ...mine, 'prices.perVcpu': '1200.5' });
    assertStatus(late, 409);
    assertShows(late.text, /anna changed this while you were editing/);
    assertShows(late.text, /stands there now: 900/);
    assertShows(late.text, /value="1200\.5"/);
    assert.equal((await selectSettings(portal.deps.db)).prices.perVcpu, 900);
    const again = formFields(late.text.slice(late.text.indexOf('id="prices"')), /<form class="card-body" method="post"/);
    assert.equal((await admin.post('/admin/prices', again)).status, 303);
    assert.equal((await selectSettings(portal.deps.db)).prices.perVcpu, 1200.5);
  });

  const wrong: [string, SettingsGroup, string, string, RegExp][] = [
    ['caps', 'caps', 'caps.vcpus', '0', /At least 1/],
    ['caps', 'caps', 'caps.vcpus', '2.5', /whole number/],
    ['caps', 'caps', 'caps.memoryMib', 'lots', /not a number/],
    ['caps', 'overcommit', 'overcommit.vcpus', '0', /At least 0\.1/],
    ['quotas', 'quota', 'quota.instances', '-1', /At least 0/],
    ['prices', 'prices', 'prices.currency', '', /This is needed/],
    ['prices', 'prices', 'prices.currency', 'a very long currency', /At most 8 characters/],
    ['prices', 'prices', 'prices.perVcpu', '1e3', /not a number/],
    ['settings', 'site', 'site.registration', 'anything', /choose one of the list/],
    ['settings', 'site', 'site.name', '', /This is needed/],
    ['settings', 'console', 'console.passwordSeconds', '5', /At least 30/],
    ['thresholds', 'thresholds', 'thresholds.cpuPercent.close', '101', /At most 100/],
    ['thresholds', 'thresholds', 'thresholds.memoryPercent.open', '95', /Must be below 95 %/],
    ['thresholds', 'thresholds', 'thresholds.windowSeconds', '1', /At least 20/],
    ['placement', 'placement', 'placement.strategy', 'random', /choose one of the list/],
    ['placement', 'placement', 'placement.maxCpuPercent', '101', /At most 100/],
    ['placement', 'migration', 'migration.perHost', '0', /At least 1/],
    ['balancing', 'balancing', 'balancing.mode', 'maybe', /choose one of the list/],
    ['balancing', 'balancing', 'balancing.lowCpuPercent', '85', /Must be below 85 %/],
    ['balancing', 'balancing', 'balancing.lowMemoryPercent', '99', /Must be below 90 %/],
  ];
  for (const [page, group, field, value, complaint] of wrong) {
    it(`${field} = ${JSON.stringify(value)} is refused beside its field, and what was typed is kept`, async () => {
      const answer = await admin.post(`/admin/${page}`, { ...(await groupFields(admin, page, group)), [field]: value });
      assertStatus(answer, 422);
      const at = answer.text.indexOf(`id="field-${field}-error"`);
      assert.ok(at > 0, 'the error stands at its field');
      assert.match(answer.text.slice(at, at + 300), complaint);
      if (!/registration$|strategy$|mode$/.test(field)) assert.ok(answer.text.includes(`value="${value}"`));
      assert.deepEqual((await selectSettings(portal.deps.db))[group], defaultSettings[group]);
    });
  }

  it('a form for a group of another page, or without one, is no form', async () => {
    const fields = await groupFields(admin, 'caps', 'caps');
    assert.equal((await admin.post('/admin/prices', fields)).status, 422);
    assert.equal((await admin.post('/admin/caps', { ...fields, version: 'x' })).status, 422);
  });

  it('the site’s name is on every page at once, escaped', async () => {
    await admin.post('/admin/settings', { ...(await groupFields(admin, 'settings', 'site')), 'site.name': '雲 <b>& Co' });
    assertShows((await portal.client().get('/about')).text, /雲 &lt;b&gt;&amp; Co/);
  });
});

describe('thresholds at the present load', () => {
  it('says what the load means now', async () => {
    const { db } = portal.deps;
    const id = crypto.randomUUID();
    const now = Date.now();
    await insertHost(db, { id, name: 'kvm1', uri: 'qemu:///system', consoleAddress: '127.0.0.1', network: 'default', virtTypeWish: 'auto', createdAt: now });
    await updateHostFacts(db, id, { virtType: 'kvm', arch: 'x86_64', cpuModel: null, libvirtVersion: null, qemuVersion: null, hostUuid: null, cpus: 8, memoryMib: 16384 });
    const host = (await selectHosts(db))[0];
    assert.ok(host);
    for (const ago of [5000, 15_000, 25_000]) await insertHostSamples(db, [{ subjectId: host.subjectId, at: now - ago, cpuPercent: 34, memoryUsedMib: 15_728, memoryTotalMib: 16_384 }]);
    const { text } = await admin.get('/admin/thresholds');
    assertShows(text, /Users may apply for machines now/);
    assertShows(text, /34 %[\s\S]*?would close at 90 %/);
    assertShows(text, /96 %[\s\S]*?Reached 95 %: the gate closes if it stays so for 60 s/);
    assertShows(text, /No samples in the window/);
    await updateGate(db, { closed: false, since: 0, reasons: [] }, { closed: true, since: now - 1000, reasons: [{ key: 'admission.gate.memoryPercent', params: { value: 96, close: 95, open: 90 } }] }, now);
    const closed = await admin.get('/admin/thresholds');
    assertShows(closed.text, /Users may not apply for machines now/);
    assertShows(closed.text, /opens it again at 90 %/);
    assertShows((await admin.get('/admin')).text, /The gate is closed/);
  });

  it('each case has its own words', () => {
    const thresholds = defaultSettings.thresholds;
    const open: Gate = { closed: false, since: 0, reasons: [] };
    const closed: Gate = { closed: true, since: 0, reasons: [{ key: 'admission.gate.cpuPercent' }] };
    const load = (cpuPercent: number | null) => ({ cpuPercent, memoryPercent: null, storagePercent: null });
    const key = (value: number | null, gate: Gate, enabled = true, holdSeconds = 0): string => meaningOf('cpuPercent', load(value), gate, { ...thresholds, holdSeconds, enabled }).key.replace('thresholds.means.', '');
    assert.deepEqual([key(34, open), key(90, open), key(null, open), key(85, closed), key(80, closed), key(99, open, false)], ['below', 'will-close', 'unmeasured', 'keeps-closed', 'will-open', 'off']);
    assert.deepEqual([key(90, open, true, 60), key(80, closed, true, 60)], ['closes-when-held', 'opens-when-held']);
  });
});

describe('flavours', () => {
  const typed = { name: 'huge', vcpus: '4', memoryMib: '8192', diskGib: '100', enabled: 'on' };
  const names = async (): Promise<string[]> => (await selectFlavours(portal.deps.db)).map((each) => `${each.name}${each.enabled ? '' : ' (hidden)'}`);
  const pathOf = async (name: string): Promise<string> => `/admin/flavours/${(await selectFlavours(portal.deps.db)).find((each) => each.name === name)?.id}`;

  it('are added, changed, ordered, hidden and deleted', async () => {
    assert.equal((await admin.post('/admin/flavours', typed)).status, 303);
    assert.deepEqual(await names(), ['tiny', 'small', 'medium', 'large', 'huge']);
    await admin.post(`${await pathOf('huge')}/move`, { direction: 'up' });
    await admin.post(`${await pathOf('tiny')}/move`, { direction: 'up' });
    assert.deepEqual(await names(), ['tiny', 'small', 'medium', 'huge', 'large']);
    await admin.post(`${await pathOf('small')}/disable`);
    assert.equal((await admin.post(await pathOf('huge'), { ...typed, name: 'giant', vcpus: '8' })).status, 303);
    assert.deepEqual(await names(), ['tiny', 'small (hidden)', 'medium', 'giant', 'large']);
    assertShows((await admin.get('/admin/flavours')).text, /above the caps/);
    await admin.post(`${await pathOf('small')}/enable`);
    await admin.post(`${await pathOf('giant')}/delete`);
    assert.deepEqual(await names(), ['tiny', 'small', 'medium', 'large']);
  });

  it('a name that is taken or a size that cannot be stands beside its field', async () => {
    const taken = await admin.post('/admin/flavours', { ...typed, name: 'tiny' });
    assertStatus(taken, 422);
    assertShows(taken.text, /Another flavour has this name/);
    const wrong = await admin.post(await pathOf('tiny'), { ...typed, name: 'tiny', memoryMib: '12 GB' });
    assertStatus(wrong, 422);
    assertShows(wrong.text, /value="12 GB"/);
    assert.equal((await admin.get(`/admin/flavours/${crypto.randomUUID()}`)).status, 404);
    assert.equal((await admin.get('/admin/flavours/nonsense')).status, 404);
  });
});

describe('who may', () => {
  it('users and visitors see and change nothing of it', async () => {
    await makeUser(portal.deps.db, 'bob');
    const bob = await loggedIn(portal, 'bob');
    const stranger = portal.client();
    for (const path of ['/admin', '/admin/settings', '/admin/thresholds', '/admin/caps', '/admin/prices', '/admin/quotas', '/admin/flavours', '/admin/images', '/admin/hosts', '/admin/operations', '/admin/discrepancies', '/admin/messages']) {
      assert.equal((await admin.get(path)).status, 200, path);
      const { status, text } = await bob.get(path);
      assert.equal(status, 403, path);
      assertHides(text, /admin\/audit/);
      assert.equal((await stranger.get(path)).status, 303, path);
    }
    assert.equal((await bob.post('/admin/caps', { group: 'caps', version: '0', 'caps.vcpus': '500', 'caps.memoryMib': '1024', 'caps.diskGib': '10' })).status, 403);
    assert.notEqual((await selectSettings(portal.deps.db)).caps.vcpus, 500);
  });

  it('looking at the pages changes nothing in the database', async () => {
    const look = async (): Promise<string> => JSON.stringify(await Promise.all(['settings', 'flavours', 'images', 'hosts', 'storage_pools', 'operations', 'discrepancies', 'contact_messages', 'gate', 'audit', 'users'].map((table) => portal.deps.db.query(`SELECT * FROM ${table} ORDER BY 1`))));
    await auditSettled(portal.deps.db);
    const before = await look();
    for (const path of ['', '/settings', '/thresholds', '/caps', '/prices', '/quotas', '/flavours', '/images', '/images/new', '/hosts', '/hosts/new', '/operations?state=failed', '/discrepancies', '/messages']) assert.equal((await admin.get(`/admin${path}`)).status, 200, path);
    assert.equal(await look(), before);
  });
});
