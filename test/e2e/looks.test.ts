// Every page that a link leads to, as visitor, user and admin, in both languages, light and dark, wide and on a phone: it fits
// the window, axe finds no serious barrier, the browser reports nothing (a style or script that the CSP refused), and no key
// of the catalogue shines through. SCREENSHOTS=folder keeps a picture of each.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { say } from '../../src/errors.ts';
import { submitHostDrain } from '../../src/operations/host-drain.ts';
import { burnInSteps } from '../../src/model/burn-in.ts';
import { hostProblem } from '../../src/operations/host-problem.ts';
import { submitInstanceCreate } from '../../src/operations/instance-create.ts';
import { submitMove } from '../../src/operations/instance-migrate.ts';
import { insertAudit } from '../../src/store/audit.ts';
import { insertBurnIn } from '../../src/store/burn-ins.ts';
import { upsertHostCheck } from '../../src/store/host-checks.ts';
import { insertInstanceSamples } from '../../src/store/samples.ts';
import { selectHosts } from '../../src/store/hosts.ts';
import { selectOptionalInstance } from '../../src/store/instances.ts';
import { countOpenOperations } from '../../src/store/operations.ts';
import { updateLanguage } from '../../src/store/users.ts';
import { catalogue } from '../../src/web/locales/index.ts';
import { startTestCloud, type TestCloud } from '../api/cloud.ts';
import { testPassword } from '../helpers/accounts.ts';
import { launchBrowser, noBrowser, openContext, overflow, seriousViolations, type Look } from '../helpers/browser.ts';

/** Each language in one theme, and at `width`; then, without loading the page again, at the other width and in the other theme. */
const looks: readonly (Look & { readonly width: number })[] = [
  { language: 'en', width: 1280 },
  { language: 'zh-TW', width: 360, dark: true },
];
const idPattern = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;

const areas = [...new Set(Object.keys(catalogue).map((key) => key.split('.')[0]))];
/** A key of the catalogue that nobody has translated; mail addresses look alike. */
const anyKey = new RegExp(`\\b(?:${areas.join('|')})\\.[a-z][a-z.-]+\\b(?!@)`, 'g');

/** Where a link leads, without what only chooses among a page's contents: each kind of page is looked at once. */
function kindOf(url: URL): string {
  return url.pathname.replace(idPattern, ':id');
}

async function findPages(page: Page, begin: readonly string[]): Promise<string[]> {
  const found = new Map<string, string>();
  const queue = [...begin];
  for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
    const kind = kindOf(new URL(path, 'http://portal.invalid'));
    if (found.has(kind)) continue;
    found.set(kind, path);
    await page.goto(path, { waitUntil: 'domcontentloaded' });
    const links: string[] = await page.locator('a[href]').evaluateAll((anchors) => anchors.map((anchor) => (anchor as unknown as { href: string }).href));
    const here = new URL(page.url()).origin;
    for (const link of links.map((href) => new URL(href))) {
      if (link.origin === here && !link.pathname.startsWith('/api/') && !/\.(?:json|csv|svg)$/.test(link.pathname)) queue.push(link.pathname + link.search);
    }
  }
  return [...found.values()];
}

async function look(context: BrowserContext, paths: readonly string[], name: string, as: (typeof looks)[number]): Promise<string[]> {
  const findings: string[] = [];
  const page = await context.newPage();
  let current = '';
  const picture = async (width: number, dark: boolean): Promise<void> => {
    const folder = process.env['SCREENSHOTS'];
    const title = `${current} ${width} ${dark ? 'dark' : 'light'}`.replace(/[^\w-]+/g, '_').slice(0, 140);
    if (folder !== undefined) await page.screenshot({ path: `${folder}/${title}.png`, fullPage: true });
  };
  const fits = async (): Promise<void> => {
    for (const finding of await overflow(page)) findings.push(`${current}: ${page.viewportSize()?.width} px: ${finding}`);
  };
  page.on('console', (message) => { if (message.type() === 'error') findings.push(`${current}: the browser says: ${message.text()}`); });
  page.on('pageerror', (error) => findings.push(`${current}: a script failed: ${error.message}`));
  for (const path of paths) {
    current = `${name} ${as.language} ${path}`;
    await page.setViewportSize({ width: as.width, height: 900 });
    await page.emulateMedia({ colorScheme: as.dark === true ? 'dark' : 'light' });
    const response = await page.goto(path, { waitUntil: 'load' });
    if (response !== null && response.status() >= 400) findings.push(`${current}: ${response.status()}`);
    await fits();
    // axe takes most of the time
    for (const barrier of await seriousViolations(page)) findings.push(`${current}: ${barrier}`);
    const keys = (await page.locator('body').innerText()).match(anyKey);
    if (keys !== null) findings.push(`${current}: untranslated ${keys.join(', ')}`);
    await picture(as.width, as.dark === true);
    const otherWidth = as.width === 360 ? 1280 : 360;
    await page.setViewportSize({ width: otherWidth, height: 900 });
    await page.emulateMedia({ colorScheme: as.dark === true ? 'light' : 'dark' });
    await fits();
    await picture(otherWidth, as.dark !== true);
  }
  await page.close();
  return findings;
}

