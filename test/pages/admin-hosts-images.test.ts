// Hosts, images, operations and discrepancies for admins, over HTTP, on fake libvirtds.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { randomUUID } from 'node:crypto';
import { selectHostEvents } from '../../src/store/host-events.ts';
import { selectHosts, selectOptionalHostByName, updateHostContact } from '../../src/store/hosts.ts';
import { upsertDiscrepancy, selectDiscrepancies } from '../../src/store/discrepancies.ts';
import { selectImages } from '../../src/store/images.ts';
import { insertOperation, selectOperation } from '../../src/store/operations.ts';
import { selectPools } from '../../src/store/storage-pools.ts';
import { auditSettled, loggedIn, makeFirstAdmin } from '../helpers/accounts.ts';
import { startFakeLibvirtd, type FakeLibvirtd } from '../helpers/fake-libvirtd/index.ts';
import { formFields } from '../helpers/form.ts';
import { assertHides, assertShows, assertStatus } from '../helpers/page-text.ts';
import { startTestPortal, type Client, type TestPortal } from '../helpers/portal.ts';

const gib = 1024 ** 3;
let portal: TestPortal;
let admin: Client;
let fake: FakeLibvirtd;

before(async () => {
  portal = await startTestPortal({ runner: false });
  await makeFirstAdmin(portal.deps.db, 'root');
  admin = await loggedIn(portal, 'root');
  fake = await startFakeLibvirtd({ kvm: true, pools: [{ name: 'default', path: '/srv/images' }, { name: 'nfs', kind: 'netfs' }, { name: 'off', active: false }], networks: [{ name: 'default' }, { name: 'asleep', active: false }] });
});
after(async () => {
  await portal.close();
  await fake.close();
});

/** A qcow2 header (version 3), as qemu-img writes it, with an optional backing file. */
function qcow2(sizeBytes: number, backing = ''): Buffer {
  const head = Buffer.alloc(65_536);
  head.write('QFI\xfb', 'latin1');
  head.writeUInt32BE(3, 4);
  if (backing !== '') {
    head.writeBigUInt64BE(200n, 8);
    head.writeUInt32BE(backing.length, 16);
    head.write(backing, 200);
  }
  head.writeUInt32BE(16, 20);
  head.writeBigUInt64BE(BigInt(sizeBytes), 24);
  head.writeUInt32BE(104, 100);
  return head;
}

