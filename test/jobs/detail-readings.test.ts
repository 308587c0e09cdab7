// What a tick asks of whom, and what it leaves behind beside the samples of instances: devices, hosts that are silent, the
// cluster as a whole, top lists. Fake hosts, a real database, a clock that the test moves.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createCollectMetrics } from '../../src/jobs/collect-metrics.ts';
import { createFleet } from '../../src/libvirt/fleet.ts';
import { openHypervisor } from '../../src/libvirt/open-hypervisor.ts';
import { createLog } from '../../src/log.ts';
import type { Instance } from '../../src/model/instance.ts';
import { clusterOwnerId } from '../../src/model/metric.ts';
import type { InstanceSample } from '../../src/model/metrics.ts';
import { topHosts, topInstances, type TopLists } from '../../src/model/top-list.ts';
import { selectDeviceSampleRange, selectSampleDevices } from '../../src/store/device-samples.ts';
import { insertHost, selectHost, selectHosts } from '../../src/store/hosts.ts';
import { insertSampleSubject } from '../../src/store/sample-subjects.ts';
import { selectHostSampleRange, selectInstanceSampleRange, selectPoolSampleRange } from '../../src/store/samples.ts';
import { selectSnapshot } from '../../src/store/snapshots.ts';
import { upsertPool } from '../../src/store/storage-pools.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';
import { startFakeLibvirtd, type FakeLibvirtd, type FakeLibvirtdOptions } from '../helpers/fake-libvirtd/index.ts';
import { makeInstance, startDomain } from '../helpers/instances.ts';
import { createLooks } from '../helpers/rates.ts';

const pollIntervalMs = 10_000;
const blockGroup = 1 << 5;
const owner = { id: randomUUID() };
const never = new AbortController().signal;
setMaxListeners(0, never);
/** on the border of no minute, so that a minute of ticks is a minute */
const start = 1_800_000_000_000;
let database: TestDatabase;
let now: number;
let fakes: FakeLibvirtd[];
const hosts = createFleet((uri) => openHypervisor(uri, { connectTimeoutMs: 1000 }));

before(async () => { database = await createTestDatabase(); });
after(async () => {
  await hosts.close();
  await database.close();
});
beforeEach(() => {
  fakes = [];
  now = start;
});
afterEach(async () => {
  hosts.sync([]);
  for (const fake of fakes) {
    fake.resume();
    await fake.close();
  }
  for (const table of ['hosts', 'instances', 'storage_pools', 'host_pools', 'snapshots', 'host_samples', 'pool_samples']) await database.db.execute(`DELETE FROM ${table}`);
});

async function addFake(name: string, options: FakeLibvirtdOptions = {}): Promise<{ fake: FakeLibvirtd; id: string; subjectId: number }> {
  const fake = await startFakeLibvirtd({ hostname: name, ...options });
  fakes.push(fake);
  const id = randomUUID();
  await insertHost(database.db, { id, name, uri: fake.uri, consoleAddress: '127.0.0.1', network: 'default', virtTypeWish: 'auto', createdAt: start });
  await database.db.execute('UPDATE hosts SET cpus = ? WHERE id = ?', [options.cpus ?? 4, id]);
  hosts.sync(await selectHosts(database.db));
  await hosts.host(id).ready({ timeoutMs: 20_000 });
  return { fake, id, subjectId: (await selectHost(database.db, id)).subjectId };
}

async function addGuest(fake: FakeLibvirtd, hostId: string): Promise<Instance> {
  const instance = await makeInstance(database.db, owner, { hostId });
  await startDomain(fake, instance);
  return instance;
}

const { look, near } = createLooks();

/** A tick, and then as much real time as a rate needs, while the clock goes on by a poll. */
function collector(options: { readonly pollIntervalMs?: number } = {}): () => Promise<void> {
  const collect = createCollectMetrics({ db: database.db, hosts, clock: { now: () => now }, log: createLog('silent') }, { pollIntervalMs, detailIntervalMs: 60_000, ...options });
  return async () => {
    await look(() => collect(never));
    await delay(220);
    now += pollIntervalMs;
  };
}

interface StatsArgs { readonly doms: readonly { readonly uuid: string }[]; readonly stats: number }
const asked = (fake: FakeLibvirtd): StatsArgs[] => fake.requests.filter(({ procedure }) => procedure === 'CONNECT_GET_ALL_DOMAIN_STATS').map(({ args }) => args as StatsArgs);
const samplesOf = (instance: Instance): Promise<InstanceSample[]> => selectInstanceSampleRange(database.db, instance.subjectId, 0, now);

