// What happens on hosts behind our back: seen by events at once, by comparison at the latest; never touched.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { reconcileHost, reconcileVolumes } from '../../src/operations/reconcile.ts';
import { watchEvents, type EventWatch } from '../../src/operations/watch-events.ts';
import { selectDiscrepancies } from '../../src/store/discrepancies.ts';
import { selectHost } from '../../src/store/hosts.ts';
import { selectInstanceEvents } from '../../src/store/instance-events.ts';
import type { InstanceState } from '../../src/model/instance.ts';
import { createCloud, type Cloud } from '../helpers/cloud.ts';
import { plainDomainXml } from '../helpers/fake-libvirtd/plain-domain.ts';

let cloud: Cloud;
before(async () => {
  cloud = await createCloud();
  cloud.startRunner();
});
after(() => cloud.close());

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 60_000; !(await holds()); await delay(10)) if (Date.now() > deadline) assert.fail(`never: ${what}`);
}
const becomes = (id: string, state: InstanceState): Promise<void> => until(state, async () => (await cloud.instance(id)).state === state);
const tells = (id: string, key: string): Promise<void> => until(key, async () => (await diary(id)) === key);
const compare = async (): Promise<void> => reconcileHost(cloud.deps, await selectHost(cloud.db, cloud.hostIds[0] ?? ''));
const found = async (): Promise<[string, string][]> => {
  const rows = (await selectDiscrepancies(cloud.db)).map(({ kind, domainUuid }): [string, string] => [kind, domainUuid]);
  return rows.sort(([a], [b]) => a.localeCompare(b));
};
const diary = async (id: string): Promise<string | undefined> => (await selectInstanceEvents(cloud.db, id))[0]?.sentence.key;

describe('comparing a host with the records', () => {
  it('changes nothing where both agree', async () => {
    const instance = await cloud.running();
    await compare();
    assert.deepEqual(await cloud.instance(instance.id), instance);
    assert.deepEqual(await found(), []);
  });

  it('corrects states and writes them into the diary', async () => {
    const { id } = await cloud.running();
    const steps: [() => void, InstanceState][] = [
      [() => cloud.fake.host.powerOffFromInside(id), 'stopped'],
      [() => void cloud.fake.host.create(id, false), 'running'],
      [() => cloud.fake.host.suspend(id), 'paused'],
      [() => cloud.fake.host.resume(id), 'running'],
    ];
    for (const [change, state] of steps) {
      change();
      await compare();
      assert.equal((await cloud.instance(id)).state, state);
      assert.equal(await diary(id), `operations.diary.seen.${state}`);
    }
  });

  it('marks an instance whose domain is gone, reports it, and takes both back when it returns', async () => {
    const { id } = await cloud.running();
    const xml = cloud.fake.domains.get(id)?.live.xml ?? '';
    cloud.fake.host.destroy(id);
    cloud.fake.host.undefine(id);
    await compare();
    assert.deepEqual([(await cloud.instance(id)).state, (await cloud.instance(id)).problem?.key], ['lost', 'operations.lost']);
    assert.deepEqual(await found(), [['domain-missing', id]]);
    cloud.fake.host.define(xml);
    await compare();
    assert.deepEqual([(await cloud.instance(id)).state, (await cloud.instance(id)).problem], ['stopped', null]);
    assert.deepEqual(await found(), []);
  });

  it('starts what is highly available where it ran, when that host had lost its power, and only that', async () => {
    const [kept, plain, ended] = [await cloud.running(), await cloud.running(), await cloud.running()];
    await cloud.db.execute('UPDATE instances SET ha = 0 WHERE id = ?', [plain.id]);
    cloud.fake.host.powerOffFromInside(ended.id);
    await compare();
    const connection = cloud.deps.hosts.host(cloud.hostIds[0] ?? '');
    await cloud.fake.powerOff();
    for (const deadline = Date.now() + 5000; connection.status.state === 'up'; await delay(10)) assert.ok(Date.now() < deadline, 'its silence is noticed');
    await cloud.fake.powerOn();
    await connection.ready({ timeoutMs: 20_000 });
    await compare();
    await becomes(kept.id, 'running');
    assert.deepEqual([(await cloud.instance(kept.id)).state, (await cloud.instance(kept.id)).hostId], ['running', kept.hostId]);
    assert.equal(cloud.fake.domains.get(kept.id)?.isActive, true);
    assert.deepEqual((await selectInstanceEvents(cloud.db, kept.id)).map(({ sentence }) => sentence.key).filter((key) => key.startsWith('operations.diary.seen')), ['operations.diary.seen.off-restarts']);
    assert.deepEqual([(await cloud.instance(plain.id)).state, await diary(plain.id)], ['stopped', 'operations.diary.seen.off-with-host']);
    assert.equal((await cloud.instance(plain.id)).operationId, null);
    assert.deepEqual([(await cloud.instance(ended.id)).state, (await cloud.instance(ended.id)).operationId], ['stopped', null]);
    cloud.fake.host.undefine(ended.id);
    await cloud.db.execute('DELETE FROM instances WHERE id = ?', [ended.id]);
  });

  it('leaves an instance alone that an operation holds', async () => {
    const { id } = await cloud.running();
    await cloud.db.execute("UPDATE instances SET operation_id = '11111111-1111-4111-8111-111111111111' WHERE id = ?", [id]);
    cloud.fake.host.destroy(id);
    await compare();
    assert.equal((await cloud.instance(id)).state, 'running');
    await cloud.db.execute('UPDATE instances SET operation_id = NULL WHERE id = ?', [id]);
    await compare();
    assert.equal((await cloud.instance(id)).state, 'stopped');
  });

  it('reports domains that are not ours and domains without a record, and touches neither', async () => {
    const stranger = cloud.fake.host.define(plainDomainXml('somebody-elses'));
    const { id } = await cloud.running();
    await cloud.db.execute('DELETE FROM instances WHERE id = ?', [id]);
    await compare();
    assert.deepEqual(await found(), [['leftover-domain', id], ['unknown-domain', stranger.uuid]]);
    const first = (await selectDiscrepancies(cloud.db))[0];
    await compare();
    assert.equal((await selectDiscrepancies(cloud.db)).find((one) => one.id === first?.id)?.firstSeenAt, first?.firstSeenAt);
    assert.ok(cloud.fake.domains.has(stranger.uuid) && cloud.fake.domains.get(id)?.isActive);
    cloud.fake.host.undefine(stranger.uuid);
    cloud.fake.host.destroy(id);
    cloud.fake.host.undefine(id);
    await compare();
    assert.deepEqual(await found(), []);
  });

  it('reports volumes whose instance is gone', async () => {
    const { id } = await cloud.running();
    const host = await selectHost(cloud.db, cloud.hostIds[0] ?? '');
    cloud.fake.host.pool('default').addFile({ name: 'notes.txt', capacityBytes: 1 });
    await cloud.db.execute('UPDATE instances SET id = ? WHERE id = ?', ['22222222-2222-4222-8222-222222222222', id]);
    await reconcileVolumes(cloud.deps, host);
    assert.deepEqual((await found()).filter(([kind]) => kind === 'leftover-volume').map(([, uuid]) => uuid).includes(id), true);
    await cloud.db.execute('UPDATE instances SET id = ? WHERE id = ?', [id, '22222222-2222-4222-8222-222222222222']);
    await reconcileVolumes(cloud.deps, host);
    assert.equal((await found()).some(([, uuid]) => uuid === id), false);
  });
});

