// A real host that loses its power, and one that is only cut off and was believed dead: each comes back by itself, and its
// guest runs once.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { checkInHosts } from '../../src/jobs/check-in-hosts.ts';
import { createSchedule, type Schedule } from '../../src/jobs/schedule.ts';
import { createWatchHosts, defaultWatch } from '../../src/jobs/watch-hosts.ts';
import type { Instance } from '../../src/model/instance.ts';
import { submitInstanceRecover } from '../../src/operations/instance-recover.ts';
import { selectHostEvents } from '../../src/store/host-events.ts';
import { claimHostFenced, selectHost } from '../../src/store/hosts.ts';
import { startLab, type Lab } from '../helpers/lab.ts';
import { createLabCloud, demoImage, type LabCloud } from '../helpers/lab-cloud.ts';
import { needsRoot } from '../scripts/run.ts';

const skip = needsRoot || ((await demoImage()) === undefined ? 'no demo image' : false);

describe('coming back, on the lab', { skip }, () => {
  let lab: Lab;
  let cloud: LabCloud;
  let schedule: Schedule;

  before(async () => {
    lab = await startLab({ hosts: 2, ttlSeconds: 600 });
    cloud = await createLabCloud(lab);
    cloud.startRunner();
    schedule = createSchedule(cloud.deps, [
      { name: 'watch-hosts', every: defaultWatch.everyMs, ...createWatchHosts(cloud.deps) },
      { name: 'check-in-hosts', every: 2000, run: (signal) => checkInHosts(cloud.deps, signal) },
    ], randomUUID());
    schedule.start();
  });
  after(async () => {
    await schedule?.stop();
    await cloud?.close();
    await lab?.stop();
  });

  const numberOf = (instance: Instance): number => cloud.hostIds.indexOf(instance.hostId ?? '') + 1;
  const idOf = (number: number): string => cloud.hostIds[number - 1] ?? '';
  const stateOf = async (number: number): Promise<string> => (await selectHost(cloud.db, idOf(number))).state;
  const until = async (condition: () => Promise<boolean>, withinMs = 30_000): Promise<void> => {
    for (const deadline = Date.now() + withinMs; Date.now() < deadline; await delay(100)) if (await condition()) return;
    assert.fail(`it did not come to that: ${JSON.stringify(await Promise.all([1, 2].map((number) => selectHost(cloud.db, idOf(number)))))}`);
  };
  const fence = (number: number): Promise<boolean> => cloud.db.transaction((tx) => claimHostFenced(tx, idOf(number), 'admin', Date.now()));
  const recover = async (instance: Instance): Promise<[string, string | undefined]> => {
    const { operation } = await submitInstanceRecover(cloud.deps, { instance, toHostId: idOf(3 - numberOf(instance)), ground: 'fenced', trigger: 'recovery', batchId: null, actor: null, considered: [] });
    const { state, error } = await cloud.ended(operation.id);
    return [state, error?.key];
  };
  const defined = async (number: number, id: string): Promise<boolean> => (await cloud.deps.hosts.host(idOf(number)).domain.lookupByUUID(id)) !== undefined;

  it('a host whose power was cut checks in without the guest that was restarted elsewhere', async () => {
    const instance = await cloud.running();
    const home = numberOf(instance);
    await lab.kill(home);
    await until(async () => (await stateOf(home)) === 'unreachable');
    await fence(home);
    assert.deepEqual(await recover(instance), ['done', undefined]);
    assert.deepEqual(await cloud.processesOf(instance.id), [3 - home]);
    assert.equal(await stateOf(home), 'fenced');
    await lab.start(home);
    await until(async () => (await stateOf(home)) === 'up');
    assert.equal(await defined(home, instance.id), false, 'its old definition is gone');
    assert.deepEqual(await cloud.processesOf(instance.id), [3 - home]);
    assert.deepEqual([(await cloud.instance(instance.id)).state, numberOf(await cloud.instance(instance.id))], ['running', 3 - home]);
    assert.equal((await selectHostEvents(cloud.db, idOf(home)))[0]?.sentence.key, 'hosts.event.checked-in-cleaned');
  });

  it('a host that was only cut off keeps its guest: the lock of the disk held', async () => {
    const instance = await cloud.running();
    const home = numberOf(instance);
    await lab.cut(home);
    await until(async () => (await stateOf(home)) === 'unreachable');
    // somebody says that it is off, and is wrong
    await fence(home);
    assert.deepEqual(await recover(instance), ['failed', 'recovery.failed.disk-in-use']);
    await lab.join(home);
    await until(async () => (await stateOf(home)) === 'up');
    await until(async () => (await cloud.instance(instance.id)).state === 'running');
    assert.deepEqual(await cloud.processesOf(instance.id), [home]);
    assert.equal(await defined(3 - home, instance.id), false, 'what was tried elsewhere was taken back');
  });
});
