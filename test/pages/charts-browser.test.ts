// Charts in a real browser: zoomed by dragging and by the keyboard, read out by arrow keys, hosts compared; and all of it by links
// where there is no JavaScript.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import type { Instance } from '../../src/model/instance.ts';
import { insertHost, selectHost } from '../../src/store/hosts.ts';
import { insertHostSamples, insertInstanceSamples } from '../../src/store/samples.ts';
import { makeFirstAdmin, makeUser, testPassword } from '../helpers/accounts.ts';
import { launchBrowser, noBrowser, openContext, overflow, seriousViolations, type Look } from '../helpers/browser.ts';
import { insertRecent } from '../helpers/history.ts';
import { makeInstance } from '../helpers/instances.ts';
import { startTestPortal, type TestPortal } from '../helpers/portal.ts';

let portal: TestPortal;
let browser: Browser;
let instance: Instance;
const hostIds = [randomUUID(), randomUUID()];

before(async () => {
  if (noBrowser() !== undefined) return;
  portal = await startTestPortal({ runner: false });
  const { db } = portal.deps;
  await makeFirstAdmin(db);
  const now = Date.now();
  instance = await makeInstance(db, await makeUser(db, 'ann'), { name: 'web' });
  await insertRecent(db, instance.subjectId, now, { minutes: 110 });
  for (const [index, id] of hostIds.entries()) {
    await insertHost(db, { id, name: `host${index + 1}`, uri: 'qemu+tcp://127.0.0.1:1/system', consoleAddress: '127.0.0.1', network: 'default', virtTypeWish: 'auto', createdAt: now });
    const { subjectId } = await selectHost(db, id);
    await insertHostSamples(db, Array.from({ length: 360 }, (_, back) => ({ subjectId, at: now - back * 10_000, up: 1 as const, cpuPercent: 30 * (index + 1), memoryUsedMib: 1024, memoryTotalMib: 4096 })));
  }
  browser = await launchBrowser();
});
after(async () => {
  await browser?.close();
  await portal?.close();
});

async function open(name: string, path: string, { timezone, ...look }: Partial<Look> & { readonly timezone?: string } = {}): Promise<{ page: Page; problems: string[] }> {
  const context = await openContext(browser, portal.url, { language: 'en', ...look });
  const page = await context.newPage();
  if (timezone !== undefined) await (await context.newCDPSession(page)).send('Emulation.setTimezoneOverride', { timezoneId: timezone });
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('console', (message) => { if (message.type() === 'error') problems.push(message.text()); });
  await page.goto('/login');
  await page.fill('[name=name]', name);
  await page.fill('[name=password]', testPassword);
  await Promise.all([page.waitForURL((url) => !url.pathname.startsWith('/login')), page.click('form[action="/login"] button')]);
  await page.goto(path);
  return { page, problems };
}

const cpu = '[data-chart="cpu"] .chart-picture';
/** the time that the page shows, in ms */
async function shown(page: Page): Promise<number> {
  const chart = page.locator('[data-chart="cpu"]');
  return Number(await chart.getAttribute('data-to')) - Number(await chart.getAttribute('data-from'));
}

/** Asks again and again: the page's policy lets no test bring a script of its own to wait in it. */
async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  for (const end = performance.now() + 20_000; performance.now() < end; await delay(50)) if (await condition()) return;
  assert.fail(`not so after 20 s: ${what}`);
}

