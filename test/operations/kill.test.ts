// kill -9 of the portal at every step of every operation, before the step, after it, and while the host works on it. The
// next portal finishes or undoes each, and nothing is left over: volumes, domains, quota, capacity.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { OperationKind } from '../../src/model/operation.ts';
import { definitions } from '../../src/operations/index.ts';
import type { PowerAction } from '../../src/operations/instance-action.ts';
import { watchEvents, type EventWatch } from '../../src/operations/watch-events.ts';
import { createCloud, type Cloud } from '../helpers/cloud.ts';
import type { Fault } from '../helpers/fake-libvirtd/faults.ts';
import type { AnyProcedureName } from '../helpers/fake-libvirtd/extra-procedures.ts';
import { killProcess } from '../helpers/kill-process.ts';
import { forkDoomedPortal, type Doom, type KillPoint } from './doomed-portal-process.ts';

/** longer than a lease */
const leaseEndedMs = 16_000;

/** Runs the operations in a process that is killed once all of them have reached their points. */
async function runAndKill(cloud: Cloud, points: readonly KillPoint[], reachedToo: () => boolean = () => true): Promise<void> {
  const child = forkDoomedPortal();
  const reached = new Set<string>();
  child.on('message', (operationId: string) => reached.add(operationId));
  const doom: Doom = { databaseUrl: cloud.url, hosts: cloud.hostIds.map((id, index) => ({ id, uri: cloud.fakes[index]?.uri ?? '' })), points };
  child.send(doom);
  for (const deadline = Date.now() + 60_000; reached.size < points.length || !reachedToo(); await delay(20)) {
    if (Date.now() < deadline) continue;
    child.kill('SIGKILL');
    assert.fail(`not reached: ${JSON.stringify(points.filter((point) => !reached.has(point.operationId)))}`);
  }
  await killProcess(child);
}

/** Another portal, after the leases of the dead one. */
async function recover(cloud: Cloud): Promise<void> {
  cloud.time.ahead += leaseEndedMs;
  const runner = cloud.startRunner();
  const open = await cloud.db.query<{ id: string }>("SELECT id FROM operations WHERE state IN ('queued', 'running', 'undoing')");
  for (const { id } of open) await cloud.ended(id);
  await runner.stop();
}

const whens = ['before', 'after'] as const;
const stepsOf = (kind: OperationKind): { step: string; when: KillPoint['when'] }[] =>
  definitions[kind].steps.flatMap(({ name }) => whens.map((when) => ({ step: name, when })));

describe('a portal killed at every step', () => {
  let cloud: Cloud;
  let watch: EventWatch;
  before(async () => {
    cloud = await createCloud({ cpus: 256 });
    watch = watchEvents(cloud.deps);
  });
  after(async () => {
    await watch.stop();
    await cloud.close();
  });

  async function submitAll(action: PowerAction): Promise<{ points: KillPoint[]; ids: string[] }> {
    const runner = cloud.startRunner();
    const wanted = stepsOf(`instance-${action}`);
    const instances = await Promise.all(wanted.map(() => cloud.running()));
    if (action === 'start') for (const { id } of instances) await cloud.ended((await cloud.act(id, 'force-off')).id);
    await runner.stop();
    const points: KillPoint[] = [];
    for (const [index, { id }] of instances.entries()) {
      const { step, when } = wanted[index] ?? assert.fail();
      points.push({ operationId: (await cloud.act(id, action)).id, step, when, direction: 'run' });
    }
    return { points, ids: instances.map(({ id }) => id) };
  }

  it('creates what was to be created', async () => {
    const points: KillPoint[] = [];
    for (const { step, when } of stepsOf('instance-create')) points.push({ operationId: (await cloud.create()).operation.id, step, when, direction: 'run' });
    await runAndKill(cloud, points);
    await recover(cloud);
    for (const { operationId } of points) assert.equal((await cloud.ended(operationId)).state, 'done');
    await cloud.checkBooks();
  });

  it('undoes what was being undone', async () => {
    const points: KillPoint[] = [];
    for (const step of ['start', 'define', 'create-volume']) {
      for (const when of whens) {
        const { instance, operation } = await cloud.create();
        cloud.fake.fail('DOMAIN_CREATE_WITH_FLAGS', { code: 1, message: 'internal error: no' }, { when: (args) => JSON.stringify(args).includes(instance.id) });
        points.push({ operationId: operation.id, step, when, direction: 'undo' });
      }
    }
    await runAndKill(cloud, points);
    await recover(cloud);
    cloud.fake.faults.clear();
    for (const { operationId } of points) assert.equal((await cloud.ended(operationId)).state, 'failed');
    await cloud.checkBooks();
  });

  for (const [action, state] of [['start', 'running'], ['shutdown', 'stopped'], ['force-off', 'stopped'], ['reboot', 'running'], ['delete', undefined]] as const) {
    it(`finishes each ${action}`, async () => {
      const { points, ids } = await submitAll(action);
      await runAndKill(cloud, points);
      await recover(cloud);
      for (const { operationId, step, when } of points) assert.equal((await cloud.ended(operationId)).state, 'done', `${when} ${step}`);
      const rows = await cloud.db.query<{ state: string }>(`SELECT state FROM instances WHERE id IN (${ids.map(() => '?').join(', ')})`, ids);
      assert.deepEqual(new Set(rows.map((row) => row.state)), new Set(state === undefined ? [] : [state]));
      await cloud.checkBooks();
    });
  }
});

