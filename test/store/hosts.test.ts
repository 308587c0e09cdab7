import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { say } from '../../src/errors.ts';
import { systemClock } from '../../src/clock.ts';
import { purgeExpired } from '../../src/jobs/purge-expired.ts';
import { createLog } from '../../src/log.ts';
import { selectGate, updateGate } from '../../src/store/gate.ts';
import { hostHistoryLength, insertHostEvent, selectHostEvents, trimHostEvents } from '../../src/store/host-events.ts';
import { claimHostFenced, deleteHostIfEmpty, insertHost, selectHost, selectHostPools, selectOptionalHostByName, updateHost, updateHostContact, type NewHost } from '../../src/store/hosts.ts';
import { insertSampleSubject } from '../../src/store/sample-subjects.ts';
import { insertInstanceSamples, selectInstanceSampleRange } from '../../src/store/samples.ts';
import { deletePoolIfUnused, selectPool, selectPools, unlinkHostPool, upsertPool } from '../../src/store/storage-pools.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';
import { makeInstance } from '../helpers/instances.ts';

let database: TestDatabase;
before(async () => { database = await createTestDatabase(); });
after(() => database.close());

const aNewHost = (name: string): NewHost => ({ id: randomUUID(), name, uri: 'qemu:///system', consoleAddress: '192.0.2.1', network: 'default', virtTypeWish: 'auto', createdAt: 5 });

test('a host is inserted once; its name is its own in any case of letters', async () => {
  const { db } = database;
  const host = aNewHost('alpha');
  assert.equal(await insertHost(db, host), true);
  assert.equal(await insertHost(db, host), true, 'repeated by a retry');
  assert.equal(await insertHost(db, aNewHost('ALPHA')), false);
  const stored = await selectHost(db, host.id);
  assert.deepEqual([stored.state, stored.wish, stored.cpus, stored.seenAt], ['unknown', 'enabled', 0, null]);
  assert.equal((await selectOptionalHostByName(db, 'alpha'))?.id, host.id);
  const other = aNewHost('beta');
  await insertHost(db, other);
  assert.notEqual((await selectHost(db, other.id)).subjectId, stored.subjectId);
  assert.equal(await updateHost(db, other.id, { name: 'alpha' }), false);
  assert.equal(await updateHost(db, other.id, { name: 'gamma', wish: 'disabled' }), true);
  assert.equal((await selectHost(db, other.id)).wish, 'disabled');
  await assert.rejects(selectHost(db, randomUUID()), { kind: 'not-found' });
});

test('a failure keeps the time of the last good contact', async () => {
  const host = aNewHost('seen');
  await insertHost(database.db, host);
  await updateHostContact(database.db, host.id, { state: 'up', at: 1000 });
  await updateHostContact(database.db, host.id, { state: 'unreachable', at: 1500, reason: 'x'.repeat(3000) });
  const stored = await selectHost(database.db, host.id);
  assert.deepEqual([stored.state, stored.seenAt, stored.reason?.length], ['unreachable', 1000, 1000]);
  await updateHostContact(database.db, host.id, { state: 'up', at: 2000 });
  assert.equal((await selectHost(database.db, host.id)).reason, null);
});

test('of many who see a change of state at once one is told; the last answer never goes back in time', async () => {
  const { db } = database;
  const host = aNewHost('changing');
  await insertHost(db, host);
  const tell = async (contact: Parameters<typeof updateHostContact>[2]): Promise<number> => {
    const told = await Promise.all(Array.from({ length: 10 }, () => db.transaction((tx) => updateHostContact(tx, host.id, contact))));
    return told.filter(Boolean).length;
  };
  assert.equal(await tell({ state: 'up', at: 5000 }), 1);
  assert.equal(await tell({ state: 'up', at: 6000 }), 0);
  assert.equal((await selectHost(db, host.id)).stateSince, 5000);
  assert.equal(await tell({ state: 'unreachable', at: 9000, reason: 'silent', seenAt: 6500 }), 1);
  assert.equal(await tell({ state: 'unreachable', at: 9500, reason: 'no route', seenAt: 100 }), 0);
  const lost = await selectHost(db, host.id);
  assert.deepEqual([lost.stateSince, lost.seenAt, lost.reason], [9000, 6500, 'no route']);
  // a portal whose clock is behind
  assert.equal(await tell({ state: 'up', at: 4000 }), 1);
  assert.equal((await selectHost(db, host.id)).seenAt, 6500);
  const fenced = await Promise.all(Array.from({ length: 10 }, () => db.transaction((tx) => claimHostFenced(tx, host.id, 'agent', 9900))));
  assert.equal(fenced.filter(Boolean).length, 1);
});

