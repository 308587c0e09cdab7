import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import type { Placement } from '../../src/model/admission.ts';
import type { MoveState, MoveTrigger } from '../../src/model/move.ts';
import { insertMove } from '../../src/store/moves.ts';
import { say } from '../../src/errors.ts';
import type { Instance } from '../../src/model/instance.ts';
import type { User } from '../../src/model/user.ts';
import type { Database } from '../../src/store/db.ts';
import { insertInstanceEvent, selectInstanceEvents } from '../../src/store/instance-events.ts';
import { deleteInstancePlacement, recordPlacement, selectOptionalInstancePlacement, selectOptionalMovePlacement } from '../../src/store/instance-placements.ts';
import { insertInstanceSeed, selectOptionalInstanceSeed } from '../../src/store/instance-seeds.ts';
import {
  claimInstance, countInstancesByState, countInstancesByUser, insertInstance, loadInstance, loadInstances, releaseInstance, selectInstancesByUser, selectInstancesPage,
  selectOptionalInstance, updateObservedInstance, type NewInstance,
} from '../../src/store/instances.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';

let database: TestDatabase;
let db: Database;
const alice = randomUUID();
const bob = randomUUID();
const hostId = randomUUID();
let number = 0;

function anInstance(over: Partial<NewInstance> = {}): NewInstance {
  number++;
  const mac = number.toString(16).padStart(6, '0').match(/../g)?.join(':') ?? '';
  return {
    id: randomUUID(), userId: alice, name: `vm-${String(number).padStart(4, '0')}`, vcpus: 1, memoryMib: 512, diskGib: 2, imageId: randomUUID(), hostId, poolId: randomUUID(),
    mac: `52:54:00:${mac}`, subjectId: number, createdAt: number, operationId: randomUUID(), operationKind: 'instance-create', ...over,
  };
}

/** inserted, and let go by its creation */
async function settled(over: Partial<NewInstance> = {}): Promise<Instance> {
  const instance = anInstance(over);
  await insertInstance(db, instance);
  await releaseInstance(db, instance.id, instance.operationId, { state: 'stopped' }, 5000);
  return (await selectOptionalInstance(db, instance.id)) ?? assert.fail();
}

before(async () => {
  database = await createTestDatabase();
  db = database.db;
});
after(() => database.close());