describe('charts in a browser', { skip: noBrowser() }, () => {
  it('zoom where one drags, and back by the browser’s button', async () => {
    const { page, problems } = await open('ann', `/instances/${instance.id}/charts`);
    const box = await page.locator(cpu).boundingBox();
    assert.ok(box);
    await page.mouse.move(box.x + box.width * 0.25, box.y + 80);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.5, box.y + 80, { steps: 4 });
    await page.mouse.up();
    await page.waitForURL((url) => url.searchParams.has('from'));
    const zoomed = await shown(page);
    assert.ok(Math.abs(zoomed - 900_000) < 60_000, `a quarter of an hour: ${zoomed} ms`);
    await page.locator('[data-step-to="wider"]').click();
    await until(async () => (await shown(page)) > 1_500_000, 'the chart shows more than 25 minutes');
    await page.goBack();
    await until(async () => (await shown(page)) < 1_500_000, 'the chart shows less than 25 minutes');
    await page.goBack();
    await until(async () => (await shown(page)) > 3_500_000, 'the chart shows more than 58 minutes');
    assert.deepEqual(problems, []);
    await page.context().close();
  });

  it('are read out and zoomed by the keyboard', async () => {
    const { page, problems } = await open('ann', `/instances/${instance.id}/charts`);
    const picture = page.locator(cpu);
    await picture.focus();
    assert.equal(await picture.getAttribute('role'), 'slider');
    await page.keyboard.press('End');
    const last = Number(await picture.getAttribute('aria-valuenow'));
    assert.equal(last, Number(await picture.getAttribute('aria-valuemax')));
    for (let n = 0; n < 30; n++) await page.keyboard.press('ArrowLeft');
    assert.equal(Number(await picture.getAttribute('aria-valuenow')), last - 30);
    assert.match(await picture.getAttribute('aria-valuetext') ?? '', /\d{4}.*: CPU (?:50|10) %/);
    assert.equal(await page.locator('[data-chart="cpu"] .chart-readout').isVisible(), true);
    await page.keyboard.press('+');
    await page.waitForURL((url) => url.searchParams.has('from'));
    assert.ok(Math.abs((await shown(page)) - 1_800_000) < 20_000);
    await until(async () => (await page.locator(`${cpu}:focus`).count()) === 1, 'the new chart has the focus of the old one');
    await page.keyboard.press('-');
    await until(async () => (await shown(page)) > 3_000_000, 'the chart shows more than 50 minutes');
    assert.deepEqual(problems, []);
    await page.context().close();
  });

  it('take and show times by the reader’s clock', async () => {
    const { page, problems } = await open('ann', `/instances/${instance.id}/charts?from=2026-06-15T10:00&to=2026-06-15T11:00`, { timezone: 'Asia/Taipei' });
    const from = page.getByLabel('From (your time)');
    assert.equal(await from.inputValue(), '2026-06-15T18:00');
    await from.fill('2026-06-15T17:30');
    await page.locator('.chart-range form button').click();
    await page.waitForURL((url) => url.searchParams.get('from') === '2026-06-15T09:30:00Z' && url.searchParams.get('to') === '2026-06-15T11:00:00Z');
    assert.equal(await shown(page), 5_400_000);
    assert.equal(await from.inputValue(), '2026-06-15T17:30');
    assert.deepEqual(problems, []);
    await page.context().close();
  });

  it('tell the age of the figures that are shown', async () => {
    const { page, problems } = await open('ann', `/instances/${instance.id}/charts`);
    const ages = page.locator('[data-charts-ages]');
    const before = await ages.locator('[data-age]').first().getAttribute('data-age');
    await insertInstanceSamples(portal.deps.db, [{ subjectId: instance.subjectId, at: Date.now(), detailAt: Date.now(), cpuPercent: 50 }]);
    await page.getByRole('link', { name: '1 h', exact: true }).click();
    await until(async () => (await ages.locator('[data-age]').first().getAttribute('data-age')) !== before, 'the age is that of the new figures');
    assert.equal(await ages.locator('[data-stale]:visible').count(), 0);
    assert.deepEqual(await seriousViolations(page), []);
    // zoomed out of the present they end now, as asked
    await page.locator(cpu).focus();
    await page.keyboard.press('-');
    await page.waitForURL((url) => url.searchParams.has('from'));
    await until(async () => (await shown(page)) > 7_000_000, 'the chart shows two hours');
    assert.equal(await page.locator('#range-note').count(), 0);
    assert.deepEqual(problems, []);
    await page.context().close();
  });

  it('compare hosts that are ticked in the list', async () => {
    const { page, problems } = await open('admin', '/admin/hosts', { dark: true });
    for (const name of ['host1', 'host2']) await page.getByRole('checkbox', { name: `Compare ${name}` }).check();
    await page.getByRole('button', { name: 'Compare the chosen' }).click();
    await page.waitForURL(/\/admin\/compare/);
    assert.deepEqual(await page.locator('[data-series]').evaluateAll((rows) => rows.map((row) => row.getAttribute('data-series'))), ['host1', 'host2']);
    await page.getByRole('link', { name: 'Take host2 away' }).click();
    await until(async () => (await page.locator('[data-series]').count()) === 1, 'one host is left');
    assert.deepEqual(await seriousViolations(page), []);
    assert.deepEqual(problems, []);
    await page.context().close();
  });

  it('need no JavaScript, and fit a phone', async () => {
    const { page } = await open('ann', `/instances/${instance.id}/charts`, { javaScript: false, width: 360, language: 'zh-TW' });
    assert.deepEqual(await overflow(page), []);
    assert.notEqual(await page.locator('[data-chart="cpu"] .chart-plot .chart-line').getAttribute('d'), '');
    await page.locator('[data-step-to="closer"]').click();
    assert.equal(await shown(page), 1_800_000);
    assert.equal(await page.getByLabel('From (UTC)').count(), 1);
    await page.locator('[data-chart="cpu"]').locator('xpath=ancestor::section').getByRole('link').first().click();
    assert.ok(await page.locator('.chart-table tbody tr').count() > 10);
    assert.deepEqual(await overflow(page), []);
    await page.context().close();
  });
});
