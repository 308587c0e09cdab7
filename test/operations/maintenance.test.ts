// Emptying a host and bringing its instances back, on fake hosts that share their disks: within the limits, with owners who
// go on using their machines meanwhile, with moves that fail, and with portals that are killed at every step.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { AppError } from '../../src/errors.ts';
import type { Instance } from '../../src/model/instance.ts';
import type { Operation } from '../../src/model/operation.ts';
import { requestCancel } from '../../src/operations/cancel.ts';
import { submitInstanceAction } from '../../src/operations/instance-action.ts';
import type { Runner } from '../../src/operations/runner.ts';
import { watchEvents, type EventWatch } from '../../src/operations/watch-events.ts';
import { selectHostEvents } from '../../src/store/host-events.ts';
import { selectHost, updateHostContact } from '../../src/store/hosts.ts';
import { selectInstancesByHost, selectOptionalInstance } from '../../src/store/instances.ts';
import { selectLeftBehind } from '../../src/store/left-behind.ts';
import { selectMovesByBatch, selectOpenMoves } from '../../src/store/moves.ts';
import { selectOperation, selectOperationSteps } from '../../src/store/operations.ts';
import { smallSize, type Cloud } from '../helpers/cloud.ts';
import { bringBack, drain, fill, setWish, threeHosts, until, type Hosts } from '../helpers/maintenance.ts';

/** Deletes what a test has made, so that the next one begins with empty hosts. */
async function clear(cloud: Cloud): Promise<void> {
  for (const fake of cloud.fakes) fake.faults.clear();
  for (const hostId of cloud.hostIds) {
    await updateHostContact(cloud.db, hostId, { state: 'up', at: Date.now() });
    for (const instance of await selectInstancesByHost(cloud.db, hostId)) {
      await until('the instance is free', async () => (await selectOptionalInstance(cloud.db, instance.id))?.operationId === null);
      await cloud.ended((await cloud.act(instance.id, 'delete')).id);
    }
  }
  await setWish(cloud, cloud.hostIds, 'enabled');
  await cloud.checkBooks();
}

