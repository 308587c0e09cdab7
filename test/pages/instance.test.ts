// The page of an instance: from the wizard's end to the deletion, on a fake host, with the runner at work.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { selectAuditPage } from '../../src/store/audit.ts';
import { selectInstanceEvents } from '../../src/store/instance-events.ts';
import { selectOptionalInstance } from '../../src/store/instances.ts';
import { selectOperationsByInstance } from '../../src/store/operations.ts';
import { startTestCloud, type TestCloud } from '../api/cloud.ts';
import { loggedIn } from '../helpers/accounts.ts';
import { formFields } from '../helpers/form.ts';
import { makeInstance, startDomain } from '../helpers/instances.ts';
import type { Client } from '../helpers/portal.ts';
import type { Instance } from '../../src/model/instance.ts';

let cloud: TestCloud;
let client: Client;
let other: Client;
let hostId: string;

/** how far the portal's clock is ahead: a test that waits for a timeout moves it */
let skewMs = 0;

before(async () => {
  cloud = await startTestCloud({ clock: { now: () => Date.now() + skewMs } });
  client = await loggedIn(cloud.portal, 'user');
  other = await loggedIn(cloud.portal, 'other');
  hostId = (await cloud.portal.deps.db.query<{ id: string }>('SELECT id FROM hosts'))[0]?.id ?? '';
});
after(async () => { await cloud.close(); });

async function aRunningOne(): Promise<Instance> {
  const instance = await makeInstance(cloud.portal.deps.db, cloud.user, { hostId, imageId: cloud.image.id }, { state: 'running', consolePort: 5901 });
  await startDomain(cloud.host, instance);
  return instance;
}

async function until(description: string, condition: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 60_000; !(await condition()); await delay(50)) assert.ok(Date.now() < end, `not within 60 s: ${description}`);
  // all that was written with it
  await cloud.portal.answered();
}

const stateOf = async (id: string): Promise<string | undefined> => (await selectOptionalInstance(cloud.portal.deps.db, id))?.state;

