import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Database } from '../../src/store/db.ts';
import {
  cancelQueuedOperation, claimOperation, countOpenOperations, deleteEndedOperations, insertOperation, renewOperationLease, requestOperationCancel,
  selectClaimableOperations, selectOperation, selectOperationsByInstance, selectOperationsPage, selectOperationSteps, updateHeldOperation, type NewOperation,
} from '../../src/store/operations.ts';
import { clockMarginMs } from '../../src/store/lease-watch.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';

let database: TestDatabase;
let db: Database;
before(async () => {
  database = await createTestDatabase();
  db = database.db;
});
afterEach(() => db.execute('DELETE FROM operations'));
after(() => database.close());

async function add(over: Partial<NewOperation> = {}): Promise<string> {
  const id = randomUUID();
  await insertOperation(db, { id, kind: 'instance-start', instanceId: null, hostId: null, userId: null, input: { a: 1 }, stepNames: ['start', 'record'], createdAt: 1, ...over });
  return id;
}

describe('claiming an operation', () => {
  it('has one winner, who knows its input', async () => {
    const id = await add();
    const claims = await Promise.all(Array.from({ length: 10 }, () => claimOperation(db, id, { ownerId: randomUUID(), until: 1000 }, 100)));
    const won = claims.filter((claim) => claim !== undefined);
    assert.equal(won.length, 1);
    assert.deepEqual([won[0]?.input, won[0]?.context, won[0]?.operation.state, won[0]?.attempts], [{ a: 1 }, {}, 'running', 1]);
  });

  it('works again when the lease has ended, not before, and not before its time', async () => {
    const id = await add();
    const first = { ownerId: randomUUID(), until: 1000 };
    const second = { ownerId: randomUUID(), until: 5000 };
    assert.ok(await claimOperation(db, id, first, 100));
    // another's clock may be ahead by five seconds
    assert.equal(await claimOperation(db, id, second, 1000 + clockMarginMs), undefined);
    assert.ok(await claimOperation(db, id, second, 1001 + clockMarginMs));
    assert.equal(await renewOperationLease(db, id, { ...first, until: 9000 }), false);
    assert.equal(await updateHeldOperation(db, { id, ownerId: first.ownerId }, { state: 'done' }), false);
    assert.equal(await updateHeldOperation(db, { id, ownerId: second.ownerId }, { runAfter: 7000, release: true }), true);
    assert.equal(await claimOperation(db, id, second, 6999), undefined);
    assert.ok(await claimOperation(db, id, { ...second, until: 8000 }, 7000));
  });

  it('works at once in place of a holder that was seen to be gone, unless that renewed', async () => {
    const id = await add();
    const [dead, other] = [{ ownerId: randomUUID(), until: 1000 }, { ownerId: randomUUID(), until: 2000 }];
    assert.ok(await claimOperation(db, id, dead, 100));
    assert.ok(await renewOperationLease(db, id, { ...dead, until: 1500 }));
    assert.equal(await claimOperation(db, id, other, 900, dead), undefined);
    assert.ok(await claimOperation(db, id, other, 900, { ...dead, until: 1500 }));
  });

  it('is offered oldest first, by nobody held, without busy hosts', async () => {
    const busy = randomUUID();
    const ids = [await add({ createdAt: 3 }), await add({ createdAt: 1, hostId: busy }), await add({ createdAt: 2, hostId: randomUUID() }), await add({ createdAt: 0 })];
    await claimOperation(db, ids[3] ?? '', { ownerId: randomUUID(), until: 1000 }, 100);
    const offered = async (query: { exceptIds?: string[]; exceptHostIds?: string[] }): Promise<number[]> =>
      (await selectClaimableOperations(db, { now: 100, limit: 10, kinds: ['instance-create', 'instance-start'], ownerId: randomUUID(), exceptIds: [], exceptHostIds: [], ...query })).map(({ id }) => ids.indexOf(id));
    assert.deepEqual(await offered({}), [1, 2, 0]);
    assert.deepEqual(await offered({ exceptHostIds: [busy] }), [2, 0]);
    assert.deepEqual(await offered({ exceptIds: [ids[2] ?? ''] }), [1, 0]);
  });
});

describe('the point of no return', () => {
  it('is passed or cancelled, never both', async () => {
    for (let round = 0; round < 20; round++) {
      const id = await add();
      const ownerId = randomUUID();
      await claimOperation(db, id, { ownerId, until: 1000 }, 100);
      const [passed, cancelled] = await Promise.all([
        updateHeldOperation(db, { id, ownerId, unlessCancelled: true }, { cancellable: false }), requestOperationCancel(db, id),
      ]);
      assert.notEqual(passed, cancelled);
    }
  });

  it('is not there yet for one that waits to begin', async () => {
    const id = await add();
    assert.equal(await cancelQueuedOperation(db, id, 5), true);
    assert.equal((await selectOperation(db, id)).state, 'cancelled');
    assert.equal(await claimOperation(db, id, { ownerId: randomUUID(), until: 1000 }, 100), undefined);
  });
});

describe('lists', () => {
  it('are paged, filtered and counted', async () => {
    const instanceId = randomUUID();
    for (let index = 0; index < 7; index++) await add({ createdAt: index, instanceId, ...(index % 2 === 0 ? { kind: 'instance-delete' } : {}) });
    await add();
    const page = await selectOperationsPage(db, { page: 2, pageSize: 3, instanceId });
    assert.deepEqual([page.total, page.operations.map((operation) => operation.createdAt)], [7, [3, 2, 1]]);
    assert.equal((await selectOperationsPage(db, { page: 1, pageSize: 50, kind: 'instance-delete', state: 'queued' })).total, 4);
    assert.equal((await selectOperationsPage(db, { page: 1, pageSize: 50, state: 'done' })).total, 0);
    assert.deepEqual((await selectOperationsByInstance(db, instanceId, 2)).map((operation) => operation.createdAt), [6, 5]);
    assert.equal(await countOpenOperations(db), 8);
  });

  it('lose what ended long ago, with its steps', async () => {
    const [old, recent] = [await add(), await add()];
    await cancelQueuedOperation(db, old, 100);
    await cancelQueuedOperation(db, recent, 200);
    assert.equal(await deleteEndedOperations(db, 150), 1);
    await assert.rejects(selectOperation(db, old), { kind: 'not-found' });
    assert.deepEqual(await selectOperationSteps(db, old), []);
    assert.equal((await selectOperationSteps(db, recent)).length, 2);
  });
});
