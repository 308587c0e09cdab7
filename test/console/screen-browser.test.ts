// The screen in a real browser when something on the way to it does not answer: it opens, or the page says why and offers it again.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import type { Instance } from '../../src/model/instance.ts';
import { selectHosts } from '../../src/store/hosts.ts';
import { startTestCloud, type TestCloud } from '../api/cloud.ts';
import { testPassword } from '../helpers/accounts.ts';
import { launchBrowser, noBrowser, openContext } from '../helpers/browser.ts';
import { makeInstance, startDomain } from '../helpers/instances.ts';
import { startScreens, type Screens } from '../helpers/screens.ts';

describe('the screen in a browser', { skip: noBrowser(), timeout: 120_000 }, () => {
  let cloud: TestCloud;
  let browser: Browser;
  let screens: Screens;
  let instance: Instance;
  let page: Page | undefined;

  before(async () => {
    cloud = await startTestCloud({ hosts: 1 });
    const { db } = cloud.portal.deps;
    screens = await startScreens(cloud.hosts);
    await db.execute('UPDATE hosts SET console_address = ?', [screens.addresses[0] ?? '']);
    instance = await makeInstance(db, cloud.user, { hostId: (await selectHosts(db))[0]?.id ?? '' });
    await startDomain(cloud.host, instance);
    browser = await launchBrowser();
  });
  after(async () => {
    await browser?.close();
    await screens?.close();
    await cloud?.close();
  });
  afterEach(async () => {
    screens.beSilent(false);
    await page?.context().close();
  });

  /** Its console page, the password shown and the screen not yet opened. `prepare` is done before the first page. */
  async function consolePage(prepare: (page: Page) => Promise<unknown> = async () => undefined): Promise<Page> {
    page = await (await openContext(browser, cloud.portal.url, { language: 'en' })).newPage();
    await prepare(page);
    await page.goto(`/login?next=/instances/${instance.id}/console`);
    await page.fill('main [name=name]', 'user');
    await page.fill('main [name=password]', testPassword);
    await page.locator('main form button').last().click();
    await page.getByRole('button', { name: 'Open console' }).click();
    await page.locator('#console-password').waitFor();
    return page;
  }
  const says = (on: Page, words: string): Promise<void> => on.locator('#screen-status', { hasText: words }).waitFor();
  /** The page offers to open it once more, and then it opens. */
  async function opensAgain(on: Page): Promise<void> {
    await on.getByRole('button', { name: 'Connect again' }).click();
    await says(on, 'Connected');
    assert.equal(await on.locator('#screen canvas').count(), 1);
  }

  it('opens in a browser whose video decoder never answers', async () => {
    // VNC needs none; some Chromium builds leave the question open for ever
    const on = await consolePage((each) => each.addInitScript('VideoDecoder.isConfigSupported = () => new Promise(() => undefined);'));
    await on.locator('#screen-open').click();
    await says(on, 'Connected');
  });

  it('says so when the machine’s screen says nothing', async () => {
    screens.beSilent(true);
    const on = await consolePage((each) => each.clock.install());
    await on.locator('#screen-open').click();
    await says(on, 'Connecting');
    await on.locator('#screen canvas').waitFor({ state: 'attached' });
    await on.clock.runFor(25_000);
    await says(on, 'The host does not answer');
    screens.beSilent(false);
    await opensAgain(on);
  });

  it('is not given up for figures of before that come in while it connects', async () => {
    const on = await consolePage();
    await on.route('**/console/ticket', async (route) => { await delay(1500); await route.continue(); });
    await on.locator('#screen-open').click();
    await on.evaluate(`document.dispatchEvent(new CustomEvent('live:row', { detail: { key: document.getElementById('console').dataset.live, cells: { host: 'elsewhere', console: '127.0.0.1:5999' } } }))`);
    await delay(800);
    await says(on, 'Connecting');
    assert.equal(await on.locator('#screen').isVisible(), false);
    await says(on, 'Connected');
  });

  it('says so when the portal is not reached', async () => {
    const on = await consolePage();
    await on.route('**/console/ticket', (route) => route.abort());
    await on.locator('#screen-open').click();
    await says(on, 'Disconnected');
    await on.unroute('**/console/ticket');
    await opensAgain(on);
  });

  it('says so when its program does not come whole', async () => {
    const on = await consolePage();
    await on.route('**/novnc/core/websock.js', (route) => route.abort());
    await on.locator('#screen-open').click();
    await says(on, 'Disconnected');
    await on.unroute('**/novnc/core/websock.js');
    await opensAgain(on);
  });

  it('says so when the portal takes the question and never answers', async () => {
    const on = await consolePage((each) => each.clock.install());
    await on.route('**/console/ticket', () => undefined);
    await on.locator('#screen-open').click();
    await says(on, 'Connecting');
    await on.clock.runFor(25_000);
    await says(on, 'Disconnected');
    await on.unroute('**/console/ticket');
    await opensAgain(on);
  });
});