describe('a user with 1,000 instances', () => {
  before(async () => {
    for (let batch = 0; batch < 10; batch++) await Promise.all(Array.from({ length: 100 }, () => insertInstance(db, anInstance())));
    await insertInstance(db, anInstance({ userId: bob, name: 'vm-0001' }));
  });

  it('is listed by pages, by name', async () => {
    const pages = await Promise.all([1, 2, 20, 21].map((page) => selectInstancesByUser(db, alice, { page, pageSize: 50 })));
    assert.deepEqual(pages.map((page) => [page.length, page[0]?.name]), [[50, 'vm-0001'], [50, 'vm-0051'], [50, 'vm-0951'], [0, undefined]]);
    assert.equal(await countInstancesByUser(db, alice), 1000);
    assert.ok(pages.flat().every((instance) => instance.userId === alice));
  });

  it('is searched by part of the name, letters large or small, signs as they are', async () => {
    assert.deepEqual((await selectInstancesByUser(db, alice, { page: 1, pageSize: 50, search: 'VM-001' })).length, 10);
    assert.equal(await countInstancesByUser(db, alice, '_'), 0);
    assert.equal(await countInstancesByUser(db, alice, '%'), 0);
  });

  it('is read by index, without sorting', async () => {
    // as a table, or on newer servers as a tree; for one owner of few among many, as every owner is in a large cloud
    const plan = JSON.stringify(await db.query('EXPLAIN SELECT id, name, state FROM instances WHERE user_id = ? ORDER BY name LIMIT 50', [bob]));
    assert.match(plan, /user_id_name/);
    assert.doesNotMatch(plan, /filesort|Sort:/);
  });

  it('is narrowed to one state, for its owner and for an admin', async () => {
    const [a = assert.fail(), b = assert.fail()] = await selectInstancesByUser(db, alice, { page: 5, pageSize: 50 });
    for (const each of [a, b]) await releaseInstance(db, each.id, each.operationId ?? '', { state: 'lost' }, 5000);
    assert.deepEqual((await selectInstancesByUser(db, alice, { page: 1, pageSize: 50, state: 'lost' })).map(({ name }) => name), [a.name, b.name]);
    assert.deepEqual((await selectInstancesByUser(db, alice, { page: 1, pageSize: 50, state: 'lost', search: b.name })).map(({ name }) => name), [b.name]);
    const counts = await Promise.all([countInstancesByUser(db, alice, '', 'lost'), countInstancesByUser(db, alice, b.name, 'lost'), countInstancesByUser(db, alice, '', 'creating'), countInstancesByUser(db, bob, '', 'lost')]);
    assert.deepEqual(counts, [2, 1, 998, 0]);
    assert.deepEqual(await selectInstancesByUser(db, bob, { page: 1, pageSize: 50, state: 'lost' }), []);
    // newest first
    const everybody = await selectInstancesPage(db, { page: 1, pageSize: 50, state: 'lost' });
    assert.deepEqual([everybody.total, everybody.instances.map(({ name }) => name)], [2, [b.name, a.name]]);
    const creating = await Promise.all([1, 20].map((page) => selectInstancesPage(db, { page, pageSize: 50, state: 'creating' })));
    assert.deepEqual(creating.map(({ total, instances }) => [total, instances.length, instances[0]?.userId]), [[999, 50, bob], [999, 49, alice]]);
    for (const { id } of [a, b]) await db.execute("UPDATE instances SET state = 'creating' WHERE id = ?", [id]);
  });

  it('is chosen from by ids, of which those of others are as if they were not there', async () => {
    const person = (id: string, role: User['role']): User => ({ id, role }) as User;
    const [mine = assert.fail()] = await selectInstancesByUser(db, alice, { page: 3, pageSize: 1 });
    const [first = assert.fail()] = await selectInstancesByUser(db, alice, { page: 1, pageSize: 1 });
    const [theirs = assert.fail()] = await selectInstancesByUser(db, bob, { page: 1, pageSize: 1 });
    const ids = [mine.id, theirs.id, randomUUID(), first.id];
    assert.deepEqual((await loadInstances(db, person(alice, 'user'), ids)).map(({ id }) => id), [first.id, mine.id]);
    assert.deepEqual((await loadInstances(db, person(bob, 'user'), ids)).map(({ id }) => id), [theirs.id]);
    assert.equal((await loadInstances(db, person(alice, 'admin'), ids)).length, 3);
    assert.deepEqual(await loadInstances(db, person(alice, 'admin'), []), []);
  });

  it('is among all instances for an admin, newest first', async () => {
    const all = await selectInstancesPage(db, { page: 1, pageSize: 50 });
    assert.deepEqual([all.total, all.instances.length, all.instances[0]?.userId], [1001, 50, bob]);
    const some = await selectInstancesPage(db, { page: 2, pageSize: 5, search: 'vm-01', userId: alice, state: 'creating', hostId });
    assert.deepEqual([some.total, some.instances.length], [100, 5]);
    assert.deepEqual(await countInstancesByState(db, bob), { creating: 1, stopped: 0, running: 0, paused: 0, failed: 0, lost: 0 });
  });
});

describe('whose it is', () => {
  it('is not found when it is another’s, unless one is an admin', async () => {
    const instance = await settled();
    const person = (id: string, role: User['role']): User => ({ id, role }) as User;
    assert.equal((await loadInstance(db, person(alice, 'user'), instance.id)).id, instance.id);
    assert.equal((await loadInstance(db, person(bob, 'admin'), instance.id)).id, instance.id);
    for (const id of [instance.id, randomUUID(), 'nonsense', '']) await assert.rejects(loadInstance(db, person(bob, 'user'), id), { kind: 'not-found' });
  });
});

