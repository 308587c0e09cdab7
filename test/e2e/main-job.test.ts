// The product's spine as its users walk it: scripts/up, the set-up link, registration, the wizard, the machine's screen over
// VNC and in the browser, the monitors, shut down, delete. Real MariaDB, libvirt, QEMU and Chromium; once in each language.
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { translator } from '../../src/web/locales/index.ts';
import type { Language } from '../../src/model/user.ts';
import { launchBrowser, noBrowser, openContext, overflow, seriousViolations } from '../helpers/browser.ts';
import { freePort } from '../helpers/free-port.ts';
import { openRfb } from '../helpers/rfb.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const skip = process.getuid?.() === 0 ? noBrowser() : 'a private libvirt host needs root';

interface Cloud { readonly process: ChildProcess; readonly address: string; readonly setupLink: string; readonly output: () => string }

async function startCloud(data: string): Promise<Cloud> {
  const child = spawn(`${root}scripts/up`, ['--port', String(await freePort()), '--data', data], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => { output += chunk.toString(); });
  for (let waited = 0; waited < 300_000; waited += 200) {
    const address = /^ready (http\S+)$/m.exec(output)?.[1];
    const setupLink = /http\S+\/setup\/\S+/.exec(output)?.[0];
    if (address !== undefined && setupLink !== undefined) return { process: child, address, setupLink, output: () => output };
    assert.equal(child.exitCode, null, `scripts/up ended:\n${output}`);
    await delay(200);
  }
  throw new Error(`scripts/up was not ready within 5 minutes:\n${output}`);
}

async function stopCloud(cloud: Cloud): Promise<void> {
  const ended = new Promise((resolve) => cloud.process.once('exit', resolve));
  cloud.process.kill('SIGTERM');
  await ended;
}

/** What a person would trip over: sideways scrolling, or a barrier that axe calls serious. */
async function whatIsWrong(page: Page): Promise<string[]> {
  return [...(await overflow(page)), ...(await seriousViolations(page))].map((finding) => `${page.url()}: ${finding}`);
}

async function assertGoodPage(page: Page): Promise<void> {
  assert.deepEqual(await whatIsWrong(page), []);
}

const password = 'a long enough passphrase';

async function fillAccount(page: Page, name: string): Promise<void> {
  await page.fill('main [name=name]', name);
  await page.fill('main [name=displayName]', `${name} of the lab`);
  await page.fill('main [name=email]', `${name}@example.org`);
  for (const field of await page.locator('main input[type=password]').all()) await field.fill(password);
  await page.locator('main form button:not([type=button])').last().click();
  await page.waitForLoadState();
}

