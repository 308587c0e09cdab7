// A host that was proven to run nothing: what ends at once, what goes on without it, how it comes back, and that nothing
// runs twice afterwards.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { checkInHosts } from '../../src/jobs/check-in-hosts.ts';
import type { Host } from '../../src/model/host.ts';
import type { Instance } from '../../src/model/instance.ts';
import { reconcileHost } from '../../src/operations/reconcile.ts';
import { watchEvents } from '../../src/operations/watch-events.ts';
import { selectDiscrepancies } from '../../src/store/discrepancies.ts';
import { selectHostEvents } from '../../src/store/host-events.ts';
import { claimHostCheckedIn, claimHostFenced, claimHostStillFenced, selectHost, updateHostContact } from '../../src/store/hosts.ts';
import { selectInstanceEvents } from '../../src/store/instance-events.ts';
import { claimInstance, selectOptionalInstance } from '../../src/store/instances.ts';
import { selectOperation } from '../../src/store/operations.ts';
import { reserveHostCapacity } from '../../src/store/reservations.ts';
import { createCloud, imageVolume, quickRunner, smallSize, type Cloud } from '../helpers/cloud.ts';
import type { AnyProcedureName } from '../helpers/fake-libvirtd/extra-procedures.ts';
import type { FakeLibvirtd } from '../helpers/fake-libvirtd/index.ts';
import { plainDomainXml } from '../helpers/fake-libvirtd/plain-domain.ts';
import { FakeDirectory } from '../helpers/fake-libvirtd/storage.ts';

const never = new AbortController().signal;
const connections = { keepalive: { intervalSeconds: 1, count: 1 }, backoff: { firstMs: 50, maxMs: 100 }, connectTimeoutMs: 500 };
let cloud: Cloud;
let disks: FakeDirectory;

beforeEach(async () => {
  disks = new FakeDirectory('/srv/shared');
  cloud = await createCloud({ connections, fakes: [0, 1].map(() => ({ pools: [{ name: 'default', directory: disks }] })) });
});
afterEach(async () => {
  for (const fake of cloud.fakes) fake.resume();
  await cloud.close();
});

interface Place { readonly fake: FakeLibvirtd; readonly hostId: string; readonly other: FakeLibvirtd; readonly otherId: string }
function placeOf(instance: Pick<Instance, 'hostId'>): Place {
  const index = cloud.hostIds.indexOf(instance.hostId ?? '');
  const other = 1 - index;
  return { fake: cloud.fakes[index] as FakeLibvirtd, hostId: cloud.hostIds[index] ?? '', other: cloud.fakes[other] as FakeLibvirtd, otherId: cloud.hostIds[other] ?? '' };
}
const fence = (hostId: string): Promise<boolean> => cloud.db.transaction((tx) => claimHostFenced(tx, hostId, 'agent', Date.now()));
const host = (hostId: string): Promise<Host> => selectHost(cloud.db, hostId);
const checkIn = (): Promise<void> => checkInHosts(cloud.deps, never);
const eventKeys = async (hostId: string): Promise<string[]> => (await selectHostEvents(cloud.db, hostId)).map(({ sentence }) => sentence.key).reverse();
const diary = async (id: string): Promise<string[]> => (await selectInstanceEvents(cloud.db, id)).map(({ sentence }) => sentence.key);

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; await delay(15)) if (await condition()) return;
  assert.fail('it did not come to that');
}

/** As a restart elsewhere leaves it where no lock guards the disk: its record and a running copy on the other host, the old copy as it was. */
async function restartedElsewhere(instance: Instance): Promise<void> {
  const { fake, other, otherId } = placeOf(instance);
  const xml = (fake.domains.get(instance.id)?.live.xml ?? '').replaceAll('/srv/shared/', '/elsewhere/');
  other.host.define(xml);
  await other.host.create(instance.id, false);
  await cloud.db.execute('UPDATE hosts SET used_vcpus = used_vcpus - ?, used_memory_mib = used_memory_mib - ? WHERE id = ?', [instance.vcpus, instance.memoryMib, instance.hostId]);
  await cloud.db.execute('UPDATE hosts SET used_vcpus = used_vcpus + ?, used_memory_mib = used_memory_mib + ? WHERE id = ?', [instance.vcpus, instance.memoryMib, otherId]);
  await cloud.db.execute('UPDATE instances SET host_id = ? WHERE id = ?', [otherId, instance.id]);
}

