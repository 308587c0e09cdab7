// Real hosts that die, and that are only cut off: how soon it is noticed and how soon their machines run again, with QEMU's
// own processes as witness that nothing runs twice. RECOVER_LAB_TIMES=1 prints what was measured.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createFencing } from '../../src/fencing/fencing.ts';
import { checkInHosts } from '../../src/jobs/check-in-hosts.ts';
import { createRecoverHosts } from '../../src/jobs/recover-hosts.ts';
import { createWatchHosts, defaultWatch } from '../../src/jobs/watch-hosts.ts';
import type { Host } from '../../src/model/host.ts';
import type { Instance } from '../../src/model/instance.ts';
import type { Recovery } from '../../src/model/recovery.ts';
import type { Settings } from '../../src/model/settings.ts';
import { updateFence } from '../../src/store/fences.ts';
import { selectHost } from '../../src/store/hosts.ts';
import { selectRecoveriesPage } from '../../src/store/recoveries.ts';
import { updateSettings } from '../../src/store/settings.ts';
import { createLabCloud, type LabCloud } from '../helpers/lab-cloud.ts';
import { startLab } from '../helpers/lab.ts';
import { needsRoot } from '../scripts/run.ts';

const graceSeconds = 5;

describe('real hosts that are lost', { skip: needsRoot, timeout: 420_000 }, () => {
  let cloud: LabCloud;
  const stopping = new AbortController();
  const loops: Promise<void>[] = [];

  const loop = (run: () => Promise<void>): void => {
    loops.push((async () => {
      for (; !stopping.signal.aborted; await delay(defaultWatch.everyMs, undefined, { signal: stopping.signal }).catch(() => undefined)) await run();
    })());
  };
  before(async () => {
    const lab = await startLab({ hosts: 3, ttlSeconds: 600 });
    cloud = await createLabCloud(lab);
    Object.assign(cloud.deps, { fencing: createFencing({ directories: [lab.fenceAgents], sessionSecret: 'only for tests: 0123456789abcdef0123456789abcdef' }) });
    cloud.startRunner();
    const { run: watch } = createWatchHosts(cloud.deps);
    const recover = createRecoverHosts(cloud.deps);
    loop(() => watch(stopping.signal));
    loop(recover);
    loop(() => checkInHosts(cloud.deps, stopping.signal));
  });
  afterEach(async () => {
    // all hosts up and checked in for the next one
    await cloud.lab.heal();
    for (const number of [1, 2, 3]) await until(async () => (await host(number)).state === 'up', `host ${number} is up`);
    for (const { id } of await cloud.db.query<{ id: string }>("SELECT id FROM instances WHERE operation_id IS NULL")) await cloud.ended((await cloud.act(id, 'delete')).id);
  });
  after(async () => {
    stopping.abort();
    await Promise.all(loops);
    await cloud?.close();
    await cloud?.lab.stop();
  });

  const idOf = (number: number): string => cloud.hostIds[number - 1] ?? '';
  const host = (number: number): Promise<Host> => selectHost(cloud.db, idOf(number));
  const settings = (over: Partial<Settings['availability']> = {}): Promise<boolean> =>
    updateSettings(cloud.db, 'availability', { enabled: true, graceSeconds, proof: 'fencing', defaultHa: true, ...over }, null, Date.now());
  const agent = (number: number, on: boolean): Promise<boolean> => updateFence(cloud.db, idOf(number), on ? { agent: 'fence_lab', parameters: { plug: String(number) }, sealed: null } : null);
  const latest = async (): Promise<Recovery | undefined> => (await selectRecoveriesPage(cloud.db, 1, 1)).recoveries[0];

  async function until(condition: () => Promise<boolean>, what: string, withinMs = 120_000): Promise<void> {
    for (const end = Date.now() + withinMs; Date.now() < end; await delay(100)) if (await condition()) return;
    assert.fail(`not within ${withinMs} ms: ${what}; ${JSON.stringify(await latest())}`);
  }
  async function runningOn(number: number): Promise<Instance> {
    await cloud.db.execute("UPDATE hosts SET wish = CASE id WHEN ? THEN 'enabled' ELSE 'disabled' END", [idOf(number)]);
    const { id } = await cloud.running();
    await cloud.db.execute("UPDATE hosts SET wish = 'enabled'");
    await cloud.db.execute('UPDATE instances SET ha = 1 WHERE id = ?', [id]);
    return cloud.instance(id);
  }
  /** Until it runs on another host, and there alone. */
  const runsElsewhere = (instance: Instance): Promise<void> => until(async () => {
    const { state, hostId, operationId } = await cloud.instance(instance.id);
    return state === 'running' && operationId === null && hostId !== instance.hostId;
  }, `${instance.name} runs elsewhere`);
  async function assertOnce(instance: Instance): Promise<void> {
    const { hostId } = await cloud.instance(instance.id);
    assert.deepEqual(await cloud.processesOf(instance.id), [cloud.hostIds.indexOf(hostId ?? '') + 1]);
  }
  async function recovered(what: string, lostAt: number): Promise<Recovery> {
    await until(async () => (await latest())?.restartedAt != null, 'all is counted');
    const recovery = (await latest()) ?? assert.fail('no recovery');
    if (process.env['RECOVER_LAB_TIMES'] === undefined) return recovery;
    const seconds = (at: number | null): string => (at === null ? '–' : ((at - lostAt) / 1000).toFixed(1));
    process.stdout.write(`${what}: noticed ${seconds(recovery.noticedAt)} s, proven ${seconds(recovery.provenAt)} s, running again ${seconds(recovery.restartedAt)} s after the loss\n`);
    return recovery;
  }

  it('one that dies is noticed within 15 s, its machines run elsewhere, and it comes back clean', async () => {
    await settings();
    await agent(1, true);
    const instances = [await runningOn(1), await runningOn(1)];
    await cloud.lab.kill(1);
    const lostAt = Date.now();
    await Promise.all(instances.map(runsElsewhere));
    const recovery = await recovered('killed', lostAt);
    assert.ok(recovery.noticedAt - lostAt <= 15_000, `noticed after ${recovery.noticedAt - lostAt} ms`);
    assert.ok((recovery.restartedAt ?? Infinity) - (recovery.provenAt ?? 0) <= 90_000, `running again ${(recovery.restartedAt ?? 0) - (recovery.provenAt ?? 0)} ms after the proof`);
    assert.equal(recovery.proof, 'agent');
    for (const instance of instances) await assertOnce(instance);
    await cloud.lab.start(1);
    await until(async () => (await host(1)).state === 'up', 'it checks in');
    const left = (await cloud.deps.hosts.host(idOf(1)).domain.listAll()).map(({ uuid }) => uuid);
    assert.deepEqual(left, []);
    for (const instance of instances) await assertOnce(instance);
  });

  it('one that is only cut off keeps its machine without proof, and loses it to its fence agent', async () => {
    await settings();
    await agent(2, false);
    const instance = await runningOn(2);
    await cloud.lab.cut(2);
    await until(async () => (await latest())?.waitsFor?.key === 'recovery.waits.proof', 'it waits for proof');
    await delay(3000);
    assert.deepEqual(await cloud.processesOf(instance.id), [2]);
    await agent(2, true);
    const lostAt = Date.now();
    await runsElsewhere(instance);
    await recovered('cut off, since it has an agent', lostAt);
    assert.equal(await cloud.lab.state(2), 'off');
    await assertOnce(instance);
  });

  it('one that is only cut off keeps its machine when the locks of its disk are asked, until it dies', async () => {
    await settings({ proof: 'fencing-or-lock' });
    await agent(3, false);
    const instance = await runningOn(3);
    await cloud.lab.cut(3);
    await until(async () => (await latest())?.waitsFor?.key === 'recovery.waits.lock', 'its disk is in use');
    assert.deepEqual(await cloud.processesOf(instance.id), [3]);
    const lostAt = Date.now();
    await cloud.lab.kill(3);
    await runsElsewhere(instance);
    await recovered('proven by its lock, since it died', lostAt);
    assert.deepEqual([(await host(3)).state, (await host(3)).fenceProof], ['fenced', 'lock']);
    await assertOnce(instance);
  });
});
