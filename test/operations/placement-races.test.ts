// Ten portals' worth of creations and moves at once, against room for fewer: no host is ever promised more than it has, and
// what is kept apart stays apart.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { AppError } from '../../src/errors.ts';
import type { Instance } from '../../src/model/instance.ts';
import type { OperationDeps } from '../../src/operations/deps.ts';
import { submitInstanceCreate } from '../../src/operations/instance-create.ts';
import { submitMove } from '../../src/operations/instance-migrate.ts';
import { claimApart, selectGroupHosts } from '../../src/store/anti-affinity.ts';
import { openDatabase, type Database } from '../../src/store/db.ts';
import { selectPlacedInstances } from '../../src/store/instances.ts';
import { selectOpenMoves } from '../../src/store/moves.ts';
import { updateSettings } from '../../src/store/settings.ts';
import { makeUser } from '../helpers/accounts.ts';
import { smallSize, type Cloud } from '../helpers/cloud.ts';
import { createMoveCloud } from '../helpers/moves.ts';

const portals = 10;
let cloud: Cloud | undefined;
let databases: Database[] = [];
afterEach(async () => {
  await Promise.all(databases.map((db) => db.close()));
  await cloud?.close();
  databases = [];
  cloud = undefined;
});

async function setUp(hosts: number, cpus: number): Promise<{ cloud: Cloud; deps: (index: number) => OperationDeps }> {
  const made = await createMoveCloud({ hosts, cpus });
  cloud = made;
  databases = Array.from({ length: portals }, () => openDatabase([made.url], { connectionLimit: 4 }));
  await updateSettings(made.db, 'overcommit', { vcpus: 1, memory: 1, disk: 1 }, null, Date.now());
  return { cloud: made, deps: (index) => ({ ...made.deps, db: databases[index % portals] ?? made.db }) };
}

const create = (one: Cloud, deps: OperationDeps, name: string, antiAffinity: string | null = null) =>
  submitInstanceCreate(deps, { user: one.user, name, image: one.image, size: smallSize, sshKey: '', userData: '', antiAffinity });

async function outcomes(work: readonly Promise<unknown>[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const result of await Promise.allSettled(work)) {
    const outcome = result.status === 'fulfilled' ? 'done' : result.reason instanceof AppError ? result.reason.kind : String(result.reason);
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  }
  return counts;
}

/** What each host has promised is what its instances and those on their way to it take, and no more than it has. */
async function checkPromises({ db }: Cloud): Promise<number[]> {
  const [instances, moves] = [await selectPlacedInstances(db), await selectOpenMoves(db)];
  const hosts = await db.query<{ id: string; cpus: number; memory_mib: number; used_vcpus: number; used_memory_mib: number }>('SELECT id, cpus, memory_mib, used_vcpus, used_memory_mib FROM hosts ORDER BY name');
  for (const host of hosts) {
    const coming = moves.filter((move) => move.toHostId === host.id).flatMap((move) => instances.find(({ id }) => id === move.instanceId) ?? []);
    const taking = [...instances.filter(({ hostId }) => hostId === host.id), ...coming];
    assert.equal(host.used_vcpus, taking.reduce((sum, { vcpus }) => sum + vcpus, 0));
    assert.equal(host.used_memory_mib, taking.reduce((sum, { memoryMib }) => sum + memoryMib, 0));
    assert.ok(host.used_vcpus <= host.cpus && host.used_memory_mib <= host.memory_mib, `${host.used_vcpus} of ${host.cpus} vCPUs`);
  }
  return hosts.map((host) => host.used_vcpus);
}

/** Hosts of a group's instances and of where they are going. */
async function placesOf({ db }: Cloud, group: string): Promise<string[]> {
  const members = (await selectPlacedInstances(db)).filter(({ antiAffinity }) => antiAffinity === group);
  const moves = await selectOpenMoves(db);
  return members.flatMap((member) => [member.hostId ?? '', ...moves.filter(({ instanceId }) => instanceId === member.id).map(({ toHostId }) => toHostId)]);
}

