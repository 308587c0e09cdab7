// Each operation on a fake host: what it leaves there and in the database, done, failed at each step, refused.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { AppError } from '../../src/errors.ts';
import { parseDomainXml } from '../../src/libvirt/domain-xml.ts';
import { requestCancel } from '../../src/operations/cancel.ts';
import { submitInstanceAction } from '../../src/operations/instance-action.ts';
import { submitInstanceCreate, type SubmittedInstance } from '../../src/operations/instance-create.ts';
import type { Database, SqlValue } from '../../src/store/db.ts';
import { selectInstanceEvents } from '../../src/store/instance-events.ts';
import { selectOptionalInstance } from '../../src/store/instances.ts';
import { selectOperation, selectOperationSteps, updateOperationEvent } from '../../src/store/operations.ts';
import { updateSettings } from '../../src/store/settings.ts';
import { updateQuota } from '../../src/store/users.ts';
import { makeUser } from '../helpers/accounts.ts';
import { createCloud, imageVolume, type Cloud } from '../helpers/cloud.ts';

let cloud: Cloud;
before(async () => {
  cloud = await createCloud();
  cloud.startRunner();
});
after(() => cloud.close());

async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  for (const deadline = Date.now() + 60_000; !(await holds()); await delay(5)) if (Date.now() > deadline) assert.fail(`never: ${what}`);
}
/** its second step is at work */
const begun = (operationId: string): Promise<void> => until('it is at work', async () => (await selectOperationSteps(cloud.db, operationId))[1]?.state === 'running');
const diary = async (id: string): Promise<string[]> => (await selectInstanceEvents(cloud.db, id)).map((event) => event.sentence.key).reverse();

