// Choosing several machines in a real browser: by mouse, by keyboard and by touch, while the list lives.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import type { Instance } from '../../src/model/instance.ts';
import { selectOptionalInstance } from '../../src/store/instances.ts';
import { loggedIn, makeFirstAdmin, makeUser, testPassword } from '../helpers/accounts.ts';
import { launchBrowser, noBrowser, openContext, overflow, seriousViolations, type Look } from '../helpers/browser.ts';
import { makeInstance } from '../helpers/instances.ts';
import { startTestPortal, type TestPortal } from '../helpers/portal.ts';

describe('several machines chosen in a browser', { skip: noBrowser(), timeout: 300_000 }, () => {
  let portal: TestPortal;
  let browser: Browser;
  const machines: Instance[] = [];

  before(async () => {
    // nothing is worked on: what has begun stays as it was asked for
    portal = await startTestPortal({ runner: false });
    const admin = await makeFirstAdmin(portal.deps.db);
    const ann = await makeUser(portal.deps.db, 'ann');
    await portal.deps.db.execute('UPDATE users SET language = NULL');
    for (let index = 0; index < 12; index++) machines.push(await makeInstance(portal.deps.db, ann, { name: `box-${String(index).padStart(2, '0')}` }, { state: index % 3 === 0 ? 'stopped' : 'running', address: '192.0.2.7' }));
    await makeInstance(portal.deps.db, admin, { name: 'of-the-admin' }, { state: 'lost' });
    browser = await launchBrowser();
  });
  after(async () => {
    await browser?.close();
    await portal?.close();
  });

  async function open(path: string, name = 'ann', look: Look = { language: 'en' }): Promise<{ page: Page; problems: string[] }> {
    const page = await (await openContext(browser, portal.url, look)).newPage();
    const problems: string[] = [];
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('console', (message) => { if (message.type() === 'error') problems.push(message.text()); });
    await page.goto(`/login?next=${encodeURIComponent(path)}`);
    await page.fill('main [name=name]', name);
    await page.fill('main [name=password]', testPassword);
    await page.locator('main form button').last().click();
    await page.waitForURL(`**${path}`);
    return { page, problems };
  }
  const one = (index: number): Instance => machines[index] ?? assert.fail('it was made');
  const box = (page: Page, index: number) => page.getByRole('checkbox', { name: `Choose: ${one(index).name}` });
  const all = (page: Page) => page.getByRole('checkbox', { name: 'Choose all of this page' });
  const count = (page: Page) => page.locator('[data-chosen]');

  it('are counted, and one box chooses all of the page', async () => {
    const { page, problems } = await open('/instances');
    assert.equal(await count(page).textContent(), '');
    await box(page, 0).check();
    await box(page, 1).check();
    assert.equal(await count(page).textContent(), '2 chosen');
    assert.equal(await page.evaluate('document.querySelector("[data-check-all] input").indeterminate'), true);
    await all(page).check();
    assert.equal(await count(page).textContent(), '12 chosen');
    await all(page).uncheck();
    assert.equal(await count(page).textContent(), '');
    assert.deepEqual(problems, []);
    await page.context().close();
  });

  it('stay chosen while their rows live on, but for those that are deleted', async () => {
    const { page, problems } = await open('/instances');
    await page.locator('.live-mark.is-live').waitFor();
    const gone = await makeInstance(portal.deps.db, { id: one(0).userId }, { name: 'box-short-lived' });
    await page.reload();
    await page.locator('.live-mark.is-live').waitFor();
    for (const index of [0, 1]) await box(page, index).check();
    await page.getByRole('checkbox', { name: 'Choose: box-short-lived' }).check();
    assert.equal(await count(page).textContent(), '3 chosen');
    // another window, or another person
    const other = await loggedIn(portal, 'ann');
    assert.equal((await other.post('/instances/actions', { action: 'start', [`instance:${one(0).id}`]: 'on' })).status, 303);
    await portal.deps.db.execute('DELETE FROM instances WHERE id = ?', [gone.id]);
    await page.locator(`tr[data-live="instance:${one(0).id}"][data-state="busy"]`).waitFor();
    await page.locator(`tr[data-live="instance:${gone.id}"][data-state="gone"]`).waitFor();
    assert.deepEqual([await box(page, 0).isChecked(), await box(page, 1).isChecked(), await count(page).textContent()], [true, true, '2 chosen']);
    assert.equal(await page.getByRole('checkbox', { name: 'Choose: box-short-lived' }).isDisabled(), true);
    assert.deepEqual(problems, []);
    await page.context().close();
  });

  it('by keyboard: Enter in a box starts nothing, a button does, and cancelling brings the same choice back', async () => {
    const { page, problems } = await open('/instances');
    await box(page, 3).focus();
    await page.keyboard.press('Space');
    await page.keyboard.press('Enter');
    await page.waitForURL(`**/instances?instance=${one(3).id}`);
    assert.equal(await box(page, 3).isChecked(), true);
    assert.equal((await selectOptionalInstance(portal.deps.db, one(3).id))?.operationId, null);
    await page.locator('#several [value=delete]').focus();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Delete these machines (1)?' }).waitFor();
    assert.equal((await selectOptionalInstance(portal.deps.db, one(3).id))?.operationId, null);
    await page.getByRole('link', { name: 'Cancel' }).click();
    await page.waitForURL(/\/instances\?instance=/);
    assert.deepEqual([await box(page, 3).isChecked(), await box(page, 1).isChecked(), await count(page).textContent()], [true, false, '1 chosen']);
    assert.deepEqual(problems, []);
    await page.context().close();
  });

  it('without scripts, on a phone', async () => {
    const { page } = await open('/instances?search=box&state=stopped', 'ann', { language: 'en', width: 360, javaScript: false });
    assert.equal(await all(page).isVisible(), false);
    for (const index of [6, 9]) await box(page, index).check();
    await page.locator('#several [value=start]').click();
    await page.waitForURL('**/instances?search=box&state=stopped');
    await page.getByText('Start: begun for 2 of 2.').waitFor();
    assert.equal((await selectOptionalInstance(portal.deps.db, one(9).id))?.operationKind, 'instance-start');
    await page.context().close();
  });

  it('in both languages and themes, wide and on a phone, fit and can be read', async () => {
    for (const look of [{ language: 'en', width: 1280 }, { language: 'zh-TW', width: 360, dark: true }, { language: 'en', width: 360 }, { language: 'zh-TW', width: 1280, dark: true }] as const) {
      const { page, problems } = await open('/instances?all=1', 'admin', look);
      const picture = async (name: string): Promise<void> => {
        const folder = process.env['SCREENSHOTS'];
        if (folder !== undefined) await page.screenshot({ path: `${folder}/${name}-${look.language}-${look.width}.png` });
      };
      const looksRight = async (name: string): Promise<void> => {
        await picture(name);
        assert.deepEqual([await overflow(page), await seriousViolations(page), problems], [[], [], []], `${name} ${JSON.stringify(look)}`);
      };
      await looksRight('list');
      await page.locator('[data-check-all] input').check();
      // the buttons stay in sight
      await page.locator('.machines .choose input').last().scrollIntoViewIfNeeded();
      const top = await page.evaluate('document.getElementById("several").getBoundingClientRect().top');
      assert.ok(typeof top === 'number' && top >= 0 && top < 800, `the bar is at ${String(top)}`);
      await looksRight('chosen');
      await page.locator('#several [value=delete]').click();
      await page.locator('main form .btn-danger').waitFor();
      await looksRight('question');
      await page.context().close();
    }
  });
});