describe('listening to hosts', () => {
  let watch: EventWatch;
  before(() => {
    watch = watchEvents(cloud.deps);
  });
  after(() => watch.stop());

  it('records at once what happens to an instance', async () => {
    const { id } = await cloud.running();
    await delay(300);
    cloud.fake.host.crash(id);
    await becomes(id, 'stopped');
    await tells(id, 'operations.diary.seen.stopped');
    await cloud.fake.host.create(id, false);
    await becomes(id, 'running');
    await until('its console', async () => (await cloud.instance(id)).consolePort === cloud.fake.domains.get(id)?.vnc?.port);
    cloud.fake.host.reboot(id);
    await tells(id, 'operations.diary.seen.rebooted');
  });

  it('ends the wait of a shutdown and of a reboot before the next look', async () => {
    const { id } = await cloud.running();
    for (const [action, state] of [['reboot', 'running'], ['shutdown', 'stopped']] as const) {
      const operation = await cloud.act(id, action);
      assert.equal((await cloud.ended(operation.id)).state, 'done');
      assert.equal((await cloud.instance(id)).state, state);
    }
  });

  it('writes no line of its own for a reboot that was asked for, however late or often the guest resets', async () => {
    const { id } = await cloud.running();
    assert.equal((await cloud.ended((await cloud.act(id, 'reboot')).id)).state, 'done');
    cloud.fake.host.reboot(id);
    await delay(300);
    const keys = (await selectInstanceEvents(cloud.db, id)).map(({ sentence }) => sentence.key);
    assert.ok(keys.includes('operations.diary.instance-reboot.done') && !keys.includes('operations.diary.seen.rebooted'), keys.join(', '));
  });

  it('compares everything after the connection was lost', async () => {
    const { id } = await cloud.running();
    await cloud.fake.refuse();
    cloud.fake.host.destroy(id);
    await cloud.fake.accept();
    await becomes(id, 'stopped');
  });
});