describe('hosts', () => {
  const probe = (fields: object): ReturnType<Client['post']> => admin.post('/admin/hosts/new', { name: 'kvm1', uri: fake.uri, ...fields });
  /** what the second step's form holds, as a browser would send it */
  const choose = async (): Promise<Record<string, string>> => {
    const answer = await probe({});
    assertStatus(answer, 200);
    return formFields(answer.text, /<form class="card-body" method="post" action="\/admin\/hosts"/);
  };

  it('a host that cannot be reached is explained, with the fix, and the typed URI is kept', async () => {
    const answer = await probe({ uri: 'qemu+tcp://127.0.0.1:1/system' });
    assertStatus(answer, 422);
    assertShows(answer.text, /nothing listens at this port/);
    assertShows(answer.text, /What to do:/);
    assertShows(answer.text, /libvirtd-tls\.socket/);
    assertShows(answer.text, /value="qemu\+tcp:\/\/127\.0\.0\.1:1\/system"/);
    assert.equal((await probe({ name: 'bad name!' })).status, 422);
    assert.equal((await probe({ uri: 'qemu+ssh://me:secret@host/system' })).status, 422);
    await auditSettled(portal.deps.db);
    assert.ok(!JSON.stringify(await portal.deps.db.query('SELECT * FROM audit')).includes('secret'));
  });

  it('a host that hangs costs the deadline of the test alone; other pages answer meanwhile', async () => {
    const hung = await startFakeLibvirtd();
    hung.hang();
    try {
      let isOver = false;
      const waiting = probe({ uri: hung.uri }).finally(() => { isOver = true; });
      assert.equal((await admin.get('/admin/hosts')).status, 200);
      assert.equal(isOver, false, 'the page came while the other one waited');
      const answer = await waiting;
      assertStatus(answer, 422);
      assertShows(answer.text, /did not answer in time/);
    } finally {
      await hung.close();
    }
  });

  it('shows what was found and proposes sensible choices', async () => {
    const answer = await probe({});
    assertShows(answer.text, /Its CPU has vmx or svm/);
    assertShows(answer.text, /\/srv\/images/);
    const fields = await choose();
    assert.deepEqual([fields['network'], fields['pool:default'], fields['shared:default'], fields['pool:nfs'], fields['shared:nfs'], fields['pool:off']], ['default', 'on', undefined, 'on', 'on', undefined]);
    assert.deepEqual(await selectHosts(portal.deps.db), [], 'a test adds nothing');
  });

  it('wrong choices come back beside their field', async () => {
    const fields = await choose();
    const { 'pool:default': _a, 'pool:nfs': _b, ...none } = fields;
    const noPool = await admin.post('/admin/hosts', none);
    assertStatus(noPool, 422);
    assertShows(noPool.text, /No usable storage pool/);
    const asleep = await admin.post('/admin/hosts', { ...fields, network: 'asleep' });
    assertStatus(asleep, 422);
    assertShows(asleep.text, /virsh net-start asleep/);
    assert.equal((await admin.post('/admin/hosts', { ...fields, 'pool:off': 'on' })).status, 422);
    const address = await admin.post('/admin/hosts', { ...fields, consoleAddress: 'not an address' });
    assertShows(address.text, /A host name or an IP address/);
    assert.deepEqual(await selectHosts(portal.deps.db), []);
  });

  it('is added, connected at once, and found by nobody twice', async () => {
    const answer = await admin.post('/admin/hosts', { ...(await choose()), consoleAddress: '10.0.0.7' });
    assertStatus(answer, 303);
    const host = await selectOptionalHostByName(portal.deps.db, 'kvm1');
    assert.ok(host);
    assert.deepEqual([host.wish, host.state, host.virtType, host.consoleAddress, host.network], ['enabled', 'up', 'kvm', '10.0.0.7', 'default']);
    assert.ok(portal.deps.operations.hosts.has(host.id));
    assert.deepEqual((await selectPools(portal.deps.db)).map((pool) => [pool.name, pool.shared]), [['nfs', true], ['default', false]]);
    assertShows((await admin.get(answer.location)).text, /Host kvm1 was added/);
    const twice = await probe({ name: 'kvm2' });
    assertStatus(twice, 422);
    assertShows(twice.text, /managed already, as host kvm1/);
    assertShows((await probe({})).text, /There is a host kvm1 already/);
  });

  it('its settings and its connection are changed, and it is switched off and on', async () => {
    const host = (await selectHosts(portal.deps.db))[0];
    assert.ok(host);
    const here = `/admin/hosts/${host.id}`;
    assert.equal((await admin.post(here, { name: 'kvm-one', consoleAddress: 'kvm1.lab', virtTypeWish: 'qemu' })).status, 303);
    assert.equal((await admin.post(here, { name: 'kvm-one', consoleAddress: '', virtTypeWish: 'qemu' })).status, 422);
    const checked = await admin.post(`${here}/check`, { uri: fake.uri });
    assertStatus(checked, 200);
    const fields = formFields(checked.text, new RegExp(`<form class="card-body" method="post" action="${here}/connection"`));
    const { 'pool:nfs': _gone, ...less } = fields;
    assert.equal((await admin.post(`${here}/connection`, less)).status, 303);
    const wrong = await admin.post(`${here}/check`, { uri: 'qemu+tcp://127.0.0.1:1/system' });
    assertStatus(wrong, 422);
    const other = await startFakeLibvirtd();
    const stranger = await admin.post(`${here}/connection`, { ...fields, uri: other.uri });
    assertStatus(stranger, 422);
    assertShows(stranger.text, /Another machine than host kvm-one/);
    await other.close();
    await admin.post(`${here}/disable`);
    const now = await selectOptionalHostByName(portal.deps.db, 'kvm-one');
    assert.deepEqual([now?.wish, now?.virtTypeWish, now?.consoleAddress, now?.uri], ['disabled', 'qemu', 'kvm1.lab', fake.uri]);
    assertShows((await admin.get('/admin/hosts')).text, /disabled/);
    const [told] = await selectHostEvents(portal.deps.db, now?.id ?? '');
    assert.deepEqual([told?.sentence.key, told?.kind, told?.userId !== null], ['hosts.event.disabled', 'wish', true]);
    await admin.post(`${here}/enable`);
    assert.equal((await selectOptionalHostByName(portal.deps.db, 'kvm-one'))?.wish, 'enabled');
  });

  it('a host that is away is the first thing on the dashboard, and the page opens all the same', async () => {
    const host = (await selectHosts(portal.deps.db))[0];
    assert.ok(host);
    await updateHostContact(portal.deps.db, host.id, { state: 'unreachable', at: Date.now(), reason: 'connect ECONNREFUSED <b>' });
    const { text } = await admin.get('/admin');
    assertShows(text, /Host kvm-one does not answer: connect ECONNREFUSED &lt;b&gt;/);
    await updateHostContact(portal.deps.db, host.id, { state: 'up', at: Date.now() });
  });

  it('one that has machines stays', async () => {
    const host = (await selectHosts(portal.deps.db))[0];
    assert.ok(host);
    await portal.deps.db.execute('UPDATE hosts SET used_vcpus = 1 WHERE id = ?', [host.id]);
    const answer = await admin.post(`/admin/hosts/${host.id}/delete`);
    assertStatus(answer, 409);
    assertShows(answer.text, /Delete them first/);
    await portal.deps.db.execute('UPDATE hosts SET used_vcpus = 0 WHERE id = ?', [host.id]);
  });
});