describe('the state of a fenced host', () => {
  it('is left only by checking in, gives no room, and is told once', async () => {
    const id = cloud.hostIds[0] ?? '';
    assert.equal(await fence(id), true);
    assert.equal(await fence(id), false);
    assert.equal(await updateHostContact(cloud.db, id, { state: 'up', at: Date.now() }), false);
    assert.equal(await updateHostContact(cloud.db, id, { state: 'unreachable', at: Date.now(), reason: 'x' }), false);
    const fenced = await host(id);
    assert.deepEqual([fenced.state, fenced.fenceProof, fenced.reason], ['fenced', 'agent', null]);
    assert.ok(fenced.fencedAt !== null);
    assert.equal(await reserveHostCapacity(cloud.db, id, smallSize, { vcpus: 10, memory: 10, disk: 10 }), false);
    assert.equal(await claimHostStillFenced(cloud.db, id), true);
    assert.equal(await claimHostCheckedIn(cloud.db, id, Date.now()), true);
    assert.equal(await claimHostStillFenced(cloud.db, id), false);
    const back = await host(id);
    assert.deepEqual([back.state, back.fencedAt, back.fenceProof], ['up', null, null]);
  });

  it('takes no creation while it is fenced', async () => {
    cloud.startRunner();
    await fence(cloud.hostIds[0] ?? '');
    for (let count = 0; count < 3; count++) assert.equal((await cloud.running()).hostId, cloud.hostIds[1]);
  });
});

