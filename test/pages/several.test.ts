// Several machines at once, chosen in the VM Monitor, and its filter by state: over HTTP, as a browser without scripts does it.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it, mock } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Instance, InstanceState } from '../../src/model/instance.ts';
import type { User } from '../../src/model/user.ts';
import { submitInstanceCreate } from '../../src/operations/instance-create.ts';
import { selectAuditPage } from '../../src/store/audit.ts';
import { selectOptionalInstance } from '../../src/store/instances.ts';
import { countOpenOperations } from '../../src/store/operations.ts';
import { startTestCloud } from '../api/cloud.ts';
import { auditSettled, loggedIn, makeFirstAdmin, makeUser } from '../helpers/accounts.ts';
import { formFields, unescapeHtml } from '../helpers/form.ts';
import { makeInstance } from '../helpers/instances.ts';
import { assertHides, assertShows, assertStatus } from '../helpers/page-text.ts';
import { startTestPortal, type Client, type TestPortal } from '../helpers/portal.ts';

const many = /<form [^>]*id="several"/;
const question = /<form method="post" action="\/instances\/actions">/;
const chosen = (instances: readonly { readonly id: string }[]): Record<string, string> => Object.fromEntries(instances.map(({ id }) => [`instance:${id}`, 'on']));
const tickedIn = (html: string): string[] => [...html.matchAll(/name="instance:([0-9a-f-]{36})"[^>]*\schecked\s*>/g)].map(([, id = '']) => id);
const flashesIn = (html: string): string[] => [...html.matchAll(/<div class="alert alert-[\s\S]*?<div>([\s\S]*?)<\/div>/g)].map(([, text = '']) => unescapeHtml(text).trim());

// nothing is worked on here: what has begun stays as it was asked for
describe('several machines at once', () => {
  let portal: TestPortal;
  let [ann, bob] = [] as unknown as [User, User];
  let [client, admin] = [] as unknown as [Client, Client];
  const busyWith = async ({ id }: Instance): Promise<string | null | undefined> => (await selectOptionalInstance(portal.deps.db, id))?.operationKind;
  let made = 0;
  async function make(owner: User, ...states: InstanceState[]): Promise<Instance[]> {
    const all: Instance[] = [];
    // names that come in this order
    for (const state of states) all.push(await makeInstance(portal.deps.db, owner, { name: `m-${String(++made).padStart(3, '0')}-${state}` }, { state, address: state === 'running' ? '192.0.2.9' : null }));
    return all;
  }
  /** What the list says after it. */
  async function act(by: Client, form: Readonly<Record<string, string>>): Promise<{ location: string; flashes: string[] }> {
    const answer = await by.post('/instances/actions', form);
    assertStatus(answer, 303);
    return { location: answer.location, flashes: flashesIn((await by.get(answer.location)).text) };
  }

  before(async () => {
    portal = await startTestPortal({ runner: false });
    await makeFirstAdmin(portal.deps.db);
    [ann, bob] = [await makeUser(portal.deps.db, 'ann'), await makeUser(portal.deps.db, 'bob')];
    [client, admin] = [await loggedIn(portal, 'ann'), await loggedIn(portal, 'admin')];
  });
  after(() => portal.close());

  it('are for people who are logged in, with their token', async () => {
    const visitor = portal.client();
    assert.equal((await visitor.post('/instances/actions', { action: 'start' })).status, 401);
    assert.match((await visitor.get('/instances/actions')).headers.get('location') ?? '', /^\/login/);
    assert.equal((await client.post('/instances/actions', { action: 'start' }, { csrf: false })).status, 403);
    assert.equal((await client.get('/instances/actions')).headers.get('location'), '/instances', 'where a browser’s address bar may lead');
  });

  it('are chosen by a box in each row, and moved by administrators only', async () => {
    const [one] = await make(ann, 'stopped');
    const { text } = await client.get('/instances');
    assertShows(text, new RegExp(`<input [^>]*form="several" name="instance:${one?.id}" aria-label="Choose: ${one?.name}">`));
    assertShows(text, /data-check-all="[^"]+" hidden/);
    for (const action of ['start', 'shutdown', 'reboot', 'force-off', 'delete']) assertShows(text, new RegExp(`name="action" value="${action}"`));
    // Enter in a box presses a form's first button: here it asks for nothing
    assertShows(text.slice(text.search(many)), /^<form [^>]*>\s*<input type="hidden" name="_csrf"[^>]*>\s*<button class="visually-hidden" tabindex="-1" aria-hidden="true">/);
    const entered = await client.post('/instances/actions', { search: 'm', ...chosen([{ id: one?.id ?? '' }]) });
    assert.deepEqual([entered.status, entered.location], [303, `/instances?search=m&instance=${one?.id}`]);
    assertHides(text, /value="move"/);
    assertHides((await admin.get('/instances')).text, /value="move"/);
    const everybody = (await admin.get('/instances?all=1')).text;
    assertShows(everybody, /name="action" value="move"/);
    assert.deepEqual(formFields(everybody, many), { all: '1' });
  });

  it('are started as if each by its own button; those that refuse are told with their reason and keep nobody', async () => {
    const [off, runs, off2] = await make(ann, 'stopped', 'running', 'stopped') as [Instance, Instance, Instance];
    const form = { action: 'start', search: 'm-', ...chosen([off, runs, off2]) };
    const first = await act(client, form);
    assert.equal(first.location, '/instances?search=m-');
    assert.deepEqual(first.flashes, ['Start: begun for 2 of 3.', `Not done with ${runs.name}: Only a machine that is off can be started.`]);
    assert.deepEqual([await busyWith(off), await busyWith(runs), await busyWith(off2)], ['instance-start', null, 'instance-start']);
    // a double click
    const open = await countOpenOperations(portal.deps.db);
    const again = await act(client, form);
    assert.equal(again.flashes.length, 2);
    assert.match(again.flashes.join(), new RegExp(`Not done with ${off.name}, ${off2.name}: Something is already being done`));
    assert.equal(await countOpenOperations(portal.deps.db), open);
    // one row for each time, with what came of it
    await auditSettled(portal.deps.db);
    const { entries } = await selectAuditPage(portal.deps.db, { action: 'instance.several' }, 2, 0);
    assert.deepEqual(entries.map(({ detail, result }) => [detail, result]), [
      [`start: begun –; refused ${off.name} ${runs.name} ${off2.name}`, 'ok'], [`start: begun ${off.name} ${off2.name}; refused ${runs.name}`, 'ok'],
    ]);
  });

  it('name ten at most', async () => {
    const machines = await make(ann, ...Array.from({ length: 13 }, (): InstanceState => 'running'), 'stopped');
    const { flashes } = await act(client, { action: 'start', ...chosen(machines.slice(0, 13)) });
    assert.deepEqual(flashes, [`Not done with ${machines.slice(0, 10).map(({ name }) => name).join(', ')} and 3 more: Only a machine that is off can be started.`]);
    const chinese = await loggedIn(portal, (await makeUser(portal.deps.db, 'chen', { language: 'zh-TW' })).name);
    assert.deepEqual((await act(chinese, { action: 'start' })).flashes, ['尚未選取虛擬機器。請先勾選，再按一次按鈕。']);
  });

  it('of another person are as if they were not there', async () => {
    const [theirs] = await make(bob, 'stopped') as [Instance];
    const [mine] = await make(ann, 'stopped') as [Instance];
    for (const action of ['start', 'shutdown', 'delete', 'force-off']) {
      const [foreign, unknown] = [await act(client, { action, sure: 'yes', ...chosen([theirs]) }), await act(client, { action, sure: 'yes', ...chosen([{ id: randomUUID() }]) })];
      assert.deepEqual(foreign, unknown);
      assert.deepEqual(foreign.flashes, ['Chosen machines that are not there any more, or not yours: 1.']);
    }
    const page = await client.post('/instances/actions', { action: 'delete', ...chosen([mine, theirs]) });
    assertStatus(page, 200);
    assertShows(page.text, /not there any more, or not yours: 1/);
    assert.ok(!page.text.includes(theirs.id) && !page.text.includes(theirs.name));
    assert.deepEqual((await act(client, { action: 'start', ...chosen([mine, theirs]) })).flashes, ['Start: begun for 1 of 2.', 'Chosen machines that are not there any more, or not yours: 1.']);
    assert.deepEqual([await busyWith(mine), await busyWith(theirs)], ['instance-start', null]);
    // an administrator may
    assert.deepEqual((await act(admin, { action: 'start', all: '1', ...chosen([theirs]) })), { location: '/instances?all=1', flashes: ['Start: begun for 1 of 1.'] });
  });

  it('that nobody chose, too many, and what is no action, are refused in words', async () => {
    const list = '/instances?search=m&state=stopped';
    assert.deepEqual(await act(client, { action: 'delete', search: 'm', state: 'stopped' }), { location: list, flashes: ['No machine was chosen. Tick those that are meant, then press the button again.'] });
    assert.deepEqual((await act(client, { action: 'start', 'instance:nonsense': 'on', 'instance:': 'on' })).flashes.length, 1);
    const ids = Array.from({ length: 51 }, () => ({ id: randomUUID() }));
    const answer = await client.post('/instances/actions', { action: 'start', ...chosen(ids) });
    assertStatus(answer, 422);
    assertShows(answer.text, /At most 50 machines at a time/);
    for (const action of ['', 'console', 'move', 'migrate', 'constructor']) assert.equal((await client.post('/instances/actions', { action, ...chosen(ids.slice(0, 1)) })).status, 404, action);
  });

  it('are shown by name before something is lost, those that refuse left out, and nothing is done until one is sure', async () => {
    const [off, runs, creating] = await make(ann, 'stopped', 'running', 'creating') as [Instance, Instance, Instance];
    const list = { search: 'm-', state: '', page: '1' };
    const page = await client.post('/instances/actions', { action: 'delete', ...list, ...chosen([off, runs, creating]) });
    assertStatus(page, 200);
    for (const words of [/Delete these machines \(2\)\?/, /their disks, 20 GiB in all/, /that run: 1\. They will be switched off/, /no way back/, /Left out \(1\)/, /cannot be deleted while it is being created/]) assertShows(page.text, words);
    for (const { name } of [off, runs, creating]) assertShows(page.text, new RegExp(`>${name}<`));
    assert.deepEqual([await busyWith(off), await busyWith(runs)], [null, null]);
    // back: the same list with the same ticks
    const back = unescapeHtml(/data-come-back href="([^"]+)"/.exec(page.text)?.[1] ?? '');
    assert.match(back, /^\/instances\?search=m-&instance=/);
    assert.deepEqual(tickedIn((await client.get(back)).text).sort(), [off, runs, creating].map(({ id }) => id).sort());

    const fields = formFields(page.text, question);
    assert.deepEqual(fields, { sure: 'yes', search: 'm-', ...chosen([off, runs]) });
    const done = await act(client, { action: 'delete', ...fields });
    assert.deepEqual(done, { location: '/instances?search=m-', flashes: ['Delete: begun for 2 of 2.'] });
    assert.deepEqual([await busyWith(off), await busyWith(runs), await busyWith(creating)], ['instance-delete', 'instance-delete', null]);

    const plug = await client.post('/instances/actions', { action: 'force-off', ...chosen([creating]) });
    assertShows(plug.text, /Force off: not possible with any of these now/);
    assertShows(plug.text, /This machine is not running/);
    assertHides(plug.text, question);
    const [paused] = await make(ann, 'paused') as [Instance];
    assertShows((await client.post('/instances/actions', { action: 'force-off', ...chosen([paused]) })).text, /like pulling the plug/);
    // whose they are, for who acts on everybody's
    const everybody = await admin.post('/instances/actions', { action: 'force-off', all: '1', ...chosen([paused]) });
    assertShows(everybody.text, /<td data-label="Owner">ann<\/td>/);
    assert.equal(formFields(everybody.text, question)['all'], '1');
  });

  it('are handed on to the page of moves, ticked', async () => {
    const machines = await make(ann, 'running', 'stopped');
    const answer = await admin.post('/instances/actions', { action: 'move', all: '1', ...chosen(machines) });
    assert.deepEqual([answer.status, answer.location], [303, `/admin/moves/new?${machines.map(({ id }) => `instance=${id}`).join('&')}`]);
    assert.deepEqual(tickedIn((await admin.get(answer.location)).text).sort(), machines.map(({ id }) => id).sort());
  });

  it('are all tried, also when one fails by a fault of ours', async () => {
    const machines = await make(ann, 'stopped', 'stopped', 'stopped') as [Instance, Instance, Instance];
    const { db } = portal.deps.operations;
    const transaction = db.transaction.bind(db);
    const broken = mock.method(db, 'transaction', transaction);
    // an administrator's request has no other transaction before
    broken.mock.mockImplementationOnce(() => Promise.reject(new Error('made by the test')), 1);
    const { flashes } = await act(admin, { action: 'start', all: '1', ...chosen(machines) });
    broken.mock.restore();
    assert.equal(flashes[0], 'Start: begun for 2 of 3.');
    assert.match(flashes[1] ?? '', new RegExp(`^Not done with ${machines[1].name}: This is our fault`));
    assert.deepEqual(await Promise.all(machines.map(busyWith)), ['instance-start', null, 'instance-start']);
  });

  it('lead back to the list and nowhere else', async () => {
    for (const place of ['//evil.example', 'https://evil.example/', '/\\evil.example', '/admin', '?x#y&all=1', '\r\nlocation: https://evil.example']) {
      const { location } = await client.post('/instances/actions', { action: 'start', back: place, next: place, all: '1', search: place, page: place, state: place });
      const url = new URL(location, portal.url);
      assert.deepEqual([url.origin, url.pathname, [...url.searchParams.keys()]], [new URL(portal.url).origin, '/instances', ['search']], location);
      assert.match(location, /^\/instances\?search=/);
    }
  });

  describe('in the list of one state', () => {
    let user: User;
    let their: Client;
    before(async () => {
      user = await makeUser(portal.deps.db, 'dora');
      their = await loggedIn(portal, 'dora');
      await make(user, ...Array.from({ length: 60 }, (): InstanceState => 'lost'), 'stopped', 'running');
    });

    it('are those of that state, on all of its pages', async () => {
      const lost = (await their.get('/instances?state=lost&search=m')).text;
      assert.equal(lost.match(/<tr data-live="instance:/g)?.length, 50);
      assertHides(lost, /-running</);
      assertShows(lost, /<option value="lost" selected>Lost</);
      assertShows(lost, /href="\/instances\?search=m&amp;state=lost&amp;page=2"/);
      const second = (await their.get('/instances?search=m&state=lost&page=2')).text;
      assert.equal(second.match(/<tr data-live="instance:/g)?.length, 10);
      assert.deepEqual(formFields(second, many), { search: 'm', state: 'lost', page: '2' });
      assert.equal((await their.get('/instances?state=running')).text.match(/<tr data-live="instance:/g)?.length, 1);
      assertShows((await their.get('/instances?state=paused')).text, /No machine is in this state now: Paused[\s\S]*href="\/instances"/);
      assertShows((await their.get('/instances?state=paused&search=zz')).text, /No machine in this state has “zz” in its name: Paused/);
      assert.equal((await their.get('/instances?state=nonsense')).text.match(/<tr data-live="instance:/g)?.length, 50, 'what cannot be used is left out');
      const everybody = (await admin.get('/instances?all=1&state=lost')).text;
      assertShows(everybody, /href="\/instances\?all=1&amp;state=lost&amp;page=2"/);
      assertShows(everybody, /60 in all/);
      assertHides(everybody, /-stopped</);
    });

    it('and a page that is not there any more is the last one', async () => {
      const { text } = await their.get('/instances?state=lost&page=9');
      assert.equal(text.match(/<tr data-live="instance:/g)?.length, 10);
      assert.equal(formFields(text, many)['page'], '2');
    });
  });
});

describe('machines of a backup that were deleted since', () => {
  it('are deleted again in one go by the filter “lost”', async () => {
    const cloud = await startTestCloud();
    try {
      const { db, operations } = cloud.portal.deps;
      const calm = async (): Promise<void> => {
        for (const end = Date.now() + 60_000; (await countOpenOperations(db)) > 0; await delay(15)) assert.ok(Date.now() < end, 'the end of all work never came');
        await cloud.portal.answered();
      };
      const ids: string[] = [];
      for (const [index, user] of [cloud.user, cloud.other, cloud.user].entries()) {
        ids.push((await submitInstanceCreate(operations, { user, name: `old-${index}`, image: cloud.image, size: { vcpus: 1, memoryMib: 128, diskGib: 1 }, sshKey: '', userData: '' })).instance.id);
      }
      await calm();
      await db.execute("UPDATE instances SET state = 'lost' WHERE id IN (?)", [ids.slice(0, 2)]);
      const admin = await loggedIn(cloud.portal, 'admin');
      const list = (await admin.get('/instances?all=1&state=lost')).text;
      const boxes = [...list.matchAll(/form="several" name="(instance:[^"]+)"/g)].map(([, name = '']) => [name, 'on'] as const);
      assert.equal(boxes.length, 2);
      const page = await admin.post('/instances/actions', { ...formFields(list, many), action: 'delete', ...Object.fromEntries(boxes) });
      assertShows(page.text, /<td data-label="Owner">user<\/td>[\s\S]*<td data-label="Owner">other<\/td>/);
      const answer = await admin.post('/instances/actions', { ...formFields(page.text, question), action: 'delete' });
      assert.deepEqual([answer.status, answer.location], [303, '/instances?all=1&state=lost']);
      await calm();
      assert.deepEqual(await Promise.all(ids.map(async (id) => (await selectOptionalInstance(db, id))?.state)), [undefined, undefined, 'running']);
      // the second time they are not there
      assert.equal((await admin.post('/instances/actions', { ...formFields(page.text, question), action: 'delete' })).location, '/instances?all=1&state=lost');
      assert.deepEqual(flashesIn((await admin.get('/instances?all=1&state=lost')).text).at(-1), 'Chosen machines that are not there any more, or not yours: 2.');
    } finally {
      await cloud.close();
    }
  });
});
