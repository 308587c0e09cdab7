// The whole life of an instance on a real libvirtd with real QEMU: what the fake cannot prove.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { rm, stat } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { createFleet } from '../../src/libvirt/fleet.ts';
import { openHypervisor } from '../../src/libvirt/open-hypervisor.ts';
import { createLog } from '../../src/log.ts';
import type { Image } from '../../src/model/image.ts';
import type { User } from '../../src/model/user.ts';
import type { OperationDeps } from '../../src/operations/deps.ts';
import { submitInstanceAction, type PowerAction } from '../../src/operations/instance-action.ts';
import { submitInstanceCreate } from '../../src/operations/instance-create.ts';
import { createRunner, type Runner } from '../../src/operations/runner.ts';
import { watchEvents, type EventWatch } from '../../src/operations/watch-events.ts';
import { insertHost, updateHostContact, updateHostFacts } from '../../src/store/hosts.ts';
import { insertImage } from '../../src/store/images.ts';
import { selectOptionalInstance } from '../../src/store/instances.ts';
import { selectOperation, selectOperationSteps } from '../../src/store/operations.ts';
import { updateSettings } from '../../src/store/settings.ts';
import { upsertPool } from '../../src/store/storage-pools.ts';
import { insertUser, selectUser } from '../../src/store/users.ts';
import { testFencing } from '../helpers/fence-agent.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';
import { startPrivateLibvirtd, whyNoLibvirtd, type PrivateLibvirtd } from '../helpers/private-libvirtd.ts';

const run = promisify(execFile);
const gib = 1024 ** 3;

