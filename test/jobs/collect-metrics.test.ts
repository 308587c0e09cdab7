// The polling tick against fake hosts that live, hang and die, on a real database.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../src/clock.ts';
import { createCheckHosts } from '../../src/jobs/check-hosts.ts';
import { createCollectMetrics } from '../../src/jobs/collect-metrics.ts';
import { evaluateGate } from '../../src/jobs/evaluate-gate.ts';
import { createFleet } from '../../src/libvirt/fleet.ts';
import { openHypervisor } from '../../src/libvirt/open-hypervisor.ts';
import { createLog } from '../../src/log.ts';
import { defaultSettings } from '../../src/model/settings.ts';
import { loadClusterLoad } from '../../src/operations/cluster.ts';
import type { OperationDeps } from '../../src/operations/deps.ts';
import { updateSettings } from '../../src/store/settings.ts';
import { syncFleet } from '../../src/operations/fleet-sync.ts';
import { selectGate } from '../../src/store/gate.ts';
import { insertHost, selectHost, selectHosts } from '../../src/store/hosts.ts';
import { selectOptionalInstance } from '../../src/store/instances.ts';
import { insertHostSamples, selectHostSampleRange, selectInstanceSampleRange, selectLatestHostSamples, selectPoolSampleRange } from '../../src/store/samples.ts';
import { selectPools, upsertPool } from '../../src/store/storage-pools.ts';
import { testFencing } from '../helpers/fence-agent.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';
import { startFakeLibvirtd, type FakeLibvirtd, type FakeLibvirtdOptions } from '../helpers/fake-libvirtd/index.ts';
import { makeInstance, startDomain } from '../helpers/instances.ts';
import { createLooks } from '../helpers/rates.ts';

const gib = 1024 ** 3;
const owner = { id: randomUUID() };
const never = new AbortController().signal;
let database: TestDatabase;
let deps: OperationDeps;
let fakes: FakeLibvirtd[];

before(async () => {
  database = await createTestDatabase();
  deps = { db: database.db, hosts: createFleet((uri) => openHypervisor(uri, { connectTimeoutMs: 1000 })), openHost: openHypervisor, fencing: testFencing(), alert: () => undefined, clock: systemClock, log: createLog('silent'), wake: () => undefined };
});
after(async () => {
  await deps.hosts.close();
  await database.close();
});
beforeEach(() => { fakes = []; });
afterEach(async () => {
  deps.hosts.sync([]);
  for (const fake of fakes) {
    fake.resume();
    await fake.close();
  }
  for (const table of ['hosts', 'instances', 'storage_pools', 'host_pools', 'gate']) await database.db.execute(`DELETE FROM ${table}`);
});

async function addFake(name: string, options: FakeLibvirtdOptions = {}): Promise<{ fake: FakeLibvirtd; id: string }> {
  const fake = await startFakeLibvirtd({ hostname: name, ...options });
  fakes.push(fake);
  const id = randomUUID();
  await insertHost(database.db, { id, name, uri: fake.uri, consoleAddress: '127.0.0.1', network: 'default', virtTypeWish: 'auto', createdAt: Date.now() });
  await syncFleet(deps);
  await deps.hosts.host(id).ready({ timeoutMs: 20_000 });
  return { fake, id };
}

/** subjects of the hosts that have a sample */
async function measured(): Promise<number[]> {
  const subjects = (await selectHosts(database.db)).map((host) => host.subjectId);
  return [...(await selectLatestHostSamples(database.db, subjects, Date.now())).keys()];
}

const { look, near } = createLooks();
const collector = (pollIntervalMs = 10_000): (() => Promise<void>) => {
  const collect = createCollectMetrics(deps, { pollIntervalMs });
  return () => look(() => collect(never));
};

