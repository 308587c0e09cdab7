// Guests that answer slowly or never where only they can tell their address, against a fake host, on a real database.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createCollectMetrics } from '../../src/jobs/collect-metrics.ts';
import { createFleet } from '../../src/libvirt/fleet.ts';
import type { Hypervisor } from '../../src/libvirt/hypervisor.ts';
import { openHypervisor } from '../../src/libvirt/open-hypervisor.ts';
import { createLog } from '../../src/log.ts';
import type { Instance } from '../../src/model/instance.ts';
import { insertHost } from '../../src/store/hosts.ts';
import { selectOptionalInstance } from '../../src/store/instances.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';
import { startFakeLibvirtd, type FakeLibvirtd } from '../helpers/fake-libvirtd/index.ts';
import { plainDomainXml } from '../helpers/fake-libvirtd/plain-domain.ts';
import { makeInstance, startDomain } from '../helpers/instances.ts';

const owner = { id: randomUUID() };
const hosts = createFleet(openHypervisor);
const time = { ahead: 0 };
let database: TestDatabase;
let fake: FakeLibvirtd;
let host: Hypervisor;
let hostId: string;
let tick: () => Promise<void>;

before(async () => { database = await createTestDatabase(); });
after(async () => {
  await hosts.close();
  await database.close();
});
beforeEach(async () => {
  fake = await startFakeLibvirtd();
  hostId = randomUUID();
  await insertHost(database.db, { id: hostId, name: 'alpha', uri: fake.uri, consoleAddress: '127.0.0.1', network: 'default', virtTypeWish: 'auto', createdAt: 0 });
  hosts.sync([{ id: hostId, uri: fake.uri }]);
  host = hosts.host(hostId);
  await host.ready({ timeoutMs: 20_000 });
  time.ahead = 0;
  const collect = createCollectMetrics({ db: database.db, hosts, clock: { now: () => Date.now() + time.ahead }, log: createLog('silent') }, { pollIntervalMs: 10_000 });
  tick = () => collect(new AbortController().signal);
});
afterEach(async () => {
  hosts.sync([]);
  await fake.close();
  for (const table of ['hosts', 'instances']) await database.db.execute(`DELETE FROM ${table}`);
});

/** A running guest; the agent of a silent one answers the greeting and nothing more. */
async function addGuest({ silent }: { readonly silent: boolean }): Promise<Instance> {
  const instance = await makeInstance(database.db, owner, { hostId });
  await startDomain(fake, instance);
  fake.host.domain(instance.id).agentIsSilent = silent;
  return instance;
}

/** Told by the guest and by its neighbours: a lease of a network that is not the host's. */
function tellAddress({ mac }: Instance, address: string): void {
  const { leases } = fake.host.networks.get('lan') ?? fake.host.addNetwork('lan');
  leases.push({ mac, address, hostname: null });
}

const addressOf = async ({ id }: Instance): Promise<string | null | undefined> => (await selectOptionalInstance(database.db, id))?.address;
const timesAsked = ({ id }: Instance, source = 1): number => fake.requests.filter(({ procedure, args }) => {
  const { dom, source: asked } = args as { dom?: { uuid: string }; source?: number };
  return procedure === 'DOMAIN_INTERFACE_ADDRESSES' && dom?.uuid === id && asked === source;
}).length;
async function took(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

describe('a guest whose agent never answers', () => {
  it('costs one place for two seconds, once in five minutes, and keeps nobody on its host from anything', async () => {
    const silent = await addGuest({ silent: true });
    const honest = await Promise.all(Array.from({ length: 3 }, () => addGuest({ silent: false })));
    for (const [index, guest] of honest.entries()) tellAddress(guest, `10.0.0.${index + 1}`);
    const stranger = fake.host.define(plainDomainXml('stranger')).uuid;
    let ended = false;
    const ticking = took(tick).finally(() => { ended = true; });
    while (timesAsked(silent) === 0) await delay(10);
    await delay(200);
    fake.mostInFlight = 0;
    await host.domain.create(stranger);
    await host.domain.destroy(stranger);
    assert.equal(ended, false, 'other calls go on meanwhile');
    const elapsed = await ticking;
    assert.ok(elapsed > 1900 && elapsed < 15_000, `${elapsed} ms`);
    assert.ok(fake.mostInFlight <= 2, 'the silent agent’s, and one of the others');
    assert.deepEqual(await Promise.all(honest.map(addressOf)), ['10.0.0.1', '10.0.0.2', '10.0.0.3']);

    await tick();
    assert.equal(timesAsked(silent), 1, 'it is left alone');
    // as of a guest that was moved away and back
    fake.host.domain(silent.id).agentTimeoutSeconds = -2;
    time.ahead = 301_000;
    const again = await took(tick);
    assert.equal(timesAsked(silent), 2);
    assert.ok(again > 1900 && again < 15_000, `${again} ms`);
    assert.equal(fake.connections, 1);
  });

  it('is still known by what its neighbours saw', async () => {
    const silent = await addGuest({ silent: true });
    tellAddress(silent, '10.0.0.66');
    await tick();
    assert.equal(await addressOf(silent), '10.0.0.66');
  });

  it('is one of many, and the others have their turn all the same', async () => {
    const silent = await Promise.all(Array.from({ length: 7 }, () => addGuest({ silent: true })));
    const honest = await Promise.all(Array.from({ length: 3 }, () => addGuest({ silent: false })));
    for (const [index, guest] of honest.entries()) tellAddress(guest, `10.0.0.${index + 1}`);
    let ticks = 0;
    while ((await Promise.all(honest.map(addressOf))).includes(null)) {
      ticks += 1;
      assert.ok(ticks <= 6, 'starved');
      const elapsed = await took(tick);
      // seven of them would take fourteen seconds one after the other
      assert.ok(elapsed < 12_000, `a tick took ${elapsed} ms`);
    }
    assert.ok(silent.every((guest) => timesAsked(guest) <= 1));
    assert.equal(fake.connections, 1, 'the connection was never given up');
  });
});

describe('an agent', () => {
  it('is not asked where libvirt knows of no limit for it', async () => {
    fake.fail('DOMAIN_AGENT_SET_RESPONSE_TIMEOUT', { code: 39, domain: 7, message: 'unknown procedure: 420' });
    const [silent, honest] = [await addGuest({ silent: true }), await addGuest({ silent: false })];
    tellAddress(honest, '10.0.0.1');
    await tick();
    assert.deepEqual([timesAsked(silent), timesAsked(honest)], [0, 0]);
    assert.equal(await addressOf(honest), '10.0.0.1', 'the neighbours are');
  });

  it('that is not there yet is asked again the next time', async () => {
    const guest = await addGuest({ silent: false });
    fake.fail('DOMAIN_INTERFACE_ADDRESSES', { code: 86, message: 'Guest agent is not responding: QEMU guest agent is not connected' }, { times: 2 });
    await tick();
    assert.equal(await addressOf(guest), null);
    tellAddress(guest, '10.0.0.1');
    await tick();
    assert.deepEqual([await addressOf(guest), timesAsked(guest)], ['10.0.0.1', 2]);
  });
});