describe('on a real libvirtd', { skip: whyNoLibvirtd() }, () => {
  let libvirtd: PrivateLibvirtd;
  let database: TestDatabase;
  let deps: OperationDeps;
  let runner: Runner;
  let watch: EventWatch;
  let user: User;
  let image: Image;

  before(async () => {
    [libvirtd, database] = await Promise.all([startPrivateLibvirtd(), createTestDatabase()]);
    // bytes that are no system: the BIOS finds nothing to boot and stays on, deaf to the power button
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', `${libvirtd.poolPath}/blank.qcow2`, '64M']);
    const { db } = database;
    const hosts = createFleet(openHypervisor);
    deps = { db, hosts, openHost: openHypervisor, fencing: testFencing(), alert: () => undefined, clock: { now: () => Date.now() }, log: createLog('silent'), wake: () => runner.wake() };
    const hostId = randomUUID();
    await insertHost(db, { id: hostId, name: 'real', uri: libvirtd.uri, consoleAddress: libvirtd.address, network: libvirtd.network, virtTypeWish: 'qemu', createdAt: 0 });
    await updateHostFacts(db, hostId, { virtType: 'qemu', arch: 'x86_64', cpuModel: null, libvirtVersion: null, qemuVersion: null, hostUuid: null, cpus: 2, memoryMib: 4096 });
    await updateHostContact(db, hostId, { state: 'up', at: Date.now() });
    const poolId = await upsertPool(db, { hostId, name: libvirtd.pool, shared: false, kind: 'dir', path: libvirtd.poolPath, capacityBytes: 100 * gib, availableBytes: 100 * gib }, Date.now());
    image = { id: randomUUID(), name: 'Blank', description: '', poolId, volume: 'blank.qcow2', format: 'qcow2', virtualSizeBytes: 64 * 2 ** 20, minMemoryMib: 32, cloudInit: true, enabled: true, createdAt: 0 };
    await insertImage(db, image);
    const userId = randomUUID();
    await insertUser(db, { id: userId, name: 'alice', displayName: 'Alice', email: 'a@example.org', passwordHash: 'x', role: 'user', state: 'active', language: null, createdAt: 0 });
    user = await selectUser(db, userId);
    await updateSettings(db, 'power', { shutdownTimeoutSeconds: 10 }, null, Date.now());
    hosts.sync([{ id: hostId, uri: libvirtd.uri }]);
    await hosts.host(hostId).ready({ timeoutMs: 10_000 });
    await hosts.host(hostId).storagePool.refresh(libvirtd.pool);
    runner = createRunner(deps, { ownerId: randomUUID() });
    runner.start();
    watch = watchEvents(deps);
  });
  after(async () => {
    await watch.stop();
    await runner.stop();
    await deps.hosts.close();
    await database.close();
    await libvirtd.stop();
  });

  async function ended(operationId: string): Promise<{ state: string; error: unknown }> {
    for (const deadline = Date.now() + 60_000; Date.now() < deadline; await new Promise((resolve) => setTimeout(resolve, 50))) {
      const { endedAt, state, error } = await selectOperation(deps.db, operationId);
      if (endedAt !== null) return { state, error };
    }
    return assert.fail(JSON.stringify(await selectOperationSteps(deps.db, operationId)));
  }
  const stateOf = async (id: string): Promise<string | undefined> => (await selectOptionalInstance(deps.db, id))?.state;
  const act = async (id: string, action: PowerAction): Promise<{ state: string; error: unknown }> => {
    const instance = (await selectOptionalInstance(deps.db, id)) ?? assert.fail('gone');
    return ended((await submitInstanceAction(deps, { action, instance, actor: user })).id);
  };

  it('creates, is told of what happens outside, powers, and deletes without a trace', async () => {
    const { instance, operation } = await submitInstanceCreate(deps, {
      user, name: 'real-1', image, size: { vcpus: 1, memoryMib: 64, diskGib: 1 }, sshKey: 'ssh-ed25519 AAAA test', userData: '',
    });
    assert.deepEqual(await ended(operation.id), { state: 'done', error: null });
    const created = await selectOptionalInstance(deps.db, instance.id);
    assert.equal(created?.state, 'running');
    assert.ok((created?.consolePort ?? 0) >= 5900);
    const { stdout } = await run('qemu-img', ['info', '-U', '--output=json', `${libvirtd.poolPath}/${instance.id}.qcow2`]);
    const info = JSON.parse(stdout) as { 'virtual-size': number; 'backing-filename': string; 'actual-size': number };
    assert.deepEqual([info['virtual-size'], info['backing-filename']], [gib, `${libvirtd.poolPath}/blank.qcow2`]);
    assert.ok(info['actual-size'] < 1024 ** 2, 'a linked clone is small');
    assert.equal((await stat(`${libvirtd.poolPath}/${instance.id}-seed.iso`)).size % 2048, 0);

    const ignored = await act(instance.id, 'shutdown');
    assert.equal(ignored.state, 'failed');
    assert.equal(await stateOf(instance.id), 'running');
    const domain = deps.hosts.host(created?.hostId ?? '').domain;
    await domain.destroy(instance.id);
    for (const deadline = Date.now() + 20_000; Date.now() < deadline && (await stateOf(instance.id)) !== 'stopped'; ) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(await stateOf(instance.id), 'stopped', 'events tell at once');
    assert.deepEqual(await act(instance.id, 'start'), { state: 'done', error: null });
    assert.equal(await stateOf(instance.id), 'running');
    assert.deepEqual(await act(instance.id, 'force-off'), { state: 'done', error: null });
    assert.equal(await stateOf(instance.id), 'stopped');
    assert.deepEqual(await act(instance.id, 'delete'), { state: 'done', error: null });
    assert.equal(await stateOf(instance.id), undefined);
    assert.equal(await domain.lookupByUUID(instance.id), undefined);
    await assert.rejects(stat(`${libvirtd.poolPath}/${instance.id}.qcow2`));
    await assert.rejects(stat(`${libvirtd.poolPath}/${instance.id}-seed.iso`));
    assert.deepEqual((await selectUser(deps.db, user.id)).usage, { instances: 0, vcpus: 0, memoryMib: 0, diskGib: 0 });
  });

  it('says in our words that the image’s file is gone, which libvirt does not notice by itself', async () => {
    await rm(`${libvirtd.poolPath}/blank.qcow2`);
    const { operation } = await submitInstanceCreate(deps, { user, name: 'real-2', image, size: { vcpus: 1, memoryMib: 64, diskGib: 1 }, sshKey: '', userData: '' });
    assert.deepEqual(await ended(operation.id), { state: 'failed', error: { key: 'operations.failed.image-gone', params: { volume: 'blank.qcow2', pool: libvirtd.pool } } });
  });
});