describe('images', () => {
  const pool = async (): Promise<string> => (await selectPools(portal.deps.db)).find((each) => each.name === 'default')?.id ?? assert.fail();
  const typed = async (volume: string): Promise<Record<string, string>> => ({ pool: await pool(), volume, format: 'qcow2', name: 'Debian 12', description: 'log in as <debian>', minMemoryMib: '256', cloudInit: 'on', enabled: 'on' });

  it('offers the files of a pool that can be one', async () => {
    const files = fake.host.pool('default');
    files.addFile({ name: 'debian.qcow2', capacityBytes: 2 * gib, data: qcow2(2 * gib) });
    files.addFile({ name: 'evil.qcow2', capacityBytes: gib, data: qcow2(gib, '/etc/passwd') });
    files.addFile({ name: `${randomUUID()}.qcow2`, capacityBytes: gib });
    const start = await admin.get('/admin/images/new');
    assertShows(start.text, /In which storage pool/);
    const { text } = await admin.get(`/admin/images/new?pool=${await pool()}`);
    assertShows(text, /debian\.qcow2/);
    assert.equal((text.match(/Take this/g) ?? []).length, 2);
    assertShows((await admin.get(`/admin/images/new?pool=${await pool()}&volume=debian.qcow2&format=qcow2`)).text, /name="name" type="text" value="debian"/);
  });

  it('refuses, beside the field, what it must not take', async () => {
    const evil = await admin.post('/admin/images', await typed('evil.qcow2'));
    assertStatus(evil, 422);
    assertShows(evil.text, /stands on another one \(backing file\)/);
    assertShows(evil.text, /value="evil\.qcow2"/);
    assertShows((await admin.post('/admin/images', await typed('../secret'))).text, /without a path/);
    assertShows((await admin.post('/admin/images', await typed('nothing.qcow2'))).text, /no such file/);
    assertShows((await admin.post('/admin/images', { ...(await typed('debian.qcow2')), format: 'raw' })).text, /qcow2, not raw/);
    assert.equal((await admin.post('/admin/images', { ...(await typed('debian.qcow2')), name: '' })).status, 422);
    assert.deepEqual(await selectImages(portal.deps.db), []);
  });

  it('registers, changes, hides and deletes', async () => {
    assert.equal((await admin.post('/admin/images', await typed('debian.qcow2'))).status, 303);
    const [image] = await selectImages(portal.deps.db);
    assert.ok(image);
    assert.deepEqual([image.name, image.format, image.virtualSizeBytes, image.minMemoryMib, image.cloudInit, image.enabled], ['Debian 12', 'qcow2', 2 * gib, 256, true, true]);
    const list = await admin.get('/admin/images');
    assertShows(list.text, /log in as &lt;debian&gt;/);
    const here = `/admin/images/${image.id}`;
    await admin.post(`${here}/disable`);
    assert.equal((await selectImages(portal.deps.db))[0]?.enabled, false);
    assertShows((await admin.get('/admin')).text, /No image is offered/);
    assert.equal((await admin.post(here, { name: 'Debian', description: '', minMemoryMib: '128', enabled: 'on' })).status, 303);
    assert.equal((await admin.post(here, { name: '', description: 'kept text', minMemoryMib: '128' })).status, 422);
    assert.deepEqual((await selectImages(portal.deps.db)).map((each) => [each.name, each.cloudInit, each.enabled]), [['Debian', false, true]]);
    assert.equal((await admin.post(`${here}/delete`)).status, 303);
    assert.deepEqual(await selectImages(portal.deps.db), []);
  });

  it('a pool whose host hangs costs its deadline and says so', async () => {
    fake.hang();
    const { status, text } = await admin.get(`/admin/images/new?pool=${await pool()}`);
    fake.resume();
    assert.equal(status, 200);
    assertShows(text, /did not answer in time|does not answer/);
  });
});

