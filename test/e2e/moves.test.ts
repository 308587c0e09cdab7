// A move as its page shows it in a real browser: the bar follows by itself, the machine's line goes from the open moves to
// the history without a reload; and without scripts the page loads itself again.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { say } from '../../src/errors.ts';
import type { Host } from '../../src/model/host.ts';
import type { Instance } from '../../src/model/instance.ts';
import { submitInstanceCreate } from '../../src/operations/instance-create.ts';
import { submitMove } from '../../src/operations/instance-migrate.ts';
import { selectHosts, updateHost } from '../../src/store/hosts.ts';
import { selectOptionalInstance } from '../../src/store/instances.ts';
import { startTestCloud, type TestCloud } from '../api/cloud.ts';
import { testPassword } from '../helpers/accounts.ts';
import { launchBrowser, noBrowser, openContext, type Look } from '../helpers/browser.ts';

describe('the page of moves', { skip: noBrowser(), timeout: 180_000 }, () => {
  let cloud: TestCloud;
  let browser: Browser;
  let [a, b] = [] as unknown as [Host, Host];
  let machine: Instance;

  before(async () => {
    cloud = await startTestCloud({ hosts: 2 });
    const { db, operations } = cloud.portal.deps;
    [a, b] = (await selectHosts(db)) as [Host, Host];
    await updateHost(db, b.id, { wish: 'disabled' });
    const { instance } = await submitInstanceCreate(operations, { user: cloud.user, name: 'wanderer', image: cloud.image, size: { vcpus: 1, memoryMib: 512, diskGib: 2 }, sshKey: '', userData: '' });
    await free(instance.id);
    await updateHost(db, b.id, { wish: 'enabled' });
    machine = (await selectOptionalInstance(db, instance.id)) as Instance;
    browser = await launchBrowser();
  });
  after(async () => {
    await browser?.close();
    await cloud?.close();
  });

  async function free(id: string): Promise<void> {
    for (const end = Date.now() + 30_000; (await selectOptionalInstance(cloud.portal.deps.db, id))?.operationId !== null; await delay(30)) if (Date.now() > end) assert.fail('it is held for ever');
  }

  async function open(look: Partial<Look>, path: string): Promise<Page> {
    const context = await openContext(browser, cloud.portal.url, { language: 'en', ...look });
    const page = await context.newPage();
    await page.goto('/login');
    await page.fill('main [name=name]', 'admin');
    await page.fill('main [name=password]', testPassword);
    await page.locator('main form button').last().click();
    await page.waitForURL((url) => url.pathname !== '/login');
    await page.goto(path);
    return page;
  }

  /** one that goes on until it is told to arrive */
  const move = (to: Host): ReturnType<typeof submitMove> => {
    for (const { host } of cloud.hosts) host.migrationMs = 120_000;
    return submitMove(cloud.portal.deps.operations, { instance: machine, toHostId: to.id, trigger: 'admin', why: say('moves.why.admin'), actor: cloud.admin });
  };
  const arrive = (): void => cloud.hosts.forEach(({ host }) => host.migrations.rush());

  it('shows a move that begins, how far it is, and what became of it, without a reload', async () => {
    const page = await open({}, '/admin/moves');
    await page.evaluate('window.notReloaded = true');
    const { move: { id } } = await move(b);
    const row = page.locator(`[data-part=now] [data-live="move:${id}"]`);
    await row.waitFor();
    const bar = row.locator('progress');
    const value = async (): Promise<number> => Number((await bar.getAttribute('value')) ?? 0);
    const seen: number[] = [];
    for (const end = Date.now() + 60_000; new Set(seen).size < 3; await delay(100)) {
      if (Date.now() > end) assert.fail(`the bar stands still: ${seen.join()}`);
      seen.push(await value());
    }
    assert.deepEqual(seen, [...seen].sort((x, y) => x - y), 'it only grows');
    assert.match((await row.locator('[data-cell=sent]').innerText()), /MiB|KiB|GiB/);
    arrive();
    await page.locator('[data-part=history]').getByRole('link', { name: 'wanderer' }).waitFor({ timeout: 30_000 });
    await page.getByText('Nothing moves at the moment').waitFor();
    assert.equal(await page.evaluate('window.notReloaded'), true);
    await page.context().close();
    await free(machine.id);
  });

  it('is cancelled from its own page, which then says so', async () => {
    const { move: { id } } = await move(a);
    const page = await open({ width: 360, dark: true }, `/admin/moves/${id}`);
    await page.getByText('Sending memory').waitFor();
    await page.getByRole('button', { name: 'Cancel the move' }).click();
    await page.locator('.badge', { hasText: 'cancelled' }).waitFor();
    await page.context().close();
    await free(machine.id);
    assert.equal((await selectOptionalInstance(cloud.portal.deps.db, machine.id))?.hostId, b.id);
  });

  it('comes again by itself without scripts', async () => {
    await move(a);
    const page = await open({ javaScript: false }, '/admin/moves');
    await page.locator('[data-part=now]').getByRole('link', { name: 'wanderer' }).waitFor();
    arrive();
    await page.locator('[data-part=now]').getByText('Nothing moves at the moment').waitFor({ timeout: 30_000 });
    await page.context().close();
    await free(machine.id);
  });
});
