// A screen in the browser while its machine moves: real QEMU on two hosts of a lab, real Chromium, and nobody presses anything.
import assert from 'node:assert/strict';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { say } from '../../src/errors.ts';
import type { Image } from '../../src/model/image.ts';
import type { Instance } from '../../src/model/instance.ts';
import type { User } from '../../src/model/user.ts';
import { addHost } from '../../src/operations/host-add.ts';
import { openConsole } from '../../src/operations/instance-console.ts';
import { submitInstanceCreate } from '../../src/operations/instance-create.ts';
import { submitMove } from '../../src/operations/instance-migrate.ts';
import { watchEvents } from '../../src/operations/watch-events.ts';
import { selectHosts } from '../../src/store/hosts.ts';
import { insertImage } from '../../src/store/images.ts';
import { selectOptionalInstance } from '../../src/store/instances.ts';
import { selectMove } from '../../src/store/moves.ts';
import { selectPoolsByHost } from '../../src/store/storage-pools.ts';
import { makeFirstAdmin, makeUser, testPassword } from '../helpers/accounts.ts';
import { launchBrowser, noBrowser, openContext } from '../helpers/browser.ts';
import { startLab, type Lab } from '../helpers/lab.ts';
import { demoImage } from '../helpers/lab-cloud.ts';
import { startTestPortal, type TestPortal } from '../helpers/portal.ts';
import { openRfb } from '../helpers/rfb.ts';
import { needsRoot } from '../scripts/run.ts';

/** From the old screen's end to the new one's first picture, by a person's measure; a slow machine's emulation is in it. */
const gapWithinMs = 10_000;

