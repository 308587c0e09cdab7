// What an owner, another user, an administrator and a visitor see of a move, and of a host in trouble, on the machine's page.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { say } from '../../src/errors.ts';
import type { Instance } from '../../src/model/instance.ts';
import { defaultSettings } from '../../src/model/settings.ts';
import { submitInstanceCreate } from '../../src/operations/instance-create.ts';
import { submitMove } from '../../src/operations/instance-migrate.ts';
import { selectHosts } from '../../src/store/hosts.ts';
import { selectInstanceEvents } from '../../src/store/instance-events.ts';
import { selectOptionalInstance } from '../../src/store/instances.ts';
import { selectMove } from '../../src/store/moves.ts';
import { selectAuditPage } from '../../src/store/audit.ts';
import { updateSettings } from '../../src/store/settings.ts';
import { updateLanguage } from '../../src/store/users.ts';
import { startTestCloud, type TestCloud } from '../api/cloud.ts';
import { auditSettled, loggedIn } from '../helpers/accounts.ts';
import { formFields } from '../helpers/form.ts';
import { assertHides, assertShows, assertStatus } from '../helpers/page-text.ts';
import type { Client } from '../helpers/portal.ts';

let cloud: TestCloud;
let owner: Client;
let other: Client;
let admin: Client;

before(async () => {
  cloud = await startTestCloud({ hosts: 2 });
  await updateSettings(db(), 'quota', { instances: 100, vcpus: 100, memoryMib: 100_000, diskGib: 1000 }, null, Date.now());
  [owner, other, admin] = await Promise.all(['user', 'other', 'admin'].map((name) => loggedIn(cloud.portal, name))) as [Client, Client, Client];
});
after(() => cloud.close());
afterEach(async () => {
  for (const host of cloud.hosts) host.host.migrationMs = 200;
  await cloud.portal.deps.db.execute("UPDATE hosts SET state = 'up', wish = 'enabled', fenced_at = NULL");
});

const db = (): TestCloud['portal']['deps']['db'] => cloud.portal.deps.db;
const instanceNow = async (id: string): Promise<Instance> => (await selectOptionalInstance(db(), id)) ?? assert.fail('gone');
const pageOf = async (client: Client, id: string): Promise<string> => (await client.get(`/instances/${id}`)).text;

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 60_000; !(await condition()); await delay(30)) assert.ok(Date.now() < end, `not within 60 s: ${what}`);
  // all that was written with it
  await cloud.portal.answered();
}
const settled = (id: string): Promise<void> => until('settled', async () => (await instanceNow(id)).operationId === null);

let made = 0;
async function running(): Promise<Instance> {
  const { instance } = await submitInstanceCreate(cloud.portal.deps.operations, {
    user: cloud.user, name: `mover-${++made}`, image: cloud.image, size: { vcpus: 1, memoryMib: 128, diskGib: 2 }, sshKey: '', userData: '',
  });
  await settled(instance.id);
  return instanceNow(instance.id);
}

async function startMove(instance: Instance): Promise<string> {
  const { move } = await submitMove(cloud.portal.deps.operations, { instance, toHostId: null, trigger: 'maintenance', why: say('moves.why.maintenance', { host: 'host1' }), actor: null });
  return move.id;
}

