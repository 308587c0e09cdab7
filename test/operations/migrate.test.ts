// Moves of instances between fake hosts: live, powered off, with their disk; the queue; every failure at every point; the
// portal killed; cancelled. Whatever happens, exactly one copy runs, the record says where, and the books agree.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { AppError } from '../../src/errors.ts';
import type { Host } from '../../src/model/host.ts';
import type { Instance } from '../../src/model/instance.ts';
import { defaultSettings } from '../../src/model/settings.ts';
import { checkMove } from '../../src/operations/migration-check.ts';
import { selectHost } from '../../src/store/hosts.ts';
import { selectInstanceEvents } from '../../src/store/instance-events.ts';
import { selectMove } from '../../src/store/moves.ts';
import { updateSettings } from '../../src/store/settings.ts';
import type { Cloud } from '../helpers/cloud.ts';
import type { FakeLibvirtd } from '../helpers/fake-libvirtd/index.ts';
import { traffic } from '../helpers/fake-libvirtd/migration.ts';
import { plainDomainXml } from '../helpers/fake-libvirtd/plain-domain.ts';
import { createMoveCloud, hostOf, move } from '../helpers/moves.ts';

const diary = async (cloud: Cloud, id: string): Promise<string[]> => (await selectInstanceEvents(cloud.db, id)).map((event) => event.sentence.key).reverse();

/** Where it runs, as the hosts say: their indexes. */
const runsOn = (cloud: Cloud, id: string): number[] => cloud.fakes.flatMap((fake, index) => (fake.domains.get(id)?.state === 1 ? [index] : []));

async function waitUntil(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 60_000; !(await condition()); await delay(10)) if (Date.now() > deadline) assert.fail(`never: ${String(condition)}`);
}

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

describe('what stands against a move', () => {
  let cloud: Cloud;
  let instance: Instance;
  const target = (): FakeLibvirtd => cloud.fakes[1 - hostOf(cloud, instance)] ?? assert.fail();
  const kinds = async (over: Partial<Host> = {}): Promise<string[]> => {
    const toHost = await selectHost(cloud.db, cloud.hostIds[1 - hostOf(cloud, instance)] ?? '');
    return (await checkMove(cloud.deps, instance, { ...toHost, ...over })).obstacles.map(({ kind }) => kind);
  };
  before(async () => {
    cloud = await createMoveCloud({ hosts: 2 });
    const runner = cloud.startRunner();
    instance = await cloud.running('obstacles');
    await runner.stop();
  });
  after(() => cloud.close());

  it('nothing, on two good hosts; and nothing was changed by asking', async () => {
    const before = [JSON.stringify([...cloud.fakes.map((fake) => [...fake.domains.keys()])]), cloud.fake.domains.get(instance.id)?.live.xml];
    assert.deepEqual(await kinds(), []);
    assert.deepEqual([JSON.stringify([...cloud.fakes.map((fake) => [...fake.domains.keys()])]), cloud.fake.domains.get(instance.id)?.live.xml], before);
    assert.deepEqual(runsOn(cloud, instance.id), [hostOf(cloud, instance)]);
    await cloud.checkBooks();
  });

  const cases: readonly [name: string, kind: string, spoil: () => (() => void) | Promise<() => void>, over?: Partial<Host>][] = [
    ['the target is switched off for new machines', 'state', () => () => undefined, { wish: 'disabled' }],
    ['the target is in maintenance', 'state', () => () => undefined, { wish: 'maintenance' }],
    ['the target is fenced', 'state', () => () => undefined, { state: 'fenced' }],
    ['the target was silent at the last contact', 'unreachable', () => () => undefined, { state: 'unreachable' }],
    ['the target has no address that other hosts could use', 'port', () => () => undefined, { uri: 'qemu:///system', migrationUri: null }],
    ['the target has no room', 'capacity', () => () => undefined, { usedMemoryMib: 64 * 1024 }],
    ['the pool of the target is not active', 'pool', () => {
      target().host.pool('default').active = false;
      return () => { target().host.pool('default').active = true; };
    }],
    ['the network of the target is not active', 'network', () => {
      target().host.network('default').active = false;
      return () => { target().host.network('default').active = true; };
    }],
    ['another machine has its name there', 'name-taken', () => {
      const { uuid } = target().host.define(plainDomainXml(`i-${instance.id.slice(0, 8)}-obstacles`));
      return () => target().host.undefine(uuid);
    }],
    ['the target has not that much memory free', 'memory', () => {
      const { load } = target().host;
      const before = { ...load };
      Object.assign(load, { memoryUsedMib: 32_500, cachedMib: 0 });
      return () => void Object.assign(load, before);
    }],
    ['a CD is inserted that only the source has', 'media', () => {
      const domain = cloud.fakes[hostOf(cloud, instance)]?.host.domain(instance.id) ?? assert.fail();
      const { live } = domain;
      domain.live = { ...live, xml: live.xml.replace('</devices>', "<disk type='file' device='cdrom'><source file='/root/windows.iso'/><target dev='sda' bus='sata'/></disk></devices>") };
      return () => { domain.live = live; };
    }],
    ['it has snapshots', 'state', () => {
      const { snapshots } = cloud.fakes[hostOf(cloud, instance)]?.host.domain(instance.id) ?? assert.fail();
      snapshots.set('before', '<domainsnapshot/>');
      return () => snapshots.clear();
    }],
    ['the target cannot make such a machine', 'machine', () => target().fail('CONNECT_GET_DOMAIN_CAPABILITIES', { code: 8, message: 'invalid argument: the machine pc-q35-99 is not supported' })],
    ['the source does not reach the target', 'port', () => {
      const { migrations } = cloud.fakes[hostOf(cloud, instance)]?.host ?? assert.fail();
      migrations.cutFrom.add(target().host);
      return () => { migrations.cutFrom.clear(); };
    }],
    ['the target does not answer', 'unreachable', async () => {
      await target().refuse();
      await waitUntil(() => cloud.deps.hosts.host(cloud.hostIds[1 - hostOf(cloud, instance)] ?? '').status.state !== 'up');
      return () => undefined;
    }],
  ];
  for (const [name, kind, spoil, over] of cases) {
    it(name, async () => {
      const mend = await spoil();
      try {
        assert.deepEqual(await kinds(over), [kind]);
      } finally {
        mend();
      }
    });
  }
});

