// Lost hosts: in every order of losing, proving, coming back and failing, nothing runs twice, and what can run runs again.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { AppError, say } from '../../src/errors.ts';
import type { Instance } from '../../src/model/instance.ts';
import { confirmPoweredOff, submitHostRecover } from '../../src/operations/host-recover.ts';
import { submitMove } from '../../src/operations/instance-migrate.ts';
import { selectHostEvents } from '../../src/store/host-events.ts';
import { updateHost } from '../../src/store/hosts.ts';
import { selectIncidentsPage } from '../../src/store/incidents.ts';
import { selectInstanceEvents } from '../../src/store/instance-events.ts';
import { selectMove, selectMovesByBatch } from '../../src/store/moves.ts';
import { quickRunner } from '../helpers/cloud.ts';
import { createLostHosts, type LostHosts, type LostHostsOptions } from '../helpers/lost-hosts.ts';

let lost: LostHosts;
afterEach(() => lost.close());

/** With one portal, and `count` instances on host 0. */
async function begin(options: LostHostsOptions = {}, count = 3, waitForHostMs = 300): Promise<Instance[]> {
  lost = await createLostHosts(options);
  lost.cloud.startRunner({ times: { ...quickRunner.times, waitForHostMs } });
  lost.startJobs();
  const instances: Instance[] = [];
  for (let index = 0; index < count; index++) instances.push(await lost.runningOn(0, { name: `vm-${index}` }));
  return instances;
}

const runElsewhere = (instances: readonly Instance[], not = 0): Promise<void> =>
  lost.until(async () => {
    for (const { id } of instances) {
      const { state, hostId, operationId } = await lost.cloud.instance(id);
      if (state !== 'running' || operationId !== null || hostId === lost.cloud.hostIds[not] || lost.runsOn(id).length !== 1) return false;
    }
    return true;
  }, 'all run elsewhere');

/** For as long as the jobs look a few times. */
async function staysSo(check: () => Promise<void> | void, ms = 700): Promise<void> {
  for (const end = Date.now() + ms; Date.now() < end; await delay(25)) await check();
}
const nothingMoved = (instances: readonly Instance[], ms?: number): Promise<void> => staysSo(async () => {
  assert.equal((await lost.recoveries()).some((recovery) => recovery.provenAt !== null), false);
  for (const { id } of instances) assert.deepEqual(lost.runsOn(id).filter((index) => index !== 0), []);
}, ms);

/** What stands in the database of what the admins are told: also when this portal ends before it sends it. */
const recorded = async (): Promise<string[]> => (await selectIncidentsPage(lost.cloud.db, {}, 10, 0)).incidents.map(({ sentence }) => sentence.key);

async function refused(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(() => assert.fail('it was not refused'), (reason: unknown) => reason);
  assert.ok(error instanceof AppError, String(error));
  return error.sentence.key;
}