describe('collecting metrics', () => {
  it('gives rates over the time that really passed, for our instances only', async () => {
    const { fake, id } = await addFake('alpha', { cpus: 4, memoryMib: 8192, domains: 3 });
    const instance = await makeInstance(database.db, owner, { hostId: id });
    await startDomain(fake, instance);
    Object.assign(fake.host.domain(instance.id).load, { cpuPercent: 50, memoryUsedMib: 300, netReceivedBytes: 40_000, netSentBytes: 0, diskReadBytes: 8000, diskWrittenBytes: 1000 });
    const tick = collector();
    await tick();
    const [first] = await samplesOf(instance.subjectId);
    assert.equal(first?.cpuPercent, null, 'one reading is no rate');
    assert.equal(first?.memoryUsedMib, 300);
    await delay(900);
    await tick();
    const latest = (await samplesOf(instance.subjectId)).at(-1);
    near(latest?.cpuPercent, 50);
    near(latest?.networkReceiveBytesPerSecond, 40_000);
    assert.equal(latest?.networkTransmitBytesPerSecond, 0);
    near(latest?.diskReadBytesPerSecond, 8000);
    near(latest?.diskWriteBytesPerSecond, 1000);
    const host = await selectHost(database.db, id);
    const hostSample = (await selectHostSampleRange(database.db, host.subjectId, 0, Date.now())).at(-1);
    assert.ok((hostSample?.cpuPercent ?? -1) > 10 && (hostSample?.cpuPercent ?? 101) <= 100, String(hostSample?.cpuPercent));
    assert.equal(hostSample?.memoryTotalMib, 8192);
    const [rows] = await database.db.query<{ n: number }>('SELECT COUNT(DISTINCT subject_id) AS n FROM instance_samples');
    assert.equal(rows?.n, 1, 'strangers’ domains have no samples');
  });

  it('gives no rate over a restart of the guest, and never a negative one', async () => {
    const { fake, id } = await addFake('alpha');
    const instance = await makeInstance(database.db, owner, { hostId: id });
    await startDomain(fake, instance);
    fake.host.domain(instance.id).load.cpuPercent = 90;
    const tick = collector();
    await tick();
    await delay(400);
    await tick();
    fake.host.destroy(instance.id);
    await fake.host.create(instance.id, false);
    await delay(250);
    await tick();
    const restarted = (await samplesOf(instance.subjectId)).at(-1);
    assert.equal(restarted?.cpuPercent, null);
    assert.equal(restarted?.networkReceiveBytesPerSecond, null);
    await delay(400);
    await tick();
    near((await samplesOf(instance.subjectId)).at(-1)?.cpuPercent, 90);
    for (const sample of await samplesOf(instance.subjectId)) {
      for (const value of Object.values(sample)) assert.ok(value === null || value >= 0, JSON.stringify(sample));
    }
  });

  it('is not held up by a host that hangs or one that is gone', async () => {
    const good = await addFake('alpha', { domains: 20 });
    const hung = await addFake('beta');
    const gone = await addFake('gamma');
    hung.fake.hang();
    await gone.fake.refuse();
    await delay(50);
    const tick = collector(1000); // a deadline of 2 s
    const startedAt = Date.now();
    let ended = false;
    const ticking = tick().then(() => { ended = true; });
    await until(async () => (await measured()).length === 1);
    assert.equal(ended, false, 'the good host is measured while the others are silent');
    await ticking;
    assert.ok(Date.now() - startedAt < 15_000);
    assert.deepEqual(await measured(), [(await selectHost(database.db, good.id)).subjectId]);
    assert.deepEqual((await selectHosts(database.db)).map((host) => host.state), ['unknown', 'unknown', 'unknown'], 'who answers is for watch-hosts to say');
    // and back
    hung.fake.resume();
    await until(async () => {
      await tick();
      return (await measured()).length === 2;
    }, 30_000);
  });

  it('measures a shared pool once a tick and a local one by its host', async () => {
    const alpha = await addFake('alpha');
    const beta = await addFake('beta');
    const found = { name: 'default', path: '/pool', capacityBytes: 1, availableBytes: 1 };
    const sharedId = await upsertPool(database.db, { ...found, hostId: alpha.id, shared: true, kind: 'netfs' }, 1000);
    assert.equal(await upsertPool(database.db, { ...found, hostId: beta.id, shared: true, kind: 'netfs' }, 1000), sharedId);
    await collector()();
    const infos = alpha.fake.called('STORAGE_POOL_GET_INFO') + beta.fake.called('STORAGE_POOL_GET_INFO');
    assert.equal(infos, 1);
    const [pool] = await selectPools(database.db);
    assert.ok(pool !== undefined && pool.capacityBytes > gib && (pool.sampledAt ?? 0) > 1000);
    assert.equal((await selectPoolSampleRange(database.db, pool.subjectId, 0, Date.now())).length, 1);
  });

  it('measures a host whose pool does not answer', async () => {
    const { fake, id } = await addFake('alpha');
    await upsertPool(database.db, { hostId: id, name: 'default', path: '/pool', shared: true, kind: 'netfs', capacityBytes: 5, availableBytes: 3 }, 1000);
    fake.fault('STORAGE_POOL_REFRESH', { type: 'silence' });
    fake.fault('STORAGE_POOL_GET_INFO', { type: 'silence' });
    await collector(1000)();
    assert.equal((await measured()).length, 1);
    assert.equal((await selectPools(database.db))[0]?.sampledAt, 1000, 'its figures keep their age');
  });

  it('measures a shared pool through a host that answers, whatever becomes of the others', async () => {
    const { fake: first, id: firstId } = await addFake('alpha');
    const { id: secondId } = await addFake('beta');
    const poolId = await upsertPool(database.db, { hostId: firstId, name: 'default', path: '/pool', shared: true, kind: 'netfs', capacityBytes: 5, availableBytes: 3 }, 1000);
    await upsertPool(database.db, { hostId: secondId, name: 'default', path: '/pool', shared: true, kind: 'netfs', capacityBytes: 5, availableBytes: 3 }, 1000);
    const sampledAt = async (): Promise<number | undefined> => (await selectPools(database.db)).find((pool) => pool.id === poolId)?.sampledAt ?? undefined;
    const tick = createCollectMetrics(deps, { pollIntervalMs: 1000 });
        // its pool hangs: the other is asked from the next tick on, and this one not again
    first.fault('STORAGE_POOL_REFRESH', { type: 'silence' });
    await tick(never);
    await tick(never);
    await tick(never);
    assert.ok(((await sampledAt()) ?? 0) > 1000);
    assert.equal(first.called('STORAGE_POOL_REFRESH'), 1);
    // one that is silent altogether takes it from nobody
    first.hang();
    for (let times = 0; times < 2; times++) {
      await database.db.execute('UPDATE storage_pools SET sampled_at = 1000');
      await tick(never);
      assert.ok(((await sampledAt()) ?? 0) > 1000);
    }
  });

  it('asks the guest where no lease tells, sees changes, keeps what was known, and shows IPv4 first', async () => {
    const { fake, id } = await addFake('alpha');
    const instance = await makeInstance(database.db, owner, { hostId: id });
    await startDomain(fake, instance);
    // a network that is not the host's: the fake tells its addresses as the guest's agent would
    const lan = fake.host.addNetwork('lan').leases;
    const tick = createCollectMetrics(deps, { pollIntervalMs: 10_000 });
    const seen = async (...leases: string[]): Promise<readonly string[] | undefined> => {
      lan.splice(0, lan.length, ...leases.map((address) => ({ mac: instance.mac, address, hostname: null })));
      await tick(never);
      return (await selectOptionalInstance(database.db, instance.id))?.addresses;
    };
    assert.deepEqual(await seen('2001:db8::7', 'fe80::1', '127.0.0.1', '10.0.0.7'), ['10.0.0.7', '2001:db8::7']);
    assert.deepEqual(await seen('10.0.0.8'), ['10.0.0.8']);
    assert.deepEqual(await seen(), ['10.0.0.8']);
  });

  it('finds addresses and console ports of running guests', async () => {
    const { fake, id } = await addFake('alpha', { vncBasePort: 5977 });
    const instance = await makeInstance(database.db, owner, { hostId: id });
    await startDomain(fake, instance);
    fake.host.network('default').leases.push({ mac: instance.mac, address: '192.168.122.9', hostname: 'vm' });
    await collector()();
    const seen = await selectOptionalInstance(database.db, instance.id);
    assert.equal(seen?.address, '192.168.122.9');
    assert.equal(seen?.consolePort, 5977);
  });

  it('leaves a removed host alone and polls one that was added', async () => {
    const { id } = await addFake('alpha');
    const tick = collector();
    await tick();
    await database.db.execute('DELETE FROM hosts WHERE id = ?', [id]);
    await syncFleet(deps);
    assert.equal(deps.hosts.has(id), false);
    await tick();
    const added = await addFake('beta');
    await tick();
    assert.deepEqual(await measured(), [(await selectHost(database.db, added.id)).subjectId]);
  });
});