describe('the queue', () => {
  it('never lets more than allowed go on at once, whoever works for them', async () => {
    const cloud = await createMoveCloud({ hosts: 4, migrationMs: 400 });
    try {
      const limits = { perHost: 2, total: 3 };
      await updateSettings(cloud.db, 'migration', { ...defaultSettings.migration, ...limits }, null, Date.now());
      cloud.startRunner();
      const instances: Instance[] = [];
      // one after the other: so they are spread over the hosts
      while (instances.length < 12) instances.push(await cloud.running());
      // a second portal
      cloud.startRunner();
      traffic.most = 0;
      const release = cloud.fakes.map(({ host }) => host.migrations.hold('perform'));
      const moves = await Promise.all(instances.map((instance, index) => {
        const others = cloud.hostIds.filter((id) => id !== instance.hostId);
        return move(cloud, instance, { toHostId: others[index % 3] ?? null });
      }));
      await waitUntil(() => traffic.now === limits.total);
      for (const goOn of release) goOn();
      for (const { operation } of moves) assert.deepEqual([(await cloud.ended(operation.id)).error], [null]);
      assert.ok(traffic.most <= limits.total, `${traffic.most} at once in all`);
      assert.equal(traffic.most, limits.total);
      for (const { host: { migrations } } of cloud.fakes) {
        assert.ok(migrations.mostOut <= limits.perHost, `${migrations.mostOut} away from one host`);
        assert.ok(migrations.mostIn <= limits.perHost, `${migrations.mostIn} into one host`);
      }
      await cloud.checkBooks();
    } finally {
      await cloud.close();
    }
  });

  it('gives a place that is free to the next at once', async () => {
    const cloud = await createMoveCloud({ hosts: 2, migrationMs: 50 });
    try {
      await updateSettings(cloud.db, 'migration', { ...defaultSettings.migration, perHost: 1, total: 1 }, null, Date.now());
      // polls so seldom that only being woken explains what happens
      cloud.startRunner({ limits: { pollMs: 600_000, operations: 100, perHost: 100 } });
      const instances = [await cloud.running(), await cloud.running(), await cloud.running()];
      // and time passes so slowly that nobody's time to look at the queue again comes
      const [since, began] = [cloud.deps.clock.now(), performance.now()];
      Object.assign(cloud.deps, { clock: { now: () => since + Math.floor((performance.now() - began) / 50) } });
      const moves = [];
      for (const instance of instances) {
        await delay(100);
        moves.push(await move(cloud, instance));
      }
      for (const { operation } of moves) assert.equal((await cloud.ended(operation.id)).state, 'done');
      const ended = await Promise.all(moves.map(({ operation }) => selectMove(cloud.db, operation.id)));
      assert.deepEqual(ended.map((each) => each.startedAt), ended.map((each) => each.startedAt ?? 0).sort((a, b) => a - b), 'in order');
      await cloud.checkBooks();
    } finally {
      await cloud.close();
    }
  });
});
