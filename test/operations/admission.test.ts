// What admission reads from the database: a real one, with hosts that are up, down and busy.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { defaultSettings } from '../../src/model/settings.ts';
import type { User } from '../../src/model/user.ts';
import { admissionError, admissionFor, loadAdmission } from '../../src/operations/admission.ts';
import { insertHost, selectHosts, updateHostContact, updateHostFacts } from '../../src/store/hosts.ts';
import { insertHostSamples } from '../../src/store/samples.ts';
import { upsertPool } from '../../src/store/storage-pools.ts';
import { selectUser, updateQuota } from '../../src/store/users.ts';
import { makeUser } from '../helpers/accounts.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';
import { gib } from '../helpers/fleet.ts';

const now = 1_790_000_000_000;
const clock = { now: () => now };
const config = { pollIntervalMs: 10_000 };
let database: TestDatabase;
let user: User;
let poolId = '';

before(async () => {
  database = await createTestDatabase();
  const { db } = database;
  user = await makeUser(db, 'ann');
  for (const name of ['busy', 'calm', 'down']) {
    const id = crypto.randomUUID();
    await insertHost(db, { id, name, uri: `qemu+tcp://${name}/system`, consoleAddress: '192.0.2.1', network: 'default', virtTypeWish: 'auto', createdAt: now });
    await updateHostFacts(db, id, { virtType: 'kvm', arch: 'x86_64', cpuModel: null, libvirtVersion: null, qemuVersion: null, hostUuid: crypto.randomUUID(), cpus: 8, memoryMib: 16384 });
    await updateHostContact(db, id, name === 'down' ? { state: 'unreachable', at: now, reason: 'silent' } : { state: 'up', at: now });
    poolId = await upsertPool(db, { hostId: id, name: 'shared', shared: true, kind: 'netfs', path: '/pool', capacityBytes: 100 * gib, availableBytes: 90 * gib }, now);
  }
  const hosts = await selectHosts(db);
  await insertHostSamples(db, hosts.flatMap(({ subjectId, name }) => [10_000, 20_000].map((age) => ({ subjectId, at: now - age, cpuPercent: name === 'busy' ? 90 : 10, memoryUsedMib: 1, memoryTotalMib: 2 }))));
});
after(() => database.close());

const ask = async (size = { vcpus: 1, memoryMib: 1024, diskGib: 10 }) => admissionFor(database.db, clock, { user: await selectUser(database.db, user.id), request: { ...size, image: undefined }, config });

describe('admission from the database', () => {
  it('prefers the calm host by its measured load, and gives the silent one no part', async () => {
    const verdict = await ask();
    assert.equal(verdict.allowed, true);
    assert.deepEqual(verdict.considered.map(({ hostName, score }) => [hostName, score !== null]), [['calm', true], ['busy', true], ['down', false]]);
    assert.deepEqual(verdict.remaining, { vcpus: 2 * 8 * defaultSettings.overcommit.vcpus, memoryMib: 2 * 16384, diskGib: 200 });
    assert.equal(verdict.checkAgainAt, now + 10_000);
  });

  it('takes load from the window of the thresholds only', async () => {
    const input = await loadAdmission(database.db, { now: () => now + 3_600_000 }, { user, request: { vcpus: 1, memoryMib: 1, diskGib: 1, image: undefined }, config });
    assert.equal(input.fleet.hostCpuPercent.size, 0);
  });

  it('asks for the pool and the minima of the image', async () => {
    const image = { id: crypto.randomUUID(), name: 'i', description: '', poolId, volume: 'i', format: 'qcow2' as const, virtualSizeBytes: 3.5 * gib, minMemoryMib: 512, cloudInit: false, enabled: true, createdAt: now };
    const { request } = await loadAdmission(database.db, clock, { user, request: { vcpus: 1, memoryMib: 1, diskGib: 1, image }, config });
    assert.deepEqual(request, { vcpus: 1, memoryMib: 1, diskGib: 1, poolId, minDiskGib: 4, minMemoryMib: 512, antiAffinityHosts: new Set() });
  });

  it('knows what is promised on hosts and in pools, also on the one that is down', async () => {
    await database.db.execute("UPDATE hosts SET used_memory_mib = 16384 WHERE name IN ('calm', 'down')");
    await database.db.execute('UPDATE storage_pools SET used_gib = 195');
    try {
      const verdict = await ask();
      assert.deepEqual(verdict.reasons.map((reason) => reason.sentence.key), ['admission.capacity.diskGib']);
      assert.deepEqual(verdict.remaining, { vcpus: 64, memoryMib: 16384, diskGib: 5 });
      assert.deepEqual(verdict.fits, { vcpus: 1, memoryMib: 1024, diskGib: 5 });
    } finally {
      await database.db.execute('UPDATE hosts SET used_memory_mib = 0');
      await database.db.execute('UPDATE storage_pools SET used_gib = 0');
    }
  });

  it('holds a user to a quota of their own', async () => {
    await updateQuota(database.db, user.id, { instances: null, vcpus: 0, memoryMib: null, diskGib: null }, now);
    const verdict = await ask();
    assert.deepEqual(verdict.reasons.map((reason) => reason.sentence.key), ['admission.quota.vcpus']);
    const error = admissionError(verdict);
    assert.deepEqual([error.kind, error.sentence.key, Object.keys(error.fields)], ['quota-exceeded', 'admission.quota.vcpus', ['vcpus']]);
  });
});
