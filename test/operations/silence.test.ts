// Connections that end at every call, before it is done and after; and a host that is away for longer than anybody waits.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { selectOperation } from '../../src/store/operations.ts';
import { createCloud, quickRunner, type Cloud } from '../helpers/cloud.ts';
import type { AnyProcedureName } from '../helpers/fake-libvirtd/extra-procedures.ts';

const patient = { ...quickRunner, times: { ...quickRunner.times, waitForHostMs: 60_000 } };

const calls: readonly AnyProcedureName[] = [
  'STORAGE_POOL_GET_INFO', 'STORAGE_VOL_CREATE_XML', 'STORAGE_VOL_UPLOAD', 'DOMAIN_DEFINE_XML_FLAGS', 'DOMAIN_CREATE_WITH_FLAGS', 'DOMAIN_GET_XML_DESC',
  'DOMAIN_SHUTDOWN_FLAGS', 'DOMAIN_DESTROY_FLAGS', 'DOMAIN_UNDEFINE_FLAGS', 'STORAGE_VOL_DELETE',
];

describe('a connection that ends at a call', () => {
  for (const type of ['close', 'lost'] as const) {
    it(`${type === 'close' ? 'before' : 'after'} it is done, changes nothing of the outcome`, async () => {
      // a host each, with room for one instance: a client whose connections end one after the other waits longer and longer
      const cloud = await createCloud({ fakes: calls.map(() => ({})), cpus: 1 });
      try {
        await cloud.db.execute('UPDATE hosts SET memory_mib = 512');
        cloud.startRunner(patient);
        for (const [index, procedure] of calls.entries()) cloud.fakes[index]?.fault(procedure, { type }, { once: true });
        const instances = await Promise.all(calls.map(() => cloud.running()));
        for (const action of ['shutdown', 'start', 'force-off', 'start', 'delete'] as const) {
          const operations = await Promise.all(instances.map(({ id }) => cloud.act(id, action)));
          for (const { id } of operations) {
            const { state, error } = await cloud.ended(id);
            assert.deepEqual([action, state, error], [action, 'done', null]);
          }
          await cloud.checkBooks();
        }
        assert.deepEqual(calls.filter((procedure, index) => cloud.fakes[index]?.faults.next(procedure, {}) !== undefined), [], 'each fault was met');
      } finally {
        await cloud.close();
      }
    });
  }
});

describe('a host that is away', () => {
  let cloud: Cloud;
  before(async () => {
    cloud = await createCloud();
    cloud.startRunner();
  });
  after(() => cloud.close());

  const until = async (condition: () => Promise<boolean>): Promise<void> => {
    for (const deadline = Date.now() + 60_000; Date.now() < deadline; await delay(15)) if (await condition()) return;
    assert.fail('it did not come to that');
  };

  it('keeps the reservation until what was begun is proven gone', async () => {
    const late = cloud.fake.fault('DOMAIN_DEFINE_XML_FLAGS', { type: 'late', ms: 200 });
    const { instance, operation } = await cloud.create();
    await until(() => Promise.resolve(cloud.fake.called('DOMAIN_DEFINE_XML_FLAGS') > 0));
    await cloud.fake.refuse();
    await until(async () => (await selectOperation(cloud.db, operation.id)).state === 'undoing' && (await selectOperation(cloud.db, operation.id)).note !== null);
    await delay(400);
    const waiting = await selectOperation(cloud.db, operation.id);
    assert.deepEqual([waiting.state, waiting.note?.key, waiting.error?.key], ['undoing', 'operations.waiting.host', 'hypervisor.unavailable']);
    assert.equal((await cloud.instance(instance.id)).state, 'creating');
    const [host] = await cloud.db.query<{ used_vcpus: number }>('SELECT used_vcpus FROM hosts');
    assert.equal(host?.used_vcpus, 1);
    late();
    await cloud.fake.accept();
    assert.equal((await cloud.ended(operation.id)).state, 'failed');
    await cloud.checkBooks();
  });

  it('makes a start fail and say so, and leaves the instance to be tried again', async () => {
    const { id } = await cloud.running();
    await cloud.ended((await cloud.act(id, 'force-off')).id);
    await cloud.fake.refuse();
    const ended = await cloud.ended((await cloud.act(id, 'start')).id);
    await cloud.fake.accept();
    assert.deepEqual([ended.state, ended.error?.key], ['failed', 'hypervisor.unavailable']);
    assert.equal((await cloud.instance(id)).state, 'stopped');
    await cloud.deps.hosts.host(cloud.hostIds[0] ?? '').ready({ timeoutMs: 20_000 });
    assert.equal((await cloud.ended((await cloud.act(id, 'start')).id)).state, 'done');
    await cloud.checkBooks();
  });

  it('is waited for without end once a deletion has cut the power', async () => {
    const { id } = await cloud.running();
    const late = cloud.fake.fault('DOMAIN_UNDEFINE_FLAGS', { type: 'late', ms: 200 });
    const called = cloud.fake.called('DOMAIN_UNDEFINE_FLAGS');
    const operation = await cloud.act(id, 'delete');
    await until(() => Promise.resolve(cloud.fake.called('DOMAIN_UNDEFINE_FLAGS') > called));
    await cloud.fake.refuse();
    late();
    await until(async () => (await selectOperation(cloud.db, operation.id)).note !== null);
    await delay(600);
    assert.equal((await selectOperation(cloud.db, operation.id)).state, 'running');
    await cloud.fake.accept();
    assert.equal((await cloud.ended(operation.id)).state, 'done');
    await cloud.checkBooks();
  });
});