describe('from the wizard to the deletion', () => {
  let path: string;
  let id: string;

  it('creates, and shows each step', async () => {
    const size = formFields((await client.get('/instances/new')).text, /<form[^>]*id="wizard"/);
    const review = formFields((await client.post('/instances/new/review', { ...size, name: 'whole-way', memoryMib: '128', diskGib: '2' })).text, /<form method="post" action="\/instances">/);
    path = (await client.post('/instances', review)).location;
    id = path.split('/').at(-1) ?? '';
    await until('running', async () => (await stateOf(id)) === 'running' && (await selectOptionalInstance(cloud.portal.deps.db, id))?.operationId === null);
    const [operation] = await selectOperationsByInstance(cloud.portal.deps.db, id);
    const json = JSON.parse((await client.get(`/operations/${operation?.id}.json`)).text) as { state: string; ended: boolean; steps: { state: string }[] };
    assert.deepEqual([json.state, json.ended, json.steps.every((step) => step.state === 'done')], ['done', true, true]);
    assert.match((await client.get(`/operations/${operation?.id}`)).text, /5 of 5 steps/);
    const progress = await client.get(`/operations/${operation?.id}/progress`);
    assert.match(progress.text, /data-ended="true"/);
    assert.doesNotMatch(progress.text, /<html/);
  });

  it('shows what it is, where and why', async () => {
    const { text } = await client.get(path);
    for (const words of ['whole-way', '128 MiB', '2 GiB', 'host1', 'Demo', 'Created and started', 'of its memory would stay free', '127.0.0.1:59', 'Open console']) assert.ok(text.includes(words), words);
    assert.match(text, /disabled[^>]*aria-describedby="refusal-start"/);
    assert.match(text, /Only a machine that is off can be started/);
  });

  it('forces off after asking, and starts again', async () => {
    assert.match((await client.get(`${path}/actions/force-off`)).text, /like pulling the plug/);
    assert.equal((await client.post(`${path}/actions/force-off`)).location, path);
    await until('off', async () => (await stateOf(id)) === 'stopped' && (await selectOptionalInstance(cloud.portal.deps.db, id))?.operationId === null);
    assert.equal((await client.post(`${path}/actions/start`)).location, path);
    await until('running', async () => (await stateOf(id)) === 'running');
  });

  it('asks before it deletes, saying what is lost; nothing happens by looking', async () => {
    const { text, status } = await client.get(`${path}/actions/delete`);
    assert.equal(status, 200);
    assert.match(text, /its disk of 2 GiB with everything on it/);
    assert.match(text, /The machine is running/);
    assert.equal(await stateOf(id), 'running');
  });

  it('deletes, shows the operation, and then there is no such page', async () => {
    await until('free', async () => (await selectOptionalInstance(cloud.portal.deps.db, id))?.operationId === null);
    const answer = await client.post(`${path}/actions/delete`);
    assert.match(answer.location, /^\/operations\//);
    await until('gone', async () => (await stateOf(id)) === undefined);
    const page = await client.get(answer.location);
    assert.equal(page.status, 200);
    assert.match(page.text, /To the VM Monitor/);
    assert.equal((await client.get(path)).status, 404);
    assert.equal((await client.get(`${path}/console`)).status, 404);
  });
});

describe('an instance that is busy or in the wrong state', () => {
  it('says so at once, on its page', async () => {
    const instance = await aRunningOne();
    const answer = await client.post(`/instances/${instance.id}/actions/start`);
    assert.deepEqual([answer.status, answer.location], [303, `/instances/${instance.id}`]);
    assert.match((await client.get(answer.location)).text, /alert-danger[\s\S]*Only a machine that is off can be started/);
    assert.equal((await client.get(`/instances/${instance.id}/actions/start`)).status, 303);
    assert.equal((await client.post(`/instances/${instance.id}/actions/explode`)).status, 404);
  });

  it('offers to force off a guest that ignored its power button', async () => {
    const { db } = cloud.portal.deps;
    const instance = await aRunningOne();
    const hears = cloud.host.fail('DOMAIN_SHUTDOWN_FLAGS', { code: 55, message: 'deaf' });
    await client.post(`/instances/${instance.id}/actions/shutdown`);
    await until('pressed', async () => cloud.host.called('DOMAIN_SHUTDOWN_FLAGS') > 0);
    skewMs += 120_000;
    await until('given up', async () => (await selectOperationsByInstance(db, instance.id))[0]?.state === 'failed');
    hears();
    const { text } = await client.get(`/instances/${instance.id}`);
    assert.match(text, /The guest did not shut down within/);
    assert.match(text, new RegExp(`btn-warning[^>]*href="/instances/${instance.id}/actions/force-off"`));
  });
});

describe('another user', () => {
  it('finds nothing of it, whatever is tried', async () => {
    const instance = await aRunningOne();
    const [operation] = await selectOperationsByInstance(cloud.portal.deps.db, instance.id);
    assert.equal(operation, undefined);
    await other.get('/instances/new');
    for (const path of ['', '/actions/delete', '/console', '/charts', '/charts.csv']) assert.equal((await other.get(`/instances/${instance.id}${path}`)).status, 404, `GET ${path}`);
    for (const path of ['/actions/delete', '/actions/shutdown', '/console', '/console/ticket']) assert.equal((await other.post(`/instances/${instance.id}${path}`)).status, 404, `POST ${path}`);
    assert.equal(await stateOf(instance.id), 'running');
  });

  it('finds no operation of it either', async () => {
    const instance = await aRunningOne();
    await client.post(`/instances/${instance.id}/actions/force-off`);
    const [operation] = await selectOperationsByInstance(cloud.portal.deps.db, instance.id);
    await other.get('/instances/new');
    for (const path of ['', '.json', '/progress']) assert.equal((await other.get(`/operations/${operation?.id}${path}`)).status, 404);
    assert.equal((await other.post(`/operations/${operation?.id}/cancel`)).status, 404);
    const admin = await loggedIn(cloud.portal, 'admin');
    assert.equal((await admin.get(`/operations/${operation?.id}`)).status, 200);
    assert.equal((await admin.get(`/instances/${instance.id}`)).status, 200);
  });
});

describe('opening a console', () => {
  it('makes a password for this opening, tells the host when it ends, and keeps it nowhere', async () => {
    const { db, clock } = cloud.portal.deps;
    const instance = await aRunningOne();
    assert.match((await client.get(`/instances/${instance.id}/console`)).text, /Opening makes a new password/);
    const before = clock.now();
    const page = await client.post(`/instances/${instance.id}/console`);
    assert.equal(page.status, 200);
    assert.equal(page.headers.get('cache-control'), 'no-store');
    const password = /id="console-password"[^>]*>([^<]+)</.exec(page.text)?.[1] ?? '';
    assert.match(password, /^[a-km-zA-HJ-NP-Z2-9]{8}$/);
    const domain = cloud.host.domains.get(instance.id);
    assert.equal(domain?.vnc?.password, password);
    const validTo = Date.parse(`${domain?.vnc?.passwordValidTo}Z`);
    assert.ok(validTo >= before + 298_000 && validTo <= clock.now() + 300_000, String(validTo - before));
    assert.match(page.text, new RegExp(`127\\.0\\.0\\.1:${domain?.vnc?.port}`));

    const record = await selectOptionalInstance(db, instance.id);
    assert.deepEqual([record?.consoleExpiresAt, record?.consolePort], [validTo, domain?.vnc?.port]);
    const { entries } = await selectAuditPage(db, { action: 'instance.console' }, 1, 0);
    assert.equal(entries[0]?.target, instance.id);
    const everywhere = JSON.stringify([entries, record, await selectInstanceEvents(db, instance.id)]);
    assert.ok(!everywhere.includes(password));
    assert.match(everywhere, /console\.diary\.opened/);
    // locked again at the next start: the definition never learns it
    assert.ok(!cloud.host.domains.get(instance.id)?.toXml({ secure: true, inactive: true }).includes(password));

    const again = await client.post(`/instances/${instance.id}/console`);
    const second = /id="console-password"[^>]*>([^<]+)</.exec(again.text)?.[1] ?? '';
    assert.notEqual(second, password);
    assert.equal(cloud.host.domains.get(instance.id)?.vnc?.password, second);
  });

  it('is refused while the machine is off', async () => {
    const instance = await makeInstance(cloud.portal.deps.db, cloud.user, { hostId }, { state: 'stopped' });
    assert.equal((await client.post(`/instances/${instance.id}/console`)).status, 409);
  });

  it('does not wait for a host that is silent', async () => {
    const instance = await aRunningOne();
    cloud.host.hang();
    try {
      const began = performance.now();
      const page = await client.post(`/instances/${instance.id}/console`);
      const tookMs = performance.now() - began;
      assert.equal(page.status, 503);
      assert.match(page.text, /alert-danger[\s\S]*does not answer at the moment[\s\S]*Back to the machine[\s\S]*Open console/);
      assert.doesNotMatch(page.text, /\d ms\b/);
      assert.ok(tookMs < 15_000, `${tookMs} ms`);
      assert.equal((await client.get(`/instances/${instance.id}`)).status, 200);
    } finally {
      cloud.host.resume();
    }
  });
});

describe('libvirt’s own words', () => {
  it('are for admins: they may name files of the host and other people’s machines', async () => {
    const instance = await aRunningOne();
    const refuse = cloud.host.fail('DOMAIN_DESTROY_FLAGS', { code: 1, message: 'internal error: /srv/secret/disk.qcow2' });
    await client.post(`/instances/${instance.id}/actions/force-off`);
    const last = async () => (await selectOperationsByInstance(cloud.portal.deps.db, instance.id))[0];
    await until('failed', async () => (await last())?.state === 'failed');
    refuse();
    const operation = await last();
    const asUser = await cloud.api.token(cloud.user.id);
    assert.match((await asUser.call('get', `/operations/${operation?.id}`)).text, /an administrator can see why/);
    for (const path of [`/instances/${instance.id}`, `/operations/${operation?.id}`, `/operations/${operation?.id}.json`]) {
      const { text } = await client.get(path);
      assert.ok(!text.includes('/srv/secret') && text.includes('an administrator can see why'), path);
    }
    const admin = await loggedIn(cloud.portal, cloud.admin.name);
    assert.ok((await admin.get(`/operations/${operation?.id}`)).text.includes('/srv/secret/disk.qcow2'));
  });
});
