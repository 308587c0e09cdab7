// A backup of the database is loaded while machines run on: what was moved, made, deleted, switched and begun since is put on
// record again, nothing on the hosts is touched, and nothing runs twice.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { checkInHosts } from '../../src/jobs/check-in-hosts.ts';
import type { Instance } from '../../src/model/instance.ts';
import type { Operation } from '../../src/model/operation.ts';
import { settleRestored, type RestoreReport } from '../../src/operations/after-restore.ts';
import { reconcileHost } from '../../src/operations/reconcile.ts';
import type { Runner } from '../../src/operations/runner.ts';
import type { Row, SqlValue } from '../../src/store/db.ts';
import { selectDiscrepancies } from '../../src/store/discrepancies.ts';
import { claimHostFenced, selectHost, selectHosts } from '../../src/store/hosts.ts';
import { selectOptionalInstance } from '../../src/store/instances.ts';
import { selectOperation } from '../../src/store/operations.ts';
import { insertRestoredMark, isMarkedRestored } from '../../src/store/restores.ts';
import { imageVolume, type Cloud } from '../helpers/cloud.ts';
import type { FakeLibvirtd } from '../helpers/fake-libvirtd/index.ts';
import { plainDomainXml } from '../helpers/fake-libvirtd/plain-domain.ts';
import { createMoveCloud, move } from '../helpers/moves.ts';
import { root, run, type Result } from '../scripts/run.ts';

let cloud: Cloud;
let runner: Runner;
beforeEach(async () => {
  cloud = await createMoveCloud();
  runner = cloud.startRunner();
});
afterEach(() => cloud.close());

