// What can befall a move, at each point of it: hosts that die or lose each other, the portal killed, a person who cancels.
// In the end exactly one copy runs (or none, where its memory died), the record says where, and the books agree.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Instance } from '../../src/model/instance.ts';
import { defaultSettings } from '../../src/model/settings.ts';
import { requestCancel } from '../../src/operations/cancel.ts';
import { migrateSteps } from '../../src/operations/instance-migrate-steps.ts';
import { reconcileHost } from '../../src/operations/reconcile.ts';
import { claimHostFenced, selectHost, updateHostContact } from '../../src/store/hosts.ts';
import { selectIncidentsPage } from '../../src/store/incidents.ts';
import { selectMove } from '../../src/store/moves.ts';
import { selectOperation, selectOperationSteps } from '../../src/store/operations.ts';
import { updateSettings } from '../../src/store/settings.ts';
import type { Cloud } from '../helpers/cloud.ts';
import { FakeError } from '../helpers/fake-libvirtd/errors.ts';
import type { FakeLibvirtd } from '../helpers/fake-libvirtd/index.ts';
import type { MigrationPhase } from '../helpers/fake-libvirtd/migration.ts';
import { killProcess } from '../helpers/kill-process.ts';
import { createMoveCloud, hostOf, move, type MoveCloudOptions } from '../helpers/moves.ts';
import { forkDoomedPortal, type Doom, type KillPoint } from './doomed-portal-process.ts';

let cloud: Cloud;
let instance: Instance;
let from: number;
const source = (): FakeLibvirtd => cloud.fakes[from] ?? assert.fail();
const target = (): FakeLibvirtd => cloud.fakes[1 - from] ?? assert.fail();

const runsOn = (id = instance.id): number[] => cloud.fakes.flatMap((fake, index) => (fake.domains.get(id)?.state === 1 ? [index] : []));

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 60_000; !(await condition()); await delay(10)) if (Date.now() > deadline) assert.fail(`never: ${String(condition)}`);
}
const stepRuns = async (operationId: string, name: string): Promise<boolean> =>
  (await selectOperationSteps(cloud.db, operationId)).some((step) => step.name === name && step.state === 'running');
const isMoving = (): boolean => source().domains.get(instance.id)?.job !== undefined && target().domains.get(instance.id)?.isActive === true;
const isWaiting = async (operationId: string): Promise<boolean> => (await selectOperation(cloud.db, operationId)).note !== null;

async function start(options: MoveCloudOptions = {}): Promise<void> {
  cloud = await createMoveCloud({ hosts: 2, ...options });
  cloud.startRunner();
  instance = await cloud.running('machine');
  from = hostOf(cloud, instance);
}

/** Ends the operation and looks: where it runs, what the record says, whether the books agree. */
async function expectEnd(operationId: string, expected: { readonly operation: string; readonly move: string; readonly on: number; readonly runs?: boolean; readonly error?: string | null }): Promise<void> {
  const operation = await cloud.ended(operationId);
  const record = await selectMove(cloud.db, operationId);
  const after = await cloud.instance(instance.id);
  assert.deepEqual([operation.state, record.state, operation.error?.key ?? null], [expected.operation, expected.move, expected.error ?? null]);
  assert.deepEqual([hostOf(cloud, after), after.operationId], [expected.on, null]);
  const runs = expected.runs ?? true;
  assert.deepEqual([runsOn(), after.state], [runs ? [expected.on] : [], runs ? 'running' : 'stopped']);
  await cloud.checkBooks();
}