describe('dear readings', () => {
  it('are made twice at the start and once a minute from then on, and carried with their age', async () => {
    const { fake, id } = await addFake('alpha');
    const instance = await addGuest(fake, id);
    const tick = collector();
    for (let n = 0; n < 14; n++) {
      fake.host.domain(instance.id).load.memoryUsedMib = 100 + n;
      await tick();
    }
    const dear = asked(fake).flatMap(({ stats }, n) => ((stats & blockGroup) === 0 ? [] : [n]));
    assert.equal(asked(fake).length, 14, 'one call a tick');
    assert.deepEqual(dear.slice(0, 2), [0, 1]);
    assert.ok([3, 4].includes(dear.length) && dear.slice(2).every((n, index) => index === 0 || n - (dear.slice(2)[index - 1] ?? 0) === 6), String(dear));
    const samples = await samplesOf(instance);
    for (const [n, sample] of samples.entries()) {
      const last = dear.findLast((each) => each <= n) ?? 0;
      assert.deepEqual([sample.detailAt, sample.memoryUsedMib, sample.memoryAvailableMib], [start + last * pollIntervalMs, 100 + last, 1024 - 100 - last], `tick ${n}`);
      assert.equal(sample.diskReadBytesPerSecond === null, n === 0, 'two readings make a rate');
      assert.equal(sample.networkReceiveBytesPerSecond === null, n === 0);
    }
  });

  it('do not keep a guest waiting that has just started, and ask for nobody else then', async () => {
    const { fake, id } = await addFake('alpha');
    await addGuest(fake, id);
    const tick = collector();
    for (let n = 0; n < 3; n++) await tick();
    const newcomer = await addGuest(fake, id);
    const before = asked(fake).length;
    for (let n = 0; n < 3; n++) await tick();
    const alone = asked(fake).slice(before).filter(({ doms }) => doms.length > 0);
    assert.ok(alone.length >= 1 && alone.length <= 2, 'unless its turn came meanwhile');
    for (const { doms, stats } of alone) assert.deepEqual([doms.map(({ uuid }) => uuid), (stats & blockGroup) !== 0], [[newcomer.id], true]);
    const samples = await samplesOf(newcomer);
    assert.deepEqual(samples.map(({ memoryUsedMib, diskReadBytesPerSecond }) => [memoryUsedMib !== null, diskReadBytesPerSecond !== null]), [[true, false], [true, true], [true, true]]);
  });

  it('name each disk and interface and measure it', async () => {
    const { fake, id } = await addFake('alpha');
    const instance = await addGuest(fake, id);
    const tick = collector();
    Object.assign(fake.host.domain(instance.id).load, { diskReadBytes: 8000, netReceivedBytes: 0, netSentBytes: 40_000 });
    await tick();
    await tick();
    assert.deepEqual((await selectSampleDevices(database.db, instance.subjectId)).map(({ kind, name }) => [kind, name]), [['disk', 'vda'], ['interface', instance.mac]]);
    const [disk] = await selectDeviceSampleRange(database.db, instance.subjectId, 0, 0, now);
    const [nic] = await selectDeviceSampleRange(database.db, instance.subjectId, 16, 0, now);
    near(disk?.readBytesPerSecond, 8000);
    assert.deepEqual([disk?.dropsPerSecond, disk?.allocationMib], [null, 0]);
    near(nic?.writeBytesPerSecond, 40_000);
    near(nic?.writeOpsPerSecond, 50);
    assert.deepEqual([nic?.readBytesPerSecond, nic?.dropsPerSecond, nic?.allocationMib], [0, 0, null]);
    const sample = (await samplesOf(instance)).at(-1);
    near(sample?.networkTransmitPacketsPerSecond, 50);
    assert.equal(sample?.networkDropsPerSecond, 0);
  });
});