describe('checking hosts', () => {
  it('writes what a host is when it comes up, and again when the wish changes', async () => {
    const { id } = await addFake('alpha', { cpus: 6, memoryMib: 4096, kvm: true });
    const check = createCheckHosts(deps);
    await check(never);
    const host = await selectHost(database.db, id);
    assert.deepEqual([host.cpus, host.memoryMib, host.virtType, host.arch], [6, 4096, 'kvm', 'x86_64']);
    assert.match(host.libvirtVersion ?? '', /^\d+\.\d+\.\d+$/);
    await database.db.execute("UPDATE hosts SET virt_type_wish = 'qemu' WHERE id = ?", [id]);
    await check(never);
    assert.equal((await selectHost(database.db, id)).virtType, 'qemu');
  });
});

describe('the gate', () => {
  it('closes on the measured load of the window and opens below the lower bound', async () => {
    const { id } = await addFake('alpha', { cpus: 4 });
    await createCheckHosts(deps)(never);
    const { subjectId } = await selectHost(database.db, id);
    const now = Date.now();
    await updateSettings(database.db, 'thresholds', { ...defaultSettings.thresholds, holdSeconds: 0 }, null, now);
    const load = (cpuPercent: number, samples = 8) => insertHostSamples(database.db, Array.from({ length: samples }, (_, n) => ({ subjectId, at: now - n * 10_000, cpuPercent, memoryUsedMib: 10, memoryTotalMib: 100 })));
    await load(97, 3);
    await evaluateGate(deps);
    assert.equal((await selectGate(database.db)).closed, false, 'samples of less than half the window: a start keeps processors busy too');
    await load(97);
    assert.deepEqual(await loadClusterLoad(database.db, defaultSettings, now), { cpuPercent: 97, memoryPercent: 10, storagePercent: null, coveredMs: 70_000 });
    await evaluateGate(deps);
    assert.equal((await selectGate(database.db)).closed, true);
    assert.equal((await selectGate(database.db)).reasons[0]?.key, 'admission.gate.cpuPercent');
    await load(85);
    await evaluateGate(deps);
    assert.equal((await selectGate(database.db)).closed, true, 'between the bounds it stays as it is');
    await load(20);
    await evaluateGate(deps);
    assert.equal((await selectGate(database.db)).closed, false);
  });
});

const samplesOf = (subjectId: number) => selectInstanceSampleRange(database.db, subjectId, 0, Date.now() + 1000);

async function until(check: () => Promise<boolean>, timeoutMs = 20_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await check())) {
    assert.ok(Date.now() < deadline, 'waited too long');
    await delay(20);
  }
}
