// The page of forecasts, and a user's own, over HTTP on a real database with measured history.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { clusterOwnerId } from '../../src/model/metric.ts';
import type { User } from '../../src/model/user.ts';
import { loadDigest } from '../../src/operations/digest.ts';
import { insertHost, selectHosts, updateHostContact, updateHostFacts } from '../../src/store/hosts.ts';
import { insertSampleSubject } from '../../src/store/sample-subjects.ts';
import { selectPool, updatePoolSample, upsertPool } from '../../src/store/storage-pools.ts';
import { openUsagePeriod } from '../../src/store/usage-periods.ts';
import { updateLanguage } from '../../src/store/users.ts';
import { loggedIn, makeFirstAdmin, makeUser } from '../helpers/accounts.ts';
import { writeQuarters } from '../helpers/long-tiers.ts';
import { assertHides, assertShows, assertStatus } from '../helpers/page-text.ts';
import { startTestPortal, type Client, type TestPortal } from '../helpers/portal.ts';

const day = 86_400_000;
const now = Date.UTC(2026, 10, 20, 6);
const gib = 2 ** 30;
let portal: TestPortal;
let admin: Client;
let [anna, bob]: User[] = [];

before(async () => {
  portal = await startTestPortal({ runner: false, clock: { now: () => now } });
  const { db } = portal.deps;
  await makeFirstAdmin(db, 'root');
  anna = await makeUser(db, 'anna');
  bob = await makeUser(db, 'bob');
  // as on a cloud that has kept periods for long
  await db.execute("UPDATE migrations SET applied_at = 0 WHERE name LIKE '%usage_periods__create.sql'");
  const hostId = crypto.randomUUID();
  await insertHost(db, { id: hostId, name: 'kvm1', uri: 'qemu+tcp://192.0.2.77/system', consoleAddress: '192.0.2.77', network: 'default', virtTypeWish: 'auto', createdAt: 0 });
  await updateHostFacts(db, hostId, { virtType: 'kvm', arch: 'x86_64', cpuModel: null, libvirtVersion: null, qemuVersion: null, hostUuid: null, cpus: 16, memoryMib: 65_536 });
  await updateHostContact(db, hostId, { state: 'up', at: now });
  assert.equal((await selectHosts(db)).length, 1);
  admin = await loggedIn(portal, 'root');
});
after(() => portal.close());

describe('the page of forecasts', () => {
  it('says what it cannot say', async () => {
    const { status, text } = await admin.get('/admin/forecast');
    assert.equal(status, 200);
    assertShows(text, /Nothing has been measured yet/);
    assertShows(text, /vCPUs[\s\S]*?Not enough history yet: 0 of at least 14 days/);
    assertShows(text, /As far as can be told, no user will use up a quota/);
  });

  it('tells when memory, pools, what is promised and quotas run out', async () => {
    const { db } = portal.deps;
    const cluster = await insertSampleSubject(db, clusterOwnerId, now);
    const range = { from: now - 60 * day, to: now };
    const ago = (at: number): number => Math.floor((now - at) / day);
    // 64 GiB; half a GiB more each day, now 33.9 GiB on the last whole day
    await writeQuarters(db, cluster, 'host.memory-used', range, (at) => 34_816 - 512 * ago(at));
    await writeQuarters(db, cluster, 'host.memory-total', range, () => 65_536);
    const [host] = await selectHosts(db);
    const poolId = await upsertPool(db, { hostId: host?.id ?? '', name: 'archive', shared: true, kind: 'netfs', path: '/a', capacityBytes: 100 * gib, availableBytes: 10 * gib }, now);
    await updatePoolSample(db, poolId, 100 * gib, 10 * gib, now);
    await writeQuarters(db, (await selectPool(db, poolId)).subjectId, 'pool.used', range, () => 90 * 1024);
    assert.ok(anna && bob);
    // anna makes a machine of one vCPU every ten days: five now, and her quota is eight
    for (let i = 0; i < 5; i++) await openUsagePeriod(db, { instanceId: crypto.randomUUID(), instanceName: `vm${i}`, userId: anna.id, vcpus: 1, memoryMib: 64, diskGib: 1, openedAt: now - (5 + i * 10) * day });
    await openUsagePeriod(db, { instanceId: crypto.randomUUID(), instanceName: 'old', userId: bob.id, vcpus: 4, memoryMib: 64, diskGib: 1, openedAt: now - 80 * day });

    const { text, status } = await admin.get('/admin/forecast');
    assertStatus({ text, status }, 200);
    // 30 GiB are left, at half a GiB a day
    assertShows(text, /Memory of all hosts[\s\S]*?64 GiB[\s\S]*?\+3\.5 GiB a week[\s\S]*?Full around 2027-01-18\./);
    assertShows(text, /Pool archive[\s\S]*?90 GiB[\s\S]*?\(90 %\)[\s\S]*?Does not grow/);
    assertShows(text, /What is promised to machines[\s\S]*?vCPUs[\s\S]*?>9 [\s\S]*?64[\s\S]*?24 \(0\.4 × what may be promised\)/);
    assertShows(text, /anna[\s\S]*?vCPUs[\s\S]*?>5<[\s\S]*?>8<[\s\S]*?Full around 2026-12-\d\d; most likely between 2026-12-\d\d and 202[67]-\d\d-\d\d/);
    assertHides(text, /\bbob\b/);
  });

  it('and the digest name the same day', async () => {
    const { db } = portal.deps;
    const [host] = await selectHosts(db);
    const poolId = await upsertPool(db, { hostId: host?.id ?? '', name: 'scratch', shared: true, kind: 'netfs', path: '/s', capacityBytes: 300 * gib, availableBytes: 120 * gib }, now);
    await updatePoolSample(db, poolId, 300 * gib, 120 * gib, now);
    // grows twice as fast for two months: how far one looks back is what the day depends on
    await writeQuarters(db, (await selectPool(db, poolId)).subjectId, 'pool.used', { from: now - 90 * day, to: now }, (at) => {
      const daysAgo = (now - at) / day;
      return 1024 * (180 - 2 * Math.min(60, daysAgo) - Math.max(0, daysAgo - 60));
    });
    const { text } = await admin.get('/admin/forecast');
    const onPage = /Pool scratch[\s\S]*?Full around (\d{4}-\d\d-\d\d)/.exec(text)?.[1];
    const { outlook } = await loadDigest(db, now);
    assert.ok(onPage !== undefined);
    assert.deepEqual(outlook.filter(({ params }) => params?.['what'] === 'scratch').map(({ params }) => params?.['at']), [onPage]);
  });

  it('is for admins', async () => {
    assert.equal((await (await loggedIn(portal, 'anna')).get('/admin/forecast')).status, 403);
  });
});

describe('one’s own quota', () => {
  it('is told of on the usage page where its end can be told', async () => {
    const client = await loggedIn(portal, 'anna');
    assertShows((await client.get('/account/usage')).text, /your quota will be used up:[\s\S]*?vCPUs: Full around 2026-12-/);
    assert.ok(anna);
    await updateLanguage(portal.deps.db, anna.id, 'zh-TW', now);
    assertShows((await client.get('/account/usage')).text, /您的配額將會用盡[\s\S]*?vCPU：約在 /);
    assertHides((await (await loggedIn(portal, 'bob')).get('/account/usage')).text, /quota will be used up/);
  });
});