describe('emptying a host', () => {
  let cloud: Cloud;
  let hosts: Hosts;
  let watch: EventWatch;
  let runner: Runner;
  before(async () => {
    ({ cloud, hosts } = await threeHosts());
    watch = watchEvents(cloud.deps);
    runner = cloud.startRunner();
  });
  afterEach(() => clear(cloud));
  after(async () => {
    await runner.stop();
    await watch.stop();
    await cloud.close();
  });

  it('moves all of eight away while they run, never more at once than the limits allow', async () => {
    const instances = await fill(cloud, hosts.a, 8);
    const { id } = await drain(cloud, hosts.a);
    let most = 0;
    await until('its end', async () => {
      most = Math.max(most, (await selectOpenMoves(cloud.db)).filter(({ state }) => state === 'moving').length);
      return (await selectOperation(cloud.db, id)).endedAt !== null;
    });
    assert.equal((await cloud.ended(id)).state, 'done');
    assert.ok(most > 0 && most <= 2, `${most} at once`);
    for (const { id: instanceId } of instances) {
      const instance = await cloud.instance(instanceId);
      assert.notEqual(instance.hostId, hosts.a);
      assert.equal(instance.returnHostId, hosts.a);
      assert.equal(instance.state, 'running');
    }
    const host = await selectHost(cloud.db, hosts.a);
    assert.equal(host.wish, 'maintenance');
    assert.deepEqual([host.usedVcpus, host.usedMemoryMib], [0, 0]);
    const [newest] = await selectHostEvents(cloud.db, hosts.a, 1);
    assert.deepEqual(newest?.sentence, { key: 'maintenance.event.host-drain.done', params: { moved: 8, failed: 0, left: 0 } });
    assert.notEqual((await cloud.running()).hostId, hosts.a, 'nothing new is placed there');
    await cloud.checkBooks();
  });

  it('moves what is off too, leaves what fits nowhere with the reasons, and moves that when asked again', async () => {
    const [off, on] = await fill(cloud, hosts.a, 2);
    assert.ok(off && on);
    await cloud.ended((await cloud.act(off.id, 'force-off')).id);
    // as much as is left elsewhere, so that it has room on no other host
    const [large] = await fill(cloud, hosts.a, 1, { ...smallSize, memoryMib: 40 * 1024 });
    const [onB, onC] = [await fill(cloud, hosts.b, 1, { ...smallSize, memoryMib: 32 * 1024 }), await fill(cloud, hosts.c, 1, { ...smallSize, memoryMib: 32 * 1024 })];
    assert.ok(large && onB[0] && onC[0]);
    const { id } = await drain(cloud, hosts.a);
    assert.equal((await cloud.ended(id)).state, 'done');
    assert.deepEqual((await selectInstancesByHost(cloud.db, hosts.a)).map((each) => each.id), [large.id]);
    assert.equal((await cloud.instance(off.id)).state, 'stopped');
    const [left] = await selectLeftBehind(cloud.db, id);
    assert.equal(left?.instanceId, large.id);
    assert.equal(left?.instanceName, large.name);
    assert.match(JSON.stringify(left?.refusals), /failover\.unfit\.memory/);
    const [newest] = await selectHostEvents(cloud.db, hosts.a, 1);
    assert.deepEqual(newest?.sentence.params, { moved: 2, failed: 0, left: 1 });

    await cloud.ended((await cloud.act(onB[0].id, 'delete')).id);
    const again = await drain(cloud, hosts.a);
    assert.equal((await cloud.ended(again.id)).state, 'done');
    assert.deepEqual(await selectLeftBehind(cloud.db, again.id), []);
    assert.equal((await cloud.instance(large.id)).hostId, hosts.b);
    assert.equal((await cloud.instance(on.id)).returnHostId, hosts.a, 'the first ones still belong there');
  });

  it('tries a move that failed once more, to another host, and lists it when that fails too', async () => {
    const [lucky, unlucky] = await fill(cloud, hosts.a, 2);
    assert.ok(lucky && unlucky);
    // not the check's own trial, which names a disk that is not there
    const mine = (instance: Instance) => (args: Readonly<Record<string, unknown>>): boolean => (Number(args['flags']) & 64) === 0 && JSON.stringify(args['dom']).includes(instance.id);
    cloud.fake.fail('DOMAIN_MIGRATE_PERFORM3_PARAMS', { code: 1, message: 'internal error: no' }, { once: true, when: mine(lucky) });
    cloud.fake.fail('DOMAIN_MIGRATE_PERFORM3_PARAMS', { code: 1, message: 'internal error: no' }, { when: mine(unlucky) });
    const { id } = await drain(cloud, hosts.a);
    assert.equal((await cloud.ended(id)).state, 'done');
    const moves = await selectMovesByBatch(cloud.db, id);
    const of = (instance: Instance): { states: string[]; targets: Set<string> } => {
      const own = moves.filter(({ instanceId }) => instanceId === instance.id);
      return { states: own.map(({ state }) => state), targets: new Set(own.map(({ toHostId }) => toHostId)) };
    };
    assert.deepEqual(of(lucky).states, ['failed', 'done']);
    assert.deepEqual(of(unlucky), { states: ['failed', 'failed'], targets: new Set([hosts.b, hosts.c]) });
    assert.equal((await cloud.instance(unlucky.id)).hostId, hosts.a);
    assert.equal((await cloud.instance(unlucky.id)).state, 'running');
    const [newest] = await selectHostEvents(cloud.db, hosts.a, 1);
    assert.deepEqual(newest?.sentence.params, { moved: 1, failed: 1, left: 0 });
  });

  it('cancelled, lets what moves arrive and leaves the rest; the host stays closed', async () => {
    const instances = await fill(cloud, hosts.a, 8);
    const goOn = cloud.fake.host.migrations.hold('perform');
    const { id } = await drain(cloud, hosts.a);
    await until('the first moves', async () => (await selectOpenMoves(cloud.db)).filter(({ state }) => state === 'moving').length === 2);
    await requestCancel(cloud.deps, await selectOperation(cloud.db, id));
    await until('it is noticed', async () => (await selectOperation(cloud.db, id)).state !== 'running');
    goOn();
    assert.equal((await cloud.ended(id)).state, 'cancelled');
    await until('the last arrival', async () => (await selectOpenMoves(cloud.db)).length === 0);
    const [states, here] = [(await selectMovesByBatch(cloud.db, id)).map(({ state }) => state), await selectInstancesByHost(cloud.db, hosts.a)];
    assert.ok(states.every((state) => state === 'done' || state === 'cancelled'), states.join());
    assert.ok(here.length >= 2 && here.length < instances.length, `${here.length} are still there`);
    assert.equal((await selectHost(cloud.db, hosts.a)).wish, 'maintenance');
    assert.equal((await selectHostEvents(cloud.db, hosts.a, 1))[0]?.sentence.key, 'maintenance.event.host-drain.cancelled');

    const back = await bringBack(cloud, hosts.a);
    assert.equal((await cloud.ended(back.id)).state, 'done');
    assert.equal((await selectInstancesByHost(cloud.db, hosts.a)).length, instances.length, 'a return after half of it');
    assert.equal((await selectHost(cloud.db, hosts.a)).wish, 'enabled');
  });

  it('moves what was being created there, and leaves owners their machines until their turn', async () => {
    await fill(cloud, hosts.a, 9);
    await setWish(cloud, [hosts.b, hosts.c], 'disabled');
    for (const fake of cloud.fakes) fake.host.startDelayMs = 300;
    const late = await cloud.create();
    await setWish(cloud, [hosts.b, hosts.c], 'enabled');
    const { id } = await drain(cloud, hosts.a);
    // one whose turn has not come: its owner may still do with it as they like
    let deletion: Operation | undefined;
    await until('an instance that waits without being held', async () => {
      if ((await selectOpenMoves(cloud.db)).length === 0) return false;
      const free = (await selectInstancesByHost(cloud.db, hosts.a)).find((each) => each.operationId === null && each.state === 'running' && each.id !== late.instance.id);
      // its turn may come in this moment
      deletion = free && (await submitInstanceAction(cloud.deps, { action: 'delete', instance: free, actor: cloud.user }).catch(() => undefined));
      return deletion !== undefined;
    });
    assert.equal((await cloud.ended(deletion?.id ?? '')).state, 'done');
    assert.equal((await cloud.ended(late.operation.id)).state, 'done');
    assert.equal((await cloud.ended(id)).state, 'done');
    for (const fake of cloud.fakes) fake.host.startDelayMs = 0;
    assert.deepEqual(await selectInstancesByHost(cloud.db, hosts.a), []);
    assert.notEqual((await cloud.instance(late.instance.id)).hostId, hosts.a);
    assert.equal((await selectMovesByBatch(cloud.db, id)).filter(({ state }) => state === 'done').length, 9);
  });

  it('starts elsewhere what its owner starts meanwhile, and says so when no other host has room', async () => {
    const [off] = await fill(cloud, hosts.a, 1);
    assert.ok(off);
    await cloud.ended((await cloud.act(off.id, 'force-off')).id);
    await setWish(cloud, [hosts.a], 'maintenance');
    await setWish(cloud, [hosts.b, hosts.c], 'disabled');
    await assert.rejects(cloud.act(off.id, 'start'), (error) => error instanceof AppError && error.kind === 'conflict' && error.sentence.key === 'maintenance.refused.start');
    await setWish(cloud, [hosts.b], 'enabled');
    await cloud.ended((await cloud.act(off.id, 'start')).id);
    await until('it runs', async () => {
      const { state, operationId } = await cloud.instance(off.id);
      return state === 'running' && operationId === null;
    });
    const started = await cloud.instance(off.id);
    assert.deepEqual([started.hostId, started.returnHostId], [hosts.b, hosts.a]);
  });

  it('goes no further when somebody puts the host into service', async () => {
    const instances = await fill(cloud, hosts.a, 9);
    const goOn = cloud.fake.host.migrations.hold('perform');
    const { id } = await drain(cloud, hosts.a);
    await until('the first moves', async () => (await selectOpenMoves(cloud.db)).some(({ state }) => state === 'moving'));
    await setWish(cloud, [hosts.a], 'enabled');
    goOn();
    assert.equal((await cloud.ended(id)).state, 'done');
    const here = await selectInstancesByHost(cloud.db, hosts.a);
    assert.ok(here.length > 0 && here.length < instances.length, `${here.length} are still there`);
  });

  it('is refused twice at a time, and on a host that does not answer', async () => {
    await fill(cloud, hosts.a, 3);
    const { id } = await drain(cloud, hosts.a);
    await assert.rejects(drain(cloud, hosts.a), (error) => error instanceof AppError && error.kind === 'conflict' && error.sentence.key === 'maintenance.refused.host-drain.running');
    await cloud.ended(id);
    await updateHostContact(cloud.db, hosts.b, { state: 'unreachable', at: Date.now(), reason: 'no' });
    const before = await selectHost(cloud.db, hosts.b);
    await assert.rejects(drain(cloud, hosts.b), (error) => error instanceof AppError && error.kind === 'conflict' && error.sentence.key === 'maintenance.refused.host-drain.unreachable');
    assert.equal((await selectHost(cloud.db, hosts.b)).wish, before.wish);
  });

  it('is stopped by a return, which waits for what is still leaving and brings it back', async () => {
    const instances = await fill(cloud, hosts.a, 4);
    const goOn = cloud.fake.host.migrations.hold('perform');
    const away = await drain(cloud, hosts.a);
    await until('the first moves', async () => (await selectOpenMoves(cloud.db)).some(({ state }) => state === 'moving'));
    const back = await bringBack(cloud, hosts.a);
    assert.equal((await cloud.ended(away.id)).state, 'cancelled');
    // it looks at what there is to do
    await until('the return', async () => (await selectOperationSteps(cloud.db, back.id)).some(({ name, state }) => name === 'submit-moves' && state !== 'waiting'));
    goOn();
    assert.equal((await cloud.ended(back.id)).state, 'done');
    const here = await selectInstancesByHost(cloud.db, hosts.a);
    assert.equal(here.length, instances.length);
    assert.deepEqual(here.filter(({ returnHostId }) => returnHostId !== null), []);
    assert.deepEqual(await selectOpenMoves(cloud.db), []);
  });

  it('is stopped by a return, which then brings back what had left', async () => {
    const instances = await fill(cloud, hosts.a, 6);
    const goOn = cloud.fake.host.migrations.hold('perform');
    const away = await drain(cloud, hosts.a);
    await until('the first moves', async () => (await selectOpenMoves(cloud.db)).some(({ state }) => state === 'moving'));
    const back = await bringBack(cloud, hosts.a);
    goOn();
    assert.equal((await cloud.ended(away.id)).state, 'cancelled');
    assert.equal((await cloud.ended(back.id)).state, 'done');
    await until('all moves have ended', async () => (await selectOpenMoves(cloud.db)).length === 0);
    assert.equal((await selectHost(cloud.db, hosts.a)).wish, 'enabled');
    const here = await selectInstancesByHost(cloud.db, hosts.a);
    assert.equal(here.length, instances.length);
    assert.deepEqual(here.filter(({ returnHostId }) => returnHostId !== null), []);
  });
});

