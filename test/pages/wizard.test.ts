// Create VM as a browser without JavaScript walks it: choose, review, back, create.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { defaultSettings } from '../../src/model/settings.ts';
import { selectGate, updateGate } from '../../src/store/gate.ts';
import { selectOptionalInstanceSeed } from '../../src/store/instance-seeds.ts';
import { selectInstancesByUser, selectOptionalInstance } from '../../src/store/instances.ts';
import { say } from '../../src/errors.ts';
import type { User } from '../../src/model/user.ts';
import { startTestCloud, type TestCloud } from '../api/cloud.ts';
import { loggedIn, makeUser } from '../helpers/accounts.ts';
import { formFields } from '../helpers/form.ts';
import type { Client } from '../helpers/portal.ts';

let cloud: TestCloud;
let client: Client;

before(async () => { cloud = await startTestCloud({ runner: false }); });
after(async () => { await cloud.close(); });
let user: User;
beforeEach(async () => {
  // a user of their own for each test: quotas do not mix
  const name = `u${Math.random().toString(36).slice(2, 10)}`;
  user = await makeUser(cloud.portal.deps.db, name);
  client = await loggedIn(cloud.portal, name);
});

const first = async (query = ''): Promise<Record<string, string>> => formFields((await client.get(`/instances/new${query}`)).text, /<form[^>]*id="wizard"/);
const reviewFields = (html: string): Record<string, string> => formFields(html, /<form method="post" action="\/instances">/);
const key = `ssh-ed25519 ${'A'.repeat(68)} me@home`;

describe('the wizard, step 1', () => {
  it('proposes a name, an image and a size that would be granted', async () => {
    const page = await client.get('/instances/new');
    assert.equal(page.status, 200);
    const fields = formFields(page.text, /<form[^>]*id="wizard"/);
    assert.equal(fields['name'], `${user.name}-1`);
    assert.equal(fields['imageId'], cloud.image.id);
    assert.match(fields['instanceId'] ?? '', /^[0-9a-f-]{36}$/);
    assert.match(page.text, /You may create this now/);
    assert.match(page.text, /NT\$/);
  });

  it('says why not and what would fit, after "Check"', async () => {
    const page = await client.post('/instances/new', { ...(await first()), vcpus: '99', check: '1' });
    assert.equal(page.status, 200);
    assert.match(page.text, /at most 4 vCPUs/);
    assert.match(page.text, /This would fit/);
    const fields = formFields(page.text, /<form[^>]*id="wizard"/);
    assert.equal(fields['vcpus'], '99');
    const use = /name="use" value="([\d,]+)"/.exec(page.text)?.[1] ?? '';
    const used = formFields((await client.post('/instances/new', { ...fields, use })).text, /<form[^>]*id="wizard"/);
    assert.equal(used['vcpus'], use.split(',')[0]);
  });

  for (const [field, value, words] of [
    ['name', '-bad-', 'Letters, digits and hyphens only'], ['name', '', 'This is needed'], ['vcpus', 'many', 'not a number'],
    ['memoryMib', '1.5', 'whole number'], ['diskGib', '0', 'At least 1'], ['imageId', '', 'needed'], ['imageId', crypto.randomUUID(), 'choose one of the list'],
  ] as const) {
    it(`keeps everything typed when ${field} is "${value}"`, async () => {
      const typed = { ...(await first()), name: 'kept-name', diskGib: '7', sshKey: key, userData: '#cloud-config\n<b>&"\'\n', [field]: value };
      const page = await client.post('/instances/new/review', typed);
      assert.equal(page.status, 422);
      assert.ok(page.text.includes(words), words);
      const kept = formFields(page.text, /<form[^>]*id="wizard"/);
      // a radio that is not of the list cannot be kept
      if (field === 'imageId') delete (typed as Partial<typeof typed>).imageId;
      assert.deepEqual({ ...kept, imageId: undefined }, { ...typed, imageId: undefined });
    });
  }

  it('goes no further with a size that would be refused', async () => {
    const page = await client.post('/instances/new/review', { ...(await first()), memoryMib: '999999' });
    assert.equal(page.status, 422);
    assert.match(page.text, /invalid-feedback[^>]*>[^<]*at most 8 GiB/);
    const full = await client.post('/instances/new/review', { ...(await first()), diskGib: String(defaultSettings.caps.diskGib + 1) });
    assert.equal(full.status, 422);
  });

  it('takes what an address asks for, but never keys or data from it', async () => {
    const fields = await first(`?name=again&vcpus=2&memoryMib=256&diskGib=3&sshKey=${encodeURIComponent(key)}&userData=%23!x&instanceId=mine`);
    assert.deepEqual([fields['name'], fields['vcpus'], fields['memoryMib'], fields['diskGib'], fields['sshKey'], fields['userData']], ['again', '2', '256', '3', '', '']);
    assert.notEqual(fields['instanceId'], 'mine');
  });

  it('answers the script with the panel alone', async () => {
    const panel = await client.get(`/instances/new/verdict?imageId=${cloud.image.id}&vcpus=1&memoryMib=512&diskGib=5`);
    assert.equal(panel.status, 200);
    assert.doesNotMatch(panel.text, /<html/);
    assert.match(panel.text, /data-max-vcpus="4"/);
    assert.match(panel.text, /You may create this now/);
    assert.match((await client.get('/instances/new/verdict?vcpus=%3Cscript%3E&imageId=x')).text, /Not now/);
  });

  it('says that the gate is closed', async () => {
    const { db } = cloud.portal.deps;
    const open = await selectGate(db);
    const closed = { closed: true, since: 5, reasons: [say('admission.gate.cpuPercent', { value: 97, close: 90, open: 80 })] };
    await updateGate(db, open, closed, Date.now());
    try {
      const page = await client.post('/instances/new/review', await first());
      assert.equal(page.status, 409);
      assert.match(page.text, /97 % busy/);
      assert.match(page.text, /data-bounds-of="vcpus">Nothing can be created now</);
      assert.match(page.text, /data-hint-vcpus="Nothing can be created now"/);
      assert.match(page.text, /data-max-vcpus="4"/);
      assert.doesNotMatch(page.text, /possible now/);
      assert.match((await client.get('/admission')).text, /97 % busy/);
    } finally {
      await updateGate(db, closed, open, Date.now());
    }
  });

  it('shows a visitor the login', async () => {
    const visitor = cloud.portal.client();
    for (const path of ['/instances/new', '/instances/new/verdict', '/admission']) {
      const { status, headers } = await visitor.get(path);
      assert.deepEqual([status, headers.get('location')?.startsWith('/login')], [303, true], path);
    }
  });
});

