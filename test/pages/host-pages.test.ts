// The pages of hosts and pools over HTTP, on two fake hosts with a shared and a local pool each: what they show, what is
// wrong with a host, burn-ins by their button, and what only admins may do.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { insertImage } from '../../src/store/images.ts';
import { selectBurnInsByHost } from '../../src/store/burn-ins.ts';
import { selectOptionalHostCheck, upsertHostCheck } from '../../src/store/host-checks.ts';
import { claimHostFenced, selectOptionalHostByName, updateHost, updateHostContact } from '../../src/store/hosts.ts';
import { selectPools } from '../../src/store/storage-pools.ts';
import type { Host } from '../../src/model/host.ts';
import { loggedIn, makeFirstAdmin, makeUser } from '../helpers/accounts.ts';
import { startFakeLibvirtd, type FakeLibvirtd } from '../helpers/fake-libvirtd/index.ts';
import { FakeDirectory } from '../helpers/fake-libvirtd/storage.ts';
import { formFields } from '../helpers/form.ts';
import { assertHides, assertShows, assertStatus } from '../helpers/page-text.ts';
import { startTestPortal, type Client, type TestPortal } from '../helpers/portal.ts';

const gib = 1024 ** 3;
let portal: TestPortal;
let admin: Client;
let fakes: FakeLibvirtd[];
let vnc: Server;

async function host(name: string): Promise<Host> {
  return (await selectOptionalHostByName(portal.deps.db, name)) ?? assert.fail(`no host ${name}`);
}

before(async () => {
  vnc = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.write('RFB 003.008\n');
    socket.once('data', () => socket.write(Buffer.from([1, 2])));
  });
  vnc.listen(0, '127.0.0.1');
  await once(vnc, 'listening');
  portal = await startTestPortal({});
  await makeFirstAdmin(portal.deps.db, 'root');
  admin = await loggedIn(portal, 'root');
  const shared = new FakeDirectory('/srv/nfs', 800 * gib);
  fakes = await Promise.all(['alpha', 'beta'].map((hostname) => startFakeLibvirtd({
    hostname, listen: { tcpPort: 0 }, vncBasePort: (vnc.address() as AddressInfo).port, clockAheadMs: hostname === 'beta' ? 60_000 : 0, migrationMs: 50,
    pools: [{ name: 'nfs', directory: shared }, { name: 'local', path: '/srv/local', capacityBytes: 100 * gib }],
    networks: [{ name: 'lan', bridge: 'br0' }, { name: 'office', bridge: 'br9' }],
  })));
  for (const fake of fakes) {
    fake.host.interfaces.add('br0');
    const define = fake.host.define.bind(fake.host);
    fake.host.define = (xml) => {
      const domain = define(xml);
      domain.load.diskReadBytes = 100_000_000;
      const mac = domain.live.interfaces[0]?.mac ?? '';
      for (const each of fakes) each.host.network('lan').leases.push({ mac, address: '192.0.2.77', hostname: null });
      return domain;
    };
  }
});
after(async () => {
  await portal.close();
  await Promise.all(fakes.map((fake) => fake.close()));
  vnc.close();
});