/** Every row of every table; loading puts exactly these back, and the mark that the last line of a backup sets. */
async function takeBackup(): Promise<() => Promise<void>> {
  const tables = (await cloud.db.query('SHOW TABLES')).flatMap((row) => Object.values(row).map(String));
  const rows = new Map<string, Row[]>();
  for (const table of tables) rows.set(table, await cloud.db.query(`SELECT * FROM \`${table}\``));
  return async () => {
    await runner.stop();
    for (const [table, all] of rows) {
      await cloud.db.execute(`DELETE FROM \`${table}\``);
      for (const row of all) {
        const names = Object.keys(row);
        await cloud.db.execute(`INSERT INTO \`${table}\` (${names.map((name) => `\`${name}\``).join(', ')}) VALUES (${names.map(() => '?').join(', ')})`, Object.values(row) as SqlValue[]);
      }
    }
    await insertRestoredMark(cloud.db, Date.now());
  };
}

const settle = (offHostIds: readonly string[] = []): Promise<RestoreReport> => settleRestored(cloud.deps, { offHostIds: new Set(offHostIds) });
const fakeOf = ({ hostId }: Pick<Instance, 'hostId'>): FakeLibvirtd => cloud.fakes[cloud.hostIds.indexOf(hostId ?? '')] ?? assert.fail('no host');
const otherThan = ({ hostId }: Pick<Instance, 'hostId'>): string => cloud.hostIds.find((id) => id !== hostId) ?? '';
const nameOf = async (hostId: string | null): Promise<string> => (await selectHost(cloud.db, hostId ?? '')).name;
async function done(operationId: string): Promise<void> {
  const { state, error } = await cloud.ended(operationId);
  assert.deepEqual([state, error], ['done', null]);
}
async function act(id: string, action: 'start' | 'force-off' | 'delete'): Promise<void> {
  await done((await cloud.act(id, action)).id);
}
async function moved(instance: Instance): Promise<Instance> {
  await done((await move(cloud, instance)).operation.id);
  return cloud.instance(instance.id);
}
/** The backup is from the middle of a creation, which has ended since, and its machine has moved. */
async function loadFromWithinCreation(): Promise<{ readonly id: string; readonly operation: Operation; readonly there: Instance }> {
  await runner.stop();
  const { instance: { id }, operation } = await cloud.create('begun');
  const load = await takeBackup();
  runner = cloud.startRunner();
  await done(operation.id);
  const there = await moved(await cloud.instance(id));
  await load();
  return { id, operation, there };
}
/** What the jobs and the runner make of it when portals run again. */
async function goOn(): Promise<void> {
  runner = cloud.startRunner();
  await checkInHosts(cloud.deps, new AbortController().signal);
  for (const host of await selectHosts(cloud.db)) await reconcileHost(cloud.deps, host);
  await delay(100);
}

describe('after a backup of the database was loaded', () => {
  it('records where machines are that have moved, and in which state', async () => {
    const [walker, sleeper, riser] = [await cloud.running('walker'), await cloud.running('sleeper'), await cloud.running('riser')];
    await act(riser.id, 'force-off');
    const load = await takeBackup();
    const there = await moved(walker);
    await act(sleeper.id, 'force-off');
    await act(riser.id, 'start');
    await load();
    const report = await settle();
    assert.deepEqual(report.moved, [{ name: 'walker', from: await nameOf(walker.hostId), to: await nameOf(there.hostId) }]);
    assert.deepEqual([...report.changed].sort((a, b) => a.name.localeCompare(b.name)), [{ name: 'riser', from: 'stopped', to: 'running' }, { name: 'sleeper', from: 'running', to: 'stopped' }]);
    assert.deepEqual([report.lost, report.adopted, report.notes, report.settled], [[], [], [], true]);
    assert.equal((await cloud.instance(walker.id)).hostId, there.hostId);
    await goOn();
    assert.deepEqual(await selectDiscrepancies(cloud.db), []);
    await cloud.checkBooks();
  });

  it('puts machines on record that are younger than the backup, with their owner, size, image and disk', async () => {
    await cloud.running('old');
    const load = await takeBackup();
    const young = await cloud.running('young');
    await load();
    const report = await settle();
    assert.deepEqual(report.adopted, [{ name: 'young', owner: 'alice', host: await nameOf(young.hostId) }]);
    const again = await cloud.instance(young.id);
    for (const key of ['name', 'userId', 'hostId', 'poolId', 'imageId', 'vcpus', 'memoryMib', 'diskGib', 'mac', 'state'] as const) assert.equal(again[key], young[key], key);
    await goOn();
    assert.deepEqual(await selectDiscrepancies(cloud.db), []);
    await cloud.checkBooks();
    await act(young.id, 'delete');
    await cloud.checkBooks();
  });

  it('gives one whose name an older one has still a name of its own', async () => {
    const old = await cloud.running('web');
    const load = await takeBackup();
    await act(old.id, 'delete');
    const young = await cloud.running('web');
    await load();
    const report = await settle();
    assert.deepEqual(report.lost, [{ name: 'web', disk: false }]);
    assert.equal((await cloud.instance(young.id)).name, `web-${young.id.slice(0, 8)}`);
  });

  it('shows what was deleted since as lost, with its disk or without, and deleting it makes the books right', async () => {
    const [gone, bare] = [await cloud.running('gone'), await cloud.running('bare')];
    const load = await takeBackup();
    await act(gone.id, 'delete');
    fakeOf(bare).host.destroy(bare.id);
    fakeOf(bare).host.undefine(bare.id);
    await load();
    const { lost } = await settle();
    assert.deepEqual([...lost].sort((a, b) => a.name.localeCompare(b.name)), [{ name: 'bare', disk: true }, { name: 'gone', disk: false }]);
    await goOn();
    assert.equal((await cloud.instance(gone.id)).state, 'lost');
    await act(gone.id, 'delete');
    await act(bare.id, 'delete');
    await cloud.checkBooks();
  });

  it('takes up nothing that was open: a creation that has ended since, whose machine has moved, keeps its disk', async () => {
    const { id, operation, there } = await loadFromWithinCreation();
    assert.equal((await settle()).ended, 1);
    assert.deepEqual([(await selectOperation(cloud.db, operation.id)).state, (await selectOperation(cloud.db, operation.id)).error?.key], ['failed', 'restore.ended']);
    await goOn();
    const after = await cloud.instance(id);
    assert.deepEqual([after.state, after.hostId, after.operationId], ['running', there.hostId, null]);
    assert.equal(fakeOf(there).domains.get(id)?.isActive, true);
    await cloud.checkBooks();
  });

  it('shows a creation that never happened as lost', async () => {
    await runner.stop();
    const { instance: { id } } = await cloud.create('begun');
    const load = await takeBackup();
    await load();
    assert.deepEqual((await settle()).lost, [{ name: 'begun', disk: false }]);
    await goOn();
    await act(id, 'delete');
    await cloud.checkBooks();
  });

  it('forgets that a host was fenced: what has come back to it since runs on', async () => {
    const instance = await cloud.running('back');
    const there = await moved(instance);
    await cloud.db.transaction((tx) => claimHostFenced(tx, instance.hostId ?? '', 'agent', Date.now()));
    const load = await takeBackup();
    await checkInHosts(cloud.deps, new AbortController().signal);
    assert.equal((await selectHost(cloud.db, instance.hostId ?? '')).state, 'up');
    assert.equal((await moved(there)).hostId, instance.hostId);
    await load();
    assert.equal((await selectHost(cloud.db, instance.hostId ?? '')).state, 'fenced');
    await settle();
    await goOn();
    assert.equal((await selectHost(cloud.db, instance.hostId ?? '')).state, 'up');
    assert.equal(fakeOf(instance).domains.get(instance.id)?.isActive, true);
    await cloud.checkBooks();
  });

  it('stops before it changes anything when a machine lives on two hosts', async () => {
    const instance = await cloud.running('twice');
    const load = await takeBackup();
    const other = cloud.fakes[cloud.hostIds.indexOf(otherThan(instance))] as FakeLibvirtd;
    other.host.define((fakeOf(instance).domains.get(instance.id)?.live.xml ?? '').replaceAll('/srv/default/', '/elsewhere/'));
    await other.host.create(instance.id, false);
    await load();
    const report = await settle();
    assert.deepEqual([report.settled, report.notes.map(({ key }) => key)], [false, ['restore.note.several']]);
    assert.equal(await isMarkedRestored(cloud.db), true);
    assert.deepEqual(await cloud.instance(instance.id), instance);
    other.host.destroy(instance.id);
    other.host.undefine(instance.id);
    assert.equal((await settle()).settled, true);
    assert.equal(await isMarkedRestored(cloud.db), false);
    await cloud.checkBooks();
  });

  it('says what it cannot put on record, and touches neither that nor what is somebody else’s', async () => {
    const load = await takeBackup();
    const [orphan, imageless] = [await cloud.running('orphan'), await cloud.running('imageless')];
    const files = cloud.fake.host.pool('default').directory;
    const disk = files.files.get(`${imageless.id}.qcow2`) ?? assert.fail('no disk');
    files.add({ ...disk, backingPath: '/srv/default/newer.qcow2' });
    const definition = fakeOf(orphan).domains.get(orphan.id) ?? assert.fail('no domain');
    fakeOf(orphan).host.destroy(orphan.id);
    fakeOf(orphan).host.undefine(orphan.id);
    fakeOf(orphan).host.define(definition.live.xml.replace('owner="alice"', 'owner="newcomer"'));
    const stranger = cloud.fake.host.define(plainDomainXml('somebody-elses'));
    await load();
    const report = await settle();
    assert.deepEqual(report.notes.map(({ key }) => key).sort(), ['restore.note.image', 'restore.note.owner']);
    assert.deepEqual(report.adopted, []);
    assert.ok(cloud.fake.domains.has(stranger.uuid));
    assert.equal(fakeOf(imageless).domains.get(imageless.id)?.isActive, true);
    // as for a person who has registered the image meanwhile
    files.add({ ...disk, backingPath: `/srv/default/${imageVolume}` });
    assert.deepEqual((await settle()).adopted.map(({ name }) => name), ['imageless']);
  });

  it('takes the word of an administrator for hosts that are off', async () => {
    const [here, away] = [await cloud.running('here'), await cloud.running('away')];
    const load = await takeBackup();
    const there = here.hostId === away.hostId ? await moved(away) : away;
    await load();
    const off = there.hostId ?? '';
    await fakeOf(there).refuse();
    const report = await settle([off]);
    assert.equal(report.settled, true);
    assert.deepEqual([(await selectHost(cloud.db, off)).state, (await selectHost(cloud.db, off)).fenceProof], ['fenced', 'admin']);
    assert.equal((await cloud.instance(here.id)).state, 'running');
    const after = await cloud.instance(away.id);
    assert.equal(after.state, after.hostId === off ? 'stopped' : 'lost');
    await fakeOf(there).accept();
    await cloud.deps.hosts.host(off).ready({ timeoutMs: 5000 });
    await goOn();
    assert.equal(fakeOf(there).domains.get(away.id)?.isActive, true, 'it was not off after all: what nobody else has is left to run');
  });
});

describe('a machine whose record is wrong about its host', () => {
  it('keeps its disk when it is deleted as lost, and when its creation of yesterday is undone', async () => {
    const { id, operation, there } = await loadFromWithinCreation();
    const disk = cloud.fake.host.pool('default').directory.files.get(`${id}.qcow2`);
    assert.notEqual(disk, undefined);
    // nobody has run after-restore: the creation is taken up, cannot start what runs elsewhere, and is undone
    await goOn();
    const { state, error } = await cloud.ended(operation.id);
    assert.equal(state, 'failed', JSON.stringify(error));
    assert.deepEqual([cloud.fake.host.pool('default').directory.files.get(`${id}.qcow2`), fakeOf(there).domains.get(id)?.isActive], [disk, true]);
    await runner.stop();
    await cloud.db.execute("UPDATE instances SET state = 'lost', host_id = ?, pool_id = ? WHERE id = ?", [otherThan(there), there.poolId, id]);
    runner = cloud.startRunner();
    const refused = await cloud.ended((await cloud.act(id, 'delete')).id);
    assert.deepEqual([refused.state, refused.error?.key], ['failed', 'operations.failed.lives-elsewhere']);
    assert.deepEqual([cloud.fake.host.pool('default').directory.files.get(`${id}.qcow2`), fakeOf(there).domains.get(id)?.isActive], [disk, true]);
  });
});

describe('a portal on a database that was loaded from a backup', () => {
  const environment = (): Record<string, string> => ({ DATABASE_URL: cloud.url, SESSION_SECRET: 'x'.repeat(40), PORT: '1', LISTEN_ADDRESS: '127.0.0.1' });
  const started = (file: string, ...args: string[]): Promise<Result> => run(process.execPath, ['--import', 'tsx', `${root}/src/${file}`, ...args], { env: environment() });

  it('does not start before after-restore has run', async () => {
    const instance = await cloud.running('walker');
    const load = await takeBackup();
    await moved(instance);
    await load();
    const refused = await started('main.ts');
    assert.deepEqual([refused.code, /run scripts\/admin after-restore/.test(refused.stderr)], [1, true], refused.stderr);
    const settled = await started('admin.ts', 'after-restore');
    assert.equal(settled.code, 0, settled.stderr + settled.stdout);
    assert.match(settled.stdout, /^moved {4}walker: from host\d to host\d\n0 operations ended, 1 machines moved, 0 changed, 0 adopted, 0 lost; portals may be started\n$/);
    assert.equal((await selectOptionalInstance(cloud.db, instance.id))?.hostId, otherThan(instance));
    assert.equal(await isMarkedRestored(cloud.db), false);
  });

  it('is not settled while a host is silent that is not said to be off, nor while a portal runs', async () => {
    await runner.stop();
    const [silent, host] = [cloud.fakes[1] as FakeLibvirtd, await nameOf(cloud.hostIds[1] ?? '')];
    await silent.refuse();
    const refused = await started('admin.ts', 'after-restore');
    assert.equal(refused.code, 1);
    assert.match(refused.stdout, new RegExp(`^WRONG {2}host ${host}: `));
    assert.equal(await isMarkedRestored(cloud.db), true);
    assert.equal((await started('admin.ts', 'after-restore', '--off', 'nobody')).code, 2);
    assert.equal((await started('admin.ts', 'after-restore', '--off', host)).code, 0);
    assert.equal(await isMarkedRestored(cloud.db), false);
    await cloud.db.execute("INSERT INTO portals (id, name, url, version, lease_owner, started_at, seen_at) VALUES ('p', 'p1', 'x', '1', 'o', 0, ?)", [Date.now()]);
    const running = await started('admin.ts', 'after-restore');
    assert.deepEqual([running.code, /stop all portals first.*p1/.test(running.stderr)], [2, true], running.stderr);
  });
});