describe('operations and discrepancies', () => {
  it('are listed, filtered, opened, tried again and cancelled', async () => {
    const { db } = portal.deps;
    const host = (await selectHosts(db))[0];
    assert.ok(host);
    const ids = { waiting: randomUUID(), failed: randomUUID(), queued: randomUUID() };
    for (const [name, id] of Object.entries(ids)) await insertOperation(db, { id, kind: name === 'queued' ? 'instance-start' : 'instance-create', instanceId: null, hostId: host.id, userId: null, createdAt: Date.now(), input: {}, stepNames: ['place', 'create-volume', 'define', 'start', 'record'] });
    await db.execute("UPDATE operations SET state = 'undoing', run_after = ? WHERE id = ?", [Date.now() + 600_000, ids.waiting]);
    const error = JSON.stringify({ key: 'hypervisor.failed', params: { host: 'kvm1', reason: 'internal error: <qemu> said no' } });
    await db.execute("UPDATE operations SET state = 'failed', error = ?, started_at = ?, ended_at = ? WHERE id = ?", [error, Date.now() - 2000, Date.now(), ids.failed]);
    await db.execute("UPDATE operation_steps SET state = 'failed', error = ? WHERE operation_id = ? AND position = 2", [error, ids.failed]);

    const all = await admin.get('/admin/operations');
    for (const id of Object.values(ids)) assert.ok(all.text.includes(`/admin/operations/${id}`));
    const only = await admin.get('/admin/operations?state=failed&kind=nonsense&page=x');
    assert.ok(only.text.includes(ids.failed) && !only.text.includes(ids.waiting));
    assert.ok(!(await admin.get(`/admin/operations?host=${randomUUID()}`)).text.includes(ids.failed));
    const one = await admin.get(`/admin/operations/${ids.failed}`);
    assertShows(one.text, /internal error: &lt;qemu&gt; said no/);
    assertHides(one.text, /Try now/);
    assertShows((await admin.get('/admin')).text, /failed in the last 24 hours: 1/);

    assert.equal((await admin.post(`/admin/operations/${ids.waiting}/retry`)).status, 303);
    assert.equal((await db.query<{ run_after: number }>('SELECT run_after FROM operations WHERE id = ?', [ids.waiting]))[0]?.run_after, 0);
    assert.equal((await admin.post(`/admin/operations/${ids.failed}/retry`)).status, 409);
    assert.equal((await admin.post(`/admin/operations/${ids.failed}/cancel`)).status, 409);
    assert.equal((await selectOperation(db, ids.failed)).state, 'failed');
    assert.equal((await admin.get(`/admin/operations/${randomUUID()}`)).status, 404);
  });

  it('discrepancies say what to do and can be forgotten', async () => {
    const { db } = portal.deps;
    const host = (await selectHosts(db))[0];
    assert.ok(host);
    await upsertDiscrepancy(db, { id: randomUUID(), kind: 'unknown-domain', hostId: host.id, instanceId: null, domainUuid: randomUUID(), domainName: 'pet <1>' }, Date.now());
    const { text } = await admin.get('/admin/discrepancies');
    assertShows(text, /pet &lt;1&gt;/);
    assertShows(text, /The portal never touches it/);
    assertShows((await admin.get(`/admin/hosts/${host.id}`)).text, /between this host and the database: 1/);
    const [row] = await selectDiscrepancies(db);
    assert.equal((await admin.post(`/admin/discrepancies/${row?.id}/dismiss`)).status, 303);
    assert.deepEqual(await selectDiscrepancies(db), []);
  });

  it('in the end the empty host is removed, with the pools that were its own', async () => {
    const host = (await selectHosts(portal.deps.db))[0];
    assert.ok(host);
    assert.equal((await admin.post(`/admin/hosts/${host.id}/delete`)).location, '/admin/hosts');
    assert.deepEqual(await selectHosts(portal.deps.db), []);
    assert.equal(portal.deps.operations.hosts.has(host.id), false);
    assertShows((await admin.get('/admin')).text, /There is no host yet/);
  });
});
