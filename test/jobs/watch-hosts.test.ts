// Who answers and who does not, against fake hosts that hang, refuse, come back and pretend, on a real database.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createCollectMetrics } from '../../src/jobs/collect-metrics.ts';
import { createSchedule } from '../../src/jobs/schedule.ts';
import { createWatchHosts, defaultWatch } from '../../src/jobs/watch-hosts.ts';
import { createFleet, fleetConnections } from '../../src/libvirt/fleet.ts';
import { openHypervisor } from '../../src/libvirt/open-hypervisor.ts';
import type { HostEvent } from '../../src/model/host.ts';
import type { OperationDeps } from '../../src/operations/deps.ts';
import { syncFleet } from '../../src/operations/fleet-sync.ts';
import { watchEvents } from '../../src/operations/watch-events.ts';
import { selectHostEvents } from '../../src/store/host-events.ts';
import { claimHostFenced, selectHost } from '../../src/store/hosts.ts';
import { createCloud, type Cloud } from '../helpers/cloud.ts';
import { startFakeLibvirtd } from '../helpers/fake-libvirtd/index.ts';

/** Fast enough for tests; between silence and a slow machine there is room. */
const quick = { everyMs: 100, silenceMs: 1500 };
const quickConnections = { keepalive: { intervalSeconds: 1, count: 1 }, backoff: { firstMs: 50, maxMs: 200 }, connectTimeoutMs: 700 };
const never = new AbortController().signal;

let cloud: Cloud;
const closing: (() => Promise<unknown>)[] = [];
/** What watches ends before what it looks at. */
async function closeCloud(): Promise<void> {
  for (const close of closing.splice(0).reverse()) await close();
  for (const fake of cloud.fakes) fake.resume();
  await cloud.close();
}