describe('the main job', { skip, timeout: 600_000 }, () => {
  const data = mkdtempSync(`${tmpdir()}/main-job-`);
  let cloud: Cloud;
  let browser: Browser;
  before(async () => {
    cloud = await startCloud(data);
    browser = await launchBrowser();
  });
  after(async () => {
    await browser?.close();
    if (cloud !== undefined) await stopCloud(cloud);
    rmSync(data, { recursive: true, force: true });
  });

  it('makes the first administrator by the one-time link, which then opens nothing', async () => {
    const context = await openContext(browser, cloud.address, { language: 'en' });
    const page = await context.newPage();
    await page.goto(cloud.setupLink);
    await fillAccount(page, 'root');
    assert.equal(new URL(page.url()).pathname, '/admin');
    const dashboard = await whatIsWrong(page);
    // tests running beside this one keep the machine busy: the load gate would rightly say "not now"
    await page.goto('/admin/thresholds');
    const thresholds = await whatIsWrong(page);
    await page.locator('#thresholds input[type=checkbox]').uncheck();
    await page.locator('#thresholds button.btn-primary').click();
    await page.waitForLoadState();
    assert.equal(await page.locator('#thresholds input[type=checkbox]').isChecked(), false);
    await page.goto('/admin/placement');
    for (const field of ['maxCpuPercent', 'maxMemoryPercent']) await page.fill(`[name="placement.${field}"]`, '100');
    await page.locator('form:has([name="placement.maxCpuPercent"]) button.btn-primary').click();
    await page.waitForLoadState();
    assert.equal(await page.locator('[name="placement.maxCpuPercent"]').inputValue(), '100');
    assert.deepEqual([...dashboard, ...thresholds], []);
    const stranger = await openContext(browser, cloud.address, { language: 'en' });
    const again = await (await stranger.newPage()).goto(cloud.setupLink);
    assert.notEqual(again?.status(), 200);
    await stranger.close();
    await context.close();
  });

  for (const language of ['en', 'zh-TW'] as const) {
    describe(language, () => walk(language, () => cloud, () => browser));
  }

  it('keeps everything for the next run, which is ready in seconds', async () => {
    await stopCloud(cloud);
    const begun = Date.now();
    const child = spawn(`${root}scripts/up`, ['--port', String(await freePort()), '--data', data], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => { output += chunk.toString(); });
    while (!/^ready /m.test(output) && Date.now() - begun < 60_000 && child.exitCode === null) await delay(50);
    const address = /^ready (http\S+)$/m.exec(output)?.[1] ?? '';
    assert.notEqual(address, '', output);
    assert.doesNotMatch(output, /\/setup\//, 'there is an administrator: no link');
    cloud = { process: child, address, setupLink: '', output: () => output };
    const context = await openContext(browser, address, { language: 'en' });
    const page = await context.newPage();
    await page.goto('/login');
    await page.fill('main [name=name]', 'ada-en');
    await page.fill('main [name=password]', password);
    await page.locator('main form button').last().click();
    await page.waitForURL((url) => url.pathname !== '/login');
    await context.close();
  });
});

function walk(language: Language, cloud: () => Cloud, browser: () => Browser): void {
  const t = translator(language);
  const user = `ada-${language.toLowerCase()}`;
  const machine = `first-${language.toLowerCase()}`;
  let page: Page;
  before(async () => {
    page = await (await openContext(browser(), cloud().address, { language })).newPage();
  });
  after(async () => { await page.context().close(); });

  const press = async (action: string): Promise<void> => {
    await page.getByRole('button', { name: t(`instances.action.${action}`), exact: true }).click();
    await page.waitForLoadState();
  };
  /** the page follows by itself: no reload here */
  const waitForState = (state: string): Promise<void> => page.locator('main h1 .state-badge', { hasText: t(`instances.state.${state}`) }).waitFor({ timeout: 120_000 });

  it('registers', async () => {
    await page.goto('/');
    assert.ok((await page.locator('body').innerText()).includes(t('nav.about')));
    await assertGoodPage(page);
    await page.goto('/register');
    await fillAccount(page, user);
    assert.ok((await page.locator('header').innerText()).includes(t('nav.vm-monitor')));
    await page.goto('/instances');
    await assertGoodPage(page);
  });

  it('creates a machine in the wizard', async () => {
    await page.goto('/instances/new');
    await page.fill('[name=name]', machine);
    await page.locator('#verdict').getByText(t('admission.yes')).filter({ visible: true }).first().waitFor();
    await assertGoodPage(page);
    await page.locator('#wizard .card-footer button.btn-primary').click();
    await page.waitForURL('**/instances/new/review');
    assert.ok((await page.locator('main').innerText()).includes(machine));
    await assertGoodPage(page);
    await page.locator('main button.btn-primary').last().click();
    await page.waitForURL(/\/instances\/[0-9a-f-]{36}$/);
    await waitForState('running');
    await assertGoodPage(page);
  });

  it('opens its screen at IP:port with the password shown, and only with that', async () => {
    await page.getByRole('button', { name: t('console.open'), exact: true }).first().click();
    await page.waitForURL('**/console');
    const [address = '', port = ''] = (await page.locator('#console-address').innerText()).split(':');
    const secret = await page.locator('#console-password').innerText();
    assert.match(secret, /^\S{8}$/);
    await assert.rejects(openRfb({ host: address, port: Number(port), password: secret.split('').reverse().join('') }), /auth/i);
    const screen = await openRfb({ host: address, port: Number(port), password: secret });
    assert.ok(screen.width >= 320 && screen.height >= 200, `${screen.width}×${screen.height}`);
    screen.close();
    assert.equal(cloud().output().includes(secret), false);
    await assertGoodPage(page);
  });

  it('shows the same screen in the browser', async () => {
    const seen: string[] = [];
    page.on('console', (message) => seen.push(message.text()));
    page.on('pageerror', (error) => seen.push(String(error)));
    page.on('requestfailed', (request) => seen.push(`${request.url()}: ${request.failure()?.errorText}`));
    page.on('response', (response) => { if (response.status() >= 400) seen.push(`${response.url()}: ${response.status()}`); });
    await page.locator('#screen-open').click();
    const status = page.locator('#screen-status');
    await status.getByText(t('console.connected')).waitFor({ timeout: 20_000 }).catch(async (error: unknown) => {
      throw new Error(`the screen says “${await status.innerText()}”; the browser: ${seen.join('; ')}`, { cause: error });
    });
    await page.locator('#screen-frame canvas').waitFor();
  });

  it('is seen in both monitors, with figures and their age', async () => {
    await page.goto('/instances');
    const row = page.locator('tr', { hasText: machine });
    await row.getByText(/\d+(\.\d+)?\s%/).first().waitFor({ timeout: 60_000 });
    await assertGoodPage(page);
    await page.goto('/resources');
    const text = await page.locator('main').innerText();
    for (const key of ['resources.item.vcpus', 'resources.item.memory', 'resources.item.disk', 'resources.item.instances', 'resources.item.stopped']) assert.ok(text.includes(t(key)), key);
    assert.ok(text.includes(machine));
    await assertGoodPage(page);
  });

  it('shuts it down, and deletes it', async () => {
    await page.goto('/instances');
    await page.getByRole('link', { name: machine, exact: true }).click();
    await page.waitForURL(/\/instances\/[0-9a-f-]{36}$/);
    await press('shutdown');
    await waitForState('stopped');
    await page.getByRole('link', { name: t('instances.action.delete'), exact: true }).click();
    await assertGoodPage(page);
    await page.locator('main form button.btn-danger').click();
    await page.waitForLoadState();
    for (let waited = 0; waited < 30_000; waited += 300) {
      await page.goto('/instances');
      if ((await page.getByRole('link', { name: machine, exact: true }).count()) === 0) return;
      await delay(300);
    }
    assert.fail('the machine is still listed 30 s after it was deleted');
  });
}
