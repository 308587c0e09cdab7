// The administrator's pages of moves and of a host's maintenance, over HTTP, on three fake hosts that share their disks.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { say } from '../../src/errors.ts';
import type { Host, HostWish } from '../../src/model/host.ts';
import type { Instance } from '../../src/model/instance.ts';
import { submitInstanceAction } from '../../src/operations/instance-action.ts';
import { submitInstanceCreate } from '../../src/operations/instance-create.ts';
import { submitMove } from '../../src/operations/instance-migrate.ts';
import { selectHosts, updateHost, updateHostContact } from '../../src/store/hosts.ts';
import { selectInstancesByHost, selectInstancesPage, selectOptionalInstance } from '../../src/store/instances.ts';
import { selectMove, selectMovesPage, selectOpenMoves } from '../../src/store/moves.ts';
import { countOpenOperations, selectOperation } from '../../src/store/operations.ts';
import { startTestCloud, type TestCloud } from '../api/cloud.ts';
import { loggedIn } from '../helpers/accounts.ts';
import { formFields } from '../helpers/form.ts';
import { assertHides, assertShows, assertStatus } from '../helpers/page-text.ts';
import type { Client } from '../helpers/portal.ts';

const size = { vcpus: 1, memoryMib: 512, diskGib: 2 };
let made = 0;

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 60_000; !(await holds()); await delay(15)) if (Date.now() > deadline) assert.fail(`never came: ${what}`);
}