describe('a move that fails', () => {
  afterEach(() => cloud.close());

  for (const phase of ['connect', 'begin', 'prepare', 'perform', 'finish'] satisfies MigrationPhase[]) {
    for (const local of [false, true]) {
      it(`in ${phase}${local ? ', with its disk' : ''}, leaves the machine where it was`, async () => {
        await start({ local });
        // the check asks for a migration that fails by itself in begin
        source().host.migrations.fail(phase, undefined, phase === 'connect' || phase === 'begin' ? 2 : 1);
        const { operation } = await move(cloud, instance);
        await expectEnd(operation.id, { operation: 'failed', move: 'failed', on: from, error: 'migration.failed.refused' });
      });
    }
  }

  it('in its last word, when the target runs it, is found to have arrived; what the source still has is dropped', async () => {
    await start();
    source().host.migrations.fail('confirm');
    const { operation } = await move(cloud, instance);
    await until(() => runsOn().includes(1 - from) && source().domains.get(instance.id)?.job === undefined);
    // the source gets its time to tidy up, from when this was first seen: the target is asked first each time
    const seen = target().called('DOMAIN_GET_STATE');
    await until(() => target().called('DOMAIN_GET_STATE') > seen + 2);
    cloud.time.ahead += 41_000;
    await expectEnd(operation.id, { operation: 'done', move: 'done', on: 1 - from });
  });

  it('because it takes too long, is given up', async () => {
    await start();
    source().host.migrations.endless = true;
    const { operation } = await move(cloud, instance);
    await until(isMoving);
    cloud.time.ahead += (defaultSettings.migration.timeoutSeconds + 1) * 1000;
    await expectEnd(operation.id, { operation: 'failed', move: 'failed', on: from, error: 'migration.failed.timeout' });
  });

  it('to converge goes on as post-copy where the settings say so', async () => {
    await start();
    await updateSettings(cloud.db, 'migration', { ...defaultSettings.migration, postCopyAfterSeconds: 1 }, null, Date.now());
    Object.assign(source().host.migrations, { endless: true, dirtyRate: 10_000 });
    const { operation } = await move(cloud, instance);
    await until(isMoving);
    await until(async () => (await selectMove(cloud.db, operation.id)).dirtyBytesPerSecond !== null);
    assert.equal((await selectMove(cloud.db, operation.id)).dirtyBytesPerSecond, 10_000 * 4096);
    await expectEnd(operation.id, { operation: 'done', move: 'done', on: 1 - from });
  });

  it('because a host has no post-copy, goes on without', async () => {
    await start();
    await updateSettings(cloud.db, 'migration', { ...defaultSettings.migration, postCopyAfterSeconds: 1 }, null, Date.now());
    source().host.migrations.fail('prepare', new FakeError(1, 10, "internal error: unable to execute QEMU command 'migrate-set-capabilities': Postcopy is not supported"));
    const { operation } = await move(cloud, instance);
    await expectEnd(operation.id, { operation: 'done', move: 'done', on: 1 - from });
  });

  it('because the machine powers itself off, ends with a machine that is off', async () => {
    await start();
    source().host.migrationMs = 3000;
    const { operation } = await move(cloud, instance);
    await until(isMoving);
    source().host.powerOffFromInside(instance.id);
    await expectEnd(operation.id, { operation: 'failed', move: 'failed', on: from, runs: false, error: 'migration.failed.refused' });
  });

  it('because the hosts lose each other, leaves it where it was', async () => {
    await start();
    source().host.migrationMs = 5000;
    source().host.migrations.noticeMs = 700;
    const { operation } = await move(cloud, instance);
    await until(isMoving);
    source().host.migrations.cutFrom.add(target().host);
    await expectEnd(operation.id, { operation: 'failed', move: 'failed', on: from, error: 'migration.failed.lost' });
  });
});