test('a host has a history: newest first, each line once, not without end, and gone with it', async () => {
  const { db } = database;
  const host = aNewHost('told');
  await insertHost(db, host);
  const event = (at: number, id: string = randomUUID()): Parameters<typeof insertHostEvent>[1] => ({ id, hostId: host.id, at, kind: 'connection', userId: null, sentence: say('hosts.event.lost') });
  const first = event(1);
  for (let time = 0; time < 2; time++) await insertHostEvent(db, first);
  await insertHostEvent(db, { ...event(2), reason: say('hosts.problem.hung', { reason: 'x'.repeat(5000) }) });
  const [newest, oldest, none] = await selectHostEvents(db, host.id);
  assert.deepEqual([newest?.at, oldest?.id, none], [2, first.id, undefined]);
  assert.equal(newest?.reason?.key, 'hosts.problem.hung');
  for (let at = 3; at <= hostHistoryLength + 20; at += 100) {
    await Promise.all(Array.from({ length: Math.min(100, hostHistoryLength + 21 - at) }, (_, more) => insertHostEvent(db, event(at + more))));
  }
  assert.equal(await trimHostEvents(db), 20);
  assert.equal((await selectHostEvents(db, host.id, 5000)).at(-1)?.at, 21);
  assert.equal(await deleteHostIfEmpty(db, host.id), true);
  for (let gone = 0; gone < hostHistoryLength; ) gone += await trimHostEvents(db);
  assert.deepEqual(await selectHostEvents(db, host.id), []);
});

test('a host goes only when it is empty', async () => {
  const { db } = database;
  const host = aNewHost('full');
  await insertHost(db, host);
  await db.execute('UPDATE hosts SET used_vcpus = 1 WHERE id = ?', [host.id]);
  assert.equal(await deleteHostIfEmpty(db, host.id), false);
  await db.execute('UPDATE hosts SET used_vcpus = 0 WHERE id = ?', [host.id]);
  await makeInstance(db, { id: randomUUID() }, { hostId: host.id });
  assert.equal(await deleteHostIfEmpty(db, host.id), false);
  await db.execute("UPDATE instances SET state = 'failed' WHERE host_id = ?", [host.id]);
  assert.equal(await deleteHostIfEmpty(db, host.id), true);
  assert.equal(await deleteHostIfEmpty(db, host.id), true, 'repeated');
});

test('a shared pool is one row for all hosts, a local one a row for each', async () => {
  const { db } = database;
  const [one, two] = [randomUUID(), randomUUID()];
  const pool = { name: 'vms', kind: 'dir', path: '/srv/vms', capacityBytes: 100, availableBytes: 50 };
  const local = await upsertPool(db, { ...pool, hostId: one, shared: false }, 10);
  assert.equal(await upsertPool(db, { ...pool, hostId: one, shared: false, availableBytes: 40 }, 20), local, 'found again');
  assert.notEqual(await upsertPool(db, { ...pool, hostId: two, shared: false }, 10), local);
  assert.deepEqual([(await selectPool(db, local)).availableBytes, (await selectPool(db, local)).sampledAt], [40, 20]);
  const racing = await Promise.all([1, 2, 3].map(() => upsertPool(db, { ...pool, name: 'nfs', kind: 'netfs', hostId: two, shared: true }, 10)));
  assert.equal(new Set(racing).size, 1);
  // its host calls it shared: the row stays, with what lies in it, and other hosts that call theirs shared join it
  assert.equal(await upsertPool(db, { ...pool, hostId: one, shared: true }, 30), local);
  assert.notEqual(await upsertPool(db, { ...pool, hostId: two, shared: false }, 30), local, 'what is called local is another one');
  assert.equal(await upsertPool(db, { ...pool, hostId: two, shared: true }, 30), local);
  assert.ok((await selectHostPools(db)).get(two)?.has(local));
  // one of two hosts says it is local after all: the other one's row stays as it was
  assert.notEqual(await upsertPool(db, { ...pool, hostId: one, shared: false }, 40), local);
  assert.deepEqual([(await selectPool(db, local)).shared, (await selectPools(db)).filter((each) => each.name === 'vms').length], [true, 3]);
  assert.equal(await deletePoolIfUnused(db, local), false);
  await unlinkHostPool(db, one, local);
  await unlinkHostPool(db, two, local);
  assert.equal(await deletePoolIfUnused(db, local), true);
  assert.ok(!(await selectPools(db)).some((each) => each.id === local));
});

test('of two evaluations of the gate at once one is stored', async () => {
  const { db } = database;
  const open = await selectGate(db);
  assert.equal(open.closed, false);
  const closed = { closed: true, since: 100, reasons: [say('admission.gate.cpuPercent', { value: 99, close: 90, open: 80 })] };
  const won = await Promise.all([1, 2, 3].map(() => updateGate(db, open, closed, 100)));
  assert.equal(won.filter(Boolean).length, 1);
  assert.deepEqual(await selectGate(db), closed);
  assert.equal(await updateGate(db, open, open, 200), false);
});

test('samples of what is gone are purged, those of what is there stay', async () => {
  const { db } = database;
  const now = Date.now();
  const kept = await makeInstance(db, { id: randomUUID() });
  const gone = await insertSampleSubject(db, randomUUID(), now - 7_200_000);
  const fresh = await insertSampleSubject(db, randomUUID(), now);
  const sample = { at: now - 1000, cpuPercent: 1, memoryUsedMib: 1, diskReadBytesPerSecond: 0, diskWriteBytesPerSecond: 0, networkReceiveBytesPerSecond: 0, networkTransmitBytesPerSecond: 0 };
  await insertInstanceSamples(db, [kept.subjectId, gone, fresh].map((subjectId) => ({ ...sample, subjectId })));
  await purgeExpired({ db: database.db, clock: systemClock, log: createLog('silent') }, new AbortController().signal);
  const left = await Promise.all([kept.subjectId, gone, fresh].map(async (subjectId) => (await selectInstanceSampleRange(db, subjectId, 0, now)).length));
  assert.deepEqual(left, [1, 0, 1]);
});
