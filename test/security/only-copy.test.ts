// What is powered off because it seems to run twice must never be the only copy: not another portal's machine, not one that
// has just arrived, not one whose host is known by two names.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { checkInHosts } from '../../src/jobs/check-in-hosts.ts';
import type { Instance } from '../../src/model/instance.ts';
import { reconcileHost } from '../../src/operations/reconcile.ts';
import { selectDiscrepancies } from '../../src/store/discrepancies.ts';
import { claimHostFenced, selectHost, updateHost } from '../../src/store/hosts.ts';
import { selectOperation } from '../../src/store/operations.ts';
import type { Cloud } from '../helpers/cloud.ts';
import { state } from '../helpers/fake-libvirtd/domain.ts';
import type { FakeLibvirtd } from '../helpers/fake-libvirtd/index.ts';
import { createMoveCloud, hostOf, move } from '../helpers/moves.ts';

let cloud: Cloud;
beforeEach(async () => { cloud = await createMoveCloud(); });
afterEach(() => cloud.close());

const fake = (index: number): FakeLibvirtd => cloud.fakes[index] ?? assert.fail();
const idOf = (index: number): string => cloud.hostIds[index] ?? assert.fail();
const fence = (index: number): Promise<boolean> => cloud.db.transaction((tx) => claimHostFenced(tx, idOf(index), 'admin', Date.now()));
const checkIn = (): Promise<void> => checkInHosts(cloud.deps, new AbortController().signal);
const stateOf = async (index: number): Promise<string> => (await selectHost(cloud.db, idOf(index))).state;
const runsOn = ({ id }: Pick<Instance, 'id'>): number[] => cloud.fakes.flatMap(({ domains }, index) => (domains.get(id)?.state === state.running ? [index] : []));

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline; await delay(15)) if (await condition()) return;
  assert.fail('it did not come to that');
}

describe('a host that checks in', () => {
  for (const runs of [true, false]) {
    it(`keeps a machine of another portal, or one made after our backup, that is ${runs ? 'on' : 'off'}`, async () => {
      cloud.startRunner();
      const instance = await cloud.running();
      const at = hostOf(cloud, instance);
      const theirs = randomUUID();
      const xml = (fake(at).domains.get(instance.id)?.live.xml ?? '').replaceAll(instance.id, theirs).replaceAll('/srv/default/', '/srv/theirs/').replace(/<name>[^<]*</, '<name>i-theirs<');
      fake(at).host.define(xml);
      if (runs) await fake(at).host.create(theirs, false);
      await fence(at);
      await checkIn();
      assert.equal(await stateOf(at), 'up');
      assert.equal(fake(at).domains.get(theirs)?.isActive, runs);
      assert.deepEqual((await selectDiscrepancies(cloud.db)).map(({ kind, domainUuid }) => [kind, domainUuid]), [['leftover-domain', theirs]]);
    });
  }

  it('keeps a machine that has arrived there while its move waits for the other host', async () => {
    cloud.startRunner({ times: { waitForHostMs: 600_000, retryMs: 50, connectMs: 200 } });
    const instance = await cloud.running();
    const from = hostOf(cloud, instance);
    const to = 1 - from;
    const release = fake(from).host.migrations.hold('confirm');
    const { operation } = await move(cloud, instance);
    await until(() => runsOn(instance).includes(to));
    await fake(from).powerOff();
    release();
    await until(async () => (await selectOperation(cloud.db, operation.id)).note !== null);
    // somebody took the wrong host for dead
    await fence(to);
    await checkIn();
    assert.deepEqual(runsOn(instance), [to]);
    assert.equal(await stateOf(to), 'up');
    await fake(from).powerOn();
    assert.equal((await cloud.ended(operation.id)).state, 'done');
    assert.deepEqual([(await cloud.instance(instance.id)).hostId, runsOn(instance)], [idOf(to), [to]]);
  });

  it('keeps a machine that its own home does not know any more', async () => {
    cloud.startRunner();
    const instance = await cloud.running();
    const from = hostOf(cloud, instance);
    const to = 1 - from;
    await fence(to);
    // its move had ended there when its record was written back: only this copy is left
    const xml = fake(from).domains.get(instance.id)?.live.xml ?? '';
    fake(from).host.destroy(instance.id);
    fake(from).host.undefine(instance.id);
    fake(to).host.define(xml);
    await fake(to).host.create(instance.id, false);
    await reconcileHost(cloud.deps, await selectHost(cloud.db, idOf(from)));
    assert.equal((await cloud.instance(instance.id)).state, 'lost');
    await checkIn();
    assert.equal(await stateOf(to), 'up');
    assert.deepEqual(runsOn(instance), [to]);
    assert.ok((await selectDiscrepancies(cloud.db)).some(({ kind }) => kind === 'misplaced-domain'));
  });
});

describe('one machine under two names', () => {
  it('is not powered off as its own second copy', async () => {
    cloud.startRunner();
    const instance = await cloud.running();
    const [home, twin] = [hostOf(cloud, instance), 1 - hostOf(cloud, instance)];
    // a machine without an identity of its own, or rows older than the one that is asked for it
    await cloud.db.execute('UPDATE hosts SET host_uuid = NULL');
    await updateHost(cloud.db, idOf(twin), { uri: fake(home).uri });
    cloud.deps.hosts.sync([{ id: idOf(home), uri: fake(home).uri }, { id: idOf(twin), uri: fake(home).uri }]);
    await cloud.deps.hosts.host(idOf(twin)).ready({ timeoutMs: 5000 });
    await reconcileHost(cloud.deps, await selectHost(cloud.db, idOf(twin)));
    assert.deepEqual(runsOn(instance), [home]);
    await cloud.db.execute('UPDATE hosts SET host_uuid = ?', [fake(home).host.hostUuid]);
    await reconcileHost(cloud.deps, await selectHost(cloud.db, idOf(twin)));
    assert.deepEqual(runsOn(instance), [home]);
  });

  it('is not emptied of its own machines when the second name checks in', async () => {
    cloud.startRunner();
    const instance = await cloud.running();
    const [home, twin] = [hostOf(cloud, instance), 1 - hostOf(cloud, instance)];
    await cloud.db.execute('UPDATE hosts SET host_uuid = NULL WHERE id = ?', [idOf(twin)]);
    await updateHost(cloud.db, idOf(twin), { uri: fake(home).uri });
    cloud.deps.hosts.sync([{ id: idOf(home), uri: fake(home).uri }, { id: idOf(twin), uri: fake(home).uri }]);
    await cloud.deps.hosts.host(idOf(twin)).ready({ timeoutMs: 5000 });
    await fence(twin);
    await checkIn();
    assert.deepEqual(runsOn(instance), [home]);
    assert.equal(await stateOf(twin), 'fenced');
  });
});
