// Balancing on fake hosts: from samples in the database to suggestions, clicks and moves; on a clock that the test moves.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { balance } from '../../src/jobs/balance.ts';
import type { Instance } from '../../src/model/instance.ts';
import { defaultSettings, type Settings } from '../../src/model/settings.ts';
import { applySuggestion, loadBalancing, viewBalancing } from '../../src/operations/balancing.ts';
import { submitMove } from '../../src/operations/instance-migrate.ts';
import type { Runner } from '../../src/operations/runner.ts';
import { selectHosts, updateHost } from '../../src/store/hosts.ts';
import { selectInstancesByHost } from '../../src/store/instances.ts';
import { selectMovesPage, selectOpenMoves } from '../../src/store/moves.ts';
import { insertHostSamples, insertInstanceSamples } from '../../src/store/samples.ts';
import { updateSettings } from '../../src/store/settings.ts';
import { claimSuggestionEnded, deleteSuggestionsEndedBefore, selectOpenSuggestions, type Suggestion } from '../../src/store/suggestions.ts';
import type { Cloud } from '../helpers/cloud.ts';
import { createMoveCloud } from '../helpers/moves.ts';

const config = { pollIntervalMs: 10_000 };
const minute = 60_000;
let cloud: Cloud;
let runner: Runner;
let instances: Instance[];

before(async () => {
  cloud = await createMoveCloud({ hosts: 3, cpus: 8 });
  runner = cloud.startRunner();
  for (const id of cloud.hostIds.slice(1)) await updateHost(cloud.db, id, { wish: 'disabled' });
  instances = [];
  for (let index = 0; index < 4; index++) {
    const { instance, operation } = await cloud.create(`vm-${index}`, { vcpus: 2, memoryMib: 512, diskGib: 2 });
    assert.equal((await cloud.ended(operation.id)).state, 'done');
    instances.push(await cloud.instance(instance.id));
  }
  for (const id of cloud.hostIds) await updateHost(cloud.db, id, { wish: 'enabled' });
});
after(() => cloud.close());

const now = (): number => cloud.deps.clock.now();
const setMode = (over: Partial<Settings['balancing']>): Promise<boolean> => updateSettings(cloud.db, 'balancing', { ...defaultSettings.balancing, ...over }, null, now());
const open = (): Promise<Suggestion[]> => selectOpenSuggestions(cloud.db);
const look = (): Promise<void> => balance(cloud.deps, config);

/** A minute passes in which each instance uses `cores`, wherever it is, and the hosts are as busy as that makes them. */
async function pass(cores: (index: number) => number, minutes = 1): Promise<void> {
  cloud.time.ahead += minutes * minute;
  const hosts = await selectHosts(cloud.db);
  for (let age = 9; age >= 0; age--) {
    const at = now() - age * 10_000;
    for (const host of hosts) {
      const there = await selectInstancesByHost(cloud.db, host.id);
      const busy = there.reduce((sum, { id }) => sum + cores(instances.findIndex((each) => each.id === id)), 0);
      await insertHostSamples(cloud.db, [{ subjectId: host.subjectId, at, cpuPercent: Math.min(100, (100 * busy) / host.cpus), memoryUsedMib: 1000, memoryTotalMib: 8192 }]);
    }
    await insertInstanceSamples(cloud.db, instances.map(({ subjectId }, index) => ({
      subjectId, at, cpuPercent: 50 * cores(index), memoryUsedMib: 200, diskReadBytesPerSecond: null, diskWriteBytesPerSecond: null, networkReceiveBytesPerSecond: null, networkTransmitBytesPerSecond: null,
    })));
  }
}
const hot = (): number => 1.9;
const calm = (): number => 0.5;

/** All of them on the first host again, at rest since long ago. */
async function gather(): Promise<void> {
  for (const { id } of await open()) await claimSuggestionEnded(cloud.db, id, 'expired', now());
  for (const { id } of instances) {
    const { hostId } = await cloud.instance(id);
    if (hostId === cloud.hostIds[0]) continue;
    const { operation } = await submitMove(cloud.deps, { instance: await cloud.instance(id), toHostId: cloud.hostIds[0] ?? null, trigger: 'admin', why: { key: 'moves.why.admin' }, actor: cloud.user });
    assert.equal((await cloud.ended(operation.id)).error, null);
  }
  cloud.time.ahead += 120 * minute;
}