describe('two hosts', () => {
  it('are added step by step: shared pools are proposed by what was seen, missing bridges and clocks are told', async () => {
    for (const [index, name] of ['alpha', 'beta'].entries()) {
      const uri = fakes[index]?.uri ?? '';
      const choice = await admin.post('/admin/hosts/new', { name, uri });
      assertStatus(choice, 200);
      const fields = formFields(choice.text, /<form class="card-body" method="post" action="\/admin\/hosts"/);
      assert.equal(fields['network'], 'lan', 'the network whose bridge is there');
      assert.match(choice.text, /no bridge br9 on the host/);
      if (name === 'beta') {
        assert.deepEqual([fields['shared:nfs'], fields['shared:local']], ['on', undefined]);
        assertShows(choice.text, /The same files as on alpha/);
        assertShows(choice.text, /Other files than on alpha|clock is 60 s ahead/);
        assertShows(choice.text, /chrony/);
        const wrong = await admin.post('/admin/hosts', { ...fields, 'shared:local': 'on' });
        assertStatus(wrong, 303);
        continue;
      }
      assertStatus(await admin.post('/admin/hosts', { ...fields, 'shared:nfs': 'on', migrationUri: uri }), 303);
    }
    await updateHost(portal.deps.db, (await host('beta')).id, { migrationUri: fakes[1]?.uri ?? '' });
    assert.deepEqual((await selectPools(portal.deps.db)).map((pool) => `${pool.name} ${pool.shared}`), ['local true', 'nfs true', 'local false']);
  });

  it('a pool that is not shared and is called so is refused with what to do', async () => {
    const beta = await host('beta');
    // alpha says that its own local disk is shared with beta, which it is not
    const alpha = await host('alpha');
    const checked = await admin.post(`/admin/hosts/${alpha.id}/check`, { uri: alpha.uri });
    const fields = formFields(checked.text, new RegExp(`action="/admin/hosts/${alpha.id}/connection"`));
    const refused = await admin.post(`/admin/hosts/${alpha.id}/connection`, { ...fields, 'shared:local': 'on' });
    assertStatus(refused, 422);
    assertShows(refused.text, /Pool local is not the same files as on beta/);
    assertShows(refused.text, /would lose disks in a move/);
    const again = await admin.post(`/admin/hosts/${beta.id}/check`, { uri: beta.uri });
    const { 'shared:local': _gone, ...honest } = formFields(again.text, new RegExp(`action="/admin/hosts/${beta.id}/connection"`));
    assertStatus(await admin.post(`/admin/hosts/${beta.id}/connection`, honest), 303);
    assert.deepEqual((await selectPools(portal.deps.db)).map((pool) => `${pool.name} ${pool.shared}`), ['nfs true', 'local false', 'local false']);
  });

  it('the host page shows all there is to know, and what should be mended', async () => {
    const beta = await host('beta');
    const { text } = await admin.get(`/admin/hosts/${beta.id}`);
    for (const shown of [/Measured load/, /Capacity/, /Maintenance/, /has not been burned in/, /Storage pools/, /Networks/, /History/, /clock is 60 s ahead/, /\/srv\/nfs/, /br9/, /bridge missing/, /Address for moves/, /Fence agent/]) assertShows(text, shown);
    assert.match(text, new RegExp(`data-live="host:${beta.id}" data-state="up"`));
    const list = (await admin.get('/admin/hosts')).text;
    assertShows(list, /alpha/);
    assertShows(list, /To be mended: \d/);
    assert.equal(list.match(/progress-sm/g)?.length, 8, 'four bars a host');
  });

  it('the host page says which certificate ends first', async () => {
    const beta = await host('beta');
    const { db } = portal.deps;
    const before = await selectOptionalHostCheck(db, beta.id) ?? assert.fail();
    const page = async (): Promise<string> => (await admin.get(`/admin/hosts/${beta.id}`)).text;
    assertHides(await page(), /TLS certificates/);
    await upsertHostCheck(db, beta.id, { ...before, certificates: [{ of: 'host', notAfter: Date.UTC(2031, 0, 2) }, { of: 'portal', notAfter: Date.UTC(2030, 4, 6) }] });
    assertShows(await page(), /until 2030-05-06 \(the portal’s certificate\)/);
    await upsertHostCheck(db, beta.id, before);
  });

  it('pools are listed once each, with their hosts; network storage is the sum of the shared ones', async () => {
    const { text } = await admin.get('/admin/pools');
    assertShows(text, /Shared/);
    assertShows(text, /Local/);
    assert.equal(text.match(/\/srv\/nfs/g)?.length, 1);
    assert.equal(text.match(/\/srv\/local/g)?.length, 2);
    const resources = (await admin.get('/resources')).text;
    assertShows(resources, /\/ 800 GB/);
    assertShows(resources, /On the hosts’ own disks/);
    assertShows(resources, /\/ 200 GB/);
  });

  it('a burn-in needs an image; then it runs by its button, is followed, and its report stays', async () => {
    const alpha = await host('alpha');
    assertShows((await admin.get(`/admin/hosts/${alpha.id}`)).text, /register one first/);
    assertStatus(await admin.post(`/admin/hosts/${alpha.id}/burn-in`, { image: '' }), 303);
    assertShows((await admin.get(`/admin/hosts/${alpha.id}`)).text, /No image that may be used/);
    const pool = (await selectPools(portal.deps.db)).find((each) => each.shared)?.id ?? '';
    fakes[0]?.host.pool('nfs').addFile({ name: 'base.qcow2', capacityBytes: gib });
    fakes[1]?.host.pool('nfs').refresh();
    await insertImage(portal.deps.db, { id: crypto.randomUUID(), name: 'Tiny', description: '', poolId: pool, volume: 'base.qcow2', format: 'qcow2', virtualSizeBytes: gib, minMemoryMib: 96, cloudInit: true, enabled: true, createdAt: 0 });
    const begun = await admin.post(`/admin/hosts/${alpha.id}/burn-in`, { image: '' });
    assertStatus(begun, 303);
    assert.match(begun.location, /^\/admin\/burn-ins\//);
    assert.equal((await admin.get(begun.location)).status, 200);
    for (const deadline = Date.now() + 60_000; Date.now() < deadline; await delay(100)) {
      if ((await selectBurnInsByHost(portal.deps.db, alpha.id))[0]?.endedAt != null) break;
    }
    await portal.answered();
    const { text } = await admin.get(begun.location);
    assertShows(text, /passed/);
    assertShows(text, /192\.0\.2\.77/);
    assertShows(text, /Move it back/);
    assertShows((await admin.get(`/admin/hosts/${alpha.id}`)).text, /Burned in, passed/);
    assertHides((await admin.get(`/admin/hosts/${alpha.id}`)).text, /has not been burned in/);
    assertStatus(await admin.get(`/admin/burn-ins/${crypto.randomUUID()}`), 404);
    assert.deepEqual(fakes.map((fake) => fake.domains.size), [0, 0]);
  });

  it('a host that is silent, another machine at its address, a fenced one: each is told with what to do', async () => {
    const beta = await host('beta');
    const page = async (): Promise<string> => (await admin.get(`/admin/hosts/${beta.id}`)).text;
    await updateHostContact(portal.deps.db, beta.id, { state: 'unreachable', at: Date.now(), reason: 'connect EHOSTUNREACH 192.0.2.1:16514' });
    assertShows(await page(), /What to do:/);
    assertShows(await page(), /EHOSTUNREACH/);
    await updateHostContact(portal.deps.db, beta.id, { state: 'unreachable', at: Date.now(), reason: 'another machine answers at this address: 1234 instead of 5678' });
    assertShows(await page(), /Another machine than host beta answers there/);
    await claimHostFenced(portal.deps.db, beta.id, 'admin', Date.now());
    assertShows(await page(), /This host is fenced/);
    assert.match(await page(), /data-state="fenced"/);
    assertStatus(await admin.post(`/admin/hosts/${beta.id}/burn-in`, { image: '' }), 303);
    assertShows(await page(), /cannot be burned in now/);
  });

  it('none of it is a user’s', async () => {
    await makeUser(portal.deps.db, 'bob');
    const bob = await loggedIn(portal, 'bob');
    const alpha = await host('alpha');
    for (const path of ['/admin/hosts', '/admin/pools', `/admin/hosts/${alpha.id}`]) assert.equal((await bob.get(path)).status, 403, path);
    assert.equal((await bob.post(`/admin/hosts/${alpha.id}/burn-in`, {})).status, 403);
    assertHides((await bob.get('/resources')).text, /\/admin\/pools/);
  });
});
