// Whatever people and hosts do in whatever order: when everything has come to rest, what is promised is what is there.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import fc from 'fast-check';
import { AppError } from '../../src/errors.ts';
import { requestCancel } from '../../src/operations/cancel.ts';
import { powerActions } from '../../src/operations/instance-action.ts';
import { reconcileHost } from '../../src/operations/reconcile.ts';
import type { Runner } from '../../src/operations/runner.ts';
import { watchEvents, type EventWatch } from '../../src/operations/watch-events.ts';
import { selectHost } from '../../src/store/hosts.ts';
import { selectOperation } from '../../src/store/operations.ts';
import { createCloud, quickRunner, type Cloud } from '../helpers/cloud.ts';

let cloud: Cloud;
let runner: Runner;
let watch: EventWatch;
const patient = { ...quickRunner, times: { ...quickRunner.times, waitForHostMs: 2000 } };

before(async () => {
  cloud = await createCloud({ fakes: [{}, {}], cpus: 8, quota: 6 });
  runner = cloud.startRunner(patient);
  // another portal, all the while
  cloud.startRunner(patient);
  watch = watchEvents(cloud.deps);
});
after(async () => {
  await watch.stop();
  await cloud.close();
});

const procedures = ['STORAGE_VOL_CREATE_XML', 'STORAGE_VOL_UPLOAD', 'DOMAIN_DEFINE_XML_FLAGS', 'DOMAIN_CREATE_WITH_FLAGS', 'DOMAIN_GET_STATE', 'STORAGE_VOL_DELETE', 'DOMAIN_UNDEFINE_FLAGS', 'DOMAIN_DESTROY_FLAGS'] as const;
const number = fc.nat({ max: 1000 });
const move = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('create' as const), vcpus: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('act' as const), which: number, action: fc.constantFrom(...powerActions) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('cancel' as const), which: number }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('fail' as const), host: fc.nat({ max: 1 }), procedure: fc.constantFrom(...procedures), how: fc.constantFrom('error', 'close', 'lost') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('power-cut' as const), which: number }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('settle' as const) }) },
);
type Move = typeof move extends fc.Arbitrary<infer M> ? M : never;

async function pick(table: 'instances' | 'operations', which: number): Promise<string | undefined> {
  const rows = await cloud.db.query<{ id: string }>(`SELECT id FROM ${table} ORDER BY created_at DESC, id LIMIT 20`);
  return rows[which % Math.max(1, rows.length)]?.id;
}

async function settle(): Promise<void> {
  for (const { id } of await cloud.db.query<{ id: string }>("SELECT id FROM operations WHERE state IN ('queued', 'running', 'undoing')")) await cloud.ended(id);
}

async function make(step: Move): Promise<void> {
  switch (step.do) {
    case 'create': await cloud.create(undefined, { vcpus: step.vcpus, memoryMib: 512, diskGib: 2 }); return;
    case 'act': {
      const id = await pick('instances', step.which);
      if (id !== undefined) await cloud.act(id, step.action);
      return;
    }
    case 'cancel': {
      const id = await pick('operations', step.which);
      if (id !== undefined) await requestCancel(cloud.deps, await selectOperation(cloud.db, id));
      return;
    }
    case 'fail': {
      const fault = step.how === 'error' ? { type: 'error' as const, code: 1, message: 'internal error: no' } : { type: step.how };
      cloud.fakes[step.host]?.fault(step.procedure, fault, { once: true });
      return;
    }
    case 'power-cut': {
      const id = await pick('instances', step.which);
      const host = cloud.fakes.find((fake) => fake.domains.get(id ?? '')?.isActive)?.host;
      if (id !== undefined) host?.destroy(id);
      return;
    }
    case 'restart':
      await runner.stop();
      runner = cloud.startRunner(patient);
      return;
    case 'settle': await settle();
  }
}

it('any sequence of requests and failures leaves the books in order', { timeout: 120_000 }, async () => {
  await fc.assert(fc.asyncProperty(fc.array(move, { minLength: 4, maxLength: 14 }), async (moves) => {
    for (const step of moves) {
      await make(step).catch((error: unknown) => {
        // a refusal is an answer; anything else is a bug
        assert.ok(error instanceof AppError, String(error));
      });
    }
    await settle();
    for (const fake of cloud.fakes) fake.faults.clear();
    for (const id of cloud.hostIds) {
      await cloud.deps.hosts.host(id).ready({ timeoutMs: 20_000 });
      await reconcileHost(cloud.deps, await selectHost(cloud.db, id));
    }
    await cloud.checkBooks();
    const over = await cloud.db.query('SELECT id FROM users WHERE used_instances > 6 UNION SELECT id FROM hosts WHERE used_vcpus > 32');
    assert.deepEqual(over, []);
  }), { numRuns: 12, endOnFailure: true, includeErrorInReport: true });
});