describe('the wizard, step 2', () => {
  it('shows what was chosen, where it would run and why, and its price', async () => {
    const page = await client.post('/instances/new/review', { ...(await first()), vcpus: '2', memoryMib: '1024', diskGib: '10' });
    assert.equal(page.status, 200);
    assert.match(page.text, /It would run on host1/);
    assert.match(page.text, /of its memory would stay free/);
    assert.match(page.text, /NT\$18,500/);
    assert.match(page.text, /name="sshKey"/);
  });

  it('goes back with everything that was typed, and on again', async () => {
    const review = reviewFields((await client.post('/instances/new/review', { ...(await first()), name: 'there-and-back' })).text);
    const typed = { ...review, sshKey: key, userData: '#cloud-config\nhostname: "<x>"' };
    const back = formFields((await client.post('/instances/new', typed)).text, /<form[^>]*id="wizard"/);
    assert.deepEqual(back, typed);
    const again = reviewFields((await client.post('/instances/new/review', back)).text);
    assert.deepEqual(again, typed);
  });

  it('is step 1 when opened by its address', async () => {
    assert.equal((await client.get('/instances/new/review')).headers.get('location'), '/instances/new');
  });
});

describe('the wizard, finish', () => {
  const typedReview = async (over: Record<string, string> = {}): Promise<Record<string, string>> => ({ ...reviewFields((await client.post('/instances/new/review', { ...(await first()), vcpus: '1', memoryMib: '64', diskGib: '1' })).text), ...over });

  it('creates the instance, reserves its size, and opens its page with the progress', async () => {
    const form = await typedReview({ sshKey: `\r\n${key}\r\n`, userData: '#cloud-config\r\n{}' });
    const answer = await client.post('/instances', form);
    assert.deepEqual([answer.status, answer.location], [303, `/instances/${form['instanceId']}`]);
    const instance = await selectOptionalInstance(cloud.portal.deps.db, form['instanceId'] ?? '');
    assert.equal(instance?.state, 'creating');
    assert.deepEqual(await selectOptionalInstanceSeed(cloud.portal.deps.db, instance?.id ?? ''), { sshKey: key, userData: '#cloud-config\n{}' });
    const page = await client.get(answer.location);
    assert.match(page.text, /Create the disk/);
    assert.match(page.text, /<noscript><meta http-equiv="refresh"/);
  });

  it('creates one when the last page is sent twice, also at once', async () => {
    const form = await typedReview();
    const answers = await Promise.all([1, 2, 3].map(() => client.post('/instances', form)));
    for (const answer of answers) assert.deepEqual([answer.status, answer.location], [303, `/instances/${form['instanceId']}`]);
    assert.equal((await selectInstancesByUser(cloud.portal.deps.db, user.id, { page: 1, pageSize: 10 })).length, 1);
  });

  it('shows the review again, with everything, when a key or data cannot be used', async () => {
    const form = await typedReview({ sshKey: 'not a key', userData: 'hello' });
    const page = await client.post('/instances', form);
    assert.equal(page.status, 422);
    assert.match(page.text, /One public key a line/);
    assert.match(page.text, /begins with &#34;#cloud-config&#34;/);
    assert.deepEqual(reviewFields(page.text), form);
  });

  it('shows the review again when the name is taken, the quota reached, or the id another\'s', async () => {
    const form = await typedReview();
    await client.post('/instances', form);
    const taken = await client.post('/instances', { ...(await typedReview()), name: form['name'] ?? '' });
    assert.equal(taken.status, 409);
    assert.match(taken.text, /You have a machine of this name already/);
    const tooMuch = await client.post('/instances', { ...(await typedReview()), vcpus: '5', name: 'large' });
    assert.equal(tooMuch.status, 422);
    assert.match(tooMuch.text, /at most 4 vCPUs/);
    const stranger = await loggedIn(cloud.portal, 'other');
    await stranger.get('/instances/new');
    const stolen = await stranger.post('/instances', { ...form, name: 'stolen' });
    assert.equal(stolen.status, 404);
  });

  it('keeps the quota under twenty simultaneous forms', async () => {
    await first();
    const forms = await Promise.all(Array.from({ length: 20 }, (_, n) => typedReview({ name: `race-${n}` })));
    const answers = await Promise.all(forms.map((form) => client.post('/instances', form)));
    assert.equal(answers.filter((answer) => answer.status === 303).length, defaultSettings.quota.instances);
    for (const answer of answers) if (answer.status !== 303) assert.match(answer.text, /You have 5 of 5 machines|last room/);
  });
});