describe('a tick', () => {
  it('notes that a host does not answer, and goes on when it does', async () => {
    const { fake, id, subjectId } = await addFake('alpha');
    const fenced = await addFake('beta');
    await database.db.execute("UPDATE hosts SET state = 'fenced' WHERE id = ?", [fenced.id]);
    const tick = collector();
    await tick();
    await tick();
    await fake.refuse();
    await delay(50);
    await tick();
    await fake.accept();
    await hosts.host(id).ready({ timeoutMs: 20_000 });
    await tick();
    const samples = await selectHostSampleRange(database.db, subjectId, 0, now);
    assert.deepEqual(samples.map(({ up, memoryTotalMib }) => [up, memoryTotalMib !== null]), [[1, true], [1, true], [0, false], [1, true]]);
    assert.deepEqual((await selectHostSampleRange(database.db, fenced.subjectId, 0, now)).map(({ up }) => up), [0, 0, 0, 0]);
  });

  it('measures the cluster as a whole: hosts by their CPUs, what is shared of storage', async () => {
    const [big, small] = [await addFake('alpha', { cpus: 12, memoryMib: 8192 }), await addFake('beta', { cpus: 4, memoryMib: 4096 })];
    const pool = { name: 'default', path: '/pool', kind: 'netfs', capacityBytes: 1, availableBytes: 1 };
    await upsertPool(database.db, { ...pool, hostId: big.id, shared: true }, start);
    await upsertPool(database.db, { ...pool, hostId: small.id, shared: false, name: 'local', path: '/local' }, start);
    const tick = collector();
    await tick();
    await tick();
    const subject = await insertSampleSubject(database.db, clusterOwnerId, start);
    const [first, second] = await selectHostSampleRange(database.db, subject, 0, now);
    const [alpha, beta] = await Promise.all([big, small].map(async ({ subjectId }) => (await selectHostSampleRange(database.db, subjectId, 0, now))[1]));
    assert.deepEqual([first?.cpuPercent, first?.up, first?.memoryTotalMib], [null, 1, 12_288]);
    assert.ok(Math.abs((second?.cpuPercent ?? NaN) - (12 * (alpha?.cpuPercent ?? NaN) + 4 * (beta?.cpuPercent ?? NaN)) / 16) < 0.01);
    assert.equal(second?.memoryUsedMib, (alpha?.memoryUsedMib ?? NaN) + (beta?.memoryUsedMib ?? NaN));
    assert.equal(second?.cpuIowaitPercent !== null && second?.cpuUserPercent !== null, true);
    const storage = await selectPoolSampleRange(database.db, subject, 0, now);
    const shared = await database.db.query<{ capacity_bytes: number }>('SELECT capacity_bytes FROM storage_pools WHERE shared = 1');
    assert.deepEqual(storage.map(({ capacityBytes }) => capacityBytes), [shared[0]?.capacity_bytes, shared[0]?.capacity_bytes]);
  });

  it('keeps lists of the busiest', async () => {
    const { fake, id } = await addFake('alpha');
    const guests: Instance[] = [];
    for (const cpuPercent of [20, 90, 50]) {
      const guest = await addGuest(fake, id);
      Object.assign(fake.host.domain(guest.id).load, { cpuPercent, netReceivedBytes: 1000 * cpuPercent, netSentBytes: 0 });
      guests.push(guest);
    }
    const tick = collector();
    await tick();
    await tick();
    const top = await selectSnapshot<TopLists>(database.db, topInstances);
    const byLoad = [guests[1]?.id, guests[2]?.id, guests[0]?.id];
    assert.deepEqual(top?.value.cpu.map((entry) => entry.id), byLoad);
    assert.deepEqual(top?.value.network.map((entry) => entry.id), byLoad);
    near(top?.value.cpu[0]?.value, 90);
    assert.equal(top?.value.memory.length, 3);
    assert.equal(top?.at, now - pollIntervalMs);
    const busiest = (await selectSnapshot<TopLists>(database.db, topHosts))?.value;
    assert.deepEqual(busiest?.cpu.map((entry) => entry.id), [id]);
    near(busiest?.network[0]?.value, 160_000);
  });

  it('is not held up by hosts that are silent, however many', async () => {
    const good = await addFake('zeta');
    const silent = await Promise.all(Array.from({ length: 80 }, (_, n) => addFake(`silent${n}`)));
    for (const { fake } of silent) fake.hang();
    let ended = false;
    const ticking = collector({ pollIntervalMs: 5000 })().then(() => { ended = true; }); // a deadline of 4 s
    while ((await selectHostSampleRange(database.db, good.subjectId, 0, now)).length === 0) {
      assert.equal(ended, false, 'the last host is measured while all before it are silent');
      await delay(20);
    }
    assert.equal(ended, false, 'the last host is measured while all before it are silent');
    await ticking;
    const up = await database.db.query<{ up: number; n: number }>('SELECT up, COUNT(*) AS n FROM host_samples JOIN sample_subjects ON id = subject_id WHERE owner_id <> ? GROUP BY up ORDER BY up', [clusterOwnerId]);
    assert.deepEqual(up.map((row) => [row.up, row.n]), [[0, 80], [1, 1]]);
  });
});