describe('while it moves', () => {
  it('its owner reads that work may go on, and how far it is; nobody else finds it', async () => {
    const instance = await running();
    for (const host of cloud.hosts) host.host.migrationMs = 60_000;
    const moveId = await startMove(instance);
    await until('memory is being sent', async () => (await selectMove(db(), moveId)).phase === 'memory');
    const { toHostName } = await selectMove(db(), moveId);

    const page = await pageOf(owner, instance.id);
    assertShows(page, new RegExp(`Being moved to ${toHostName}`));
    assertShows(page, /You may go on working/);
    assertShows(page, /goes into maintenance/);
    assertShows(page, /data-state="moving"/);
    assertShows(page, /Sending memory/);
    assertHides(page, /Cancel the move/);
    assertShows(await pageOf(admin, instance.id), /Cancel the move/);
    const progress = await owner.get(`/instances/${instance.id}/move`);
    assertStatus(progress, 200);
    assert.match(progress.text, /data-ended="false"/);
    assert.doesNotMatch(progress.text, /<html/);
    assertShows((await owner.get('/instances')).text, /data-state="moving"[\s\S]*data-cell="state">moving</);

    for (const path of ['', '/move', '/console.json']) assert.equal((await other.get(`/instances/${instance.id}${path}`)).status, 404, path);
    assert.equal((await other.post(`/instances/${instance.id}/console.json`)).status, 404);
    const visitor = cloud.portal.client();
    for (const path of ['', '/move', '/console.json']) assert.equal((await visitor.get(`/instances/${instance.id}${path}`)).status, 303, path);

    assert.equal((await owner.post(`/operations/${moveId}/cancel`)).status, 403);
    assert.equal((await owner.post(`/instances/${instance.id}/actions/shutdown`)).location, `/instances/${instance.id}`);
    assertShows(await pageOf(owner, instance.id), /Something is already being done/);
    // libvirt would hold a new password back until the end, and set it on what is left here then
    const early = await owner.post(`/instances/${instance.id}/console`);
    assertStatus(early, 409);
    assertShows(early.text, /being moved to another host\. Its screen can be opened in a moment[\s\S]*Back to the machine/);
    assert.deepEqual(JSON.parse((await owner.get(`/instances/${instance.id}/console.json`)).text).moving, true);

    await updateLanguage(db(), cloud.user.id, 'zh-TW', Date.now());
    try {
      const chinese = await pageOf(owner, instance.id);
      assertShows(chinese, new RegExp(`正在移到 ${toHostName}[\\s\\S]*您可以繼續使用[\\s\\S]*傳送記憶體`));
    } finally {
      await updateLanguage(db(), cloud.user.id, 'en', Date.now());
    }
    assert.equal((await admin.post(`/operations/${moveId}/cancel`)).status, 303);
    await settled(instance.id);
    assertShows(await pageOf(owner, instance.id), /Was to be moved from host\d to host\d; that was cancelled, and it stayed where it was/);
  });

  it('waits for its turn without a change', async () => {
    const instance = await running();
    await db().execute("UPDATE moves SET state = 'done', ended_at = 1 WHERE state IN ('queued', 'moving')");
    const id = await startMove(instance);
    await settled(instance.id);
    await db().execute("UPDATE moves SET state = 'queued' WHERE id = ?", [id]);
    await db().execute("UPDATE instances SET operation_id = ?, operation_kind = 'instance-migrate' WHERE id = ?", [id, instance.id]);
    try {
      assertShows((await owner.get(`/instances/${instance.id}/move`)).text, /waits for its turn/);
    } finally {
      await db().execute('UPDATE instances SET operation_id = NULL, operation_kind = NULL WHERE id = ?', [instance.id]);
      await db().execute("UPDATE moves SET state = 'done' WHERE id = ?", [id]);
    }
  });
});

describe('after it has moved', () => {
  it('the diary tells from where, to where, why, how long, how much and how long it stood still', async () => {
    const before = await running();
    const moveId = await startMove(before);
    await settled(before.id);
    const { fromHostName, toHostName, state } = await selectMove(db(), moveId);
    assert.equal(state, 'done');
    const page = await pageOf(owner, before.id);
    assertShows(page, new RegExp(`Moved from ${fromHostName} to ${toHostName} while it ran[\\s\\S]*goes into maintenance[\\s\\S]*took [\\d.]+ s · 128 MiB moved · stood still for 45 ms`));
    // the event beside the move's own record is not told twice
    assert.equal(page.match(/Moved from/g)?.length, 1);
    assertShows(page, new RegExp(`data-cell="host">${toHostName}<`));
  });

  it('the address of its screen is the new one, the old one stands nowhere, and the password that was made lasts as long as it was to', async () => {
    const before = await running();
    const opened = await owner.post(`/instances/${before.id}/console`);
    assertStatus(opened, 200);
    const password = /id="console-password"[^>]*>([^<]+)</.exec(opened.text)?.[1] ?? '';
    const [old] = /127\.0\.0\.1:\d+/.exec(opened.text) ?? [''];
    const { consoleExpiresAt } = await instanceNow(before.id);
    await startMove(before);
    await settled(before.id);
    const after = await instanceNow(before.id);
    assert.notEqual(after.consolePort, before.consolePort);
    const page = await pageOf(owner, before.id);
    assert.ok(!page.includes(old), old);
    assert.ok(page.includes(`127.0.0.1:${after.consolePort}`));
    // its expiry travels with it: the record goes on telling the truth
    assert.equal(after.consoleExpiresAt, consoleExpiresAt);
    const domain = cloud.hosts.map((host) => host.domains.get(before.id)).find((each) => each !== undefined);
    assert.deepEqual([domain?.vnc?.password, Date.parse(`${domain?.vnc?.passwordValidTo}Z`)], [password, consoleExpiresAt]);

    const place = JSON.parse((await owner.get(`/instances/${before.id}/console.json`)).text) as { moving: boolean; host: string; address: string };
    assert.deepEqual([place.moving, place.address], [false, `127.0.0.1:${after.consolePort}`]);
    const followed = await owner.post(`/instances/${before.id}/console.json`);
    assertStatus(followed, 200);
    const fresh = JSON.parse(followed.text) as { hostPort: string; password: string; ticket: string; leftMs: number; host: string };
    assert.deepEqual([fresh.hostPort, fresh.host], [place.address, place.host]);
    assert.ok(fresh.leftMs > 290_000 && fresh.ticket.length > 20);
    // the one before opens nothing any more
    assert.notEqual(fresh.password, password);
    assert.equal(domain?.vnc?.password, fresh.password);
    await auditSettled(db());
    const { entries } = await selectAuditPage(db(), { action: 'instance.console' }, 50, 0);
    assert.ok(!JSON.stringify([entries, await selectInstanceEvents(db(), before.id)]).includes(fresh.password));
  });
});

