// The whole portal in this process, over HTTP, on a database of its own and on hosts that a test makes; and a browser-like
// client with cookies and CSRF tokens.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createApp } from '../../src/app.ts';
import { systemClock, type Clock } from '../../src/clock.ts';
import { readConfig, type Config } from '../../src/config.ts';
import { attachConsole } from '../../src/console/attach.ts';
import { createFencing } from '../../src/fencing/fencing.ts';
import { createFleet } from '../../src/libvirt/fleet.ts';
import type { OpenHypervisor } from '../../src/libvirt/hypervisor.ts';
import { openHypervisor } from '../../src/libvirt/open-hypervisor.ts';
import { createLog, type Log } from '../../src/log.ts';
import { createMailer } from '../../src/mail.ts';
import type { OperationDeps } from '../../src/operations/deps.ts';
import { createRunner } from '../../src/operations/runner.ts';
import { selectHosts } from '../../src/store/hosts.ts';
import type { WebDeps } from '../../src/web/deps.ts';
import { withAnswers } from './answered-db.ts';
import { createTestDatabase, databaseEngine, type TestDatabase } from './database.ts';

export interface TestPortal {
  readonly url: string;
  readonly deps: WebDeps;
  readonly database: TestDatabase;
  /** opens connections to the hosts that are in the database now */
  syncHosts(): Promise<void>;
  /** until what the portal is writing now is to be seen, all of it */
  answered(): Promise<void>;
  /** a new browser: no cookies yet */
  client(): Client;
  close(): Promise<void>;
}

export interface TestPortalOptions {
  readonly clock?: Clock;
  readonly env?: Readonly<Record<string, string>>;
  /** a second portal on the database of a first one */
  readonly database?: TestDatabase;
  /** instead of one of TEST_LOG_LEVEL to the standard output */
  readonly log?: Log;
  /** run operations too (default true) */
  readonly runner?: boolean;
  /** before a wrong password is answered (default 1) */
  readonly refusalMs?: number;
}

export async function startTestPortal(options: TestPortalOptions = {}): Promise<TestPortal> {
  const database = options.database ?? (await createTestDatabase());
  const db = withAnswers(database.db);
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const config: Config = readConfig({
    DATABASE_URL: database.url,
    DATABASE_ENGINE: databaseEngine(),
    SESSION_SECRET: 'only for tests: 0123456789abcdef0123456789abcdef',
    PUBLIC_URL: url,
    LOG_LEVEL: process.env['TEST_LOG_LEVEL'] ?? 'silent',
    ...options.env,
  });
  const log = options.log ?? createLog(config.logLevel);
  const clock = options.clock ?? systemClock;
  const openHost: OpenHypervisor = (uri, open) => openHypervisor(uri, { connectTimeoutMs: 3000, ...open });
  const hosts = createFleet(openHost);
  const operations: OperationDeps = {
    db, hosts, openHost, fencing: createFencing({ directories: config.fenceAgentsPath, sessionSecret: config.sessionSecret }), alert: () => undefined, clock, log,
    wake: () => runner?.wake(),
  };
  const runner = options.runner === false ? undefined : createRunner(operations, { ownerId: crypto.randomUUID() });
  const deps: WebDeps = { config, db, clock, log, operations, mailer: createMailer(config.smtpUrl, config.mailFrom), refusalMs: options.refusalMs ?? 1 };
  server.on('request', createApp(deps));
  const consoles = attachConsole(server, deps);
  runner?.start();
  return {
    url,
    deps,
    database,
    syncHosts: async () => hosts.sync(await selectHosts(database.db)),
    answered: () => db.answered(),
    client: () => new Client(url),
    async close() {
      await runner?.stop();
      consoles.close();
      await closeServer(server);
      await hosts.close();
      if (options.database === undefined) await database.close();
    },
  };
}

async function closeServer(server: Server): Promise<void> {
  server.close();
  server.closeAllConnections();
  await once(server, 'close').catch(() => undefined);
}

/** What a browser does: keeps cookies, reads the page's CSRF token, does not follow redirects by itself. */
export class Client {
  readonly cookies = new Map<string, string>();
  readonly #base: string | (() => string);
  #csrfToken = '';

  /** `base`: of one portal, or asked before every request where several stand behind one address */
  constructor(base: string | (() => string)) {
    this.#base = base;
  }

  async request(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.cookies.size > 0) headers.set('cookie', [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; '));
    const response = await fetch(new URL(path, typeof this.#base === 'string' ? this.#base : this.#base()), { redirect: 'manual', ...init, headers });
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';');
      const at = pair.indexOf('=');
      const name = pair.slice(0, at);
      if (/expires=Thu, 01 Jan 1970/i.test(line)) this.cookies.delete(name);
      else this.cookies.set(name, pair.slice(at + 1));
    }
    return response;
  }

  /** GET as a browser; remembers the page's CSRF token. */
  async get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<{ status: number; text: string; headers: Headers }> {
    const response = await this.request(path, { headers: { accept: 'text/html', ...headers } });
    const text = await response.text();
    this.#remember(text);
    return { status: response.status, text, headers: response.headers };
  }

  /** Posts a form with the token of the last page (fetching one first when there was none). */
  async post(path: string, form: Readonly<Record<string, string>> = {}, options: { readonly csrf?: boolean } = {}): Promise<{ status: number; text: string; headers: Headers; location: string }> {
    if (this.#csrfToken === '' && options.csrf !== false) await this.get('/about');
    const body = new URLSearchParams({ ...(options.csrf === false ? {} : { _csrf: this.#csrfToken }), ...form });
    const response = await this.request(path, { method: 'POST', body, headers: { accept: 'text/html' } });
    const text = await response.text();
    this.#remember(text);
    return { status: response.status, text, headers: response.headers, location: response.headers.get('location') ?? '' };
  }

  get csrfToken(): string {
    return this.#csrfToken;
  }

  /** A new session has a new token: the next post fetches it. */
  forgetToken(): void {
    this.#csrfToken = '';
  }

  #remember(html: string): void {
    const match = /<meta name="csrf-token" content="([^"]+)"/.exec(html);
    if (match?.[1] !== undefined && match[1] !== '') this.#csrfToken = match[1];
  }
}