describe('a screen follows its machine', { skip: needsRoot !== false ? needsRoot : noBrowser() ?? ((await demoImage()) === undefined ? 'no demo image' : false), timeout: 240_000 }, () => {
  let lab: Lab;
  let portal: TestPortal;
  let browser: Browser;
  let ann: User;
  let instance: Instance;
  let watch: { stop(): Promise<void> };

  before(async () => {
    [lab, portal] = await Promise.all([startLab({ hosts: 2, ttlSeconds: 600 }), startTestPortal()]);
    const { db, operations } = portal.deps;
    await copyFile((await demoImage()) ?? '', join(lab.sharedPoolPath, 'demo.qcow2'));
    for (const { name, uri } of lab.hosts) await addHost(operations, { name, uri, network: lab.network, pools: [{ name: lab.sharedPool, shared: true }] });
    await portal.syncHosts();
    const hosts = await selectHosts(db);
    await Promise.all(hosts.map(async ({ id }) => {
      await operations.hosts.host(id).ready({ timeoutMs: 10_000 });
      await operations.hosts.host(id).storagePool.refresh(lab.sharedPool);
    }));
    watch = watchEvents(operations);
    const [pool] = await selectPoolsByHost(db, hosts[0]?.id ?? '');
    const image: Image = {
      id: crypto.randomUUID(), name: 'Demo', description: '', poolId: pool?.id ?? '', volume: 'demo.qcow2', format: 'qcow2', virtualSizeBytes: 256 * 1024 ** 2,
      minMemoryMib: 64, cloudInit: false, enabled: true, createdAt: 0,
    };
    await insertImage(db, image);
    await makeFirstAdmin(db);
    ann = await makeUser(db, 'ann');
    const { instance: created } = await submitInstanceCreate(operations, { user: ann, name: 'followed', image, size: { vcpus: 1, memoryMib: 96, diskGib: 1 }, sshKey: '', userData: '' });
    await settled(created.id);
    instance = await now(created.id);
    assert.equal(instance.state, 'running', JSON.stringify(instance.problem));
    browser = await launchBrowser();
  });
  after(async () => {
    await browser?.close();
    await watch?.stop();
    await portal?.close();
    await lab?.stop();
  });

  const now = async (id = instance.id): Promise<Instance> => (await selectOptionalInstance(portal.deps.db, id)) ?? assert.fail('gone');
  const settled = async (id = instance.id): Promise<void> => {
    for (const end = Date.now() + 90_000; (await now(id)).operationId !== null; await delay(50)) assert.ok(Date.now() < end, 'not settled');
  };

  /** Logged in, the console opened with a password. */
  async function consolePage(): Promise<{ page: Page; problems: string[] }> {
    const page = await (await openContext(browser, portal.url, { language: 'en' })).newPage();
    page.setDefaultTimeout(60_000);
    const problems: string[] = [];
    page.on('pageerror', (error) => problems.push(error.message));
    await page.goto(`/login?next=/instances/${instance.id}/console`);
    await page.fill('main [name=name]', 'ann');
    await page.fill('main [name=password]', testPassword);
    await page.locator('main form button').last().click();
    await page.getByRole('button', { name: 'Open console' }).click();
    await page.locator('#console-password').waitFor();
    return { page, problems };
  }

  async function move(): Promise<{ downtimeMs: number | null; tookMs: number; arrivedAt: number }> {
    const { move: asked } = await submitMove(portal.deps.operations, { instance: await now(), toHostId: null, trigger: 'admin', why: say('moves.why.admin'), actor: null });
    await settled();
    const done = await selectMove(portal.deps.db, asked.id);
    assert.deepEqual([done.state, done.error], ['done', null]);
    return { downtimeMs: done.downtimeMs, tookMs: (done.endedAt ?? 0) - (done.startedAt ?? 0), arrivedAt: done.endedAt ?? 0 };
  }

  const shown = async (page: Page, id: string): Promise<string> => (await page.locator(id).innerText()).trim();
  const opens = (target: { host: string; port: number; password: string }): Promise<boolean> => openRfb(target).then((screen) => { screen.close(); return true; }, () => false);
  const split = (address: string): { host: string; port: number } => ({ host: address.split(':')[0] ?? '', port: Number(address.split(':')[1]) });

  it('by itself: same page, new host, new address and password, the same picture', async (test) => {
    const { page, problems } = await consolePage();
    await page.locator('#screen-open').click();
    await page.locator('#screen-status', { hasText: 'Connected' }).waitFor();
    const [address, password] = [await shown(page, '#console-address'), await shown(page, '#console-password')];
    // times at which the status line changes, by the page's clock
    await page.evaluate(`window.changes = []; new MutationObserver(() => window.changes.push([Date.now(), document.getElementById('screen-status').textContent])).observe(document.getElementById('screen-status'), { childList: true, characterData: true, subtree: true });`);
    const canvas = page.locator('#screen canvas');
    const size = async (): Promise<unknown> => canvas.evaluate('canvas => [canvas.clientWidth, canvas.clientHeight]').catch(() => assert.fail('no screen'));
    const sizeBefore = await size();
    const before = await now();

    const { downtimeMs, tookMs } = await move();
    const after = await now();
    assert.notEqual(after.hostId, before.hostId);
    await page.locator('#console-moved').waitFor({ state: 'visible' });
    await page.locator('#screen-status', { hasText: 'Connected' }).waitFor();
    const changes: [number, string][] = await page.evaluate('window.changes');
    const lost = changes.find(([, text]) => /reconnecting/.test(text))?.[0] ?? assert.fail(JSON.stringify(changes));
    const back = changes.find(([at, text]) => at > lost && text === 'Connected')?.[0] ?? assert.fail(JSON.stringify(changes));
    test.diagnostic(`screen gone for ${back - lost} ms; move ${tookMs} ms; pause by libvirt ${downtimeMs} ms`);
    assert.ok(back - lost < gapWithinMs, `${back - lost} ms`);

    const [newAddress, newPassword] = [await shown(page, '#console-address'), await shown(page, '#console-password')];
    assert.notEqual(newAddress, address);
    assert.notEqual(newPassword, password);
    const home = (await selectHosts(portal.deps.db)).find(({ id }) => id === after.hostId);
    assert.equal(newAddress, `${home?.consoleAddress}:${after.consolePort}`);
    assert.deepEqual(await size(), sizeBefore);
    assert.ok(!(await page.content()).includes(address));
    // the new password opens the new screen; the old one opens neither
    assert.equal(await opens({ ...split(newAddress), password: newPassword }), true);
    assert.equal(await opens({ ...split(newAddress), password }), false);
    assert.equal(await opens({ ...split(address), password }), false);

    // what is typed arrives on the new host: the picture changes
    const picture = async (): Promise<string> => (await canvas.screenshot()).toString('base64');
    await page.locator('#screen canvas').click();
    const still = await picture();
    await page.keyboard.type('uname -a\n', { delay: 40 });
    for (const end = Date.now() + 20_000; (await picture()) === still; await delay(200)) assert.ok(Date.now() < end, 'nothing changed on the screen');
    assert.deepEqual(problems, []);
    await page.context().close();
  });

  it('also where only a VNC viewer is used: the page shows the new address and a new password', async () => {
    const { page } = await consolePage();
    const [address, password] = [await shown(page, '#console-address'), await shown(page, '#console-password')];
    await move();
    await page.locator('#console-moved').waitFor({ state: 'visible' });
    const fresh = { ...split(await shown(page, '#console-address')), password: await shown(page, '#console-password') };
    assert.notEqual(`${fresh.host}:${fresh.port}`, address);
    assert.equal(await opens(fresh), true);
    assert.equal(await opens({ ...fresh, password }), false);
    await page.context().close();
  });

  it('and a password nobody has renewed ends on the new host when it was to end', async () => {
    // made eight seconds before its end, by the portal's clock: no page is open that would make another
    const clock = { now: () => Date.now() - 292_000 };
    const opened = await openConsole({ ...portal.deps.operations, clock }, await now(), ann);
    await move();
    const after = await now();
    const target = { host: (await selectHosts(portal.deps.db)).find(({ id }) => id === after.hostId)?.consoleAddress ?? '', port: after.consolePort ?? 0, password: opened.password };
    assert.equal(after.consoleExpiresAt, opened.expiresAt);
    const early = Date.now() < opened.expiresAt - 500;
    if (early) assert.equal(await opens(target), true);
    await delay(Math.max(0, opened.expiresAt - Date.now()) + 1500);
    assert.equal(await opens(target), false);
  });
});