describe('choices for the failure of a host', () => {
  const form = /<form method="post" action="\/instances\/[^"]+\/options">/;

  it('are on the page, are changed there, and stand in the diary', async () => {
    const instance = await running();
    const fields = formFields(await pageOf(owner, instance.id), form);
    assert.deepEqual(fields, { ha: 'on', haPriority: '1', antiAffinity: '' });
    assert.equal((await owner.post(`/instances/${instance.id}/options`, { haPriority: '0', antiAffinity: 'Web' })).status, 303);
    const page = await pageOf(owner, instance.id);
    assertShows(page, /Saved\./);
    assert.deepEqual(formFields(page, form), { haPriority: '0', antiAffinity: 'web' });
    assertShows(page, /restart elsewhere: No; kept apart: web/);
    const { ha, haPriority, antiAffinity } = await instanceNow(instance.id);
    assert.deepEqual([ha, haPriority, antiAffinity], [false, 0, 'web']);
  });

  it('say when they would help nothing: switched off for all, or the disk is the host’s own', async () => {
    const instance = await running();
    assertHides(await pageOf(owner, instance.id), /switched this off|on its host alone/);
    await db().execute('UPDATE storage_pools SET shared = 0');
    assertShows(await pageOf(owner, instance.id), /Its disk lies on its host alone/);
    await db().execute('UPDATE storage_pools SET shared = 1');
    await updateSettings(db(), 'availability', { ...defaultSettings.availability, enabled: false }, null, Date.now());
    try {
      assertShows(await pageOf(owner, instance.id), /switched this off for the whole cloud/);
      assertShows((await owner.get('/instances/new')).text, /switched this off for the whole cloud/);
    } finally {
      await updateSettings(db(), 'availability', defaultSettings.availability, null, Date.now());
    }
  });

  it('say when a group is not apart yet', async () => {
    const first = await running();
    await db().execute("UPDATE instances SET anti_affinity = 'pair' WHERE id = ?", [first.id]);
    const second = await running();
    await db().execute('UPDATE instances SET host_id = ? WHERE id = ?', [first.hostId, second.id]);
    try {
      await owner.post(`/instances/${second.id}/options`, { ha: 'on', haPriority: '1', antiAffinity: 'pair' });
      assertShows(await pageOf(owner, second.id), /on the same host now: they are kept apart from the next placement or move on/);
    } finally {
      await db().execute('UPDATE instances SET host_id = ? WHERE id = ?', [second.hostId, second.id]);
    }
  });

  it('refuse what they cannot be, keep what was typed, and are nobody else’s', async () => {
    const instance = await running();
    const refused = await owner.post(`/instances/${instance.id}/options`, { haPriority: '1', antiAffinity: 'not a group' });
    assertStatus(refused, 422);
    assertShows(refused.text, /Letters, digits and hyphens only/);
    assert.equal(formFields(refused.text, form)['antiAffinity'], 'not a group');
    const eager = await owner.post(`/instances/${instance.id}/options`, { ha: 'on', haPriority: '2', antiAffinity: '' });
    assertStatus(eager, 422);
    assertShows(eager.text, /Only an administrator can put a machine first/);
    assert.equal((await other.post(`/instances/${instance.id}/options`, { haPriority: '0' })).status, 404);
    assert.equal((await owner.post(`/instances/${instance.id}/options`, { _csrf: 'forged', haPriority: '0' })).status, 403);
    assert.equal((await instanceNow(instance.id)).haPriority, 1);
    assert.equal((await admin.post(`/instances/${instance.id}/options`, { ha: 'on', haPriority: '2' })).status, 303);
    assert.equal(formFields(await pageOf(owner, instance.id), form)['haPriority'], '2');
    assert.equal((await owner.post(`/instances/${instance.id}/options`, { ha: 'on', haPriority: '2', antiAffinity: '' })).status, 303);
  });

  it('are in the wizard, and its review shows them', async () => {
    const size = formFields((await owner.get('/instances/new')).text, /<form[^>]*id="wizard"/);
    assert.deepEqual([size['ha'], size['haPriority'], size['antiAffinity']], ['on', '1', '']);
    const { ha: _off, ...without } = size;
    const typed = { ...without, name: 'apart-1', memoryMib: '128', diskGib: '2', antiAffinity: 'Apart', haPriority: '0' };
    const review = await owner.post('/instances/new/review', typed);
    assertShows(review.text, /Stays off until you start it[\s\S]*>apart</);
    const fields = formFields(review.text, /<form method="post" action="\/instances">/);
    const back = formFields((await owner.post('/instances/new', fields)).text, /<form[^>]*id="wizard"/);
    assert.deepEqual([back['ha'], back['haPriority'], back['antiAffinity']], [undefined, '0', 'Apart']);
    const created = await owner.post('/instances', fields);
    assert.equal(created.status, 303, created.text);
    const { ha, haPriority, antiAffinity } = await instanceNow(created.location.split('/').at(-1) ?? '');
    assert.deepEqual([ha, haPriority, antiAffinity], [false, 0, 'apart']);
    assertStatus(await owner.post('/instances/new/review', { ...typed, haPriority: '2' }), 422);
    assertStatus(await owner.post('/instances', { ...fields, name: 'apart-2', haPriority: '2' }), 422);
  });
});