describe('a host that dies in the middle of a move', () => {
  afterEach(() => cloud.close());

  it('the target: the machine runs on where it was; the target is asked when it is back', async () => {
    await start();
    source().host.migrationMs = 5000;
    const { operation } = await move(cloud, instance);
    await until(isMoving);
    await target().powerOff();
    await until(() => isWaiting(operation.id));
    assert.deepEqual(runsOn(), [from]);
    assert.equal((await cloud.instance(instance.id)).operationId, operation.id);
    await target().powerOn();
    await expectEnd(operation.id, { operation: 'failed', move: 'failed', on: from, error: 'migration.failed.lost' });
  });

  it('the target, and it is proven gone: no need to wait for it', async () => {
    await start();
    source().host.migrationMs = 5000;
    const { operation } = await move(cloud, instance);
    await until(isMoving);
    await target().powerOff();
    await until(() => isWaiting(operation.id));
    await fence(1 - from);
    await expectEnd(operation.id, { operation: 'failed', move: 'failed', on: from, error: 'migration.failed.lost' });
  });

  for (const local of [false, true]) {
    it(`the source${local ? ', with its disk' : ''}: its memory is gone; it is started where it was when that host is back`, async () => {
      await start({ local });
      source().host.migrationMs = 5000;
      const { operation } = await move(cloud, instance);
      await until(isMoving);
      await source().powerOff();
      await until(() => isWaiting(operation.id));
      assert.deepEqual(runsOn(), []);
      await source().powerOn();
      const ended = await cloud.ended(operation.id);
      assert.deepEqual([ended.state, ended.error?.key, (await selectMove(cloud.db, operation.id)).state, runsOn()], ['failed', 'migration.failed.powered-off', 'failed', []]);
      // whoever compares hosts with records sees that it went off with its host
      await reconcileHost(cloud.deps, await selectHost(cloud.db, cloud.hostIds[from] ?? ''));
      await until(async () => (await cloud.instance(instance.id)).operationId === null);
      const after = await cloud.instance(instance.id);
      assert.deepEqual([runsOn(), hostOf(cloud, after), after.state], [[from], from, 'running']);
      await cloud.checkBooks();
    });
  }

  it('the source, and it is proven gone: the machine is off, ready to be started elsewhere', async () => {
    await start();
    source().host.migrationMs = 5000;
    const { operation } = await move(cloud, instance);
    await until(isMoving);
    await source().powerOff();
    await until(() => isWaiting(operation.id));
    await fence(from);
    const ended = await cloud.ended(operation.id);
    assert.deepEqual([ended.state, ended.error?.key], ['failed', 'migration.failed.nowhere']);
    const after = await cloud.instance(instance.id);
    assert.deepEqual([after.state, hostOf(cloud, after), after.operationId, target().domains.has(instance.id)], ['stopped', from, null, false]);
  });

  it('the source, just after the target runs it: it has arrived, and what comes back with the source is dropped', async () => {
    await start();
    const release = source().host.migrations.hold('confirm');
    const { operation } = await move(cloud, instance);
    await until(() => runsOn().includes(1 - from));
    await source().powerOff();
    release();
    await until(() => isWaiting(operation.id));
    await source().powerOn();
    await expectEnd(operation.id, { operation: 'done', move: 'done', on: 1 - from });
  });

  it('the source, just after the target runs it, and it is proven gone: it has arrived', async () => {
    await start();
    const release = source().host.migrations.hold('confirm');
    const { operation } = await move(cloud, instance);
    await until(() => runsOn().includes(1 - from));
    await source().powerOff();
    release();
    await until(() => isWaiting(operation.id));
    await fence(from);
    assert.equal((await cloud.ended(operation.id)).state, 'done');
    const after = await cloud.instance(instance.id);
    assert.deepEqual([hostOf(cloud, after), after.state, runsOn()], [1 - from, 'running', [1 - from]]);
  });

  it('the target, just after it runs it, and it is proven gone: it has arrived, and is off there', async () => {
    await start();
    const release = source().host.migrations.hold('confirm');
    const { operation } = await move(cloud, instance);
    await until(() => runsOn().includes(1 - from));
    await target().powerOff();
    release();
    await until(() => isWaiting(operation.id));
    await fence(1 - from);
    assert.equal((await cloud.ended(operation.id)).state, 'done');
    const after = await cloud.instance(instance.id);
    assert.deepEqual([hostOf(cloud, after), after.state, runsOn()], [1 - from, 'stopped', []]);
  });

  async function fence(index: number): Promise<void> {
    const id = cloud.hostIds[index] ?? '';
    await updateHostContact(cloud.db, id, { state: 'unreachable', at: Date.now(), reason: 'silent' });
    await cloud.db.transaction((tx) => claimHostFenced(tx, id, 'agent', Date.now()));
  }
});

