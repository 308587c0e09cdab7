// A portal is killed, or stands still and comes back: its operations and jobs go on at another within fifteen seconds, and
// what comes back does no harm. Real processes, a real database, a host that answers as slowly as the test wishes.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createApiToken } from '../../src/store/api-tokens.ts';
import { selectJobs } from '../../src/store/jobs.ts';
import { selectHeldOperations, selectOperation } from '../../src/store/operations.ts';
import { selectPortals } from '../../src/store/portals.ts';
import { makeUser } from '../helpers/accounts.ts';
import { createCloud, type Cloud } from '../helpers/cloud.ts';
import { createPortalProcess, type PortalProcess } from '../helpers/portal-process.ts';

const goalMs = 15_000;
const changes = /^(?:DOMAIN_(?:CREATE|DEFINE|UNDEFINE|DESTROY)|STORAGE_VOL_(?:CREATE|DELETE|UPLOAD))/;

let cloud: Cloud;
let portals: [PortalProcess, PortalProcess];
let token = '';

before(async () => {
  cloud = await createCloud({ fakes: [{ keepRequests: true }] });
  const { id } = await makeUser(cloud.db, 'ann');
  await cloud.db.execute('UPDATE users SET quota_instances = 100, quota_vcpus = 100, quota_memory_mib = 1000000, quota_disk_gib = 10000 WHERE id = ?', [id]);
  token = (await createApiToken(cloud.db, { userId: id, name: 'test', scope: 'write', expiresAt: Date.now() + 3_600_000 }, Date.now())).secret;
  // clocks as far apart as they may be
  portals = [
    await createPortalProcess({ name: 'first', databaseUrl: cloud.url, clockOffsetMs: 2500 }),
    await createPortalProcess({ name: 'second', databaseUrl: cloud.url, clockOffsetMs: -2500 }),
  ];
  await Promise.all(portals.map((portal) => portal.start()));
});
afterEach(async () => {
  cloud.fake.faults.clear();
  for (const portal of portals) {
    if (portal.state === 'frozen') portal.thaw();
    if (portal.state === 'off') await portal.start();
  }
});
after(async () => {
  await Promise.all(portals.map((portal) => portal.kill()));
  await cloud.close();
});

async function within<T>(ms: number, what: string, look: () => Promise<T | undefined | false>): Promise<T> {
  for (const end = Date.now() + ms; ; await delay(50)) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > end) assert.fail(`${what}: not within ${ms} ms`);
  }
}

const ownerOf = async (portal: PortalProcess): Promise<string> => (await selectPortals(cloud.db)).find(({ name }) => name === portal.name)?.leaseOwner ?? '';

async function submit(at: PortalProcess, method: string, path: string, body?: object): Promise<{ id: string; instanceId: string }> {
  const response = await fetch(`${at.url}/api/v1${path}`, {
    method, headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  assert.equal(response.status, 202, text);
  return JSON.parse(text) as { id: string; instanceId: string };
}
const create = (at: PortalProcess, name: string): Promise<{ id: string; instanceId: string }> => submit(at, 'POST', '/instances', { name, imageId: cloud.image.id, vcpus: 1, memoryMib: 512, diskGib: 2 });

/** Which of the two works on it, once the host has been asked for `procedure`. */
async function holderOf(operationId: string, procedure: string): Promise<[holder: PortalProcess, other: PortalProcess]> {
  await within(30_000, `the host is asked for ${procedure}`, async () => cloud.fake.requests.some((request) => request.procedure === procedure));
  const owner = (await selectHeldOperations(cloud.db, 10)).find(({ operation }) => operation.id === operationId)?.ownerId;
  return owner === (await ownerOf(portals[0])) ? portals : [portals[1], portals[0]];
}

describe('a portal that dies', () => {
  it('leaves its operations to another, which goes on within fifteen seconds', async (t) => {
    cloud.fake.requests.length = 0;
    cloud.fake.fault('DOMAIN_CREATE_WITH_FLAGS', { type: 'silence' }, { once: true });
    const { id } = await create(portals[0], 'orphan');
    const [holder, other] = await holderOf(id, 'DOMAIN_CREATE_WITH_FLAGS');
    await holder.kill();
    const killedAt = Date.now();
    const heir = await ownerOf(other);
    await within(goalMs, 'it goes on', async () => (await selectOperation(cloud.db, id)).endedAt !== null || (await selectHeldOperations(cloud.db, 10)).some(({ ownerId, operation }) => ownerId === heir && operation.id === id));
    t.diagnostic(`went on ${Date.now() - killedAt} ms after the kill`);
    assert.equal((await cloud.ended(id)).state, 'done');
    await cloud.checkBooks();
  });

  it('leaves its jobs to another within fifteen seconds, the rare ones too', async (t) => {
    const rare = await within(20_000, 'somebody holds all jobs', async () => {
      const jobs = (await selectJobs(cloud.db)).filter(({ startedAt }) => startedAt !== null);
      return jobs.length > 5 && jobs.every(({ leaseOwner }) => leaseOwner !== null) && jobs.find(({ name }) => name === 'reconcile-pools');
    });
    const [holder, other] = rare.leaseOwner === (await ownerOf(portals[0])) ? portals : [portals[1], portals[0]];
    await holder.kill();
    const killedAt = Date.now();
    const heir = await ownerOf(other);
    await within(goalMs, 'all come over', async () => (await selectJobs(cloud.db)).every(({ leaseOwner }) => leaseOwner === heir || leaseOwner === null));
    t.diagnostic(`came over ${Date.now() - killedAt} ms after the kill`);
    const polledAt = Date.now();
    await within(goalMs, 'the hosts are polled again', async () => {
      const job = (await selectJobs(cloud.db)).find(({ name }) => name === 'collect-metrics');
      // by a clock that is behind
      return (job?.startedAt ?? 0) + 2500 >= polledAt;
    });
  });
});

describe('a portal that stands still', () => {
  it('finds its work done by another when it goes on, and touches nothing', async (t) => {
    cloud.fake.requests.length = 0;
    // the answer comes while it stands still: it is the first thing that it sees afterwards
    cloud.fake.fault('STORAGE_VOL_CREATE_XML', { type: 'late', ms: 2000 }, { once: true });
    const { id, instanceId } = await create(portals[0], 'frozen');
    const [holder, other] = await holderOf(id, 'STORAGE_VOL_CREATE_XML');
    holder.freeze();
    const frozenAt = Date.now();
    const heir = await ownerOf(other);
    await within(goalMs, 'it goes on', async () => (await selectHeldOperations(cloud.db, 10)).every(({ ownerId, operation }) => operation.id !== id || ownerId === heir));
    t.diagnostic(`went on ${Date.now() - frozenAt} ms after the freeze`);
    assert.equal((await cloud.ended(id)).state, 'done');
    assert.equal((await cloud.ended((await submit(other, 'DELETE', `/instances/${instanceId}`)).id)).state, 'done');
    await cloud.checkBooks();
    cloud.fake.requests.length = 0;
    holder.thaw();
    await within(20_000, 'it lives again', async () => (await fetch(`${holder.url}/healthz`)).status === 200);
    await delay(3000);
    assert.deepEqual(cloud.fake.requests.map(({ procedure }) => procedure).filter((procedure) => changes.test(procedure)), []);
    await cloud.checkBooks();
  });
});