/** A call that the portal never hears the answer of: not begun, or done. */
const deaf: readonly Fault[] = [{ type: 'silence' }, { type: 'late', ms: 3_600_000 }];
const calls: Record<'create' | Exclude<PowerAction, 'reboot'>, readonly AnyProcedureName[]> = {
  create: ['STORAGE_VOL_CREATE_XML', 'STORAGE_VOL_UPLOAD', 'DOMAIN_DEFINE_XML_FLAGS', 'DOMAIN_CREATE_WITH_FLAGS'],
  start: ['DOMAIN_CREATE_WITH_FLAGS'],
  shutdown: ['DOMAIN_SHUTDOWN_FLAGS'],
  'force-off': ['DOMAIN_DESTROY_FLAGS'],
  delete: ['DOMAIN_DESTROY_FLAGS', 'DOMAIN_UNDEFINE_FLAGS', 'STORAGE_VOL_DELETE'],
};

describe('a portal killed while its host works on a call', () => {
  for (const [name, procedures] of Object.entries(calls) as [keyof typeof calls, readonly AnyProcedureName[]][]) {
    it(`leaves nothing over: ${name}`, async () => {
      const cases = procedures.flatMap((procedure) => deaf.map((fault) => ({ procedure, fault })));
      // a host each: what hangs takes one of the few places that a connection has
      const cloud = await createCloud({ fakes: cases.map(() => ({})), cpus: 1 });
      await cloud.db.execute('UPDATE hosts SET memory_mib = 512');
      try {
        const runner = cloud.startRunner();
        const instances = name === 'create' ? [] : await Promise.all(cases.map(() => cloud.running()));
        if (name === 'start') for (const { id } of instances) await cloud.ended((await cloud.act(id, 'force-off')).id);
        await runner.stop();
        for (const [index, { procedure, fault }] of cases.entries()) cloud.fakes[index]?.fault(procedure, fault, { once: true });
        const before = cloud.fakes.map((fake, index) => fake.called(cases[index]?.procedure ?? 'DOMAIN_DESTROY'));
        if (name === 'create') for (const _ of cases) await cloud.create();
        else for (const { id } of instances) await cloud.act(id, name);
        await runAndKill(cloud, [], () => cloud.fakes.every((fake, index) => fake.called(cases[index]?.procedure ?? 'DOMAIN_DESTROY') > (before[index] ?? 0)));
        await recover(cloud);
        const ends = await cloud.db.query<{ state: string }>("SELECT DISTINCT state FROM operations");
        assert.deepEqual(ends, [{ state: 'done' }]);
        await cloud.checkBooks();
      } finally {
        await cloud.close();
      }
    });
  }
});
