// Console passwords against real libvirt and QEMU: what opens a screen at IP:port, what does not, and for how long; and the
// same screen through the portal's WebSocket.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createWebSocketStream, WebSocket } from 'ws';
import type { Image } from '../../src/model/image.ts';
import type { Instance } from '../../src/model/instance.ts';
import type { User } from '../../src/model/user.ts';
import { addHost } from '../../src/operations/host-add.ts';
import { openConsole, type OpenedConsole } from '../../src/operations/instance-console.ts';
import { submitInstanceCreate } from '../../src/operations/instance-create.ts';
import { selectHosts } from '../../src/store/hosts.ts';
import { insertImage } from '../../src/store/images.ts';
import { selectOptionalInstance } from '../../src/store/instances.ts';
import { selectPools } from '../../src/store/storage-pools.ts';
import { loggedIn, makeFirstAdmin, makeUser } from '../helpers/accounts.ts';
import { startTestPortal, type TestPortal } from '../helpers/portal.ts';
import { startPrivateLibvirtd, whyNoLibvirtd, type PrivateLibvirtd } from '../helpers/private-libvirtd.ts';
import { openRfb } from '../helpers/rfb.ts';

const gib = 1024 ** 3;

describe('console passwords on real QEMU', { skip: whyNoLibvirtd(), timeout: 120_000 }, () => {
  let host: PrivateLibvirtd;
  let portal: TestPortal;
  let skewMs = 0;
  let ann: User;
  let ben: User;
  let annes: Instance;
  let bens: Instance;

  before(async () => {
    host = await startPrivateLibvirtd();
    portal = await startTestPortal({ clock: { now: () => Date.now() + skewMs } });
    const { db, operations } = portal.deps;
    // an empty disk is enough: the firmware's own screen is a screen
    await promisify(execFile)('qemu-img', ['create', '-q', '-f', 'qcow2', `${host.poolPath}/blank.qcow2`, '1G']);
    await addHost(operations, { name: 'host1', uri: host.uri, consoleAddress: host.address });
    await portal.syncHosts();
    const [record] = await selectHosts(db);
    const hypervisor = operations.hosts.host(record?.id ?? '');
    await hypervisor.ready();
    await hypervisor.storagePool.refresh(host.pool);
    const [pool] = await selectPools(db);
    const image: Image = { id: crypto.randomUUID(), name: 'Blank', description: '', poolId: pool?.id ?? '', volume: 'blank.qcow2', format: 'qcow2', virtualSizeBytes: gib, minMemoryMib: 32, cloudInit: false, enabled: true, createdAt: 0 };
    await insertImage(db, image);
    await makeFirstAdmin(db);
    [ann, ben] = [await makeUser(db, 'ann'), await makeUser(db, 'ben')];
    [annes, bens] = await Promise.all([ann, ben].map((user) => create(user, image))) as [Instance, Instance];
  });
  after(async () => {
    await portal?.close();
    await host?.stop();
  });

  async function create(user: User, image: Image): Promise<Instance> {
    const { instance } = await submitInstanceCreate(portal.deps.operations, { user, name: `${user.name}s`, image, size: { vcpus: 1, memoryMib: 64, diskGib: 1 }, sshKey: '', userData: '' });
    for (const end = Date.now() + 60_000; ; await delay(100)) {
      const now = await selectOptionalInstance(portal.deps.db, instance.id);
      if (now?.state === 'running' && now.operationId === null) return now;
      assert.ok(now?.state === 'creating' && Date.now() < end, `creation: ${now?.state} ${JSON.stringify(now?.problem)}`);
    }
  }

  const knock = async ({ address, port, password }: Pick<OpenedConsole, 'address' | 'port' | 'password'>): Promise<'opens' | 'refused'> => {
    try {
      const screen = await openRfb({ host: address, port, password });
      assert.ok(screen.width > 0 && screen.height > 0);
      screen.close();
      return 'opens';
    } catch (error) {
      assert.match(String(error), /authentication failed/i);
      return 'refused';
    }
  };

  it('is locked until somebody opens it', async () => {
    for (const password of ['', 'password', '00000000']) assert.equal(await knock({ address: host.address, port: annes.consolePort ?? 0, password }), 'refused');
  });

  it('opens with the password made for it, any number of times, and with no other', async () => {
    const opened = await openConsole(portal.deps.operations, annes, ann);
    assert.equal(opened.address, host.address);
    assert.equal(await knock(opened), 'opens');
    assert.equal(await knock(opened), 'opens');
    for (const password of [opened.password.slice(0, 7), opened.password.toUpperCase() === opened.password ? 'x' : opened.password.toUpperCase(), '']) {
      assert.equal(await knock({ ...opened, password }), 'refused', password);
    }
  });

  it('does not open with another user\'s password', async () => {
    const opened = await openConsole(portal.deps.operations, annes, ann);
    const theirs = await openConsole(portal.deps.operations, bens, ben);
    assert.notEqual(opened.port, theirs.port);
    assert.equal(await knock({ ...opened, password: theirs.password }), 'refused');
    assert.equal(await knock({ ...theirs, password: opened.password }), 'refused');
    assert.equal(await knock(theirs), 'opens');
  });

  it('makes the earlier password worthless by opening again, and leaves who is connected connected', async () => {
    const first = await openConsole(portal.deps.operations, annes, ann);
    const screen = await openRfb({ host: first.address, port: first.port, password: first.password });
    const second = await openConsole(portal.deps.operations, annes, ann);
    assert.equal(await knock(first), 'refused');
    assert.equal(await knock(second), 'opens');
    await screen.update();
    screen.close();
  });

  it('is locked again when the time is over', async () => {
    // the portal's clock decides when that is: five minutes, of which all but six seconds have passed
    skewMs = -294_000;
    try {
      const opened = await openConsole(portal.deps.operations, annes, ann);
      assert.equal(await knock(opened), 'opens');
      await delay(opened.expiresAt - Date.now() + 1500);
      assert.equal(await knock(opened), 'refused');
    } finally {
      skewMs = 0;
    }
  });

  it('is nowhere in what the host tells of the machine', async () => {
    const opened = await openConsole(portal.deps.operations, annes, ann);
    const { domain } = portal.deps.operations.hosts.host(annes.hostId ?? '');
    assert.ok(!(await domain.getXMLDesc(annes.id)).includes(opened.password));
    assert.ok(!(await domain.getXMLDesc(annes.id, { secure: true, inactive: true })).includes(opened.password));
    const { stdout } = await promisify(execFile)('ps', ['-eo', 'args']);
    assert.ok(!stdout.includes(opened.password));
  });

  it('shows the same screen through the portal\'s own port', async () => {
    const client = await loggedIn(portal, 'ann');
    await client.get('/instances');
    const page = await client.post(`/instances/${annes.id}/console`);
    const password = /id="console-password"[^>]*>([^<]+)</.exec(page.text)?.[1] ?? '';
    const { ticket } = JSON.parse((await client.post(`/instances/${annes.id}/console/ticket`)).text) as { ticket: string };
    const cookie = [...client.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const socket = new WebSocket(`${portal.url.replace('http', 'ws')}/console/ws`, ['binary', `ticket.${ticket}`], { headers: { cookie, origin: portal.url } });
    const screen = await openRfb({ stream: createWebSocketStream(socket), password });
    assert.ok(screen.width >= 320);
    await screen.update();
    screen.close();
    socket.terminate();
  });
});