describe('operations on a host that is fenced', () => {
  const patient = { times: { ...quickRunner.times, waitForHostMs: 600_000, retryMs: 600_000 } };

  for (const action of ['shutdown', 'force-off', 'reboot', 'start'] as const) {
    it(`${action} that waits for the host ends at once, the instance stopped`, async () => {
      cloud.startRunner(patient);
      const instance = await cloud.running();
      const { fake, hostId } = placeOf(instance);
      if (action === 'start') await cloud.ended((await cloud.act(instance.id, 'force-off')).id);
      await fake.refuse();
      const { id } = await cloud.act(instance.id, action);
      await until(async () => (await selectOperation(cloud.db, id)).note !== null);
      await fence(hostId);
      const ended = await cloud.ended(id);
      assert.deepEqual([ended.state, ended.error?.key], ['failed', 'operations.failed.host-fenced']);
      const after = await cloud.instance(instance.id);
      assert.deepEqual([after.state, after.operationId, after.consolePort, after.hostId], ['stopped', null, null, hostId]);
    });
  }

  it('a guest that was asked to shut down is not waited for', async () => {
    cloud.startRunner();
    const instance = await cloud.running();
    const { fake, hostId } = placeOf(instance);
    fake.fault('DOMAIN_SHUTDOWN_FLAGS', { type: 'error', code: 55, message: 'ignored' });
    const { id } = await cloud.act(instance.id, 'shutdown');
    await until(async () => (await selectOperation(cloud.db, id)).state === 'running');
    await fence(hostId);
    assert.equal((await cloud.ended(id)).state, 'failed');
    assert.equal((await cloud.instance(instance.id)).state, 'stopped');
  });

  const creationSteps: readonly AnyProcedureName[] = ['STORAGE_POOL_GET_INFO', 'STORAGE_VOL_UPLOAD', 'DOMAIN_DEFINE_XML_FLAGS', 'DOMAIN_CREATE_WITH_FLAGS', 'DOMAIN_GET_XML_DESC'];
  for (const procedure of creationSteps) {
    it(`a creation whose host dies in ${procedure} is taken back, its disk through the other host`, async () => {
      cloud.startRunner(patient);
      for (const fake of cloud.fakes) fake.fault(procedure, { type: 'silence' });
      const { instance, operation } = await cloud.create();
      const { fake, hostId } = placeOf(instance);
      await until(() => fake.called(procedure) > 0);
      await fake.refuse();
      await until(async () => (await selectOperation(cloud.db, operation.id)).note !== null);
      await fence(hostId);
      assert.equal((await cloud.ended(operation.id)).state, 'failed');
      const left = await cloud.instance(instance.id);
      assert.deepEqual([left.state, left.hostId, left.problem?.key], ['failed', null, 'operations.failed.host-fenced']);
      assert.deepEqual([...disks.files.keys()], [imageVolume], 'nothing of it lies in the shared pool');
      const [sum] = await cloud.db.query<{ used: number }>('SELECT CAST(SUM(used_vcpus) AS SIGNED) AS used FROM hosts');
      assert.equal(sum?.used, 0);
    });
  }

  it('an undo that waited for a dead host ends when it is fenced', async () => {
    cloud.startRunner({ times: { ...quickRunner.times, retryMs: 600_000 } });
    for (const fake of cloud.fakes) {
      fake.fail('DOMAIN_CREATE_WITH_FLAGS', { code: 1, message: 'no' });
      fake.fault('DOMAIN_UNDEFINE_FLAGS', { type: 'silence' });
    }
    const { instance, operation } = await cloud.create();
    const { fake, hostId } = placeOf(instance);
    await until(() => fake.called('DOMAIN_UNDEFINE_FLAGS') > 0);
    await fake.refuse();
    await until(async () => (await selectOperation(cloud.db, operation.id)).note !== null);
    await delay(200);
    assert.equal((await selectOperation(cloud.db, operation.id)).state, 'undoing');
    await fence(hostId);
    assert.equal((await cloud.ended(operation.id)).state, 'failed');
    assert.deepEqual([...disks.files.keys()], [imageVolume]);
  });

  for (const when of ['before', 'while'] as const) {
    it(`a deletion asked ${when} the host is gone removes record and disk through the other host`, async () => {
      cloud.startRunner(patient);
      const instance = await cloud.running();
      const { fake, hostId } = placeOf(instance);
      await fake.refuse();
      if (when === 'while') await fence(hostId);
      const { id } = await cloud.act(instance.id, 'delete');
      if (when === 'before') {
        await until(async () => (await selectOperation(cloud.db, id)).note !== null);
        await fence(hostId);
      }
      assert.equal((await cloud.ended(id)).state, 'done');
      assert.equal(await selectOptionalInstance(cloud.db, instance.id), undefined);
      assert.deepEqual([...disks.files.keys()], [imageVolume]);
      // and its domain goes when the host comes back
      await fake.accept();
      await cloud.deps.hosts.host(hostId).ready({ timeoutMs: 20_000 });
      await checkIn();
      assert.equal((await host(hostId)).state, 'up');
      assert.equal(fake.domains.has(instance.id), false);
      await cloud.checkBooks();
    });
  }

  it('a deletion waits for another host that has the pool, and not at all for a pool that nobody else has', async () => {
    cloud.startRunner();
    const instances = [await cloud.running(), await cloud.running()];
    for (const each of cloud.fakes) await each.refuse();
    const first = instances[0] as Instance;
    await fence(first.hostId ?? '');
    const { id } = await cloud.act(first.id, 'delete');
    await until(async () => (await selectOperation(cloud.db, id)).note !== null);
    assert.equal((await selectOperation(cloud.db, id)).state, 'running');
    await cloud.db.execute('DELETE FROM host_pools WHERE host_id = ?', [placeOf(first).otherId]);
    assert.equal((await cloud.ended(id)).state, 'done');
    assert.ok(disks.files.has(`${first.id}.qcow2`), 'it lies on the dead host');
  });
});