describe('a host that died, with a fence agent', () => {
  it('is fenced, its instances run elsewhere, and it is clean when it comes back', async () => {
    const instances = await begin({ fenced: [0], locks: false });
    const off = await lost.runningOn(0, { ha: false, name: 'without-ha' });
    await lost.powerOff(0);
    const recovery = await lost.recovery(({ state }) => state === 'done');
    await runElsewhere(instances);
    assert.deepEqual([recovery.proof, recovery.report.owed, recovery.report.restarted, recovery.report.stopped, recovery.report.unfitInAll], ['agent', 3, 3, 1, 0]);
    assert.ok((recovery.noticedAt <= (recovery.provenAt ?? 0)) && (recovery.provenAt ?? 0) <= (recovery.restartedAt ?? 0) && (recovery.restartedAt ?? 0) <= (recovery.endedAt ?? 0), JSON.stringify(recovery));
    const moves = await selectMovesByBatch(lost.cloud.db, recovery.id);
    assert.deepEqual(moves.map(({ kind, trigger, state }) => [kind, trigger, state]), instances.map(() => ['restart', 'recovery', 'done']));
    assert.deepEqual([(await lost.cloud.instance(off.id)).state, (await lost.cloud.instance(off.id)).problem?.key], ['stopped', 'recovery.problem.host-gone']);
    assert.ok((await selectInstanceEvents(lost.cloud.db, instances[0]?.id ?? '', 10)).some(({ sentence }) => sentence.key === 'recovery.diary.restarted'));
    assert.equal((await lost.host(0)).state, 'fenced');
    // its definitions are there still
    assert.equal(lost.fake(0).domains.size, 4);
    await lost.powerOn(0);
    await lost.until(async () => (await lost.host(0)).state === 'up', 'it checks in');
    assert.deepEqual([...lost.fake(0).domains.keys()], [off.id]);
    assert.deepEqual(lost.cloud.alerts, []);
    await lost.cloud.checkBooks();
  });

  it('starts the important ones first, within what fits, and the rest when there is room', async () => {
    // 2 vCPUs a host with overcommit 4: room for 8 on host 1
    await begin({ fenced: [0], hosts: 2, cpus: 2 }, 0);
    await lost.cloud.db.execute('UPDATE hosts SET memory_mib = 1024 + 512');
    const names = ['low', 'normal', 'high'];
    const [low, normal, high] = [await lost.runningOn(0, { priority: 0, name: names[0] ?? '' }), await lost.runningOn(0, { priority: 1, name: names[1] ?? '' }), await lost.runningOn(0, { priority: 2, name: names[2] ?? '' })];
    const guest = await lost.runningOn(1, { name: 'guest' });
    await lost.powerOff(0);
    const waiting = await lost.recovery(({ restartedAt }) => restartedAt !== null);
    assert.deepEqual(waiting.report.unfit.map(({ name }) => name), ['low']);
    assert.deepEqual([waiting.waitsFor?.key, waiting.endedAt], ['recovery.waits.room', null]);
    await runElsewhere([high, normal]);
    assert.deepEqual(lost.cloud.alerts.map(({ key }) => key), ['recovery.alert.unfit']);
    assert.deepEqual(await recorded(), ['recovery.alert.unfit']);
    assert.equal((await lost.cloud.instance(low.id)).state, 'stopped');
    await lost.cloud.ended((await lost.cloud.act(guest.id, 'delete')).id);
    await runElsewhere([low]);
    assert.equal((await lost.recovery(({ state }) => state === 'done')).report.restarted, 3);
  });

  it('takes back at home what found no room elsewhere', async () => {
    const [first] = await begin({ fenced: [0], hosts: 2 }, 1);
    await updateHost(lost.cloud.db, lost.cloud.hostIds[1] ?? '', { wish: 'disabled' });
    await lost.powerOff(0);
    await lost.recovery(({ waitsFor }) => waitsFor?.key === 'recovery.waits.room');
    await lost.powerOn(0);
    await lost.until(() => lost.runsOn(first?.id ?? '').join() === '0', 'it runs at home');
    assert.equal((await lost.recovery(({ endedAt }) => endedAt !== null)).state, 'done');
    await lost.until(async () => (await lost.cloud.instance(first?.id ?? '')).state === 'running', 'the record says so');
    await lost.cloud.checkBooks();
  });

  it('does not start what its owner has switched off or deleted meanwhile, nor what is not to be', async () => {
    const [first, second, third] = await begin({ fenced: [0], hosts: 2 }, 3);
    await updateHost(lost.cloud.db, lost.cloud.hostIds[1] ?? '', { wish: 'disabled' });
    await lost.powerOff(0);
    await lost.recovery(({ waitsFor }) => waitsFor?.key === 'recovery.waits.room');
    await lost.cloud.db.execute('UPDATE instances SET ha = 0 WHERE id = ?', [first?.id ?? '']);
    await updateHost(lost.cloud.db, lost.cloud.hostIds[1] ?? '', { wish: 'enabled' });
    await runElsewhere([second, third].filter((one) => one !== undefined));
    assert.equal((await lost.recovery(({ endedAt }) => endedAt !== null)).report.restarted, 2);
    assert.equal((await lost.cloud.instance(first?.id ?? '')).state, 'stopped');
  });

  it('lets an owner start elsewhere what is not restarted by itself', async () => {
    await begin({ fenced: [0], hosts: 2 }, 0);
    const one = await lost.runningOn(0, { ha: false });
    await lost.powerOff(0);
    await lost.until(async () => (await lost.cloud.instance(one.id)).state === 'stopped', 'it is off');
    const operation = await lost.cloud.act(one.id, 'start');
    assert.equal(operation.kind, 'instance-recover');
    assert.equal((await lost.cloud.ended(operation.id)).state, 'done');
    await runElsewhere([one]);
  });
});