/** Watches until the test ends. */
function watching(deps: OperationDeps, { run } = createWatchHosts(deps, quick), everyMs = quick.everyMs): void {
  const stopping = new AbortController();
  const loop = (async () => {
    while (!stopping.signal.aborted) {
      await run(stopping.signal);
      await delay(everyMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  })();
  closing.push(() => {
    stopping.abort();
    return loop;
  });
}

const idOf = (index: number): string => cloud.hostIds[index] ?? '';
const stateOf = async (index: number): Promise<string> => (await selectHost(cloud.db, idOf(index))).state;
async function events(index: number): Promise<HostEvent[]> {
  return (await selectHostEvents(cloud.db, idOf(index))).reverse();
}
const keys = async (index: number): Promise<string[]> => (await events(index)).map(({ sentence }) => sentence.key);

async function until(condition: () => Promise<boolean>, withinMs = 30_000): Promise<number> {
  const began = performance.now();
  while (performance.now() - began < withinMs) {
    if (await condition()) return performance.now() - began;
    await delay(20);
  }
  return assert.fail(`not within ${withinMs} ms`);
}

describe('watching hosts', () => {
  beforeEach(async () => { cloud = await createCloud({ fakes: [{}, {}, {}], connections: quickConnections }); });
  afterEach(closeCloud);

  it('notices one that hangs and one that refuses, says why, and takes both back; the third never changes', async () => {
    watching(cloud.deps);
    const [, hung, gone] = cloud.fakes;
    hung?.hang();
    await gone?.refuse();
    await until(async () => (await stateOf(1)) === 'unreachable' && (await stateOf(2)) === 'unreachable');
    const hosts = await Promise.all([0, 1, 2].map((index) => selectHost(cloud.db, idOf(index))));
    assert.match(hosts[1]?.reason ?? '', /keepalive|not answered|not connected/);
    assert.match(hosts[2]?.reason ?? '', /ENOENT|ECONNREFUSED|closed/);
    assert.deepEqual(await keys(1), ['hosts.event.lost']);
    assert.equal((await events(1))[0]?.reason?.key, 'hosts.problem.hung');
    assert.ok((hosts[1]?.stateSince ?? 0) > Date.now() - 10_000);
    assert.ok((hosts[0]?.seenAt ?? 0) > (hosts[1]?.seenAt ?? 0) - 5000);
    const [since, seenAt] = [hosts[2]?.stateSince, hosts[2]?.seenAt];
    await delay(500);
    const still = await selectHost(cloud.db, idOf(2));
    assert.deepEqual([still.stateSince, still.seenAt], [since, seenAt], 'the state is as old as the silence');
    hung?.resume();
    await gone?.accept();
    await until(async () => (await stateOf(1)) === 'up' && (await stateOf(2)) === 'up');
    assert.deepEqual(await keys(1), ['hosts.event.lost', 'hosts.event.found-seconds']);
    assert.equal((await selectHost(cloud.db, idOf(1))).reason, null);
    assert.deepEqual([await stateOf(0), await keys(0)], ['up', []]);
  });

  it('raises no alarm for a restart, nor for connections that end again and again', async () => {
    watching(cloud.deps, createWatchHosts(cloud.deps, { ...quick, silenceMs: 3500 }));
    await cloud.fake.refuse();
    await delay(700);
    await cloud.fake.accept();
    for (let drop = 0; drop < 10; drop++) {
      cloud.fakes[1]?.dropConnections();
      await delay(500);
    }
    assert.deepEqual([await stateOf(0), await stateOf(1), await keys(0), await keys(1)], ['up', 'up', [], []]);
  });

  it('raises no alarm for slow calls that hold all places of the connection, nor for a poll that fails', async () => {
    watching(cloud.deps, createWatchHosts(cloud.deps, { ...quick, silenceMs: 3500 }));
    cloud.fake.fault('STORAGE_POOL_REFRESH', { type: 'silence' });
    cloud.fake.fault('CONNECT_GET_ALL_DOMAIN_STATS', { type: 'silence' });
    const { storagePool } = cloud.deps.hosts.host(idOf(0));
    const slow = Promise.allSettled([1, 2, 3, 4, 5].map(() => storagePool.refresh('default', { timeoutMs: 4000 })));
    await createCollectMetrics(cloud.deps, { pollIntervalMs: 1000 })(never);
    await slow;
    assert.deepEqual([await stateOf(0), await keys(0)], ['up', []]);
  });

  it('costs nothing: a turn with two silent hosts is as long as its patience, and the good one is asked every time', async () => {
    await closeCloud();
    // nothing but the turn's own patience ends the waiting for a silent host
    cloud = await createCloud({ fakes: [{}, {}, {}], connections: { keepalive: { intervalSeconds: 60, count: 5 } } });
    cloud.fakes[1]?.hang();
    cloud.fakes[2]?.hang();
    const { run } = createWatchHosts(cloud.deps, { ...quick, silenceMs: 60_000 });
    const asked = cloud.fake.called('CONNECT_GET_LIB_VERSION');
    for (let turn = 0; turn < 5; turn++) {
      const began = performance.now();
      await run(never);
      assert.ok(performance.now() - began < 10_000);
    }
    assert.equal(cloud.fake.called('CONNECT_GET_LIB_VERSION') - asked, 5);
  });

  it('takes no time for silence in which it stood still itself', async () => {
    const { run } = createWatchHosts(cloud.deps, quick);
    await run(never);
    await cloud.fake.refuse();
    await delay(4 * quick.silenceMs);
    await run(never);
    assert.equal(await stateOf(0), 'up');
    await until(async () => {
      await run(never);
      return (await stateOf(0)) === 'unreachable';
    });
  });

  it('leaves a fenced host fenced, silent or not', async () => {
    await cloud.db.transaction((tx) => claimHostFenced(tx, idOf(0), 'admin', Date.now()));
    watching(cloud.deps);
    await delay(500);
    assert.equal(await stateOf(0), 'fenced');
    await cloud.fake.refuse();
    await delay(2 * quick.silenceMs);
    assert.equal(await stateOf(0), 'fenced');
  });

  it('takes another machine at the address for no host, and believes nothing of it', async () => {
    await syncFleet(cloud.deps);
    const instance = await running();
    const index = cloud.hostIds.indexOf(instance.hostId ?? '');
    const fake = cloud.fakes[index];
    const events_ = watchEvents(cloud.deps);
    closing.push(() => events_.stop());
    watching(cloud.deps);
    await fake?.refuse();
    const stranger = await startFakeLibvirtd({ listen: { unixPath: fake?.socketPath ?? '' } });
    closing.push(() => stranger.close());
    await until(async () => (await stateOf(index)) === 'unreachable');
    assert.match((await selectHost(cloud.db, idOf(index))).reason ?? '', /another machine/);
    assert.equal((await events(index))[0]?.reason?.key, 'hosts.problem.other-machine');
    assert.equal((await cloud.instance(instance.id)).state, 'running', 'what it does not have is not lost');
    await stranger.close();
    await fake?.accept();
    await until(async () => (await stateOf(index)) === 'up');
    assert.equal((await cloud.instance(instance.id)).state, 'running');
  });

  it('wakes what waited for the host', async () => {
    const instance = await running({ waitForHostMs: 60_000, retryMs: 600_000 });
    const index = cloud.hostIds.indexOf(instance.hostId ?? '');
    watching(cloud.deps);
    await cloud.fakes[index]?.refuse();
    const { id } = await cloud.act(instance.id, 'force-off');
    await until(async () => (await stateOf(index)) === 'unreachable');
    await cloud.fakes[index]?.accept();
    assert.equal((await cloud.ended(id)).state, 'done');
  });

  async function running(times: { waitForHostMs?: number; retryMs?: number } = {}): ReturnType<Cloud['running']> {
    cloud.startRunner({ times: { waitForHostMs: 300, retryMs: 60, connectMs: 300, ...times } });
    return cloud.running();
  }
});

describe('two portals', () => {
  beforeEach(async () => { cloud = await createCloud({ fakes: [{}, {}], connections: quickConnections }); });
  afterEach(closeCloud);

  it('tell a loss and a return once, with clocks 5 s apart, also when the one that watches stops', async () => {
    const ahead: OperationDeps = {
      ...cloud.deps, hosts: createFleet((uri, more) => openHypervisor(uri, { ...quickConnections, ...more })), clock: { now: () => Date.now() + 5000 },
    };
    await syncFleet(ahead);
    closing.push(() => ahead.hosts.close());
    const portals = [cloud.deps, ahead].map((deps) => createSchedule(deps, [{ name: 'watch-hosts', every: quick.everyMs, ...createWatchHosts(deps, quick) }], randomUUID()));
    for (const portal of portals) portal.start();
    closing.push(() => Promise.all(portals.map((portal) => portal.stop())));
    for (const [round, stopped] of portals.entries()) {
      cloud.fake.hang();
      await until(async () => (await stateOf(0)) === 'unreachable');
      cloud.fake.resume();
      await until(async () => (await stateOf(0)) === 'up');
      await delay(300);
      assert.deepEqual((await keys(0)).length, 2 * (round + 1), (await keys(0)).join(', '));
      if (round === 0) await stopped.stop();
    }
    assert.deepEqual([await stateOf(1), await keys(1)], ['up', []]);
  });

  it('of which the watching one dies in the moment its host does: the other knows since when that is silent', async () => {
    const silenceMs = 6000;
    const leaseMs = 3000;
    let isDead = false;
    let bury: () => void = () => undefined;
    const grave = new Promise<void>((resolve) => { bury = resolve; });
    const { db } = cloud.deps;
    const mortal: OperationDeps = {
      ...cloud.deps, hosts: createFleet((uri, more) => openHypervisor(uri, { ...quickConnections, ...more })),
      db: {
        ...db,
        execute: async (...statement) => (isDead ? grave.then(() => { throw new Error('dead'); }) : db.execute(...statement)),
        query: async (...statement) => (isDead ? grave.then(() => { throw new Error('dead'); }) : db.query(...statement)),
      },
    };
    await syncFleet(mortal);
    closing.push(() => mortal.hosts.close());
    const portals = [mortal, cloud.deps].map((deps) => createSchedule(deps, [{ name: 'watch-hosts', every: quick.everyMs, ...createWatchHosts(deps, { ...quick, silenceMs }) }], randomUUID(), { leaseMs }));
    closing.push(() => {
      bury();
      return Promise.all(portals.map((portal) => portal.stop()));
    });
    portals[0]?.start();
    await delay(300);
    portals[1]?.start();
    await delay(1000);
    isDead = true;
    cloud.fake.hang();
    const noticedMs = await until(async () => (await stateOf(0)) === 'unreachable');
    assert.ok(noticedMs > silenceMs - quick.everyMs * 2 && noticedMs < leaseMs + 0.9 * silenceMs, `${noticedMs} ms`);
  });
});

describe('with the times of production', () => {
  before(async () => { cloud = await createCloud({ fakes: [{}, {}, {}, {}], connections: fleetConnections }); });
  after(closeCloud);

  it('a host is missed within 15 s and taken back within 10 s, and a restart of libvirtd of 3 s is none', async (test) => {
    watching(cloud.deps, createWatchHosts(cloud.deps), defaultWatch.everyMs);
    await delay(1000);
    const [good, hung, gone, restarting] = cloud.fakes;
    hung?.hang();
    await gone?.refuse();
    await restarting?.refuse();
    const restart = delay(3000).then(() => restarting?.accept());
    const noticed = await Promise.all([1, 2].map((index) => until(async () => (await stateOf(index)) === 'unreachable', 15_000)));
    await restart;
    hung?.resume();
    await gone?.accept();
    const back = await Promise.all([1, 2].map((index) => until(async () => (await stateOf(index)) === 'up', 10_000)));
    test.diagnostic(`noticed: hung ${Math.round(noticed[0] ?? 0)} ms, refused ${Math.round(noticed[1] ?? 0)} ms; back: ${back.map(Math.round).join(' ms, ')} ms`);
    assert.deepEqual([await keys(0), await keys(3)], [[], []]);
    assert.ok((good?.called('CONNECT_GET_LIB_VERSION') ?? 0) >= 4);
  });
});
