// A real Chromium for tests of pages: Debian's, driven by playwright-core.
import { existsSync } from 'node:fs';
import { AxeBuilder } from '@axe-core/playwright';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';

const executablePath = '/usr/bin/chromium';

/** Why browser tests cannot run here; undefined: they can. For node:test's `skip`. */
export function noBrowser(): string | undefined {
  return existsSync(executablePath) ? undefined : `${executablePath} is missing (Debian package chromium)`;
}

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath,
    // no sandbox as root; the rest keeps it from calling its maker
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
}

export interface Look {
  readonly language: 'en' | 'zh-TW';
  readonly dark?: boolean;
  /** CSS pixels; 1280 wide by default, 360 is the narrowest phone we care for */
  readonly width?: number;
  readonly javaScript?: boolean;
}

export async function openContext(browser: Browser, baseURL: string, look: Look): Promise<BrowserContext> {
  const context = await browser.newContext({
    baseURL,
    locale: look.language,
    colorScheme: look.dark === true ? 'dark' : 'light',
    viewport: { width: look.width ?? 1280, height: 900 },
    javaScriptEnabled: look.javaScript ?? true,
  });
  // an element that is not there after this will not come: a busy machine needs a few seconds, a wrong test need not wait for more
  context.setDefaultTimeout(15_000);
  return context;
}

/** axe's serious and critical findings, one line each. */
export async function seriousViolations(page: Page): Promise<string[]> {
  // what it finds right is told by rule only: finding a selector for each element takes longer than looking at it
  const { violations } = await new AxeBuilder({ page }).options({ resultTypes: ['violations'], iframes: false }).analyze();
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target.join(' ')}: ${node.failureSummary ?? ''}`));
}

/** What sticks out to the right of the window: element and by how many pixels. Empty when the page fits. */
export async function overflow(page: Page): Promise<string[]> {
  const width = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
  return typeof width === 'number' && width > 0 ? [`the page is ${width} px wider than the window`] : [];
}