describe('a host that is only cut off', () => {
  it('loses nothing without proof, and nothing is done when it comes back', async () => {
    const instances = await begin({ locks: false });
    await lost.cut(0);
    await lost.recovery(({ waitsFor }) => waitsFor?.key === 'recovery.waits.proof');
    await nothingMoved(instances);
    assert.deepEqual(lost.cloud.alerts.map(({ key }) => key), ['recovery.waits.proof']);
    assert.deepEqual(await recorded(), ['recovery.waits.proof']);
    await lost.join(0);
    assert.equal((await lost.recovery(({ endedAt }) => endedAt !== null)).state, 'returned');
    await nothingMoved(instances);
    for (const { id } of instances) assert.deepEqual(lost.runsOn(id), [0]);
    assert.equal((await lost.host(0)).state, 'up');
    await lost.cloud.checkBooks();
  });

  it('that is back within the grace is left alone', async () => {
    const instances = await begin({ fenced: [0], locks: false, availability: { graceSeconds: 60 } });
    await lost.cut(0);
    await lost.until(async () => (await lost.host(0)).state === 'unreachable', 'it is noticed');
    await lost.join(0);
    await lost.until(async () => (await lost.host(0)).state === 'up', 'it is back');
    await nothingMoved(instances);
    assert.deepEqual(await lost.recoveries(), []);
    assert.deepEqual(await lost.machines[0]?.calls(), []);
  });

  it('that was away when the first portal started is given time to boot, unless it has answered since', async () => {
    const instances = await begin({ fenced: [0], locks: false });
    await lost.cut(0);
    // as after a power failure: the only portal is younger than the last answer
    await lost.cloud.db.execute("INSERT INTO portals (id, name, url, version, lease_owner, started_at, seen_at) VALUES ('p', 'p', '', '', 'o', ?, ?)", [Date.now() + 1000, Date.now() + 60_000]);
    await lost.until(async () => (await lost.host(0)).state === 'unreachable', 'it is noticed');
    await nothingMoved(instances);
    assert.deepEqual([await lost.recoveries(), await lost.machines[0]?.calls()], [[], []]);
    await lost.join(0);
    await lost.until(async () => (await lost.host(0)).state === 'up', 'it has booted');
    await lost.cloud.db.execute('UPDATE portals SET started_at = ?', [Date.now() - 1000]);
    await lost.cut(0);
    await runElsewhere(instances);
  });

  it('that has not booted in that time is lost', async () => {
    const instances = await begin({ fenced: [0], locks: false });
    await lost.cut(0);
    await lost.cloud.db.execute("INSERT INTO portals (id, name, url, version, lease_owner, started_at, seen_at) VALUES ('p', 'p', '', '', 'o', ?, ?)", [Date.now() + 1000, Date.now() + 600_000]);
    await lost.until(async () => (await lost.host(0)).state === 'unreachable', 'it is noticed');
    await nothingMoved(instances);
    lost.cloud.time.ahead += 302_000;
    await runElsewhere(instances);
  });

  it('is switched off by its agent before anything starts elsewhere', async () => {
    const instances = await begin({ fenced: [0], locks: false });
    await lost.cut(0);
    await runElsewhere(instances);
    assert.equal(await lost.machines[0]?.power(), 'off');
    await lost.powerOn(0);
    await lost.until(async () => (await lost.host(0)).state === 'up', 'it checks in');
    await lost.recovery(({ endedAt }) => endedAt !== null);
    await lost.cloud.checkBooks();
  });

  for (const [fault, key] of [['fail', 'fencing.failed'], ['lie', 'fencing.still-on'], ['hang', 'fencing.timeout']] as const) {
    it(`keeps its instances when the agent ${fault}s, and gives them up when it works again`, async () => {
      const instances = await begin({ fenced: [0], locks: false, ...(fault === 'hang' ? { fencing: { actionMs: 1500 } } : {}) });
      await lost.machines[0]?.fault(fault, true);
      await lost.cut(0);
      await lost.recovery(({ waitsFor }) => waitsFor?.key === 'recovery.waits.agent');
      await nothingMoved(instances);
      assert.deepEqual(lost.cloud.alerts.map((alert) => alert.key), ['recovery.waits.agent']);
      const events = await selectHostEvents(lost.cloud.db, lost.cloud.hostIds[0] ?? '', 20);
      assert.ok(events.some(({ reason }) => reason?.key === key), JSON.stringify(events));
      await lost.machines[0]?.fault(fault, false);
      lost.cloud.time.ahead += 16_000;
      await runElsewhere(instances);
    });
  }

  it('that returns while its agent fails keeps everything', async () => {
    const instances = await begin({ fenced: [0], locks: false });
    await lost.machines[0]?.fault('fail', true);
    await lost.cut(0);
    await lost.recovery(({ state }) => state === 'waiting');
    await lost.join(0);
    assert.equal((await lost.recovery(({ endedAt }) => endedAt !== null)).state, 'returned');
    await lost.machines[0]?.fault('fail', false);
    lost.cloud.time.ahead += 16_000;
    await nothingMoved(instances);
    assert.equal(await lost.machines[0]?.power(), 'on');
  });

  it('that returns while its agent is at work is off nevertheless, and its instances run elsewhere', async () => {
    const instances = await begin({ fenced: [0], locks: false });
    await lost.machines[0]?.slow(1);
    await lost.cut(0);
    await lost.until(async () => (await lost.machines[0]?.calls())?.includes('off') === true, 'the agent works');
    await lost.join(0);
    await runElsewhere(instances);
    assert.equal((await lost.recoveries()).at(0)?.proof, 'agent');
  });
});

