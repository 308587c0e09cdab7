import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { say } from '../../src/errors.ts';
import type { LeftBehind } from '../../src/model/maintenance.ts';
import { selectLeftBehind, upsertLeftBehind } from '../../src/store/left-behind.ts';
import { cancelQueuedOperation, deleteEndedOperations, insertOperation } from '../../src/store/operations.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';

describe('what an emptying left behind', () => {
  let database: TestDatabase;
  before(async () => { database = await createTestDatabase(); });
  after(() => database.close());

  const left = (over: Partial<LeftBehind> = {}): LeftBehind => ({
    operationId: randomUUID(), instanceId: randomUUID(), instanceName: 'web', at: 5, refusals: [{ hostName: 'b', reasons: [say('placement.refused.memory', { free: '1 GiB' })] }], ...over,
  });

  it('is kept once for each instance, with the newest reasons, by name', async () => {
    const { db } = database;
    const first = left();
    await upsertLeftBehind(db, first);
    const again = { ...first, at: 9, refusals: [{ hostName: null, reasons: [say('maintenance.left.busy')] }] };
    await upsertLeftBehind(db, again);
    const other = left({ operationId: first.operationId, instanceName: 'a' });
    await upsertLeftBehind(db, other);
    assert.deepEqual(await selectLeftBehind(db, first.operationId), [other, again]);
  });

  it('keeps as many reasons as fit: forty hosts say much the same', async () => {
    const { db } = database;
    const refusals = Array.from({ length: 400 }, (_, index) => ({ hostName: `host${index}`, reasons: [say('placement.refused.memory', { free: '1 GiB' })] }));
    const much = left({ refusals });
    await upsertLeftBehind(db, much);
    const [kept] = await selectLeftBehind(db, much.operationId);
    assert.ok(kept && kept.refusals.length >= 40 && kept.refusals.length < 400);
    assert.deepEqual(kept.refusals, refusals.slice(0, kept.refusals.length));
  });

  it('is forgotten with its operation', async () => {
    const { db } = database;
    const gone = left();
    await insertOperation(db, { id: gone.operationId, kind: 'host-drain', instanceId: null, hostId: randomUUID(), userId: null, input: {}, stepNames: ['close-host'], createdAt: 1 });
    await upsertLeftBehind(db, gone);
    await cancelQueuedOperation(db, gone.operationId, 2);
    await deleteEndedOperations(db, 3);
    assert.deepEqual(await selectLeftBehind(db, gone.operationId), []);
  });
});