describe('bringing instances back', () => {
  let cloud: Cloud;
  let hosts: Hosts;
  let watch: EventWatch;
  let runner: Runner;
  before(async () => {
    // 8 GiB each
    ({ cloud, hosts } = await threeHosts(8));
    watch = watchEvents(cloud.deps);
    runner = cloud.startRunner();
  });
  afterEach(() => clear(cloud));
  after(async () => {
    await runner.stop();
    await watch.stop();
    await cloud.close();
  });

  it('brings back those that left and no others, as many as fit; the rest stay and are listed', async () => {
    const [first, second] = await fill(cloud, hosts.a, 2, { ...smallSize, memoryMib: 3 * 1024 });
    const [other] = await fill(cloud, hosts.b, 1);
    assert.ok(first && second && other);
    await cloud.ended((await drain(cloud, hosts.a)).id);
    assert.deepEqual(await selectInstancesByHost(cloud.db, hosts.a), []);
    // somebody takes room there in the moment it opens: 4 of 8 GiB
    await cloud.db.execute('UPDATE hosts SET used_memory_mib = used_memory_mib + 4096 WHERE id = ?', [hosts.a]);
    const back = await bringBack(cloud, hosts.a);
    assert.equal((await cloud.ended(back.id)).state, 'done');
    const here = await selectInstancesByHost(cloud.db, hosts.a);
    assert.equal(here.length, 1);
    assert.equal((await selectLeftBehind(cloud.db, back.id)).length, 1);
    assert.equal((await cloud.instance(other.id)).hostId, hosts.b, 'one that never left stays');
    const stayed = [first, second].find(({ id }) => id !== here[0]?.id);
    assert.equal((await cloud.instance(stayed?.id ?? '')).returnHostId, hosts.a, 'it still belongs there');

    await cloud.db.execute('UPDATE hosts SET used_memory_mib = used_memory_mib - 4096 WHERE id = ?', [hosts.a]);
    await cloud.ended((await bringBack(cloud, hosts.a)).id);
    assert.equal((await selectInstancesByHost(cloud.db, hosts.a)).length, 2, 'and comes back when it fits');
  });

  it('forgets what never came back when a new maintenance begins', async () => {
    const [old] = await fill(cloud, hosts.a, 1);
    assert.ok(old);
    await cloud.ended((await drain(cloud, hosts.a)).id);
    // opened again without bringing anything back
    await setWish(cloud, [hosts.a], 'enabled');
    const [young] = await fill(cloud, hosts.a, 1);
    assert.ok(young);
    await cloud.ended((await drain(cloud, hosts.a)).id);
    await cloud.ended((await bringBack(cloud, hosts.a)).id);
    assert.deepEqual((await selectInstancesByHost(cloud.db, hosts.a)).map(({ id }) => id), [young.id]);
    assert.equal((await cloud.instance(old.id)).returnHostId, null);
  });

  it('knows the first home of one that had to leave two hosts', async () => {
    const [instance] = await fill(cloud, hosts.a, 1);
    assert.ok(instance);
    await cloud.ended((await drain(cloud, hosts.a)).id);
    const second = (await cloud.instance(instance.id)).hostId ?? '';
    await cloud.ended((await drain(cloud, second)).id);
    await cloud.ended((await bringBack(cloud, second)).id);
    assert.notEqual((await cloud.instance(instance.id)).hostId, second, 'it was only a guest there');
    await cloud.ended((await bringBack(cloud, hosts.a)).id);
    assert.equal((await cloud.instance(instance.id)).hostId, hosts.a);
  });
});