describe('an administrator who has switched it off', () => {
  it('is believed once, whoever confirms how often', async () => {
    const instances = await begin({ locks: false });
    await lost.powerOff(0);
    await lost.recovery(({ state }) => state === 'waiting');
    const host = await lost.host(0);
    const answers = await Promise.allSettled([1, 2, 3].map(() => confirmPoweredOff(lost.cloud.deps, host, lost.cloud.user)));
    assert.ok(answers.some(({ status }) => status === 'fulfilled'));
    await runElsewhere(instances);
    const recoveries = await lost.recoveries();
    assert.deepEqual(recoveries.map(({ proof, confirmedBy }) => [proof, confirmedBy]), [['admin', lost.cloud.user.id]]);
    assert.equal(await refused(confirmPoweredOff(lost.cloud.deps, await lost.host(0), lost.cloud.user)), 'recovery.refused.proven');
  });

  it('is not believed while it answers', async () => {
    const instances = await begin({ locks: false });
    const asItWas = { ...(await lost.host(0)), state: 'unreachable' as const };
    assert.equal(await refused(confirmPoweredOff(lost.cloud.deps, asItWas, lost.cloud.user)), 'recovery.refused.answers');
    assert.equal(await refused(confirmPoweredOff(lost.cloud.deps, await lost.host(0), lost.cloud.user)), 'recovery.refused.answers');
    await nothingMoved(instances);
  });

  it('may say so before a recovery has begun, and while recovering is switched off', async () => {
    const instances = await begin({ locks: false, availability: { enabled: false } });
    await lost.powerOff(0);
    await lost.until(async () => (await lost.host(0)).state === 'unreachable', 'it is noticed');
    await staysSo(async () => assert.deepEqual(await lost.recoveries(), []), 300);
    await confirmPoweredOff(lost.cloud.deps, await lost.host(0), lost.cloud.user);
    await runElsewhere(instances);
  });
});

