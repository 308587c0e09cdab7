// The wizard in a real browser: what its script adds (sliders, presets, the verdict while one drags), and the same walk
// with scripts switched off.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { insertFlavour } from '../../src/store/flavours.ts';
import { startTestCloud, type TestCloud } from '../api/cloud.ts';
import { testPassword } from '../helpers/accounts.ts';
import { launchBrowser, noBrowser, openContext, overflow, seriousViolations, type Look } from '../helpers/browser.ts';

describe('the wizard in a browser', { skip: noBrowser(), timeout: 120_000 }, () => {
  let cloud: TestCloud;
  let browser: Browser;

  before(async () => {
    cloud = await startTestCloud();
    const flavour = { id: crypto.randomUUID(), position: 0, enabled: true };
    await insertFlavour(cloud.portal.deps.db, { ...flavour, name: 'Small', vcpus: 1, memoryMib: 512, diskGib: 4 });
    await insertFlavour(cloud.portal.deps.db, { ...flavour, id: crypto.randomUUID(), name: 'Large', vcpus: 4, memoryMib: 4096, diskGib: 20, position: 1 });
    // the browser's language counts
    await cloud.portal.deps.db.execute('UPDATE users SET language = NULL');
    browser = await launchBrowser();
  });
  after(async () => {
    await browser?.close();
    await cloud?.close();
  });

  /** Logged in, on step 1; every error of a script fails the test. */
  async function onStepOne(look: Look): Promise<{ page: Page; errors: string[] }> {
    const page = await (await openContext(browser, cloud.portal.url, look)).newPage();
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(error.message));
    page.on('console', (message) => { if (message.type() === 'error') errors.push(message.text()); });
    await page.goto('/login?next=/instances/new');
    await page.fill('main [name=name]', 'user');
    await page.fill('main [name=password]', testPassword);
    await page.locator('main form button').last().click();
    await page.waitForURL('**/instances/new');
    return { page, errors };
  }

  const verdict = (page: Page, text: string): Promise<void> => page.locator('#verdict', { hasText: text }).waitFor();

  it('keeps sliders, fields, presets, price and verdict together', async () => {
    const { page, errors } = await onStepOne({ language: 'en' });
    await page.getByRole('button', { name: /Large/ }).click();
    assert.equal(await page.inputValue('[name=vcpus]'), '4');
    assert.equal(await page.inputValue('[data-slider=memoryMib]'), '4096');
    await verdict(page, 'NT$40,000');

    await page.fill('[data-slider=diskGib]', '7');
    assert.equal(await page.inputValue('[name=diskGib]'), '7');
    await verdict(page, 'NT$20,500');
    assert.equal(new URL(page.url()).pathname, '/instances/new');

    await page.fill('[name=vcpus]', '9');
    await verdict(page, 'at most 4 vCPUs');
    assert.equal(await page.inputValue('[name=vcpus]'), '9');
    await page.getByRole('button', { name: 'Use this size' }).click();
    assert.equal(await page.inputValue('[name=vcpus]'), '4');
    await verdict(page, 'You may create this now');
    assert.deepEqual(errors, []);
    await page.context().close();
  });

  it('takes new bounds when somebody else takes the room', async () => {
    const { page } = await onStepOne({ language: 'en' });
    assert.equal(await page.getAttribute('[data-slider=vcpus]', 'max'), '4');
    const { db } = cloud.portal.deps;
    await db.execute('UPDATE hosts SET used_vcpus = used_vcpus + 1000');
    try {
      await page.fill('[name=diskGib]', '5');
      await verdict(page, 'No host has that many vCPUs left');
      assert.equal(await page.isDisabled('[data-slider=vcpus]'), true);
      assert.match(await page.locator('[data-bounds-of=vcpus]').innerText(), /None left/);
    } finally {
      await db.execute('UPDATE hosts SET used_vcpus = used_vcpus - 1000');
    }
    await page.context().close();
  });

  it('brings Enter in the name to the review, not to a preset', async () => {
    const { page } = await onStepOne({ language: 'en' });
    await page.fill('[name=name]', 'by-enter');
    await page.press('[name=name]', 'Enter');
    await page.waitForURL('**/instances/new/review');
    await page.context().close();
  });

  it('walks from the choice to the machine and its console without scripts', async () => {
    const { page } = await onStepOne({ language: 'zh-TW', javaScript: false });
    await page.fill('[name=name]', 'plain');
    await page.fill('[name=memoryMib]', '99999');
    await page.getByRole('button', { name: '檢查' }).click();
    await page.getByRole('button', { name: '使用此規格' }).click();
    assert.equal(await page.inputValue('[name=memoryMib]'), '8192');
    await page.getByRole('button', { name: /Small/ }).click();
    assert.equal(await page.inputValue('[name=name]'), 'plain');
    await page.locator('#wizard .card-footer button.btn-primary').click();
    await page.fill('[name=userData]', '#cloud-config\n{}');
    await page.getByRole('button', { name: '返回' }).click();
    await page.locator('#wizard .card-footer button.btn-primary').click();
    assert.equal(await page.inputValue('[name=userData]'), '#cloud-config\n{}');
    await page.getByRole('button', { name: '建立', exact: true }).click();
    // the page reloads itself until the machine runs
    await page.locator('h1 .state-badge', { hasText: '執行中' }).waitFor();
    await page.locator('form[action$="/console"] button').click();
    assert.match(await page.locator('#console-password').innerText(), /^\S{8}$/);
    assert.equal(await page.locator('#screen-open').isVisible(), false);
    await page.context().close();
  });

  for (const look of [{ language: 'en' }, { language: 'zh-TW', dark: true, width: 360 }] as const) {
    it(`fits and is accessible: ${JSON.stringify(look)}`, async () => {
      const { page, errors } = await onStepOne(look);
      for (const path of ['/instances/new', '/instances/new?vcpus=99', '/admission', '/admission?vcpus=99&memoryMib=99999&diskGib=1']) {
        await page.goto(path);
        assert.deepEqual([...(await overflow(page)), ...(await seriousViolations(page))], [], path);
      }
      assert.deepEqual(errors, []);
      await page.context().close();
    });
  }
});
