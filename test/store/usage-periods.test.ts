// Usage periods and the history of price lists, on a real database.
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { defaultSettings } from '../../src/model/settings.ts';
import { reconcileUsage } from '../../src/jobs/reconcile-usage.ts';
import { createLog } from '../../src/log.ts';
import { selectPriceLists } from '../../src/store/price-lists.ts';
import { selectSettingsVersion, updateSettings } from '../../src/store/settings.ts';
import type { UsagePeriod } from '../../src/model/usage.ts';
import type { Db } from '../../src/store/db.ts';
import { closeUsagePeriod, deletePeriodsClosedBefore, deleteUsagePeriod, openUsagePeriod, selectUsagePeriods } from '../../src/store/usage-periods.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';

let database: TestDatabase;
before(async () => {
  database = await createTestDatabase();
});
after(() => database.close());

const period = (instanceId: string, openedAt: number) => ({ instanceId, instanceName: 'vm', userId: crypto.randomUUID(), vcpus: 2, memoryMib: 1024, diskGib: 10, openedAt });

async function periodsOf(db: Db, filter: Parameters<typeof selectUsagePeriods>[1]): Promise<UsagePeriod[]> {
  const periods: UsagePeriod[] = [];
  for await (const each of selectUsagePeriods(db, filter)) periods.push(each);
  return periods;
}

it('opens once and closes once, however often it is run', async () => {
  const { db } = database;
  const one = period(crypto.randomUUID(), 1000);
  for (let run = 0; run < 2; run++) await db.transaction((tx) => openUsagePeriod(tx, one));
  assert.deepEqual(await periodsOf(db, { from: 0, to: 1001 }), [{ ...one, closedAt: null }]);
  for (const now of [5000, 9000]) await db.transaction((tx) => closeUsagePeriod(tx, { id: one.instanceId, createdAt: one.openedAt }, now));
  assert.deepEqual(await periodsOf(db, { from: 0, to: 9000, userId: one.userId }), [{ ...one, closedAt: 5000 }]);
  assert.deepEqual(await periodsOf(db, { from: 0, to: 1000 }), [], 'begins when the time is over');
  assert.deepEqual(await periodsOf(db, { from: 5000, to: 9000 }), [], 'ended before the time began');
  const late = period(crypto.randomUUID(), 8000);
  await openUsagePeriod(db, late);
  await closeUsagePeriod(db, { id: late.instanceId, createdAt: late.openedAt }, 7000);
  assert.equal((await periodsOf(db, { from: 0, to: 9000, userId: late.userId }))[0]?.closedAt, 8000, 'a clock that is behind makes no period of less than nothing');
  assert.equal(await deletePeriodsClosedBefore(db, 6000, 10), 1);
  assert.equal(await deletePeriodsClosedBefore(db, 9000, 10), 1);
});

it('is taken out once, open or closed, and no other with it', async () => {
  const { db } = database;
  const userId = crypto.randomUUID();
  const [open, closed, other] = [1000, 2000, 1000].map((openedAt) => ({ ...period(crypto.randomUUID(), openedAt), userId }));
  assert.ok(open && closed && other);
  for (const each of [open, closed, other]) await openUsagePeriod(db, each);
  await closeUsagePeriod(db, { id: closed.instanceId, createdAt: closed.openedAt }, 3000);
  for (let run = 0; run < 2; run++) {
    for (const each of [open, closed]) await db.transaction((tx) => deleteUsagePeriod(tx, { id: each.instanceId, createdAt: each.openedAt }));
    await deleteUsagePeriod(db, { id: other.instanceId, createdAt: other.openedAt + 1 });
    assert.deepEqual(await periodsOf(db, { from: 0, to: 9000, userId }), [{ ...other, closedAt: null }]);
  }
  await deleteUsagePeriod(db, { id: other.instanceId, createdAt: other.openedAt });
});