describe('creating', () => {
  it('leaves a running domain of ours, a linked clone, a seed, and the books in order', async () => {
    const instance = await cloud.running('web-1');
    assert.equal(instance.state, 'running');
    assert.equal(instance.operationId, null);
    const domain = cloud.fake.domains.get(instance.id);
    assert.equal(instance.consolePort, domain?.vnc?.port);
    const parsed = parseDomainXml(domain?.live.xml ?? '');
    assert.deepEqual([parsed.instanceId, parsed.owner, parsed.vcpus, parsed.memoryMib, parsed.virtType], [instance.id, 'alice', 1, 512, 'qemu']);
    assert.equal(parsed.name, `i-${instance.id.slice(0, 8)}-web-1`);
    const pool = cloud.fake.host.pool('default');
    const disk = pool.volume(`${instance.id}.qcow2`);
    assert.deepEqual([disk.capacityBytes, disk.format, disk.backingPath], [2 * 1024 ** 3, 'qcow2', `${pool.path}/${imageVolume}`]);
    assert.ok(pool.volume(`${instance.id}-seed.iso`).data.includes('"local-hostname":"web-1"'));
    assert.deepEqual(parsed.disks.map((each) => each.path), [`${pool.path}/${instance.id}.qcow2`, `${pool.path}/${instance.id}-seed.iso`]);
    assert.deepEqual(await diary(instance.id), ['operations.diary.instance-create.asked', 'operations.diary.instance-create.done']);
    await cloud.checkBooks();
  });

  it('refuses a second machine of the same name, beside the field', async () => {
    await assert.rejects(cloud.create('WEB-1'), (error: AppError) => error.kind === 'conflict' && error.fields['name']?.key === 'operations.create.name-taken');
    await cloud.checkBooks();
  });

  const failures = [
    ['place', 'STORAGE_POOL_GET_INFO'], ['create-volume', 'STORAGE_VOL_CREATE_XML'], ['create-volume', 'STORAGE_VOL_UPLOAD'],
    ['define', 'DOMAIN_DEFINE_XML_FLAGS'], ['start', 'DOMAIN_CREATE_WITH_FLAGS'], ['record', 'DOMAIN_GET_XML_DESC'],
  ] as const;
  for (const [step, procedure] of failures) {
    it(`takes everything back when ${procedure} is refused in ${step}`, async () => {
      const undo = cloud.fake.fail(procedure, { code: 1, message: 'internal error: no' });
      const { instance, operation } = await cloud.create();
      const ended = await cloud.ended(operation.id);
      undo();
      assert.equal(ended.state, 'failed');
      assert.deepEqual([ended.error?.key, ended.error?.params?.['reason']], ['hypervisor.failed', 'internal error: no']);
      assert.equal((await selectOperationSteps(cloud.db, operation.id)).find((each) => each.error !== null)?.name, step);
      const failed = await cloud.instance(instance.id);
      assert.deepEqual([failed.state, failed.hostId, failed.problem], ['failed', null, ended.error]);
      await cloud.checkBooks();
      await cloud.ended((await cloud.act(instance.id, 'delete')).id);
      assert.equal(await selectOptionalInstance(cloud.db, instance.id), undefined);
      await cloud.checkBooks();
    });
  }

  it('says so when the image’s file is gone though the host still lists it, and keeps libvirt’s words to itself', async () => {
    const pool = cloud.fake.host.pool('default');
    const refused = cloud.fake.fail('STORAGE_VOL_CREATE_XML', { code: 38, message: `cannot stat file '${pool.path}/${imageVolume}': No such file or directory` });
    const missing = cloud.fake.fail('STORAGE_VOL_GET_INFO', { code: 50, message: `missing storage file '${pool.path}/${imageVolume}'` });
    const { operation } = await cloud.create();
    const ended = await cloud.ended(operation.id);
    refused();
    missing();
    assert.deepEqual(ended.error, { key: 'operations.failed.image-gone', params: { volume: imageVolume, pool: 'default' } });
    await cloud.checkBooks();
  });

  it('finds an image that came into the pool by another way, also while the host is making a volume there', async () => {
    const { directory } = cloud.fake.host.pool('default');
    const image = directory.files.get(imageVolume);
    // gone, looked for, and back: the host has forgotten it until its pool is read again
    directory.files.delete(imageVolume);
    cloud.fake.host.pool('default').refresh();
    if (image !== undefined) directory.files.set(imageVolume, image);
    const busy = cloud.fake.fail('STORAGE_POOL_REFRESH', { code: 1, message: "internal error: pool 'default' has asynchronous jobs running." });
    const { instance, operation } = await cloud.create();
    await delay(200);
    busy();
    assert.deepEqual([(await cloud.ended(operation.id)).error, (await cloud.instance(instance.id)).state], [null, 'running']);
    await cloud.checkBooks();
  });

  it('says so when the network of the host is not active', async () => {
    cloud.fake.host.network('default').active = false;
    const { operation } = await cloud.create();
    const ended = await cloud.ended(operation.id);
    cloud.fake.host.network('default').active = true;
    assert.equal(ended.error?.key, 'operations.failed.network-inactive');
    await cloud.checkBooks();
  });

  it('can be cancelled while its disk is made', async () => {
    const late = cloud.fake.fault('STORAGE_VOL_CREATE_XML', { type: 'late', ms: 5000 });
    const { instance, operation } = await cloud.create();
    await begun(operation.id);
    await requestCancel(cloud.deps, await selectOperation(cloud.db, operation.id));
    assert.equal((await cloud.ended(operation.id)).state, 'cancelled');
    late();
    assert.deepEqual((await cloud.instance(instance.id)).problem?.key, 'operations.create.cancelled');
    await cloud.checkBooks();
  });

  it('is the same one when it is asked for twice', async () => {
    const instanceId = '11111111-2222-4333-8444-555555555555';
    const request = { instanceId, user: cloud.user, name: 'twice', image: cloud.image, size: { vcpus: 1, memoryMib: 512, diskGib: 2 }, sshKey: '', userData: '' };
    const both = await Promise.all([submitInstanceCreate(cloud.deps, request), submitInstanceCreate(cloud.deps, request)]);
    assert.equal(both[0].operation.id, both[1].operation.id);
    assert.equal((await submitInstanceCreate(cloud.deps, request)).operation.id, both[0].operation.id);
    await cloud.ended(both[0].operation.id);
    await cloud.checkBooks();
  });

  it('is the same one when the other asks and is answered between any two looks of the first', async () => {
    let looks = 1;
    for (let twinAt = 1; twinAt <= looks; twinAt++) {
      // one machine is all they may have: the twin takes the name and the last room
      const user = await makeUser(cloud.db, `twin-${twinAt}`);
      await updateQuota(cloud.db, user.id, { instances: 1, vcpus: null, memoryMib: null, diskGib: null }, Date.now());
      const request = { instanceId: randomUUID(), user, name: 'only', image: cloud.image, size: { vcpus: 1, memoryMib: 512, diskGib: 2 }, sshKey: '', userData: '' };
      let twin: SubmittedInstance | undefined;
      looks = 0;
      const db: Database = {
        ...cloud.db,
        async query<T extends object>(sql: string, params?: readonly SqlValue[]) {
          const rows = await cloud.db.query<T>(sql, params);
          looks++;
          if (looks === twinAt) twin = await submitInstanceCreate(cloud.deps, request);
          return rows;
        },
      };
      const { operation } = await submitInstanceCreate({ ...cloud.deps, db }, request);
      assert.equal(operation.id, twin?.operation.id ?? operation.id, `after look ${twinAt}`);
      await cloud.ended(operation.id);
    }
    assert.ok(looks > 5);
    await cloud.checkBooks();
  });

  it('is the same one, and so is a deletion, also when the instance is to be seen a moment before the operation that makes or deletes it', async () => {
    const { instance, operation } = await cloud.create();
    await cloud.ended(operation.id);
    const request = { instanceId: instance.id, user: cloud.user, name: instance.name, image: cloud.image, size: { vcpus: 1, memoryMib: 512, diskGib: 2 }, sshKey: '', userData: '' };
    const again = async (): Promise<string> => (await submitInstanceCreate(cloud.deps, request)).operation.id;
    assert.equal(await askedWhileWritten(operation.id, again), operation.id);
    const deletion = await cloud.act(instance.id, 'delete');
    const held = { ...instance, operationId: deletion.id, operationKind: deletion.kind };
    await cloud.ended(deletion.id);
    assert.equal(await askedWhileWritten(deletion.id, async () => (await submitInstanceAction(cloud.deps, { action: 'delete', instance: held, actor: cloud.user })).id), deletion.id);
    await cloud.checkBooks();
  });
});

