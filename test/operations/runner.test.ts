// The runner by itself: steps that only note that they ran, on a real database.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { AppError, say } from '../../src/errors.ts';
import { createFleet } from '../../src/libvirt/fleet.ts';
import { HostUnavailableError } from '../../src/libvirt/errors.ts';
import { createLog } from '../../src/log.ts';
import type { Operation } from '../../src/model/operation.ts';
import { requestCancel } from '../../src/operations/cancel.ts';
import type { OperationDeps } from '../../src/operations/deps.ts';
import { createRunner, type Runner, type RunnerOptions } from '../../src/operations/runner.ts';
import type { Definition, Step, StepRun } from '../../src/operations/step.ts';
import { clockMarginMs } from '../../src/store/lease-watch.ts';
import { insertOperation, selectOperation, selectOperationSteps } from '../../src/store/operations.ts';
import { testFencing } from '../helpers/fence-agent.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';

const kind = 'instance-start';
const quick: Pick<RunnerOptions, 'times' | 'limits'> = { times: { waitForHostMs: 200, retryMs: 40 }, limits: { pollMs: 15, operations: 50 } };

let database: TestDatabase;
let now = (): number => Date.now();
let deps: OperationDeps;
const runners: Runner[] = [];

before(async () => {
  database = await createTestDatabase();
  deps = {
    db: database.db, hosts: createFleet(() => assert.fail('no host is needed here')), openHost: () => assert.fail('no host is needed here'), fencing: testFencing(), alert: () => undefined,
    clock: { now: () => now() }, log: createLog('silent'), wake: () => undefined,
  };
});
afterEach(async () => {
  now = () => Date.now();
  await Promise.all(runners.splice(0).map((runner) => runner.stop()));
  await deps.db.execute('DELETE FROM operations');
  await deps.db.execute('DELETE FROM operation_steps');
});
after(() => database.close());

type Note = (words: string, run: StepRun) => Promise<void> | void;

/** Three steps a, b, c that note themselves; `act` may make one of them do more. */
function definitionOf(note: Note, change: Partial<Record<'a' | 'b' | 'c', Partial<Step>>> = {}): Definition {
  const step = (name: 'a' | 'b' | 'c'): Step => ({
    name, run: async (run) => note(`run ${name}`, run), undo: async (run) => note(`undo ${name}`, run), ...change[name],
  });
  return {
    kind, steps: [step('a'), step('b'), step('c')],
    onDone: async (_tx, { operation }) => note('done', { operation } as StepRun),
    onFailed: async (_tx, { operation }, error) => note(error === null ? 'cancelled' : `failed ${error.key}`, { operation } as StepRun),
  };
}

function start(definition: Definition, options: Partial<RunnerOptions> = {}): Runner {
  const runner = createRunner(deps, { ownerId: randomUUID(), definitions: { [kind]: definition }, ...quick, ...options });
  runners.push(runner);
  runner.start();
  return runner;
}

async function submit(): Promise<string> {
  const id = randomUUID();
  await insertOperation(deps.db, { id, kind, instanceId: null, hostId: null, userId: null, input: {}, stepNames: ['a', 'b', 'c'], createdAt: Date.now() });
  return id;
}

async function until(id: string, wanted: (operation: Operation) => boolean): Promise<Operation> {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; await delay(10)) {
    const operation = await selectOperation(deps.db, id);
    if (wanted(operation)) return operation;
  }
  return assert.fail(`still ${JSON.stringify(await selectOperation(deps.db, id))}`);
}
const ended = (operation: Operation): boolean => operation.endedAt !== null;
const running = (id: string, position: number): Promise<unknown> => untilSteps(id, (now) => now[position] === 'running');
async function untilSteps(id: string, wanted: (now: readonly string[]) => boolean): Promise<void> {
  for (const deadline = Date.now() + 60_000; !wanted(await states(id)); await delay(5)) if (Date.now() > deadline) assert.fail(`still ${(await states(id)).join()}`);
}
const states = async (id: string): Promise<string[]> => (await selectOperationSteps(deps.db, id)).map((step) => step.state);