describe('proof by the locks of the disks', () => {
  const availability = { proof: 'fencing-or-lock' as const };

  it('starts nothing while the old copies live, and all when they are gone', async () => {
    const instances = await begin({ availability });
    const off = await lost.runningOn(0, { ha: false });
    await lost.cut(0);
    await lost.recovery(({ waitsFor }) => waitsFor?.key === 'recovery.waits.lock');
    for (const { id } of instances) assert.deepEqual(lost.runsOn(id), [0]);
    assert.equal((await lost.host(0)).state, 'unreachable');
    // what its guests held is free now
    await lost.powerOff(0);
    lost.cloud.time.ahead += 6000;
    await runElsewhere(instances);
    assert.deepEqual([(await lost.host(0)).state, (await lost.host(0)).fenceProof], ['fenced', 'lock']);
    // a lock tells of one instance only
    assert.equal((await lost.cloud.instance(off.id)).state, 'running');
    await lost.recovery(({ state }) => state === 'done');
    await lost.powerOn(0);
    await lost.until(async () => (await lost.host(0)).state === 'up', 'it checks in');
    assert.deepEqual([...lost.fake(0).domains.keys()], [off.id]);
  });

  it('leaves everything at home when the host comes back', async () => {
    const instances = await begin({ availability });
    await lost.cut(0);
    await lost.recovery(({ waitsFor }) => waitsFor?.key === 'recovery.waits.lock');
    await lost.join(0);
    assert.equal((await lost.recovery(({ endedAt }) => endedAt !== null)).state, 'returned');
    for (const { id } of instances) {
      assert.deepEqual(lost.runsOn(id), [0]);
      await lost.until(async () => (await lost.cloud.instance(id)).operationId === null, 'nobody holds it');
      assert.deepEqual([(await lost.cloud.instance(id)).hostId, (await lost.cloud.instance(id)).state], [lost.cloud.hostIds[0], 'running']);
    }
    await lost.cloud.checkBooks();
  });

  it('stops an agent’s lie: what is locked is not started', async () => {
    const instances = await begin({ fenced: [0] });
    // it reports off, and the machine goes on
    await lost.machines[0]?.applied('off');
    Object.assign(lost.machines[0] ?? {}, { power: () => Promise.resolve('on') });
    await lost.cut(0);
    await lost.recovery(({ waitsFor }) => waitsFor?.key === 'recovery.waits.disks');
    for (const { id } of instances) assert.deepEqual(lost.runsOn(id), [0]);
    // it is tried again, and that is no news
    const { id } = await lost.recovery(() => true);
    const tried = (await selectMovesByBatch(lost.cloud.db, id)).length;
    lost.cloud.time.ahead += 6000;
    await lost.until(async () => {
      const moves = await selectMovesByBatch(lost.cloud.db, id);
      return moves.length > tried && moves.every(({ endedAt }) => endedAt !== null);
    }, 'it was tried again');
    await staysSo(async () => assert.equal((await lost.recovery(() => true)).waitsFor?.key, 'recovery.waits.disks'));
    assert.deepEqual(lost.cloud.alerts.map(({ key }) => key), ['recovery.alert.disk-in-use']);
    assert.deepEqual(await recorded(), ['recovery.alert.disk-in-use']);
    // it answers again: it checks in with all that is still its own
    await lost.join(0);
    await lost.until(async () => (await lost.host(0)).state === 'up', 'it checks in');
    assert.equal((await lost.recovery(({ endedAt }) => endedAt !== null)).state, 'done');
    for (const { id } of instances) {
      assert.deepEqual(lost.runsOn(id), [0]);
      await lost.until(async () => (await lost.cloud.instance(id)).state === 'running', 'the record says so');
    }
    await lost.cloud.checkBooks();
  });
});

describe('targets', () => {
  it('that refuse are not tried again at once: another one takes it', async () => {
    const [one] = await begin({ fenced: [0], hosts: 3 }, 1);
    await updateHost(lost.cloud.db, lost.cloud.hostIds[2] ?? '', { wish: 'disabled' });
    const stop = lost.fake(1).fail('DOMAIN_CREATE_WITH_FLAGS', { code: 1, message: 'internal error: no' });
    await lost.powerOff(0);
    await lost.until(() => lost.fake(1).called('DOMAIN_CREATE_WITH_FLAGS') > 0, 'it was tried');
    await updateHost(lost.cloud.db, lost.cloud.hostIds[2] ?? '', { wish: 'enabled' });
    await runElsewhere([one].filter((each) => each !== undefined));
    assert.deepEqual(lost.runsOn(one?.id ?? ''), [2]);
    stop();
    await lost.recovery(({ state }) => state === 'done');
    await lost.powerOn(0);
    await lost.until(async () => (await lost.host(0)).state === 'up', 'it checks in');
    await lost.cloud.checkBooks();
  });

  it('that die in the middle are fenced themselves, and the next one takes it', async () => {
    const [one] = await begin({ fenced: [0, 1], hosts: 4, locks: false }, 1);
    for (const index of [2, 3]) await updateHost(lost.cloud.db, lost.cloud.hostIds[index] ?? '', { wish: 'disabled' });
    // started, but nobody hears of it
    lost.fake(1).fault('DOMAIN_CREATE_WITH_FLAGS', { type: 'late', ms: 60_000 });
    await lost.powerOff(0);
    await lost.until(() => lost.runsOn(one?.id ?? '').join() === '1', 'it has begun');
    for (const index of [2, 3]) await updateHost(lost.cloud.db, lost.cloud.hostIds[index] ?? '', { wish: 'enabled' });
    await lost.cut(1);
    await runElsewhere([one].filter((each) => each !== undefined));
    assert.equal(await lost.machines[1]?.power(), 'off');
    assert.ok(!lost.runsOn(one?.id ?? '').includes(1));
  });
});