/** What `ask` answers while the row of that operation is just being written, as MySQL Cluster may leave it for a moment. */
async function askedWhileWritten(operationId: string, ask: () => Promise<string>): Promise<string> {
  const [row = {}] = await cloud.db.query<Record<string, SqlValue>>('SELECT * FROM operations WHERE id = ?', [operationId]);
  await cloud.db.execute('DELETE FROM operations WHERE id = ?', [operationId]);
  let answer: Promise<string> | undefined;
  await cloud.db.transaction(async (tx) => {
    await tx.execute(`INSERT INTO operations (${Object.keys(row).join(', ')}) VALUES (${Object.keys(row).map(() => '?').join(', ')})`, Object.values(row));
    answer ??= ask();
    // a refusal now would be told by the test, not by nobody
    answer.catch(() => undefined);
    await delay(200);
  });
  return answer ?? assert.fail('never asked');
}

describe('power', () => {
  it('shuts down, starts, reboots, forces off and deletes', async () => {
    const { id } = await cloud.running();
    const states: string[] = [];
    for (const action of ['shutdown', 'start', 'reboot', 'force-off', 'start'] as const) {
      if (action === 'reboot') {
        // without a listener nobody sees the reset
        const operation = await cloud.act(id, action);
        await until('it is asked for', () => cloud.fake.called('DOMAIN_REBOOT') > 0);
        await updateOperationEvent(cloud.db, operation.id, Date.now());
        states.push((await cloud.ended(operation.id)).state);
      } else states.push((await cloud.ended((await cloud.act(id, action)).id)).state);
      const { state, consolePort } = await cloud.instance(id);
      states.push(state);
      assert.equal(consolePort !== null, state === 'running');
      await cloud.checkBooks();
    }
    assert.deepEqual(states, ['done', 'stopped', 'done', 'running', 'done', 'running', 'done', 'stopped', 'done', 'running']);
    await cloud.ended((await cloud.act(id, 'delete')).id);
    assert.equal(await selectOptionalInstance(cloud.db, id), undefined);
    assert.deepEqual(await selectInstanceEvents(cloud.db, id), []);
    await cloud.checkBooks();
  });

  it('tells of a guest that ignores the power button, presses again, and leaves it running', async () => {
    await updateSettings(cloud.db, 'power', { shutdownTimeoutSeconds: 15 }, null, Date.now());
    const { id } = await cloud.running();
    const domain = cloud.fake.domains.get(id);
    if (domain !== undefined) domain.ignoresAcpi = true;
    const pressed = cloud.fake.called('DOMAIN_SHUTDOWN_FLAGS');
    const operation = await cloud.act(id, 'shutdown');
    await begun(operation.id);
    cloud.time.ahead += 11_000;
    for (const deadline = Date.now() + 60_000; Date.now() < deadline && cloud.fake.called('DOMAIN_SHUTDOWN_FLAGS') < pressed + 2; ) await delay(5);
    assert.equal(cloud.fake.called('DOMAIN_SHUTDOWN_FLAGS'), pressed + 2);
    cloud.time.ahead += 5000;
    const ended = await cloud.ended(operation.id);
    assert.deepEqual([ended.state, ended.error?.key], ['failed', 'operations.failed.shutdown-ignored']);
    const instance = await cloud.instance(id);
    assert.deepEqual([instance.state, instance.operationId], ['running', null]);
    await cloud.checkBooks();
  });

  it('can stop waiting for a guest', async () => {
    const { id } = await cloud.running();
    const domain = cloud.fake.domains.get(id);
    if (domain !== undefined) domain.ignoresAcpi = true;
    const operation = await cloud.act(id, 'shutdown');
    await begun(operation.id);
    await requestCancel(cloud.deps, await selectOperation(cloud.db, operation.id));
    assert.equal((await cloud.ended(operation.id)).state, 'cancelled');
    assert.equal((await cloud.instance(id)).state, 'running');
  });

  it('starts a guest again that obeys a reboot by staying off', async () => {
    const { id } = await cloud.running();
    const operation = await cloud.act(id, 'reboot');
    await begun(operation.id);
    cloud.fake.host.powerOffFromInside(id);
    cloud.time.ahead += 1500;
    assert.equal((await cloud.ended(operation.id)).state, 'done');
    assert.equal((await cloud.instance(id)).state, 'running');
    await cloud.checkBooks();
  });

  it('has one winner when several ask at once', async () => {
    const { id } = await cloud.running();
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => cloud.act(id, 'force-off')));
    assert.equal(results.filter((result) => result.status === 'fulfilled').length, 1);
    for (const result of results) if (result.status === 'rejected') assert.equal((result.reason as AppError).kind, 'conflict');
    for (const result of results) if (result.status === 'fulfilled') await cloud.ended(result.value.id);
    await assert.rejects(cloud.act(id, 'shutdown'), (error: AppError) => error.sentence.key === 'instances.refused.shutdown');
    await cloud.checkBooks();
  });

  it('finds out that the domain is gone', async () => {
    const { id } = await cloud.running();
    cloud.fake.host.destroy(id);
    cloud.fake.host.undefine(id);
    const ended = await cloud.ended((await cloud.act(id, 'force-off')).id);
    assert.equal(ended.error?.key, 'operations.failed.domain-gone');
    assert.equal((await cloud.instance(id)).state, 'lost');
    await cloud.ended((await cloud.act(id, 'delete')).id);
    await cloud.checkBooks();
  });
});

describe('deleting', () => {
  for (const [procedure, state] of [['DOMAIN_DESTROY_FLAGS', 'running'], ['DOMAIN_UNDEFINE_FLAGS', 'stopped'], ['STORAGE_VOL_DELETE', 'lost']] as const) {
    it(`keeps the reservation when ${procedure} is refused, and can be asked for again`, async () => {
      const { id } = await cloud.running();
      const undo = cloud.fake.fail(procedure, { code: 38, message: 'Device or resource busy' });
      const ended = await cloud.ended((await cloud.act(id, 'delete')).id);
      undo();
      assert.equal(ended.state, 'failed');
      const instance = await cloud.instance(id);
      assert.deepEqual([instance.state, instance.problem], [state, ended.error]);
      await cloud.checkBooks();
      assert.equal((await cloud.ended((await cloud.act(id, 'delete')).id)).state, 'done');
      await cloud.checkBooks();
    });
  }
});