describe('holding an instance', () => {
  it('has one winner', async () => {
    const { id } = await settled();
    const claims = await Promise.all(Array.from({ length: 10 }, () =>
      claimInstance(db, id, { operationId: randomUUID(), operationKind: 'instance-start', states: ['stopped'] })));
    assert.equal(claims.filter(Boolean).length, 1);
  });

  it('needs one of the states', async () => {
    const { id } = await settled();
    assert.equal(await claimInstance(db, id, { operationId: randomUUID(), operationKind: 'instance-shutdown', states: ['running', 'paused'] }), false);
  });

  it('ends by its operation alone, and once', async () => {
    const { id } = await settled();
    const operationId = randomUUID();
    await claimInstance(db, id, { operationId, operationKind: 'instance-start', states: ['stopped'] });
    assert.equal(await releaseInstance(db, id, randomUUID(), { state: 'running' }, 6000), false);
    assert.equal(await releaseInstance(db, id, operationId, { state: 'running', consolePort: 5901 }, 6000), true);
    assert.equal(await releaseInstance(db, id, operationId, { state: 'stopped' }, 7000), false);
    const instance = await selectOptionalInstance(db, id);
    assert.deepEqual([instance?.state, instance?.stateAt, instance?.consolePort, instance?.operationId, instance?.operationKind], ['running', 6000, 5901, null, null]);
  });
});

describe('an observation', () => {
  it('is written once, and not over a newer record', async () => {
    const seen = await settled();
    assert.equal(await updateObservedInstance(db, seen, { state: 'running' }, 6000), true);
    assert.equal(await updateObservedInstance(db, seen, { state: 'lost', problem: say('operations.lost') }, 6001), false);
    const now = (await selectOptionalInstance(db, seen.id)) ?? assert.fail();
    // back to the same state within the same millisecond: still another record
    assert.equal(await updateObservedInstance(db, now, { state: 'stopped' }, 6000), true);
    assert.equal(await updateObservedInstance(db, { ...now, state: 'stopped' }, { state: 'running' }, 6000), false);
    assert.equal((await selectOptionalInstance(db, seen.id))?.stateAt, 6001);
  });

  it('is not written while an operation holds the instance', async () => {
    const seen = await settled();
    await claimInstance(db, seen.id, { operationId: randomUUID(), operationKind: 'instance-start', states: ['stopped'] });
    assert.equal(await updateObservedInstance(db, seen, { state: 'running' }, 6000), false);
  });
});