describe('a machine that runs on both hosts', () => {
  afterEach(() => cloud.close());

  for (const [kept, outcome] of [['target', 'done'], ['source', 'failed']] as const) {
    it(`is an alarm, and nothing else, until a person has powered one off; kept: the ${kept}'s`, async () => {
      await start();
      source().host.migrations.split = true;
      const { operation } = await move(cloud, instance);
      await until(async () => (await isWaiting(operation.id)) && cloud.alerts.length > 0);
      await delay(300);
      assert.deepEqual(runsOn(), [0, 1]);
      assert.deepEqual(cloud.alerts.map(({ key }) => key), ['migration.failed.both']);
      // whoever goes on when this portal ends tells it
      assert.deepEqual((await selectIncidentsPage(cloud.db, {}, 10, 0)).incidents.map(({ sentence }) => sentence.key), ['migration.failed.both']);
      if (kept === 'target') source().host.destroy(instance.id);
      else {
        target().host.destroy(instance.id);
        target().host.undefine(instance.id);
      }
      await expectEnd(operation.id, { operation: outcome, move: outcome, on: kept === 'target' ? 1 - from : from, error: outcome === 'done' ? null : 'migration.failed.refused' });
    });
  }
});

describe('a move that is cancelled', () => {
  afterEach(() => cloud.close());
  const cancel = async (id: string): Promise<void> => requestCancel(cloud.deps, await selectOperation(cloud.db, id));

  it('while it waits for its turn: nothing has happened', async () => {
    await start();
    await updateSettings(cloud.db, 'migration', { ...defaultSettings.migration, perHost: 1, total: 1 }, null, Date.now());
    const other = await cloud.running('other');
    const release = cloud.fakes[hostOf(cloud, other)]?.host.migrations.hold('perform') ?? assert.fail();
    const first = await move(cloud, other);
    const { operation } = await move(cloud, instance);
    await until(() => stepRuns(operation.id, 'wait-turn'));
    await cancel(operation.id);
    assert.equal((await cloud.ended(operation.id)).state, 'cancelled');
    assert.equal((await selectMove(cloud.db, operation.id)).state, 'cancelled');
    release();
    assert.equal((await cloud.ended(first.operation.id)).state, 'done');
    await cloud.checkBooks();
  });

  for (const local of [false, true]) {
    it(`while its memory is sent${local ? ', with its disk' : ''}: it runs on where it was`, async () => {
      await start({ local });
      source().host.migrationMs = 3_600_000;
      const { operation } = await move(cloud, instance);
      await until(isMoving);
      await cancel(operation.id);
      await expectEnd(operation.id, { operation: 'cancelled', move: 'cancelled', on: from });
    });
  }

  it('in the moment in which it arrives: it has arrived, and all say so', async () => {
    await start();
    const release = source().host.migrations.hold('confirm');
    const { operation } = await move(cloud, instance);
    await until(() => runsOn().includes(1 - from));
    await cancel(operation.id);
    await delay(50);
    release();
    await expectEnd(operation.id, { operation: 'done', move: 'done', on: 1 - from });
  });

  it('twenty times at random moments: either it stays or it arrives, never both, never neither', async () => {
    await start({ migrationMs: 200 });
    for (let round = 0; round < 20; round++) {
      const before = await cloud.instance(instance.id);
      const { operation } = await move(cloud, before);
      await delay(Math.random() * 500);
      await cancel(operation.id).catch(() => undefined);
      const ended = await cloud.ended(operation.id);
      const after = await cloud.instance(instance.id);
      assert.equal(after.hostId !== before.hostId, ended.state === 'done', `${round}: ${ended.state}`);
      assert.deepEqual(runsOn(), [hostOf(cloud, after)]);
      await cloud.checkBooks();
    }
  });
});