describe('the runner', () => {
  it('runs the steps in order and keeps what they remember', async () => {
    const notes: string[] = [];
    const runner = start(definitionOf((words, run) => {
      notes.push(words === 'run c' ? `run c after ${run.context.timeoutSeconds}` : words);
    }, { a: { run: async (run) => run.remember({ timeoutSeconds: 7 }) } }));
    const id = await submit();
    runner.wake();
    const operation = await until(id, ended);
    assert.equal(operation.state, 'done');
    assert.equal(operation.error, null);
    assert.deepEqual(notes, ['run b', 'run c after 7', 'done']);
    assert.deepEqual(await states(id), ['done', 'done', 'done']);
    const [row] = await deps.db.query<{ lease_owner: string | null }>('SELECT lease_owner FROM operations WHERE id = ?', [id]);
    assert.equal(row?.lease_owner, null);
    await runner.stop();
  });

  for (const [at, undone] of [['a', ['undo a']], ['b', ['undo b', 'undo a']], ['c', ['undo c', 'undo b', 'undo a']]] as const) {
    it(`undoes newest first when ${at} fails, beginning with ${at} itself`, async () => {
      const notes: string[] = [];
      const runner = start(definitionOf((words) => {
        notes.push(words);
        if (words === `run ${at}`) throw new AppError('conflict', say('operations.lost'));
      }));
      const id = await submit();
      const operation = await until(id, ended);
      assert.equal(operation.state, 'failed');
      assert.deepEqual(operation.error, say('operations.lost'));
      assert.deepEqual(notes.filter((words) => words.startsWith('undo')), undone);
      assert.equal(notes.at(-1), 'failed operations.lost');
      assert.deepEqual((await selectOperationSteps(deps.db, id)).find((step) => step.name === at)?.error, say('operations.lost'));
      await runner.stop();
    });
  }

  it('takes a bug for a failure, without showing its words', async () => {
    const runner = start(definitionOf((words) => {
      if (words === 'run b') throw new TypeError('secret detail');
    }));
    const operation = await until(await submit(), ended);
    assert.deepEqual(operation.error, say('operations.failed.bug'));
    await runner.stop();
  });

  it('lets two runners share the work, each step once', async () => {
    const counts = new Map<string, number>();
    const definition = definitionOf(async (words, run) => {
      const key = `${run.operation.id} ${words}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
      await delay(1);
    });
    const ids = await Promise.all(Array.from({ length: 30 }, submit));
    const pair = [start(definition), start(definition)];
    for (const id of ids) assert.equal((await until(id, ended)).state, 'done');
    assert.equal(counts.size, 30 * 4);
    assert.deepEqual([...counts.values()].filter((count) => count !== 1), []);
    await Promise.all(pair.map((runner) => runner.stop()));
  });

  it('writes nothing once its lease is another’s', async () => {
    let go: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    const notes: string[] = [];
    const runner = start(definitionOf(async (words) => {
      notes.push(words);
      if (words === 'run b') await gate;
    }));
    const id = await submit();
    await until(id, () => notes.includes('run b'));
    await deps.db.execute('UPDATE operations SET lease_owner = ?, lease_until = ? WHERE id = ?', [randomUUID(), Date.now() + 60_000, id]);
    go();
    await runner.stop();
    assert.deepEqual(notes, ['run a', 'run b']);
    assert.deepEqual(await states(id), ['done', 'running', 'waiting']);
    assert.equal((await selectOperation(deps.db, id)).state, 'running');
  });

  it('notices within its lease that it was taken', async () => {
    const seen: unknown[] = [];
    const runner = start(definitionOf(async (words, run) => {
      if (words === 'run a') await delay(600_000, undefined, { signal: run.signal }).catch(() => seen.push('aborted'));
    }), { times: { ...quick.times, leaseMs: 400 } });
    const id = await submit();
    await running(id, 0);
    await deps.db.execute('UPDATE operations SET lease_owner = ?, lease_until = ? WHERE id = ?', [randomUUID(), Date.now() + 60_000, id]);
    await until(id, () => seen.length > 0);
    assert.deepEqual(seen, ['aborted']);
    await runner.stop();
  });

  it('takes up what a dead runner left, at the step it was in', async () => {
    const notes: string[] = [];
    const id = await submit();
    const at = Date.now();
    await deps.db.execute("UPDATE operations SET state = 'running', lease_owner = ?, lease_until = ? WHERE id = ?", [randomUUID(), at + 60_000, id]);
    await deps.db.execute("UPDATE operation_steps SET state = 'done' WHERE operation_id = ? AND position = 0", [id]);
    await deps.db.execute("UPDATE operation_steps SET state = 'running' WHERE operation_id = ? AND position = 1", [id]);
    const runner = start(definitionOf((words) => void notes.push(words)));
    await delay(150);
    assert.deepEqual(notes, [], 'the lease still holds');
    now = () => at + 60_000 + clockMarginMs + 1;
    await until(id, ended);
    assert.deepEqual(notes, ['run b', 'run c', 'done']);
    await runner.stop();
  });

  it('tells a dead runner by its lease standing still, though its clock was an hour ahead', async () => {
    const notes: string[] = [];
    const id = await submit();
    const since = Date.now();
    await deps.db.execute("UPDATE operations SET state = 'running', lease_owner = ?, lease_until = ? WHERE id = ?", [randomUUID(), since + 3_600_000, id]);
    const runner = start(definitionOf((words) => void notes.push(words)), { times: { ...quick.times, leaseMs: 500 } });
    await until(id, ended);
    assert.ok(Date.now() - since >= 500);
    assert.deepEqual(notes, ['run a', 'run b', 'run c', 'done']);
    await runner.stop();
  });

  it('leaves alone what one holds whose clock is almost five seconds behind', async () => {
    const notes: string[] = [];
    const [id, behind] = [await submit(), randomUUID()];
    const renew = (): Promise<unknown> => deps.db.execute("UPDATE operations SET state = 'running', lease_owner = ?, lease_until = ? WHERE id = ?", [behind, Date.now() - 4800 + 2000, id]);
    await renew();
    const runner = start(definitionOf((words) => void notes.push(words)), { times: { ...quick.times, leaseMs: 2000 } });
    for (const end = Date.now() + 3000; Date.now() < end; await delay(100)) await renew();
    assert.deepEqual(notes, []);
    await until(id, ended);
    assert.deepEqual(notes, ['run a', 'run b', 'run c', 'done']);
    await runner.stop();
  });

  it('goes on undoing what a dead runner began to undo', async () => {
    const notes: string[] = [];
    const id = await submit();
    await deps.db.execute("UPDATE operations SET state = 'undoing', error = ? WHERE id = ?", [JSON.stringify(say('operations.lost')), id]);
    for (const [position, state] of [[0, 'done'], [1, 'undoing'], [2, 'undone']] as const) {
      await deps.db.execute('UPDATE operation_steps SET state = ? WHERE operation_id = ? AND position = ?', [state, id, position]);
    }
    const runner = start(definitionOf((words) => void notes.push(words)));
    const operation = await until(id, ended);
    assert.deepEqual([operation.state, operation.error, notes], ['failed', say('operations.lost'), ['undo b', 'undo a', 'failed operations.lost']]);
    await runner.stop();
  });

  it('gives up on what kills its runner again and again', async () => {
    const id = await submit();
    await deps.db.execute("UPDATE operations SET state = 'running', attempts = 8 WHERE id = ?", [id]);
    await deps.db.execute("UPDATE operation_steps SET state = 'running' WHERE operation_id = ? AND position = 0", [id]);
    const notes: string[] = [];
    const runner = start(definitionOf((words) => void notes.push(words)));
    assert.deepEqual((await until(id, ended)).error, say('operations.failed.crashing'));
    assert.deepEqual(notes, ['undo a', 'failed operations.failed.crashing']);
    await runner.stop();
  });
});

describe('a silent host', () => {
  it('is waited for, and the step runs again when it answers', async () => {
    let silent = true;
    const runner = start(definitionOf((words) => {
      if (words === 'run b' && silent) throw new HostUnavailableError('no answer');
    }), { times: { waitForHostMs: 60_000, retryMs: 40 } });
    const id = await submit();
    const waiting = await until(id, (operation) => operation.note !== null);
    assert.equal(waiting.note?.key, 'operations.waiting.host');
    assert.equal(waiting.state, 'running');
    silent = false;
    const operation = await until(id, ended);
    assert.deepEqual([operation.state, operation.note], ['done', null]);
    await runner.stop();
  });

  it('is given up after a while, unless the step is patient', async () => {
    const silent = (): never => {
      throw new HostUnavailableError('no answer');
    };
    const runner = start(definitionOf(() => undefined, { b: { run: silent } }));
    const operation = await until(await submit(), ended);
    assert.deepEqual([operation.state, operation.error?.key], ['failed', 'hypervisor.unavailable']);
    await runner.stop();

    let calls = 0;
    const patient = start(definitionOf(() => undefined, { b: { patient: true, run: () => (++calls > 12 ? Promise.resolve() : silent()) } }));
    assert.equal((await until(await submit(), ended)).state, 'done');
    await patient.stop();
  });

  it('never ends an undo', async () => {
    let calls = 0;
    const runner = start(definitionOf((words) => {
      if (words === 'run b') throw new AppError('conflict', say('operations.lost'));
      if (words === 'undo a' && ++calls < 12) throw calls % 2 === 0 ? new HostUnavailableError('no answer') : new Error('what?');
    }));
    const id = await submit();
    const waiting = await until(id, (operation) => operation.state === 'undoing' && operation.note !== null);
    assert.equal(waiting.endedAt, null);
    const operation = await until(id, ended);
    assert.deepEqual([operation.state, operation.error, calls], ['failed', say('operations.lost'), 12]);
    await runner.stop();
  });
});

describe('cancelling', () => {
  it('ends one that waits to begin at once', async () => {
    const id = await submit();
    await deps.db.execute('UPDATE operations SET run_after = ? WHERE id = ?', [Date.now() + 60_000, id]);
    // the real definition's end runs: it needs an instance
    await deps.db.execute('UPDATE operations SET instance_id = ? WHERE id = ?', [randomUUID(), id]);
    await requestCancel(deps, await selectOperation(deps.db, id));
    assert.equal((await selectOperation(deps.db, id)).state, 'cancelled');
    await requestCancel(deps, await selectOperation(deps.db, id));
  });

  it('interrupts a step that may be cancelled, and undoes', async () => {
    const notes: string[] = [];
    const runner = start(definitionOf((words) => void notes.push(words), {
      a: { cancellable: true },
      b: { cancellable: true, run: (run) => delay(600_000, undefined, { signal: run.signal }) },
    }));
    const id = await submit();
    await until(id, (operation) => operation.cancellable && operation.state === 'running' && notes.includes('run a'));
    await until(id, () => true);
    await running(id, 1);
    await requestCancel(deps, await selectOperation(deps.db, id));
    const operation = await until(id, ended);
    assert.deepEqual([operation.state, operation.error], ['cancelled', null]);
    assert.deepEqual(notes, ['run a', 'undo b', 'undo a', 'cancelled']);
    await runner.stop();
  });

  it('is refused past the point of no return', async () => {
    let go: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    const runner = start(definitionOf(async (words) => {
      if (words === 'run b') await gate;
    }, { a: { cancellable: true }, c: { cancellable: true } }));
    const id = await submit();
    await running(id, 1);
    const operation = await selectOperation(deps.db, id);
    assert.equal(operation.cancellable, false);
    await assert.rejects(requestCancel(deps, operation), (error: AppError) => error.sentence.key === 'operations.cancel.too-late');
    go();
    assert.equal((await until(id, ended)).state, 'done');
    await runner.stop();
  });
});

describe('stopping', () => {
  it('lets the step in progress finish and leaves the rest to another', async () => {
    const notes: string[] = [];
    let go: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    const definition = definitionOf(async (words) => {
      if (words === 'run b') await gate;
      notes.push(words);
    });
    const id = await submit();
    const first = start(definition);
    await running(id, 1);
    const stopped = first.stop();
    await delay(100);
    go();
    await stopped;
    assert.deepEqual(notes, ['run a', 'run b']);
    assert.deepEqual(await states(id), ['done', 'done', 'waiting']);
    const second = start(definition);
    await until(id, ended);
    assert.deepEqual(notes, ['run a', 'run b', 'run c', 'done']);
    await second.stop();
  });

  it('interrupts a step that takes too long; another runs it again', async () => {
    let runs = 0;
    const definition = definitionOf(() => undefined, {
      b: { run: (run) => (runs++ === 0 ? delay(60_000, undefined, { signal: run.signal }) : Promise.resolve()) },
    });
    const id = await submit();
    const first = start(definition, { limits: { ...quick.limits, stopMs: 50 } });
    await running(id, 1);
    await first.stop();
    assert.equal((await selectOperation(deps.db, id)).state, 'running');
    const second = start(definition);
    assert.equal((await until(id, ended)).state, 'done');
    assert.equal(runs, 2);
    await second.stop();
  });
});

describe('limits', () => {
  it('keeps a step that waits from taking a place', async () => {
    let waits = 0;
    const definition = definitionOf(() => undefined, { b: { run: () => Promise.resolve(++waits < 40 ? { againAfterMs: 20 } : undefined) } });
    const runner = start(definition, { limits: { pollMs: 15, operations: 1 } });
    const ids = await Promise.all(Array.from({ length: 10 }, submit));
    for (const id of ids) assert.equal((await until(id, ended)).state, 'done');
    await runner.stop();
  });

  it('leaves room for other hosts while one has all it may have', async () => {
    const hosts = [randomUUID(), randomUUID()];
    let busy = 0;
    let most = 0;
    let go: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    const definition = definitionOf(async (words, run) => {
      if (words !== 'run a' || run.operation.hostId !== hosts[0]) return;
      most = Math.max(most, ++busy);
      await gate;
      busy--;
    });
    const ids = await Promise.all(Array.from({ length: 12 }, submit));
    for (const [index, id] of ids.entries()) await deps.db.execute('UPDATE operations SET host_id = ? WHERE id = ?', [hosts[index < 8 ? 0 : 1] ?? '', id]);
    const runner = start(definition, { limits: { pollMs: 15, operations: 6, perHost: 2 } });
    const other = ids.slice(8);
    for (const id of other) await until(id, ended);
    assert.ok((await Promise.all(ids.slice(0, 8).map((id) => selectOperation(deps.db, id)))).every((operation) => !ended(operation)), 'the other host was not held up');
    go();
    for (const id of ids) assert.equal((await until(id, ended)).state, 'done');
    assert.equal(most, 2);
    await runner.stop();
  });
});
