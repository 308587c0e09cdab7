// A lab of real hosts for tests, by scripts/lab: several libvirtds over TLS, and what can befall them.
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const labScript = fileURLToPath(new URL('../../scripts/lab', import.meta.url));

export type LabHostState = 'up' | 'off' | 'frozen' | 'cut';

export interface LabHost {
  readonly number: number;
  readonly name: string;
  readonly state: LabHostState;
  /** as tc says it ("rate 20Mbit"); null: not slow */
  readonly slow: string | null;
  readonly address: string;
  /** as a portal reaches it */
  readonly uri: string;
  /** as another host of the lab reaches it: the destination of a migration */
  readonly peerUri: string;
  readonly socketUri: string;
  readonly uuid: string;
  readonly memoryMib: number;
}

export interface LabStatus {
  readonly dir: string;
  readonly transport: 'tls' | 'tcp';
  readonly gateway: string;
  /** the portal's certificates; null without TLS */
  readonly pki: string | null;
  readonly network: string;
  readonly sharedPool: string;
  readonly sharedPoolPath: string;
  readonly localPool: string;
  readonly localPoolPath: string;
  /** seconds since 1970; null: never */
  readonly endsAt: number | null;
  readonly hosts: readonly LabHost[];
}

export interface Lab extends LabStatus {
  /** throws when there is no such host */
  host(number: number): LabHost;
  status(): Promise<LabStatus>;
  state(number: number): Promise<LabHostState>;
  /** power off at once: when it resolves, nothing of the host lives */
  kill(number: number): Promise<void>;
  start(number: number): Promise<void>;
  freeze(number: number): Promise<void>;
  thaw(number: number): Promise<void>;
  cut(number: number): Promise<void>;
  join(number: number): Promise<void>;
  /** null: as fast as it can */
  slow(number: number, mbit: number | null): Promise<void>;
  /** a size such as 800M; null: no more */
  fill(pool: number | 'shared', size: string | null): Promise<void>;
  /** what the command wrote to its standard output, run inside the host */
  exec(number: number, ...command: readonly string[]): Promise<string>;
  /** all hosts up again, whatever befell them */
  heal(): Promise<void>;
  /** the directory with fence_lab, the power switch of these hosts */
  readonly fenceAgents: string;
  /** ends all of it and removes its folder */
  stop(): Promise<void>;
}

export interface LabOptions {
  readonly hosts?: number;
  readonly tcp?: boolean;
  readonly hostMemoryMib?: number;
  /** it ends by itself after that, should the tests be killed */
  readonly ttlSeconds?: number;
}

export async function startLab({ hosts = 4, tcp = false, hostMemoryMib, ttlSeconds = 900 }: LabOptions = {}): Promise<Lab> {
  const dir = await mkdtemp(join(tmpdir(), 'lab-'));
  const lab = async (command: string, ...args: readonly (string | number)[]): Promise<string> => (await run(labScript, [command, dir, ...args.map(String)])).stdout;
  const up = ['--hosts', hosts, '--ttl', ttlSeconds, ...(tcp ? ['--tcp'] : []), ...(hostMemoryMib === undefined ? [] : ['--host-memory', hostMemoryMib])];
  const stop = async (): Promise<void> => {
    await lab('down');
    await rm(dir, { recursive: true, force: true });
  };
  const power = (command: string) => async (number: number): Promise<void> => void (await lab(command, number));
  const status = async (): Promise<LabStatus> => JSON.parse(await lab('status')) as LabStatus;
  const first = await lab('up', ...up).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  const description = JSON.parse(first) as LabStatus;
  const host = (number: number, of: LabStatus = description): LabHost => {
    const found = of.hosts.find((each) => each.number === number);
    if (found === undefined) throw new Error(`the lab has no host ${number}`);
    return found;
  };
  return {
    ...description, fenceAgents: join(dir, 'lab/agents'), host: (number) => host(number), status, stop,
    state: async (number) => host(number, await status()).state,
    kill: power('kill'), start: power('start'), freeze: power('freeze'), thaw: power('thaw'), cut: power('cut'), join: power('join'),
    slow: async (number, mbit) => void (await lab('slow', number, ...(mbit === null ? ['--off'] : ['--mbit', mbit]))),
    fill: async (pool, size) => void (await lab('fill', pool, size ?? '--off')),
    exec: (number, ...command) => lab('exec', number, ...command),
    heal: async () => void (await lab('up', ...up)),
  };
}