describe('a portal killed during moves', () => {
  beforeEach(() => begin());
  afterEach(() => cloud.close());

  async function begin(options: MoveCloudOptions = {}): Promise<void> {
    if (options.local === true) await cloud.close();
    cloud = await createMoveCloud({ hosts: 2, migrationMs: 300, cpus: 256, ...options });
    await updateSettings(cloud.db, 'migration', { ...defaultSettings.migration, perHost: 8, total: 64 }, null, Date.now());
  }

  /** Runs what is open in a process that is killed once all points are reached and the condition holds. */
  async function runAndKill(points: readonly KillPoint[], reachedToo: () => boolean = () => true): Promise<void> {
    const child = forkDoomedPortal();
    const reached = new Set<string>();
    child.on('message', (operationId: string) => reached.add(operationId));
    const doom: Doom = { databaseUrl: cloud.url, hosts: cloud.hostIds.map((id, index) => ({ id, uri: cloud.fakes[index]?.uri ?? '' })), points };
    child.send(doom);
    await until(() => reached.size >= points.length && reachedToo());
    await killProcess(child);
  }

  function recover(): void {
    // longer than a lease
    cloud.time.ahead += 16_000;
    cloud.startRunner();
  }

  async function someRunning(count: number): Promise<Instance[]> {
    const runner = cloud.startRunner();
    const instances: Instance[] = [];
    // one after the other: so they are spread over the hosts, and none has too many
    while (instances.length < count) instances.push(await cloud.running());
    await runner.stop();
    return instances;
  }

  for (const local of [false, true]) {
    it(`at every step${local ? ', with its disk' : ''}: another one finishes each`, async () => {
      if (local) await begin({ local });
      // as many as one host may send
      const steps = local ? migrateSteps.filter(({ name }) => name !== 'wait-turn' && name !== 'check') : migrateSteps;
      const wanted = steps.flatMap(({ name }) => (['before', 'after'] as const).map((when) => ({ step: name, when })));
      const instances = await someRunning(wanted.length);
      const points: KillPoint[] = [];
      for (const [index, each] of instances.entries()) points.push({ operationId: (await move(cloud, each)).operation.id, direction: 'run', ...(wanted[index] ?? assert.fail()) });
      await runAndKill(points);
      recover();
      for (const [index, { operationId, step, when }] of points.entries()) {
        assert.equal((await cloud.ended(operationId)).state, 'done', `${when} ${step}`);
        const before = instances[index] ?? assert.fail();
        assert.deepEqual(runsOn(before.id), [1 - hostOf(cloud, before)], `${when} ${step}`);
      }
      await cloud.checkBooks();
    });
  }

  it('while memory is sent: the hosts go on and complete, and it is found again', async () => {
    const [one] = await someRunning(1);
    instance = one ?? assert.fail();
    from = hostOf(cloud, instance);
    const { operation } = await move(cloud, instance);
    await runAndKill([], isMoving);
    await until(() => runsOn()[0] === 1 - from && !source().domains.has(instance.id));
    assert.equal((await cloud.instance(instance.id)).hostId, instance.hostId);
    recover();
    await expectEnd(operation.id, { operation: 'done', move: 'done', on: 1 - from });
    assert.equal((await selectMove(cloud.db, operation.id)).downtimeMs, 45);
  });

  it('while memory is sent, and the next one comes before that has ended: it follows it to its end', async () => {
    const [one] = await someRunning(1);
    instance = one ?? assert.fail();
    from = hostOf(cloud, instance);
    const release = source().host.migrations.hold('finish');
    const { operation } = await move(cloud, instance);
    await runAndKill([], isMoving);
    recover();
    await until(async () => ((await selectMove(cloud.db, operation.id)).progressAt ?? 0) > 0);
    release();
    await expectEnd(operation.id, { operation: 'done', move: 'done', on: 1 - from });
  });

  it('and somebody cancels before the next one comes: too late when it has arrived, in time when it is under way', async () => {
    for (const arrives of [true, false]) {
      const [one] = await someRunning(1);
      instance = one ?? assert.fail();
      from = hostOf(cloud, instance);
      source().host.migrationMs = arrives ? 300 : 3_600_000;
      const { operation } = await move(cloud, instance);
      await runAndKill([], isMoving);
      if (arrives) await until(() => runsOn()[0] === 1 - from && !source().domains.has(instance.id));
      await requestCancel(cloud.deps, await selectOperation(cloud.db, operation.id));
      recover();
      await expectEnd(operation.id, arrives ? { operation: 'done', move: 'done', on: 1 - from } : { operation: 'cancelled', move: 'cancelled', on: from });
    }
  });
});