it('is made equal to the instances after a release that knew no periods', async () => {
  const { db } = database;
  const now = 10_000_000;
  const users = [crypto.randomUUID(), crypto.randomUUID()];
  const host = crypto.randomUUID();
  const instance = async (createdAt: number, hostId: string | null, userId: string): Promise<string> => {
    const id = crypto.randomUUID();
    await db.execute(
      `INSERT INTO instances (id, user_id, name, state, state_at, host_id, pool_id, image_id, vcpus, memory_mib, disk_gib, mac, subject_id, created_at)
       VALUES (?, ?, ?, 'running', 1, ?, ?, ?, 3, 2048, 20, ?, 1, ?)`,
      [id, userId, `vm-${id.slice(0, 8)}`, hostId, hostId, crypto.randomUUID(), id.slice(0, 17), createdAt],
    );
    return id;
  };
  const old = await instance(1000, host, users[0] ?? '');
  await instance(2000, null, users[0] ?? '');
  await instance(now - 1000, host, users[1] ?? '');
  const many = await Promise.all(Array.from({ length: 1200 }, (_, i) => instance(3000 + i, host, users[1] ?? '')));
  const gone = period(crypto.randomUUID(), 4000);
  await openUsagePeriod(db, gone);
  const deps = { db, clock: { now: () => now }, log: createLog('silent') };
  for (let run = 0; run < 2; run++) await reconcileUsage(deps, new AbortController().signal);
  const periods = await periodsOf(db, { from: 0, to: now });
  assert.equal(periods.length, many.length + 2, 'not what holds nothing, nor what is just being made');
  assert.deepEqual(periods.find(({ instanceId }) => instanceId === old), { instanceId: old, instanceName: `vm-${old.slice(0, 8)}`, userId: users[0], vcpus: 3, memoryMib: 2048, diskGib: 20, openedAt: 1000, closedAt: null });
  assert.equal(periods.find(({ instanceId }) => instanceId === gone.instanceId)?.closedAt, now);
});

it('keeps every price list from the moment it came into force', async () => {
  const { db } = database;
  const lists = async () => selectPriceLists(db, await selectSettingsVersion(db, 'prices'));
  const { prices } = defaultSettings;
  assert.deepEqual(await lists(), [{ validFrom: 0, ...prices }], 'nobody has set one yet');
  await updateSettings(db, 'prices', { ...prices, perVcpu: 900 }, null, 1000);
  await updateSettings(db, 'prices', { ...prices, perVcpu: 800, currency: '€' }, null, 2000);
  assert.deepEqual(await lists(), [{ validFrom: 0, ...prices }, { validFrom: 1000, ...prices, perVcpu: 900 }, { validFrom: 2000, ...prices, perVcpu: 800, currency: '€' }]);
  const { version } = await selectSettingsVersion(db, 'prices');
  assert.equal(await updateSettings(db, 'prices', { ...prices, perVcpu: 1 }, 'another', 3000, version - 1), false);
  assert.equal((await lists()).length, 3, 'a change that lost is no history');
  assert.equal(await updateSettings(db, 'prices', { ...prices, perVcpu: 700 }, null, 1500, version), true, 'a clock that is behind');
  assert.deepEqual((await lists()).map(({ validFrom, perVcpu }) => [validFrom, perVcpu]), [[0, 1000], [1000, 900], [2000, 800], [2001, 700]]);
});

it('knows the list that a portal of the release before put in force', async () => {
  const { db } = database;
  const { prices } = defaultSettings;
  await db.execute("UPDATE settings SET value = ?, updated_at = 5000 WHERE name = 'prices'", [JSON.stringify({ ...prices, perVcpu: 600 })]);
  assert.deepEqual((await selectPriceLists(db, await selectSettingsVersion(db, 'prices'))).at(-1), { validFrom: 5000, ...prices, perVcpu: 600 });
  await updateSettings(db, 'prices', { ...prices, perVcpu: 500 }, null, 6000);
  assert.deepEqual((await selectPriceLists(db, await selectSettingsVersion(db, 'prices'))).slice(-2).map(({ validFrom, perVcpu }) => [validFrom, perVcpu]), [[5000, 600], [6000, 500]]);
});