describe('checking in', () => {
  it('removes what lives elsewhere, running first, and what is gone; leaves its own and strangers’', async () => {
    cloud.startRunner();
    await cloud.db.execute("UPDATE hosts SET wish = 'disabled' WHERE id = ?", [cloud.hostIds[1] ?? '']);
    const [moved, movedOff, kept, gone] = await Promise.all([cloud.running(), cloud.running(), cloud.running(), cloud.running()]);
    assert.ok(moved && movedOff && kept && gone);
    const { fake, hostId } = placeOf(moved);
    const stranger = fake.host.define(plainDomainXml('somebody-elses'));
    await fence(hostId);
    await restartedElsewhere(moved);
    fake.host.destroy(movedOff.id);
    await restartedElsewhere(movedOff);
    await cloud.db.execute('DELETE FROM instances WHERE id = ?', [gone.id]);
    await checkIn();
    assert.deepEqual([...fake.domains.keys()].sort(), [kept.id, stranger.uuid].sort());
    assert.equal(fake.domains.get(kept.id)?.isActive, true);
    const back = await host(hostId);
    assert.deepEqual([back.state, back.fencedAt, back.reason], ['up', null, null]);
    assert.deepEqual(await eventKeys(hostId), ['hosts.event.checked-in-cleaned']);
    assert.equal((await selectHostEvents(cloud.db, hostId))[0]?.sentence.params?.['total'], 3);
    assert.equal((await diary(moved.id))[0], 'operations.diary.second-copy-off');
    assert.equal((await diary(movedOff.id)).includes('operations.diary.second-copy-off'), false, 'it did not run twice');
    for (const { id } of [moved, movedOff]) assert.equal(placeOf(moved).other.domains.get(id)?.isActive, true);
    assert.equal((await cloud.instance(kept.id)).state, 'running');
  });

  it('records what runs there once it is in', async () => {
    cloud.startRunner();
    const instance = await cloud.running();
    const { fake, hostId } = placeOf(instance);
    await fence(hostId);
    fake.host.destroy(instance.id);
    await checkIn();
    assert.deepEqual([(await cloud.instance(instance.id)).state, (await host(hostId)).state], ['stopped', 'up']);
    assert.deepEqual(await eventKeys(hostId), ['hosts.event.checked-in']);
  });

  it('stays fenced, with the reason and one line, until it can be cleaned', async () => {
    cloud.startRunner();
    const instance = await cloud.running();
    const { fake, hostId } = placeOf(instance);
    await fence(hostId);
    await restartedElsewhere(instance);
    const refuse = fake.fail('DOMAIN_DESTROY_FLAGS', { code: 38, message: 'cannot kill process' });
    await checkIn();
    await checkIn();
    const stuck = await host(hostId);
    assert.equal(stuck.state, 'fenced');
    assert.match(stuck.reason ?? '', /cannot kill process/);
    assert.deepEqual(await eventKeys(hostId), ['hosts.event.check-in-failed']);
    refuse();
    await checkIn();
    assert.equal((await host(hostId)).state, 'up');
    assert.equal(fake.domains.size, 0);
  });

  it('waits until none of its instances is being restarted elsewhere', async () => {
    cloud.startRunner();
    const instance = await cloud.running();
    const { fake, hostId } = placeOf(instance);
    await fence(hostId);
    const operationId = randomUUID();
    assert.equal(await claimInstance(cloud.db, instance.id, { operationId, operationKind: 'instance-recover', states: ['running', 'stopped'] }), true);
    await checkIn();
    assert.equal((await host(hostId)).state, 'fenced');
    await restartedElsewhere(instance);
    await cloud.db.execute('UPDATE instances SET operation_id = NULL, operation_kind = NULL WHERE id = ?', [instance.id]);
    await checkIn();
    assert.equal((await host(hostId)).state, 'up');
    assert.equal(fake.domains.has(instance.id), false);
  });

  it('waits for nothing else, and removes what a creation or a deletion counts as gone', async () => {
    cloud.startRunner({ times: { ...quickRunner.times, waitForHostMs: 600_000 } });
    const kept = await cloud.running();
    const { fake, hostId, other } = placeOf(kept);
    await cloud.db.execute("UPDATE hosts SET wish = 'disabled' WHERE id <> ?", [hostId]);
    const deleted = await cloud.running();
    const late = fake.fault('DOMAIN_GET_XML_DESC', { type: 'silence' });
    const created = await cloud.create();
    await until(() => fake.domains.get(created.instance.id)?.isActive === true);
    // nobody is left who could remove the disks
    await other.refuse();
    await fake.refuse();
    await until(async () => (await selectOperation(cloud.db, created.operation.id)).note !== null);
    await fence(hostId);
    const deletion = await cloud.act(deleted.id, 'delete');
    for (const { id } of [deletion, created.operation]) await until(async () => (await selectOperation(cloud.db, id)).note?.key === 'operations.waiting.host' && (await selectOperation(cloud.db, id)).state !== 'queued');
    late();
    await fake.accept();
    await cloud.deps.hosts.host(hostId).ready({ timeoutMs: 20_000 });
    await checkIn();
    assert.equal((await host(hostId)).state, 'up');
    assert.deepEqual([...fake.domains.keys()], [kept.id]);
    assert.deepEqual([(await cloud.ended(deletion.id)).state, (await cloud.ended(created.operation.id)).state], ['done', 'failed']);
    assert.deepEqual([...disks.files.keys()].filter((name) => name !== imageVolume && !name.startsWith(kept.id)), []);
    await cloud.checkBooks();
  });

  it('refuses another machine', async () => {
    const hostId = cloud.hostIds[0] ?? '';
    await cloud.db.execute('UPDATE hosts SET host_uuid = ? WHERE id = ?', [randomUUID(), hostId]);
    await fence(hostId);
    await checkIn();
    const refused = await host(hostId);
    assert.equal(refused.state, 'fenced');
    assert.match(refused.reason ?? '', /another machine/);
  });

  it('by two portals at once is one', async () => {
    cloud.startRunner();
    const instance = await cloud.running();
    const { fake, hostId } = placeOf(instance);
    await fence(hostId);
    await restartedElsewhere(instance);
    await Promise.all([checkIn(), checkIn(), checkIn()]);
    assert.equal((await host(hostId)).state, 'up');
    assert.equal((await eventKeys(hostId)).filter((key) => key.startsWith('hosts.event.checked-in')).length, 1);
    assert.equal(fake.domains.has(instance.id), false);
    await cloud.checkBooks();
  });
});