describe('ten portals at once', () => {
  it('never promise more of a host than it has: 200 creations and 36 moves, room for 32', async () => {
    const { cloud: one, deps } = await setUp(4, 8);
    const runner = one.startRunner();
    const running: Instance[] = [];
    for (let index = 0; index < 12; index++) running.push(await one.running(`first-${index}`));
    await runner.stop();
    const moves = [...running, ...running, ...running].map((instance, index) => submitMove(deps(index), {
      instance, toHostId: index % 2 === 0 ? null : (one.hostIds[index % one.hostIds.length] ?? null), trigger: 'admin', why: { key: 'moves.why.admin' }, actor: one.user,
    }));
    const creations = Array.from({ length: 200 }, (_, index) => create(one, deps(index), `vm-${index}`));
    const [moved = {}, created = {}] = await Promise.all([moves, creations].map(outcomes));
    for (const each of [moved, created]) for (const kind of Object.keys(each)) assert.ok(['done', 'no-capacity', 'conflict'].includes(kind), kind);
    assert.deepEqual(created, { done: created['done'], 'no-capacity': 200 - (created['done'] ?? 0) });
    assert.deepEqual(await checkPromises(one), [8, 8, 8, 8]);
    assert.equal(12 + (created['done'] ?? 0) + (await selectOpenMoves(one.db)).length, 32);
  });

  it('keep a group apart: 40 creations of one group on 3 hosts make 3, one on each', async () => {
    const { cloud: one, deps } = await setUp(3, 64);
    const counts = await outcomes(Array.from({ length: 40 }, (_, index) => create(one, deps(index), `web-${index}`, 'web')));
    assert.deepEqual(counts, { done: 3, 'no-capacity': 37 });
    assert.deepEqual((await placesOf(one, 'web')).sort(), [...one.hostIds].sort());
  });

  it('keep a group apart while it moves and grows', async () => {
    for (let round = 0; round < 3; round++) {
      const { cloud: one, deps } = await setUp(4, 64);
      const runner = one.startRunner();
      const members: Instance[] = [];
      for (const name of ['a', 'b']) {
        const { instance, operation } = await create(one, one.deps, name, 'db');
        assert.equal((await one.ended(operation.id)).state, 'done');
        members.push(await one.instance(instance.id));
      }
      await runner.stop();
      const free = one.hostIds.filter((id) => !members.some(({ hostId }) => hostId === id));
      const work = [
        ...members.flatMap((instance, index) => [null, ...free].map((toHostId, turn) => submitMove(deps(index + 2 * turn), { instance, toHostId, trigger: 'admin', why: { key: 'moves.why.admin' }, actor: one.user }))),
        ...Array.from({ length: 10 }, (_, index) => create(one, deps(index), `more-${index}`, 'DB')),
      ];
      const counts = await outcomes(work);
      for (const kind of Object.keys(counts)) assert.ok(['done', 'no-capacity', 'conflict'].includes(kind), kind);
      const places = [...(await placesOf(one, 'db')), ...(await placesOf(one, 'DB'))];
      assert.equal(new Set(places).size, places.length, 'a host has two');
      assert.ok(places.length >= 3, 'nothing was placed');
      await checkPromises(one);
      await Promise.all(databases.map((db) => db.close()));
      await one.close();
      cloud = undefined;
      databases = [];
    }
  });
});

describe('a group that is kept apart', () => {
  it('is its owner’s alone, in any case of letters, and none is no group', async () => {
    const { cloud: one } = await setUp(2, 64);
    const { instance } = await create(one, one.deps, 'first', 'web');
    const other = await makeUser(one.db, 'other');
    const ask = (userId: string, antiAffinity: string | null, id = '') => selectGroupHosts(one.db, { id, userId, antiAffinity });
    assert.deepEqual([...(await ask(one.user.id, 'WEB'))], [instance.hostId]);
    assert.equal((await ask(one.user.id, 'web', instance.id)).size, 0, 'not against itself');
    assert.equal((await ask(one.user.id, 'db')).size, 0);
    assert.equal((await ask(one.user.id, null)).size, 0);
    assert.equal((await ask(other.id, 'web')).size, 0);
    const claim = (userId: string, hostId: string | null) => one.db.transaction((tx) => claimApart(tx, { id: '', userId, antiAffinity: 'Web' }, hostId ?? ''));
    assert.equal(await claim(one.user.id, instance.hostId), false);
    assert.equal(await claim(other.id, instance.hostId), true);
    assert.equal(await claim(one.user.id, one.hostIds.find((id) => id !== instance.hostId) ?? null), true);
  });
});