describe('what belongs to an instance', () => {
  it('has a diary, newest first, each event once', async () => {
    const instanceId = randomUUID();
    const id = randomUUID();
    const event = { id, instanceId, at: 5, userId: alice, sentence: say('operations.lost'), reason: say('operations.failed.domain-gone', { host: 'h' }) };
    await insertInstanceEvent(db, event);
    await insertInstanceEvent(db, event);
    await insertInstanceEvent(db, { instanceId, at: 6, userId: null, sentence: say('operations.create.cancelled') });
    const events = await selectInstanceEvents(db, instanceId);
    assert.deepEqual(events.map(({ sentence, reason }) => [sentence.key, reason]), [['operations.create.cancelled', null], ['operations.lost', event.reason]]);
    assert.equal((await selectInstanceEvents(db, instanceId, 1)).length, 1);
  });

  it('cuts what is too long instead of failing', async () => {
    const instanceId = randomUUID();
    await insertInstanceEvent(db, { instanceId, at: 5, userId: null, sentence: say('operations.lost', { reason: '長'.repeat(5000), host: 'h' }) });
    const [event] = await selectInstanceEvents(db, instanceId);
    assert.equal(event?.sentence.params?.['host'], 'h');
    assert.match(String(event?.sentence.params?.['reason']), /^長+…$/);
  });

  it('keeps seed and placement as they were', async () => {
    const id = randomUUID();
    const seed = { sshKey: 'ssh-ed25519 AAAA a@b', userData: '#cloud-config\n# 註解\n' };
    await insertInstanceSeed(db, id, seed);
    assert.deepEqual(await selectOptionalInstanceSeed(db, id), seed);
    const considered = Array.from({ length: 400 }, (_, index) => ({ hostId: randomUUID(), hostName: `host${index}`, score: index, reasons: [say('admission.capacity.race')] }));
    await recordPlacement(db, { instanceId: id, moveId: null }, { hostId: 'h', hostName: 'host', considered }, 7);
    const record = await selectOptionalInstancePlacement(db, id);
    assert.deepEqual([record?.at, record?.cause, record?.placement?.hostName], [7, 'creation', 'host']);
    assert.ok((record?.placement?.considered.length ?? 0) >= 50, 'as many as fit');
    assert.equal(await selectOptionalInstanceSeed(db, randomUUID()), undefined);
  });

  it('tells the placement that holds: of the last move that ended well, else of the creation', async () => {
    const instanceId = randomUUID();
    const placement = (hostName: string): Placement => ({ hostId: hostName, hostName, considered: [] });
    const move = async (trigger: MoveTrigger, state: MoveState, endedAt: number | null, chosen?: Placement): Promise<string> => {
      const id = randomUUID();
      await insertMove(db, { id, instanceId, instanceName: 'vm', userId: randomUUID(), kind: 'live', withDisk: false, fromHostId: randomUUID(), fromHostName: 'a', toHostId: randomUUID(), toHostName: 'b', trigger, why: say('x'), batchId: null, actorId: null, createdAt: 1 });
      await db.execute('UPDATE moves SET state = ?, ended_at = ? WHERE id = ?', [state, endedAt, id]);
      if (chosen !== undefined) await recordPlacement(db, { instanceId, moveId: id }, chosen, endedAt ?? 1);
      return id;
    };
    const holds = async (): Promise<unknown> => {
      const record = await selectOptionalInstancePlacement(db, instanceId);
      return record && [record.cause, record.at, record.placement?.hostName];
    };
    assert.equal(await holds(), undefined);
    await recordPlacement(db, { instanceId, moveId: null }, placement('first'), 5);
    await recordPlacement(db, { instanceId, moveId: null }, placement('first'), 5);
    assert.deepEqual(await holds(), ['creation', 5, 'first']);
    const open = await move('maintenance', 'moving', null, placement('second'));
    assert.deepEqual(await holds(), ['creation', 5, 'first'], 'it is not there yet');
    assert.equal((await selectOptionalMovePlacement(db, open))?.hostName, 'second');
    await db.execute("UPDATE moves SET state = 'done', ended_at = 20 WHERE id = ?", [open]);
    assert.deepEqual(await holds(), ['maintenance', 20, 'second']);
    await move('balancing', 'failed', 30, placement('third'));
    assert.deepEqual(await holds(), ['maintenance', 20, 'second'], 'it stayed where it was');
    const chosen = await move('admin', 'done', 40);
    assert.deepEqual(await holds(), ['admin', 40, undefined], 'nothing was considered');
    await move('recovery', 'done', 400 * 86_400_000, placement('fourth'));
    assert.deepEqual(await holds(), ['recovery', 400 * 86_400_000, 'fourth']);
    assert.equal(await selectOptionalMovePlacement(db, chosen), undefined);
    assert.equal(await selectOptionalMovePlacement(db, open), undefined, 'too long ago');
    await deleteInstancePlacement(db, instanceId);
    await db.execute('DELETE FROM moves WHERE instance_id = ?', [instanceId]);
    assert.equal(await holds(), undefined);
  });
});