describe('a host in trouble', () => {
  const set = async (instance: Instance, change: string): Promise<string> => {
    await db().execute(`UPDATE hosts SET ${change} WHERE id = ?`, [instance.hostId]);
    return pageOf(owner, instance.id);
  };

  it('is told in words: silent, proven gone, in maintenance', async () => {
    const instance = await running();
    assertShows(await set(instance, "state = 'unreachable'"), /does not answer\. The machine may well be running\. If the host proves to have failed, it is started on another one/);
    await db().execute('UPDATE instances SET ha = 0 WHERE id = ?', [instance.id]);
    assertShows(await set(instance, "state = 'unreachable'"), /An administrator looks after the host/);
    await db().execute("UPDATE instances SET state = 'stopped' WHERE id = ?", [instance.id]);
    assertShows(await set(instance, "state = 'unreachable'"), /cannot be started until the host answers/);
    assertShows(await set(instance, "state = 'fenced', fenced_at = 1"), /has failed, and this machine is off\. Its disk is safe/);
    assertShows(await set(instance, "state = 'up', wish = 'maintenance'"), /in maintenance\. When the machine is started it moves to another host first/);
  });

  it('that is in maintenance lets its machines start elsewhere', async () => {
    const instance = await running();
    await owner.post(`/instances/${instance.id}/actions/force-off`);
    await settled(instance.id);
    await set(instance, "wish = 'maintenance'");
    assert.equal((await owner.post(`/instances/${instance.id}/actions/start`)).status, 303);
    await until('runs elsewhere', async () => { const now = await instanceNow(instance.id); return now.state === 'running' && now.operationId === null; });
    assert.notEqual((await instanceNow(instance.id)).hostId, instance.hostId);
    assertShows(await pageOf(owner, instance.id), /Moved from host\d to host\d while it was off[\s\S]*Started while host host\d is in maintenance/);
  });

  it('that has failed leaves its machines to be started on another', async () => {
    const instance = await running();
    const [home, away] = (await selectHosts(db())).sort((a, b) => Number(b.id === instance.hostId) - Number(a.id === instance.hostId));
    const index = home?.name === 'host1' ? 0 : 1;
    cloud.hosts[index]?.host.destroy(instance.id);
    await settled(instance.id);
    await until('off', async () => (await instanceNow(instance.id)).state === 'stopped');
    await set(instance, "state = 'fenced', fenced_at = 1");
    assert.equal((await owner.post(`/instances/${instance.id}/actions/start`)).status, 303);
    await until('runs elsewhere', async () => { const now = await instanceNow(instance.id); return now.state === 'running' && now.operationId === null; });
    assert.equal((await instanceNow(instance.id)).hostId, away?.id);
    assertShows(await pageOf(owner, instance.id), new RegExp(`Started anew on ${away?.name}, because host ${home?.name} had failed`));
    // a machine that was started anew is locked, as after every start
    assertShows(await pageOf(owner, instance.id), /Locked: nobody can connect/);
  });
});