/** A host in maintenance whose machines are elsewhere, and one machine that moves as long as anybody looks. */
async function moveAbout({ portal, hosts, admin }: TestCloud, instanceId: string): Promise<void> {
  const { db, operations } = portal.deps;
  const calm = async (): Promise<void> => {
    for (const end = Date.now() + 30_000; (await countOpenOperations(db)) > 0; await new Promise((resolve) => setTimeout(resolve, 50))) if (Date.now() > end) assert.fail('work goes on for ever');
  };
  await calm();
  const [first] = await selectHosts(db);
  await submitHostDrain(operations, first ?? assert.fail('it has hosts'), admin);
  await calm();
  for (const { host } of hosts) host.migrationMs = 3_600_000;
  const instance = await selectOptionalInstance(db, instanceId);
  await submitMove(operations, { instance: instance ?? assert.fail('it was made'), toHostId: null, trigger: 'admin', why: say('moves.why.admin'), actor: admin });
}

/** A burn-in that failed halfway, and things to mend, on every host: their pages are the longest then. */
async function findFaults({ portal }: TestCloud): Promise<void> {
  const { db, clock } = portal.deps;
  const now = clock.now();
  const warnings = [hostProblem('clock-ahead', { seconds: 60 }), hostProblem('certificate-ends', { whose: '$hosts.certificate.host', date: '2026-12-05' }), hostProblem('bridge-missing', { name: 'lan', bridge: 'br0' }), hostProblem('migration-local')];
  const steps = burnInSteps.map((name, index) => ({ name, state: index < 6 ? 'done' : index === 6 ? 'failed' : 'not-reached', elapsedMs: index < 6 ? 1234 : null, note: null } as const));
  for (const { id, name } of await selectHosts(db)) {
    await upsertHostCheck(db, id, { at: now, networks: [{ name: 'lan', active: true, mode: 'bridge', bridge: 'br0', bridgeMissing: true }], clock: { aheadMs: 60_000, errorMs: 3 }, certificates: [{ of: 'host', notAfter: now + 12 * 86_400_000 }], warnings });
    await insertBurnIn(db, {
      id: randomUUID(), hostId: id, userId: null, state: 'failed', startedAt: now - 60_000, endedAt: now, imageName: 'Debian 12', targetName: name, reserved: null, steps,
      error: say('burn-in.problem.network-unanswered', { network: 'lan', sent: 12 }), fix: say('burn-in.fix.network-unanswered', { network: 'lan' }),
    });
  }
}

describe('every page', { skip: noBrowser(), timeout: 600_000 }, () => {
  let cloud: TestCloud;
  let browser: Browser;
  before(async () => {
    cloud = await startTestCloud({ hosts: 3 });
    const { db, operations, clock } = cloud.portal.deps;
    const { instance } = await submitInstanceCreate(operations, { user: cloud.user, name: 'looked-at', image: cloud.image, size: { vcpus: 1, memoryMib: 512, diskGib: 2 }, sshKey: '', userData: '' });
    const other = await submitInstanceCreate(operations, { user: cloud.admin, name: 'of-the-admin', image: cloud.image, size: { vcpus: 1, memoryMib: 512, diskGib: 2 }, sshKey: '', userData: '' });
    for (const end = Date.now() + 15_000; (await selectOptionalInstance(db, instance.id))?.state !== 'running' && Date.now() < end; ) await new Promise((resolve) => setTimeout(resolve, 50));
    await moveAbout(cloud, other.instance.id);
    await findFaults(cloud);
    const now = clock.now();
    await insertInstanceSamples(db, [60, 50, 40, 30, 20, 10, 0].map((seconds) => ({
      subjectId: instance.subjectId, at: now - seconds * 1000, cpuPercent: 10 + seconds, memoryUsedMib: 200, diskReadBytesPerSecond: 1e6, diskWriteBytesPerSecond: 2e6, networkReceiveBytesPerSecond: 3e5, networkTransmitBytesPerSecond: 4e5,
    })));
    await insertAudit(db, { id: randomUUID(), at: now, userId: cloud.user.id, userName: 'user', action: 'session.login', target: say('x').key, ip: '192.0.2.7', result: 'ok', detail: '' });
    browser = await launchBrowser();
  });
  after(async () => {
    await browser?.close();
    await cloud?.close();
  });

  for (const [who, begin] of [['visitor', ['/', '/login', '/register']], ['user', ['/', '/instances/new', '/admission']], ['admin', ['/admin', '/instances?all=1', '/account']]] as const) {
    it(`looks right for a ${who}`, async () => {
      const findings: string[] = [];
      let paths: string[] = [];
      for (const as of looks) {
        const context = await openContext(browser, cloud.portal.url, as);
        if (who !== 'visitor') {
          // the account's own language goes before the browser's
          await updateLanguage(cloud.portal.deps.db, who === 'admin' ? cloud.admin.id : cloud.user.id, as.language, Date.now());
          const page = await context.newPage();
          await page.goto('/login');
          await page.fill('main [name=name]', who);
          await page.fill('main [name=password]', testPassword);
          await page.locator('main form button').last().click();
          await page.waitForURL((url) => url.pathname !== '/login');
          await page.close();
        }
        if (paths.length === 0) {
          const page = await context.newPage();
          paths = await findPages(page, begin);
          await page.close();
        }
        findings.push(...(await look(context, paths, who, as)));
        await context.close();
      }
      assert.ok(paths.length >= 5, paths.join(' '));
      assert.deepEqual(findings, []);
    });
  }
});
