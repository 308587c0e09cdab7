// Drills: the loss of a host foreseen, and really rehearsed with a fence agent that cuts a fake host's power.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { AppError } from '../../src/errors.ts';
import type { Drill } from '../../src/model/drill.ts';
import { simulateDrill, submitHostDrill, type RealDrill } from '../../src/operations/host-drill.ts';
import { selectDrills } from '../../src/store/drills.ts';
import { updateHost } from '../../src/store/hosts.ts';
import { createLostHosts, type LostHosts, type LostHostsOptions } from '../helpers/lost-hosts.ts';

let lost: LostHosts;
afterEach(() => lost.close());

async function begin(options: LostHostsOptions = {}): Promise<void> {
  lost = await createLostHosts({ fenced: [0], ...options });
  lost.cloud.startRunner();
  lost.startJobs();
}
const drill = async (over: Partial<RealDrill> = {}): Promise<string> =>
  submitHostDrill(lost.cloud.deps, await lost.host(0), { actor: lost.cloud.user, notBefore: null, notAfter: null, acceptUnfit: false, ...over });
const latest = async (): Promise<Drill> => (await selectDrills(lost.cloud.db, 1))[0] ?? assert.fail('no drill');

async function refused(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(() => assert.fail('it was not refused'), (reason: unknown) => reason);
  assert.ok(error instanceof AppError, String(error));
  return error.sentence.key;
}

describe('a simulated drill', () => {
  it('says what would start where, what would not fit, and touches nothing', async () => {
    await begin({ hosts: 2, cpus: 2 });
    await lost.cloud.db.execute('UPDATE hosts SET memory_mib = 1024');
    const large = await lost.runningOn(0, { priority: 2, name: 'important' });
    await lost.runningOn(0, { priority: 0, name: 'unimportant' });
    await lost.runningOn(1, { name: 'guest' });
    await simulateDrill(lost.cloud.deps, await lost.host(0), lost.cloud.user);
    const { mode, state, report } = await latest();
    assert.deepEqual([mode, state, report.restartsInAll, report.unfitInAll], ['simulation', 'done', 1, 1]);
    assert.deepEqual([report.restarts, report.unfit.map(({ name }) => name)], [[{ name: 'important', host: 'host1' }], ['unimportant']]);
    assert.deepEqual(lost.runsOn(large.id), [0]);
    assert.deepEqual(await lost.machines[0]?.calls(), []);
    assert.equal(await refused(drill()), 'drill.refused.unfit');
  });
});

describe('a real drill', () => {
  it('switches the host off, measures its recovery, and brings it back', async () => {
    await begin({ locks: false });
    const one = await lost.runningOn(0);
    const off = await lost.runningOn(0, { ha: false });
    const id = await drill();
    assert.equal(await refused(drill()), 'drill.refused.running');
    const operation = await lost.cloud.ended(id);
    assert.deepEqual([operation.state, operation.error], ['done', null]);
    const { state, report } = await latest();
    assert.deepEqual([state, report.restartsInAll, report.stopped, report.unfitInAll], ['done', 1, 1, 0]);
    const times = [report.offAt, report.noticedAt, report.provenAt, report.restartedAt, report.onAt, report.backAt].map((at) => at ?? assert.fail(JSON.stringify(report)));
    assert.deepEqual([...times].sort((a, b) => a - b), times);
    assert.deepEqual([(await lost.host(0)).state, await lost.machines[0]?.power()], ['up', 'on']);
    assert.notEqual(lost.runsOn(one.id)[0], 0);
    assert.deepEqual(lost.runsOn(off.id), []);
    const [recovery] = await lost.recoveries();
    assert.deepEqual([recovery?.drill, recovery?.proof], [true, 'agent']);
    await lost.cloud.checkBooks();
  });

  it('that fails switches the host on again', async () => {
    await begin({ locks: false });
    await lost.runningOn(0);
    await lost.machines[0]?.fault('fail', true);
    const operation = await lost.cloud.ended(await drill());
    assert.deepEqual([operation.state, operation.error?.key], ['failed', 'fencing.failed']);
    assert.equal((await latest()).report.failure?.key, 'fencing.failed');
    assert.ok((await lost.machines[0]?.calls())?.includes('on'));
  });

  it('waits for its window, and does nothing when that has passed', async () => {
    await begin();
    const now = lost.cloud.deps.clock.now();
    const passed = await lost.cloud.ended(await drill({ notAfter: now - 1000 }));
    assert.deepEqual([passed.state, passed.error?.key], ['failed', 'drill.failed.window']);
    await drill({ notBefore: now + 3_600_000 });
    await lost.until(async () => (await lost.cloud.db.query("SELECT 1 FROM operations WHERE kind = 'host-drill' AND state = 'running' AND run_after > 0")).length === 1, 'it waits');
    assert.deepEqual(await lost.machines[0]?.calls(), []);
    assert.equal((await lost.host(0)).state, 'up');
    lost.cloud.time.ahead += 3_600_001;
    await lost.until(async () => (await latest()).state === 'done', 'it is done');
  });

  it('is one at a time, also when two are asked for at the same moment', async () => {
    await begin({ fenced: [0, 1, 2, 3] });
    const hosts = await Promise.all([0, 1, 2, 3].map((index) => lost.host(index)));
    const asked = await Promise.allSettled(hosts.map((host) => submitHostDrill(lost.cloud.deps, host, { actor: lost.cloud.user, notBefore: Date.now() + 3_600_000, notAfter: null, acceptUnfit: true })));
    assert.equal(asked.filter(({ status }) => status === 'fulfilled').length, 1);
    assert.equal((await selectDrills(lost.cloud.db, 10)).length, 1);
  });

  it('leaves the host on when its window opens and its machines have no other place any more', async () => {
    await begin();
    const one = await lost.runningOn(0);
    const id = await drill({ notBefore: lost.cloud.deps.clock.now() + 3_600_000 });
    await lost.cloud.db.execute("UPDATE hosts SET wish = 'maintenance' WHERE id <> ?", [lost.cloud.hostIds[0] ?? '']);
    lost.cloud.time.ahead += 3_600_001;
    const operation = await lost.cloud.ended(id);
    assert.deepEqual([operation.state, operation.error?.key], ['failed', 'drill.refused.unfit']);
    assert.deepEqual([await lost.machines[0]?.calls(), lost.runsOn(one.id)], [[], [0]]);
  });

  it('is refused without an agent, and while the host is away or recovering is switched off', async () => {
    await begin({ fenced: [] });
    assert.equal(await refused(drill()), 'drill.refused.no-agent');
    await lost.close();
    await begin({ availability: { enabled: false } });
    assert.equal(await refused(drill()), 'drill.refused.off');
    await lost.close();
    await begin();
    await updateHost(lost.cloud.db, lost.cloud.hostIds[0] ?? '', { wish: 'disabled' });
    await lost.cut(0);
    await lost.until(async () => (await lost.host(0)).state === 'unreachable', 'it is noticed');
    assert.equal(await refused(drill()), 'drill.refused.not-up');
  });
});
