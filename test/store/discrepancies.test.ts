// The same stranger on a host, found by several portals in the same moment.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { selectDiscrepancies, upsertDiscrepancy } from '../../src/store/discrepancies.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';

describe('discrepancies', () => {
  let database: TestDatabase;
  before(async () => { database = await createTestDatabase(); });
  after(async () => { await database.close(); });

  it('are one when several find it at once, and one when it is found again', async () => {
    const hostId = randomUUID();
    const names = Array.from({ length: 20 }, () => randomUUID());
    const find = (domainUuid: string, at: number): Promise<void> =>
      upsertDiscrepancy(database.db, { id: randomUUID(), kind: 'unknown-domain', hostId, instanceId: null, domainUuid, domainName: 'stranger' }, at);
    for (const name of names) await Promise.all([1, 2, 3, 4].map(() => find(name, 1000)));
    await Promise.all(names.map((name) => find(name, 2000)));
    const found = await selectDiscrepancies(database.db);
    assert.deepEqual(found.map(({ domainUuid }) => domainUuid).sort(), [...names].sort());
    for (const { firstSeenAt, lastSeenAt } of found) assert.deepEqual([firstSeenAt, lastSeenAt], [1000, 2000]);
  });
});