async function movesEnded(): Promise<void> {
  for (const move of await selectOpenMoves(cloud.db)) assert.deepEqual([(await cloud.ended(move.id)).error], [null]);
}

const historySize = async (): Promise<number> => (await selectMovesPage(cloud.db, { trigger: 'balancing', page: 1, pageSize: 100 })).total;

describe('balancing', () => {
  beforeEach(gather);
  afterEach(movesEnded);

  it('off: does nothing, however hot, and takes back what it suggested', async () => {
    await setMode({ mode: 'suggest' });
    await pass(hot);
    await look();
    assert.equal((await open()).length, 1);
    const before = await historySize();
    await setMode({ mode: 'off' });
    await look();
    assert.deepEqual([(await open()).length, await historySize(), (await selectOpenMoves(cloud.db)).length], [0, before, 0]);
  });

  it('suggests from samples, keeps its word while that holds, and takes it back when the load has gone', async () => {
    await setMode({ mode: 'suggest' });
    await pass(calm);
    await look();
    assert.deepEqual(await open(), []);
    await pass(hot);
    await look();
    const [first] = await open();
    assert.ok(first !== undefined);
    assert.deepEqual([first.fromHostId, first.why.key, first.why.params?.['from'], first.why.params?.['load']], [cloud.hostIds[0], 'balancing.why.cpu', 'host0', 95]);
    assert.ok(first.gainPercent > 40);
    const { loads } = await viewBalancing(cloud.db, config, { ...defaultSettings, balancing: { ...defaultSettings.balancing, mode: 'suggest' } }, now());
    const outlook = loads.get(cloud.hostIds[0] ?? '');
    assert.deepEqual([Math.round(outlook?.now.cpu ?? 0), Math.round(outlook?.after.cpu ?? 0), outlook?.overloaded], [95, 71, true]);
    await pass(() => 1.7);
    await look();
    assert.deepEqual((await open()).map(({ id }) => id), [first.id], 'no longer overloaded, but still of help');
    await pass(calm);
    await look();
    assert.deepEqual(await open(), []);
  });

  it('one click moves, with the reason in the diary of moves; a second click is told', async () => {
    await setMode({ mode: 'suggest' });
    await pass(hot);
    await look();
    const [suggestion] = await open();
    assert.ok(suggestion !== undefined);
    const { move } = await applySuggestion(cloud.deps, suggestion, cloud.user);
    await assert.rejects(applySuggestion(cloud.deps, suggestion, cloud.user), { kind: 'conflict' });
    assert.deepEqual([(await cloud.ended(move.id)).state, move.trigger, move.why, move.actorId], ['done', 'balancing', suggestion.why, cloud.user.id]);
    assert.equal((await cloud.instance(suggestion.instanceId)).hostId, suggestion.toHostId);
    await look();
    assert.deepEqual(await open(), [], 'its hosts are measured anew first');
  });

  it('a suggestion whose instance is busy stays open; one whose instance has moved otherwise is over', async () => {
    await setMode({ mode: 'suggest' });
    await pass(hot);
    await look();
    const [suggestion] = await open();
    assert.ok(suggestion !== undefined);
    await cloud.db.execute("UPDATE instances SET operation_id = ?, operation_kind = 'instance-reboot' WHERE id = ?", [crypto.randomUUID(), suggestion.instanceId]);
    await assert.rejects(applySuggestion(cloud.deps, suggestion, cloud.user), (error: Error) => /instances\.refused\.busy/.test(error.message));
    assert.deepEqual((await open()).map(({ id }) => id), [suggestion.id]);
    await look();
    assert.equal((await open()).some(({ id }) => id === suggestion.id), false, 'the next look lets what is busy be');
    await cloud.db.execute('UPDATE instances SET operation_id = NULL, operation_kind = NULL, host_id = ? WHERE id = ?', [cloud.hostIds[2] ?? '', suggestion.instanceId]);
    const [other] = await open();
    await assert.rejects(applySuggestion(cloud.deps, { ...(other ?? suggestion), instanceId: suggestion.instanceId }, cloud.user), (error: Error) => /balancing\.expired/.test(error.message));
    await cloud.db.execute('UPDATE instances SET host_id = ? WHERE id = ?', [cloud.hostIds[0] ?? '', suggestion.instanceId]);
  });

  it('what was dismissed is not suggested again before the cool-down ends', async () => {
    await setMode({ mode: 'suggest', cooldownSeconds: 600, movesPerRound: 1 });
    await pass(hot);
    await look();
    const [suggestion] = await open();
    assert.equal(await claimSuggestionEnded(cloud.db, suggestion?.id ?? '', 'dismissed', now()), true);
    await pass(hot);
    await look();
    const [next] = await open();
    assert.notEqual(next?.instanceId, suggestion?.instanceId);
    for (const one of instances.filter(({ id }) => id !== suggestion?.instanceId && id !== next?.instanceId)) await cloud.db.execute("UPDATE instances SET state = 'paused' WHERE id = ?", [one.id]);
    await claimSuggestionEnded(cloud.db, next?.id ?? '', 'dismissed', now());
    await pass(hot);
    await look();
    assert.deepEqual(await open(), []);
    await pass(hot, 9);
    await look();
    assert.equal((await open())[0]?.instanceId, suggestion?.instanceId);
    for (const { id } of instances) await cloud.db.execute("UPDATE instances SET state = 'running' WHERE id = ?", [id]);
  });

  it('acts when told to: one move that is enough, then rest, also when the new host becomes hot', async () => {
    await setMode({ mode: 'act', cooldownSeconds: 1800 });
    const before = await historySize();
    await pass(hot);
    await look();
    await look();
    await movesEnded();
    const { moves: [move], total } = await selectMovesPage(cloud.db, { trigger: 'balancing', page: 1, pageSize: 1 });
    assert.deepEqual([total, move?.state, move?.actorId, move?.fromHostId], [before + 1, 'done', null, cloud.hostIds[0]]);
    const moved = instances.findIndex(({ id }) => id === move?.instanceId);
    // the new host as hot as can be by this one alone, the old one idle
    await cloud.db.execute('UPDATE hosts SET cpus = 2 WHERE id = ?', [move?.toHostId ?? '']);
    for (let index = 0; index < 5; index++) {
      await pass((each) => (each === moved ? 1.95 : 0.1));
      await look();
    }
    assert.equal(await historySize(), before + 1, 'it rests');
    await pass((each) => (each === moved ? 1.95 : 0.1), 30);
    await look();
    await movesEnded();
    assert.equal(await historySize(), before + 2, 'and has rested');
    await cloud.db.execute('UPDATE hosts SET cpus = 8');
  });

  it('decides nothing without fresh samples', async () => {
    await setMode({ mode: 'suggest' });
    await pass(hot);
    cloud.time.ahead += 30_000;
    await look();
    assert.deepEqual(await open(), []);
    const input = await loadBalancing(cloud.db, config, { ...defaultSettings }, now());
    assert.equal(input.loads.size, 0);
  });

  it('a move that fails is not tried again every minute', async () => {
    await setMode({ mode: 'act', movesPerRound: 1 });
    await pass(hot);
    const before = await historySize();
    for (const id of cloud.hostIds.slice(1)) await updateHost(cloud.db, id, { migrationUri: 'qemu+tcp://127.0.0.1:1/system' });
    await look();
    const [move] = await selectOpenMoves(cloud.db);
    assert.equal((await cloud.ended(move?.id ?? '')).state, 'failed');
    await pass(hot);
    await look();
    for (const each of await selectOpenMoves(cloud.db)) {
      assert.notEqual(each.instanceId, move?.instanceId);
      await cloud.ended(each.id);
    }
    assert.ok((await historySize()) > before);
    for (const [index, id] of cloud.hostIds.entries()) await updateHost(cloud.db, id, { migrationUri: cloud.fakes[index]?.uri ?? '' });
  });

  it('forgets old suggestions that are decided', async () => {
    const before = await cloud.db.query('SELECT id FROM suggestions');
    assert.ok(before.length > 3);
    assert.equal(await deleteSuggestionsEndedBefore(cloud.db, now() + 1, 2), 2);
    assert.equal((await cloud.db.query('SELECT id FROM suggestions')).length, before.length - 2);
  });
});

it('leaves the books in order', async () => {
  await gather();
  await runner.stop();
  await cloud.checkBooks();
});