describe('a machine that runs on two hosts', () => {
  async function doubled(): Promise<{ instance: Instance; stray: Place }> {
    cloud.startRunner();
    const instance = await cloud.running();
    const stray = placeOf(instance);
    await restartedElsewhere(instance);
    return { instance: await cloud.instance(instance.id), stray };
  }

  it('is powered off where it does not live, once, and told', async () => {
    const { instance, stray } = await doubled();
    await Promise.all([reconcileHost(cloud.deps, await host(stray.hostId)), reconcileHost(cloud.deps, await host(stray.hostId))]);
    assert.equal(stray.fake.domains.get(instance.id)?.isActive, false);
    assert.equal(stray.other.domains.get(instance.id)?.isActive, true);
    assert.deepEqual(await eventKeys(stray.hostId), ['hosts.event.stray-off']);
    assert.equal((await diary(instance.id)).filter((key) => key === 'operations.diary.second-copy-off').length, 1);
    assert.deepEqual((await selectDiscrepancies(cloud.db)).map(({ kind }) => kind), ['misplaced-domain'], 'its definition is left to the admin');
  });

  it('is powered off as soon as the host that was cut off is back', async () => {
    const { instance, stray } = await doubled();
    await stray.fake.refuse();
    const watch = watchEvents(cloud.deps);
    try {
      await stray.fake.accept();
      await until(() => stray.fake.domains.get(instance.id)?.isActive === false);
      assert.equal(stray.other.domains.get(instance.id)?.isActive, true);
    } finally {
      await watch.stop();
    }
  });

  const untouched: readonly [string, (instance: Instance, stray: Place) => unknown][] = [
    ['its home does not run it', (instance, stray) => stray.other.host.destroy(instance.id)],
    ['its home does not know it', (instance, stray) => { stray.other.host.destroy(instance.id); stray.other.host.undefine(instance.id); }],
    ['its home holds it paused', (instance, stray) => stray.other.host.suspend(instance.id)],
    ['its home does not answer', (_instance, stray) => stray.other.refuse()],
    ['its home is fenced', (_instance, stray) => fence(stray.otherId)],
    ['an operation works on it', (instance) => cloud.db.execute('UPDATE instances SET operation_id = ? WHERE id = ?', [randomUUID(), instance.id])],
    ['it is paused here', (instance, stray) => stray.fake.host.suspend(instance.id)],
  ];
  for (const [why, make] of untouched) {
    it(`is left as it is when ${why}`, async () => {
      const { instance, stray } = await doubled();
      await make(instance, stray);
      await reconcileHost(cloud.deps, await host(stray.hostId), { timeoutMs: 2000 });
      assert.equal(stray.fake.domains.get(instance.id)?.isActive, true);
      assert.equal(stray.fake.called('DOMAIN_DESTROY_FLAGS'), 0);
    });
  }
});
