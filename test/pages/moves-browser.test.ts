// A move in a real browser: the owner's page and the VM Monitor follow by themselves; the console page goes with the machine,
// also when two people look at it. The screens are small RFB servers of the test; real QEMU is in test/console/follow.test.ts.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { say } from '../../src/errors.ts';
import type { Instance } from '../../src/model/instance.ts';
import { submitInstanceAction } from '../../src/operations/instance-action.ts';
import { submitInstanceCreate } from '../../src/operations/instance-create.ts';
import { submitMove } from '../../src/operations/instance-migrate.ts';
import { selectHosts } from '../../src/store/hosts.ts';
import { selectOptionalInstance } from '../../src/store/instances.ts';
import { updateSettings } from '../../src/store/settings.ts';
import { startTestCloud, type TestCloud } from '../api/cloud.ts';
import { testPassword } from '../helpers/accounts.ts';
import { launchBrowser, noBrowser, openContext, overflow, seriousViolations, type Look } from '../helpers/browser.ts';
import { startScreens, type Screens } from '../helpers/screens.ts';

describe('a move in a browser', { skip: noBrowser(), timeout: 300_000 }, () => {
  let cloud: TestCloud;
  let browser: Browser;
  let screens: Screens;
  const pages: Page[] = [];

  before(async () => {
    cloud = await startTestCloud({ hosts: 2 });
    screens = await startScreens(cloud.hosts);
    for (const [index, address] of screens.addresses.entries()) await cloud.portal.deps.db.execute('UPDATE hosts SET console_address = ? WHERE name = ?', [address, `host${index + 1}`]);
    await updateSettings(cloud.portal.deps.db, 'quota', { instances: 100, vcpus: 100, memoryMib: 100_000, diskGib: 1000 }, null, Date.now());
    await cloud.portal.deps.db.execute('UPDATE users SET language = NULL');
    browser = await launchBrowser();
  });
  after(async () => {
    await browser?.close();
    await screens?.close();
    await cloud?.close();
  });
  afterEach(async () => {
    for (const host of cloud.hosts) host.host.migrationMs = 200;
    for (const page of pages.splice(0)) await page.context().close();
  });

  const now = async (id: string): Promise<Instance> => (await selectOptionalInstance(cloud.portal.deps.db, id)) ?? assert.fail('gone');
  const settled = async (id: string): Promise<void> => {
    for (const end = Date.now() + 30_000; (await now(id)).operationId !== null; await delay(30)) assert.ok(Date.now() < end, 'not settled');
  };
  let made = 0;
  async function running(): Promise<Instance> {
    const { instance } = await submitInstanceCreate(cloud.portal.deps.operations, {
      user: cloud.user, name: `browsed-${++made}`, image: cloud.image, size: { vcpus: 1, memoryMib: 128, diskGib: 2 }, sshKey: '', userData: '',
    });
    await settled(instance.id);
    return now(instance.id);
  }
  const startMove = async (instance: Instance): Promise<void> =>
    void (await submitMove(cloud.portal.deps.operations, { instance: await now(instance.id), toHostId: null, trigger: 'admin', why: say('moves.why.words', { words: 'a new fan' }), actor: cloud.admin }));
  /** what goes on until it is told to */
  const arrive = (): void => cloud.hosts.forEach(({ host }) => host.migrations.rush());
  const addressOf = async (instance: Instance): Promise<string> => `${(await selectHosts(cloud.portal.deps.db)).find(({ id }) => id === instance.hostId)?.consoleAddress}:${instance.consolePort}`;
  const nameOf = async (instance: Instance): Promise<string> => (await selectHosts(cloud.portal.deps.db)).find(({ id }) => id === instance.hostId)?.name ?? '';

  async function open(path: string, name = 'user', look: Look = { language: 'en' }): Promise<{ page: Page; problems: string[] }> {
    const page = await (await openContext(browser, cloud.portal.url, look)).newPage();
    pages.push(page);
    page.setDefaultTimeout(30_000);
    const problems: string[] = [];
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('console', (message) => { if (message.type() === 'error' && !/40[39]|WebSocket/.test(message.text())) problems.push(message.text()); });
    await page.goto(`/login?next=${path}`);
    await page.fill('main [name=name]', name);
    await page.fill('main [name=password]', testPassword);
    await page.locator('main form button').last().click();
    await page.waitForURL(`**${path}`);
    return { page, problems };
  }

  it('shows on the open page of the machine, without anybody pressing anything, and tells afterwards', async () => {
    const instance = await running();
    const from = await nameOf(instance);
    const { page, problems } = await open(`/instances/${instance.id}`);
    assert.equal(await page.locator('[data-cell=host]').innerText(), from);
    for (const host of cloud.hosts) host.host.migrationMs = 60_000;
    await startMove(instance);
    await page.locator('#moving', { hasText: 'You may go on working' }).waitFor();
    await page.locator('#moving', { hasText: 'Sending memory' }).waitFor();
    await page.locator('#moving', { hasText: 'a new fan' }).waitFor();
    await page.locator('#moving', { hasText: 'left' }).waitFor();
    const bar = page.locator('#moving progress');
    for (const end = Date.now() + 30_000; Number(await bar.getAttribute('value')) === 0; await delay(100)) assert.ok(Date.now() < end, 'no progress');
    arrive();
    await page.locator('.diary', { hasText: `Moved from ${from} to` }).waitFor();
    await page.locator('.diary', { hasText: 'stood still for 45 ms' }).waitFor();
    assert.equal(await page.locator('#moving').count(), 0);
    const to = await nameOf(await now(instance.id));
    assert.notEqual(to, from);
    assert.equal(await page.locator('[data-cell=host]').innerText(), to);
    assert.equal(await page.locator('#console-address').innerText(), await addressOf(await now(instance.id)));
    assert.deepEqual(problems, []);
  });

  it('that is over before anybody looked is seen too', async () => {
    const instance = await running();
    const from = await nameOf(instance);
    const { page } = await open(`/instances/${instance.id}`);
    await startMove(instance);
    await page.locator('.diary', { hasText: `Moved from ${from} to` }).waitFor();
  });

  it('does not take the page from somebody who is filling in its form', async () => {
    const instance = await running();
    const { page } = await open(`/instances/${instance.id}`);
    await page.fill('[name=antiAffinity]', 'half-ty');
    await startMove(instance);
    await settled(instance.id);
    await page.locator('[data-cell=host]', { hasText: await nameOf(await now(instance.id)) }).waitFor();
    assert.equal(await page.inputValue('[name=antiAffinity]'), 'half-ty');
    await page.locator('[name=antiAffinity]').blur();
    await page.locator('.diary', { hasText: 'Moved from' }).waitFor();
  });

  it('asked for by an admin who then goes back, is not asked for again: the form stands there as it was filled in', async () => {
    const instance = await running();
    const { page, problems } = await open('/admin/moves/new', 'admin');
    await page.check(`[name="instance:${instance.id}"]`);
    await page.fill('[name=why]', 'a new fan');
    await page.locator('#moves-form button').last().click();
    await page.locator('.card-footer form button').click();
    await page.waitForURL('**/admin/moves/*-*');
    await page.goBack();
    await page.locator('#moves-form').waitFor();
    assert.equal(await page.inputValue('[name=why]'), 'a new fan');
    assert.deepEqual(problems, []);
    await settled(instance.id);
  });

  it('shows in the VM Monitor: moving, then the new host', async () => {
    const instance = await running();
    const { page } = await open('/instances');
    const row = page.locator(`[data-live="instance:${instance.id}"]`);
    for (const host of cloud.hosts) host.host.migrationMs = 60_000;
    await startMove(instance);
    await page.locator(`[data-live="instance:${instance.id}"][data-state=moving]`).waitFor();
    assert.equal(await row.locator('[data-cell=state]').innerText(), 'moving');
    arrive();
    await page.locator(`[data-live="instance:${instance.id}"][data-state=running]`).waitFor();
    assert.equal(await row.locator('[data-cell=host]').innerText(), await nameOf(await now(instance.id)));
  });

  /** Its console page with the screen open, showing the colour of the host it is on. */
  async function openScreen(instance: Instance, name = 'user'): Promise<{ page: Page; problems: string[] }> {
    const opened = await open(`/instances/${instance.id}/console`, name);
    await opened.page.getByRole('button', { name: 'Open console' }).click();
    await opened.page.locator('#screen-open').click();
    await showsHost(opened.page, instance);
    return opened;
  }
  async function showsHost(page: Page, instance: Instance): Promise<void> {
    const colour = screens.colourOf((await selectHosts(cloud.portal.deps.db)).findIndex(({ id }) => id === instance.hostId));
    const look = `(() => { const canvas = document.querySelector('#screen canvas:not(.screen-still)'); return canvas === null ? '' : canvas.getContext('2d').getImageData(4, 4, 1, 1).data.slice(0, 3).join(); })()`;
    for (const end = Date.now() + 30_000; (await page.evaluate(look)) !== colour.join(); await delay(50)) assert.ok(Date.now() < end, `not on its host’s screen: ${await page.locator('#screen-status').innerText()}`);
  }

  it('takes the screen along: same page, new picture, new address and password', async () => {
    const instance = await running();
    const { page, problems } = await openScreen(instance);
    const [address, password] = [await page.locator('#console-address').innerText(), await page.locator('#console-password').innerText()];
    await startMove(instance);
    await settled(instance.id);
    const after = await now(instance.id);
    await showsHost(page, after);
    await page.locator('#console-moved').waitFor({ state: 'visible' });
    assert.equal(await page.locator('#console-address').innerText(), await addressOf(after));
    assert.notEqual(await page.locator('#console-password').innerText(), password);
    assert.ok(!(await page.content()).includes(address));
    assert.equal(await page.locator('#screen-status').innerText(), 'Connected');
    assert.deepEqual(problems, []);
    // and back again, as often as it moves
    await startMove(after);
    await settled(instance.id);
    await showsHost(page, await now(instance.id));
  });

  it('takes it along for all who look: each new password ends the one before, and nobody stays behind', async () => {
    const instance = await running();
    const owner = await openScreen(instance);
    const admin = await openScreen(instance, 'admin');
    await startMove(instance);
    await settled(instance.id);
    const after = await now(instance.id);
    await Promise.all([showsHost(owner.page, after), showsHost(admin.page, after)]);
  });

  it('is not looked for when the machine was only switched off, or the screen closed by hand', async () => {
    const instance = await running();
    const { page } = await openScreen(instance);
    await page.locator('#screen-close').click();
    await page.locator('#screen-status', { hasText: 'Disconnected' }).waitFor();
    await page.locator('#screen-open').click();
    await showsHost(page, instance);
    await submitInstanceAction(cloud.portal.deps.operations, { action: 'force-off', instance: await now(instance.id), actor: cloud.user });
    await page.locator('#screen-status', { hasText: 'switched off' }).waitFor();
  });

  for (const look of [{ language: 'en' }, { language: 'zh-TW', width: 360, dark: true }, { language: 'en', width: 360 }, { language: 'zh-TW', dark: true }] as const satisfies readonly Look[]) {
    it(`looks right while it moves and afterwards: ${look.language}, ${'width' in look ? 'phone' : 'wide'}, ${'dark' in look ? 'dark' : 'light'}`, async () => {
      const instance = await running();
      for (const host of cloud.hosts) host.host.migrationMs = 60_000;
      await startMove(instance);
      const { page, problems } = await open(`/instances/${instance.id}`, 'user', look);
      await page.locator('#moving progress').waitFor();
      await page.locator('#moving [data-ended=false]', { hasText: look.language === 'en' ? 'Sending memory' : '傳送記憶體' }).waitFor();
      const shot = (what: string): Promise<unknown> => (process.env['SCREENSHOTS'] === undefined ? Promise.resolve() : page.screenshot({ path: `${process.env['SCREENSHOTS']}/${what}-${look.language}-${'width' in look ? 360 : 1280}${'dark' in look ? '-dark' : ''}.png`, fullPage: true }));
      const findings = [...(await overflow(page)), ...(await seriousViolations(page))];
      await shot('moving');
      assert.deepEqual([findings, problems], [[], []]);
      await cloud.portal.deps.db.execute("UPDATE operations SET cancel_requested = 1, run_after = 0 WHERE instance_id = ? AND state = 'running'", [instance.id]);
      cloud.portal.deps.operations.wake();
      await settled(instance.id);
      for (const host of cloud.hosts) host.host.migrationMs = 200;
      await startMove(instance);
      await settled(instance.id);
      await page.goto(`/instances/${instance.id}`);
      await page.locator('.diary').waitFor();
      assert.deepEqual([...(await overflow(page)), ...(await seriousViolations(page))], []);
      await shot('moved');
    });
  }
});