describe('moves and maintenance', () => {
  let cloud: TestCloud;
  let admin: Client;
  let [a, b, c] = [] as unknown as [Host, Host, Host];

  const calm = (): Promise<void> => until('the end of all work', async () => (await countOpenOperations(cloud.portal.deps.db)) === 0).then(cloud.portal.answered);
  async function setWish(hosts: readonly Host[], wish: HostWish): Promise<void> {
    for (const { id } of hosts) await updateHost(cloud.portal.deps.db, id, { wish });
  }

  /** Running ones on one host. */
  async function fill(host: Host, count: number): Promise<Instance[]> {
    const { db, operations } = cloud.portal.deps;
    const others = [a, b, c].filter(({ id }) => id !== host.id);
    await setWish(others, 'disabled');
    const ids: string[] = [];
    for (let i = 0; i < count; i++) {
      const { instance } = await submitInstanceCreate(operations, { user: cloud.admin, name: `m${++made}`, image: cloud.image, size, sshKey: '', userData: '' });
      ids.push(instance.id);
    }
    await calm();
    await setWish(others, 'enabled');
    return Promise.all(ids.map(async (id) => (await selectOptionalInstance(db, id)) ?? assert.fail('it was just made')));
  }

  before(async () => {
    cloud = await startTestCloud({ hosts: 3, migrationMs: 100 });
    const { db } = cloud.portal.deps;
    await db.execute('UPDATE users SET quota_instances = 100, quota_vcpus = 100, quota_memory_mib = 100000, quota_disk_gib = 1000 WHERE id = ?', [cloud.admin.id]);
    [a, b, c] = (await selectHosts(db)) as [Host, Host, Host];
    admin = await loggedIn(cloud.portal, 'admin');
  });
  afterEach(async () => {
    const { db, operations } = cloud.portal.deps;
    await calm();
    for (const { id } of [a, b, c]) await updateHostContact(db, id, { state: 'up', at: Date.now() });
    await setWish([a, b, c], 'enabled');
    for (const instance of (await selectInstancesPage(db, { page: 1, pageSize: 100 })).instances) await submitInstanceAction(operations, { action: 'delete', instance, actor: null });
    await calm();
  });
  after(() => cloud.close());

  it('are for administrators', async () => {
    const user = await loggedIn(cloud.portal, 'user');
    for (const path of ['/admin/moves', '/admin/moves.csv', '/admin/moves/new', `/admin/hosts/${a.id}/maintenance`, `/admin/hosts/${a.id}/return`]) {
      assert.ok([403, 404].includes((await user.get(path)).status), path);
      assert.equal((await cloud.portal.client().get(path)).status, 303, path);
    }
  });

  it('refuse a form without its token', async () => {
    const [instance] = await fill(a, 1);
    for (const path of ['/admin/moves', '/admin/moves/new', `/admin/hosts/${a.id}/maintenance`, `/admin/hosts/${a.id}/return`]) {
      assert.equal((await admin.post(path, { [`instance:${instance?.id ?? ''}`]: b.id, to: 'anywhere' }, { csrf: false })).status, 403, path);
    }
    assert.deepEqual(await selectOpenMoves(cloud.portal.deps.db), []);
  });

  it('begin with empty lists that say what they are for', async () => {
    const page = await admin.get('/admin/moves');
    assertStatus(page, 200);
    assertShows(page.text, /Nothing moves at the moment/);
    assertShows(page.text, /At most 2 from or to one host and 5 in all/);
    assertShows((await admin.get('/admin/moves?trigger=drill')).text, /No move fits this selection|No machine has moved yet/);
    assertShows((await admin.get('/admin/moves/new')).text, /There is no machine to move here/);
    assert.equal((await admin.get('/admin/moves/00000000-0000-4000-8000-000000000000')).status, 404);
    assert.equal((await admin.get('/admin/moves?page=x&state=y&host=z')).status, 200, 'what cannot be used in a URL is left out');
  });

  it('show for each machine what stands against its move, before anything moves', async () => {
    const [one, two] = await fill(a, 2);
    assert.ok(one && two);
    const choose = await admin.get(`/admin/moves/new?host=${a.id}&all=1`);
    assertShows(choose.text, new RegExp(one.name));
    const fields = formFields(choose.text, /<form[^>]*id="moves-form"/);
    assert.equal(fields[`instance:${one.id}`], 'on', 'all of a host are chosen');
    assert.equal(fields[`instance:${two.id}`], 'on');

    // too little memory at b; c is the only other one
    await cloud.portal.deps.db.execute('UPDATE hosts SET used_memory_mib = memory_mib WHERE id = ?', [b.id]);
    const check = await admin.post('/admin/moves/new', { ...fields, to: b.id, why: 'Noisy fan' });
    assertStatus(check, 200);
    assertShows(check.text, /0 of 2 can move/);
    assertShows(check.text, /cannot move/);
    assert.deepEqual(await selectOpenMoves(cloud.portal.deps.db), []);

    const anywhere = await admin.post('/admin/moves/new', { ...fields, to: 'anywhere', why: 'Noisy fan' });
    assertShows(anywhere.text, /2 of 2 can move/);
    const start = formFields(anywhere.text, /<form method="post" action="\/admin\/moves"/);
    assert.deepEqual([start[`instance:${one.id}`], start[`instance:${two.id}`], start['why']], [c.id, c.id, 'Noisy fan']);
    const answer = await admin.post('/admin/moves', start);
    await cloud.portal.deps.db.execute('UPDATE hosts SET used_memory_mib = 0 WHERE id = ?', [b.id]);
    assert.deepEqual([answer.status, answer.location], [303, '/admin/moves']);
    assertShows((await admin.get('/admin/moves')).text, /Moves begun: 2/);
    await calm();
    assert.equal((await selectInstancesByHost(cloud.portal.deps.db, c.id)).length, 2);
    const page = await admin.get(`/admin/moves?host=${c.id}&trigger=admin&state=done&instance=${one.id}`);
    assertShows(page.text, /Noisy fan/);
    assertShows(page.text, new RegExp(`Only moves of ${one.name}`));
    assertHides(page.text, new RegExp(`>${two.name}<`));
  });

  it('keep what was chosen when something is wrong with it, with the complaint beside its field', async () => {
    const [one, two] = await fill(a, 2);
    assert.ok(one && two);
    const none = await admin.post('/admin/moves/new', { to: b.id, why: 'x'.repeat(300) });
    assertStatus(none, 422);
    assertShows(none.text, /id="field-instances-error"[^>]*>Choose at least one machine/);
    assertShows(none.text, /At most 200 characters/);
    await setWish([b], 'disabled');
    const closed = await admin.post('/admin/moves/new', { [`instance:${two.id}`]: 'on', to: b.id, why: 'Because' });
    assertStatus(closed, 422);
    assertShows(closed.text, /id="field-to-error"[^>]*>Choose a host that takes machines/);
    const fields = formFields(closed.text, /<form[^>]*id="moves-form"/);
    assert.deepEqual([fields[`instance:${two.id}`], fields[`instance:${one.id}`], fields['why']], ['on', undefined, 'Because']);
    assert.deepEqual((await admin.post('/admin/moves', { [`instance:${two.id}`]: 'on', to: 'nonsense' })).status, 422, 'also when the second step is sent by hand');
    assert.deepEqual(await selectOpenMoves(cloud.portal.deps.db), []);
  });

  it('say which machines are busy or gone, and move the others', async () => {
    const { db, operations } = cloud.portal.deps;
    const [one, two] = await fill(a, 2);
    assert.ok(one && two);
    const goOn = cloud.hosts[0]!.host.migrations.hold('perform');
    await submitMove(operations, { instance: one, toHostId: b.id, trigger: 'admin', why: say('moves.why.admin'), actor: null });
    const check = await admin.post('/admin/moves/new', { [`instance:${one.id}`]: 'on', [`instance:${two.id}`]: 'on', to: 'anywhere' });
    assertShows(check.text, /1 of 2 can move/);
    assertShows(check.text, /Something is already being done with this machine/);
    await admin.post('/admin/moves', { [`instance:${one.id}`]: c.id, [`instance:${two.id}`]: c.id, to: 'anywhere' });
    const page = await admin.get('/admin/moves');
    goOn();
    assertShows(page.text, new RegExp(`The move of ${two.name} has begun`));
    assertShows(page.text, new RegExp(`${one.name} was not moved: Something is already`));
    await calm();
    assert.equal((await selectOptionalInstance(db, two.id))?.hostId, c.id);
  });

  it('can be cancelled; then the machine runs on where it was', async () => {
    const { db, operations } = cloud.portal.deps;
    const [one] = await fill(a, 1);
    assert.ok(one);
    cloud.hosts[0]!.host.migrationMs = 3_600_000;
    const { move } = await submitMove(operations, { instance: one, toHostId: b.id, trigger: 'admin', why: say('moves.why.admin'), actor: cloud.admin });
    await until('it moves', async () => (await selectMove(db, move.id)).phase === 'memory');
    const page = await admin.get(`/admin/moves/${move.id}`);
    assertShows(page.text, /Sending memory/);
    assertShows(page.text, /<meta http-equiv="refresh"/);
    const answer = await admin.post(`/admin/moves/${move.id}/cancel`);
    assert.deepEqual([answer.status, answer.location], [303, `/admin/moves/${move.id}`]);
    await calm();
    cloud.hosts[0]!.host.migrationMs = 100;
    assertShows((await admin.get(`/admin/moves/${move.id}`)).text, /cancelled/);
    const after = await selectOptionalInstance(db, one.id);
    assert.deepEqual([after?.hostId, after?.state, after?.operationId], [a.id, 'running', null]);
    assertStatus(await admin.post(`/admin/moves/${move.id}/cancel`), 303);
  });

  it('are a file for table programs, with the page’s filters', async () => {
    const { db, operations } = cloud.portal.deps;
    const [one] = await fill(a, 1);
    assert.ok(one);
    await submitMove(operations, { instance: one, toHostId: b.id, trigger: 'admin', why: say('moves.why.words', { words: '=1+1, "so"' }), actor: cloud.admin });
    await calm();
    const file = await admin.get(`/admin/moves.csv?instance=${one.id}`);
    assertStatus(file, 200);
    assert.match(file.headers.get('content-type') ?? '', /^text\/csv/);
    const [head = '', line = '', rest] = file.text.replace('\uFEFF', '').split('\r\n');
    assert.match(head, /^id,instance,instance_id,owner,from,to,kind,/);
    assert.match(line, new RegExp(`^[0-9a-f-]{36},${one.name},${one.id},admin,host1,host2,live,no,admin,"'=1\\+1, ""so""",done,`));
    assert.equal(rest, '');
    assert.equal((await admin.get(`/admin/moves.csv?instance=${b.id}`)).text.trim().split('\r\n').length, 1, 'only the head');
    const { total } = await selectMovesPage(db, { page: 1, pageSize: 1, ended: true });
    assert.equal((await admin.get('/admin/moves.csv')).text.trim().split('\r\n').length, total + 1);
  });

  it('empty a host after a preview, and bring its machines back', async () => {
    const { db } = cloud.portal.deps;
    const instances = await fill(a, 3);
    const preview = await admin.get(`/admin/hosts/${a.id}/maintenance`);
    assertStatus(preview, 200);
    assertShows(preview.text, /Will move: 3/);
    for (const { name } of instances) assertShows(preview.text, new RegExp(`>${name}<`));
    assert.deepEqual(await selectOpenMoves(db), []);
    const goOn = cloud.hosts[0]!.host.migrations.hold('perform');
    const begun = await admin.post(`/admin/hosts/${a.id}/maintenance`);
    assert.deepEqual([begun.status, begun.location], [303, `/admin/hosts/${a.id}/maintenance`]);
    assertShows((await admin.get(begun.location)).text, /Host host1 is being emptied/);
    goOn();
    await calm();
    const done = await admin.get(`/admin/hosts/${a.id}/maintenance`);
    assertShows(done.text, /It can be worked on/);
    assertShows(done.text, /Moved: 3/);
    assertShows((await admin.get(`/admin/hosts/${a.id}/return`)).text, /Will move: 3/);
    assert.equal((await admin.post(`/admin/hosts/${a.id}/return`)).status, 303);
    await calm();
    assert.equal((await selectInstancesByHost(db, a.id)).length, 3);
    assertStatus(await admin.post(`/admin/hosts/${a.id}/return`), 409);
  });

  it('say that a silent host cannot be emptied, and list what stays on one that can', async () => {
    const { db } = cloud.portal.deps;
    const [one] = await fill(a, 1);
    assert.ok(one);
    await updateHostContact(db, a.id, { state: 'unreachable', at: Date.now(), reason: 'no route' });
    const silent = await admin.get(`/admin/hosts/${a.id}/maintenance`);
    assertShows(silent.text, /does not answer, so nothing can be moved away/);
    assertHides(silent.text, /Begin maintenance<\/button>/);
    assertStatus(await admin.post(`/admin/hosts/${a.id}/maintenance`), 409);
    await updateHostContact(db, a.id, { state: 'up', at: Date.now() });
    await setWish([b, c], 'disabled');
    assertShows((await admin.get(`/admin/hosts/${a.id}/maintenance`)).text, /Cannot move: 1/);
    await admin.post(`/admin/hosts/${a.id}/maintenance`);
    await calm();
    const left = await admin.get(`/admin/hosts/${a.id}/maintenance`);
    assertShows(left.text, /Left: 1/);
    assertShows(left.text, /Machines still here: 1/);
    assertShows(left.text, /Move away the rest/);
  });

  it('stop an emptying on demand', async () => {
    const { db } = cloud.portal.deps;
    await fill(a, 5);
    const goOn = cloud.hosts[0]!.host.migrations.hold('perform');
    await admin.post(`/admin/hosts/${a.id}/maintenance`);
    await until('moves', async () => (await selectOpenMoves(db)).some(({ state }) => state === 'moving'));
    const page = await admin.get(`/admin/hosts/${a.id}/maintenance`);
    assertShows(page.text, /What has not begun to move stays; what moves now arrives/);
    const cancel = /action="(\/operations\/[0-9a-f-]+\/cancel)"/.exec(page.text)?.[1] ?? assert.fail('it can be cancelled');
    const answer = await admin.post(cancel);
    assert.deepEqual([answer.status, answer.location], [303, `/admin/hosts/${a.id}/maintenance`]);
    await until('it is noticed', async () => (await selectOperation(db, cancel.split('/')[2] ?? '')).state !== 'running');
    goOn();
    await calm();
    const stopped = await admin.get(`/admin/hosts/${a.id}/maintenance`);
    assertShows(stopped.text, /cancelled/);
    const here = await selectInstancesByHost(db, a.id);
    assert.ok(here.length > 0 && here.length < 5, `${here.length} are still there`);
  });
});