describe('what is going on when the host dies', () => {
  it('ends, and is picked up: a move in the middle', async () => {
    const [one] = await begin({ fenced: [0], hosts: 3, locks: false }, 1, 60_000);
    for (const [index, id] of lost.cloud.hostIds.entries()) await updateHost(lost.cloud.db, id, { migrationUri: lost.fake(index).uri });
    lost.fake(0).host.migrationMs = 60_000;
    const { operation } = await submitMove(lost.cloud.deps, { instance: one ?? assert.fail(), toHostId: lost.cloud.hostIds[1] ?? '', trigger: 'admin', why: say('moves.why.admin'), actor: null });
    await lost.until(async () => (await selectMove(lost.cloud.db, operation.id)).begunAt !== null, 'it moves');
    await lost.powerOff(0);
    await runElsewhere([one ?? assert.fail()]);
    assert.equal((await lost.cloud.ended(operation.id)).state, 'failed');
    await lost.recovery(({ state }) => state === 'done');
  });

  it('ends, and is picked up: a start that the host never answered', async () => {
    const [one] = await begin({ fenced: [0], hosts: 3, locks: false }, 1, 60_000);
    const id = one?.id ?? '';
    await lost.cloud.ended((await lost.cloud.act(id, 'force-off')).id);
    lost.fake(0).fault('DOMAIN_CREATE_WITH_FLAGS', { type: 'silence' });
    const start = await lost.cloud.act(id, 'start');
    await lost.until(() => lost.fake(0).called('DOMAIN_CREATE_WITH_FLAGS') > 0, 'it was asked to start');
    await lost.powerOff(0);
    await lost.cloud.ended(start.id);
    await runElsewhere([one ?? assert.fail()]);
  });

  it('ends, and stays as its owner wished: a shutdown', async () => {
    const [one, other] = await begin({ fenced: [0], hosts: 3, locks: false }, 2, 60_000);
    const id = one?.id ?? '';
    lost.fake(0).fault('DOMAIN_SHUTDOWN_FLAGS', { type: 'silence' });
    const shutdown = await lost.cloud.act(id, 'shutdown');
    await lost.until(() => lost.fake(0).called('DOMAIN_SHUTDOWN_FLAGS') > 0, 'it was asked to shut down');
    await lost.powerOff(0);
    await lost.cloud.ended(shutdown.id);
    await runElsewhere([other ?? assert.fail()]);
    await lost.recovery(({ state }) => state === 'done');
    assert.deepEqual([(await lost.cloud.instance(id)).state, lost.runsOn(id)], ['stopped', []]);
  });
});

describe('most hosts lost at once', () => {
  it('are left alone, because that is rather our own network; a person may decide otherwise', async () => {
    // time in which the last of them is noticed
    const instances = await begin({ fenced: [0, 1, 2], locks: false, availability: { graceSeconds: 2 } });
    // together, as a switch does it
    await Promise.all([0, 1, 2].map((index) => lost.cut(index)));
    await lost.until(async () => (await Promise.all([0, 1, 2].map((index) => lost.host(index)))).every(({ state }) => state === 'unreachable'), 'all are noticed');
    await nothingMoved(instances, 3500);
    assert.deepEqual(await Promise.all(lost.machines.slice(0, 3).map((machine) => machine.power())), ['on', 'on', 'on']);
    await submitHostRecover(lost.cloud.deps, await lost.host(0), { actor: lost.cloud.user, forced: true });
    await runElsewhere(instances);
    assert.deepEqual(await Promise.all(lost.machines.slice(0, 3).map((machine) => machine.power())), ['off', 'on', 'on']);
  });
});

describe('several portals', () => {
  it('do it once', async () => {
    const instances = await begin({ fenced: [0], locks: false });
    lost.cloud.startRunner();
    lost.startJobs();
    lost.startJobs();
    await lost.powerOff(0);
    await runElsewhere(instances);
    await lost.recovery(({ state }) => state === 'done');
    const recoveries = await lost.recoveries();
    assert.equal(recoveries.length, 1);
    assert.equal((await selectMovesByBatch(lost.cloud.db, recoveries[0]?.id ?? '')).length, instances.length);
  });
});
