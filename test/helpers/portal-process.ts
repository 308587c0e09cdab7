// Portals as real processes on one database, which can be killed, frozen and started again; and a browser in front of them
// that goes to any of them, as behind a load balancer.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { databaseEngine } from './database.ts';
import { freePort } from './free-port.ts';
import { moduleAt, ownModule } from './own-module.ts';

const portalMain = ownModule('portal-main', import.meta.url);

export interface PortalProcessOptions {
  readonly name: string;
  /** several SQL nodes separated by commas */
  readonly databaseUrl: string;
  /** milliseconds that its clock is ahead */
  readonly clockOffsetMs?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** its log is added to this file; without: thrown away */
  readonly logFile?: string;
  /** of another release; this one's by default */
  readonly main?: string;
}

export interface PortalProcess {
  readonly name: string;
  readonly url: string;
  /** resolves when it serves; also after it was killed */
  start(): Promise<void>;
  /** SIGKILL */
  kill(): Promise<void>;
  freeze(): void;
  thaw(): void;
  /** SIGTERM, and its end awaited */
  stop(): Promise<void>;
  readonly state: 'up' | 'frozen' | 'off';
}

export async function createPortalProcess(options: PortalProcessOptions): Promise<PortalProcess> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const main = options.main === undefined ? portalMain : moduleAt(options.main);
  let child: ChildProcess | undefined;
  let isFrozen = false;
  const environment = {
    PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', TZ: 'UTC',
    PORT: String(port), PORTAL_NAME: options.name, DATABASE_URL: options.databaseUrl, DATABASE_ENGINE: databaseEngine(),
    SESSION_SECRET: 'only for tests: 0123456789abcdef0123456789abcdef', PUBLIC_URL: 'http://cloud.test', LOG_LEVEL: 'info', TRUST_PROXY: '',
    TEST_CLOCK_OFFSET_MS: String(options.clockOffsetMs ?? 0), ...options.env,
  };

  // a test that is interrupted leaves no portal behind
  process.once('exit', () => child?.kill('SIGKILL'));

  const isReady = async (): Promise<boolean> => {
    const asked = fetch(`${url}/healthz`).then(async (response) => (await response.text(), response.status === 200), () => false);
    return Promise.race([asked.catch(() => false), delay(1500, false)]);
  };

  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const ending = child;
    if (ending === undefined) return;
    const exited = ending.exitCode === null && ending.signalCode === null ? once(ending, 'exit') : undefined;
    if (isFrozen && signal !== 'SIGKILL') ending.kill('SIGCONT');
    ending.kill(signal);
    await exited;
    child = undefined;
    isFrozen = false;
  };

  return {
    name: options.name, url,
    get state() {
      return child === undefined || child.exitCode !== null || child.signalCode !== null ? 'off' : isFrozen ? 'frozen' : 'up';
    },
    async start() {
      const started = spawn(process.execPath, ['--max-semi-space-size=4', ...main.execArgv, main.path], { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
      child = started;
      if (options.logFile !== undefined) {
        const file = createWriteStream(options.logFile, { flags: 'a' });
        started.stdout.pipe(file, { end: false });
        started.stderr.pipe(file, { end: false });
        started.once('close', () => file.end());
      } else {
        started.stdout.resume();
        started.stderr.pipe(process.stderr, { end: false });
      }
      for (const deadline = Date.now() + 120_000; !(await isReady()); await delay(100)) {
        if (started.exitCode !== null || started.signalCode !== null) throw new Error(`portal ${options.name} ended with ${started.exitCode ?? started.signalCode} at its start`);
        if (Date.now() > deadline) throw new Error(`portal ${options.name} does not serve`);
      }
    },
    kill: () => end('SIGKILL'),
    freeze() {
      child?.kill('SIGSTOP');
      isFrozen = true;
    },
    thaw() {
      child?.kill('SIGCONT');
      isFrozen = false;
    },
    stop: () => end('SIGTERM'),
  };
}
