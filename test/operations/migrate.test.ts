// Moves of instances between fake hosts: live, powered off, with their disk; the queue; every failure at every point; the
// portal killed; cancelled. Whatever happens, exactly one copy runs, the record says where, and the books agree.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { AppError } from '../../src/errors.ts';
import { selectInstanceEvents } from '../../src/store/instance-events.ts';
import { selectMove } from '../../src/store/moves.ts';
import type { Cloud } from '../helpers/cloud.ts';
import { createMoveCloud, hostOf, move } from '../helpers/moves.ts';

const diary = async (cloud: Cloud, id: string): Promise<string[]> => (await selectInstanceEvents(cloud.db, id)).map((event) => event.sentence.key).reverse();

/** Where it runs, as the hosts say: their indexes. */
export const runsOn = (cloud: Cloud, id: string): number[] => cloud.fakes.flatMap((fake, index) => (fake.domains.get(id)?.state === 1 ? [index] : []));

describe('moving on shared storage', () => {
  let cloud: Cloud;
  before(async () => {
    cloud = await createMoveCloud({ hosts: 2 });
    cloud.startRunner();
  });
  after(() => cloud.close());

  it('moves a running machine, and its record, reservation and diary with it', async () => {
    const instance = await cloud.running('live-1');
    const [from, to] = [hostOf(cloud, instance), 1 - hostOf(cloud, instance)];
    await cloud.db.execute("UPDATE instances SET address = '192.0.2.7' WHERE id = ?", [instance.id]);
    const { operation } = await move(cloud, instance, { returnHostId: instance.hostId });
    const ended = await cloud.ended(operation.id);
    assert.deepEqual([ended.state, ended.error], ['done', null]);
    assert.deepEqual(runsOn(cloud, instance.id), [to]);
    assert.equal(cloud.fakes[from]?.domains.has(instance.id), false);
    const after = await cloud.instance(instance.id);
    assert.deepEqual([after.hostId, after.state, after.operationId, after.returnHostId, after.address], [cloud.hostIds[to], 'running', null, instance.hostId, '192.0.2.7']);
    assert.equal(after.consolePort, cloud.fakes[to]?.domains.get(instance.id)?.vnc?.port);
    assert.ok((after.movedAt ?? 0) > 0);
    const record = await selectMove(cloud.db, operation.id);
    assert.deepEqual([record.state, record.kind, record.withDisk, record.downtimeMs, record.error], ['done', 'live', false, 45, null]);
    assert.equal(record.transferredBytes, 512 * 1024 * 1024);
    assert.ok((record.endedAt ?? 0) >= (record.begunAt ?? Infinity));
    assert.equal((await diary(cloud, instance.id)).at(-1), 'operations.diary.instance-migrate.done');
    await cloud.checkBooks();
  });

  it('moves a machine that is off, and one that is paused', async () => {
    const off = await cloud.running('off-1');
    await cloud.ended((await cloud.act(off.id, 'force-off')).id);
    const paused = await cloud.running('paused-1');
    cloud.fakes[hostOf(cloud, paused)]?.host.suspend(paused.id);
    await cloud.db.execute("UPDATE instances SET state = 'paused' WHERE id = ?", [paused.id]);
    for (const [id, kind, state] of [[off.id, 'offline', 'stopped'], [paused.id, 'live', 'paused']] as const) {
      const instance = await cloud.instance(id);
      const { operation } = await move(cloud, instance);
      assert.deepEqual([(await cloud.ended(operation.id)).error, (await selectMove(cloud.db, operation.id)).kind], [null, kind]);
      const after = await cloud.instance(id);
      assert.deepEqual([after.hostId === instance.hostId, after.state], [false, state]);
    }
    await cloud.checkBooks();
  });

  it('refuses what cannot be, in words', async () => {
    const instance = await cloud.running('refuse-1');
    await assert.rejects(move(cloud, instance, { toHostId: instance.hostId }), (error: AppError) => error.sentence.key === 'migration.refused.same-host');
    const held = await move(cloud, instance);
    await assert.rejects(move(cloud, instance), (error: AppError) => error.sentence.key === 'instances.refused.busy');
    await cloud.ended(held.operation.id);
    await cloud.checkBooks();
  });
});

describe('moving without shared storage', () => {
  let cloud: Cloud;
  before(async () => {
    cloud = await createMoveCloud({ hosts: 2, local: true });
    cloud.startRunner();
  });
  after(() => cloud.close());

  for (const off of [false, true]) {
    it(`copies the disk ${off ? 'of a machine that is off' : 'along'}, and deletes it where it was`, async () => {
      const instance = await cloud.running(`disk-${off ? 'off' : 'on'}`);
      const [source, target] = [cloud.fakes[0], cloud.fakes[1]];
      if (off) await cloud.ended((await cloud.act(instance.id, 'force-off')).id);
      const disk = source?.host.pool('default').directory.files.get(`${instance.id}.qcow2`);
      if (disk !== undefined) disk.data = Buffer.from('what the guest wrote');
      const { operation, move: asked } = await move(cloud, await cloud.instance(instance.id));
      assert.equal(asked.withDisk, true);
      assert.deepEqual([(await cloud.ended(operation.id)).error], [null]);
      const there = target?.host.pool('default').directory.files;
      assert.equal(there?.get(`${instance.id}.qcow2`)?.data.toString(), 'what the guest wrote');
      assert.equal(there?.get(`${instance.id}.qcow2`)?.backingPath, null);
      assert.ok(there?.get(`${instance.id}-seed.iso`)?.data.includes('local-hostname'));
      assert.deepEqual([...(source?.host.pool('default').directory.files.keys() ?? [])].filter((name) => name.startsWith(instance.id)), []);
      const after = await cloud.instance(instance.id);
      assert.deepEqual([after.hostId, after.poolId === instance.poolId], [cloud.hostIds[1], false]);
      await cloud.checkBooks();
    });
  }

  it('leaves nothing on the target when it fails', async () => {
    const instance = await cloud.running('disk-fails');
    const on = hostOf(cloud, instance);
    cloud.fakes[on]?.host.migrations.fail('perform');
    const ended = await cloud.ended((await move(cloud, instance)).operation.id);
    assert.deepEqual([ended.state, ended.error?.key], ['failed', 'migration.failed.refused']);
    assert.deepEqual(runsOn(cloud, instance.id), [on]);
    await cloud.checkBooks();
  });
});
