// A real libvirtd with QEMU of our own, by scripts/host: its own namespaces, its sockets and pool in a temporary folder.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const hostScript = fileURLToPath(new URL('../../scripts/host', import.meta.url));

export interface PrivateLibvirtd {
  readonly dir: string;
  readonly socketPath: string;
  /** for QEMU */
  readonly uri: string;
  /** the daemon's test driver, shared by all of its clients */
  readonly testUri: string;
  readonly pool: string;
  readonly poolPath: string;
  readonly network: string;
  readonly address: string;
  /** what to put before a command that shall run inside the host */
  readonly inside: readonly string[];
  /** ends libvirtd and every guest; for the first host, the hosts beside it too */
  stop(): Promise<void>;
}

/** Why it cannot run here, or false. */
export function whyNoLibvirtd(): string | false {
  if (process.getuid?.() !== 0) return 'a private libvirtd needs root';
  for (const path of ['/usr/sbin/libvirtd', '/usr/bin/qemu-system-x86_64']) if (!existsSync(path)) return `${path} is not installed`;
  return false;
}

/** `beside` another host, which shares its pool and its network with this one; `pki` from scripts/make-certificates for TLS. */
export interface PrivateLibvirtdOptions { readonly beside?: PrivateLibvirtd; readonly number?: number; readonly pki?: string }

export async function startPrivateLibvirtd(options: PrivateLibvirtdOptions = {}): Promise<PrivateLibvirtd> {
  const dir = options.beside?.dir ?? (await mkdtemp(join(tmpdir(), 'host-')));
  const number = options.number === undefined ? [] : ['--number', String(options.number)];
  const { stdout } = await run(hostScript, ['start', dir, ...number, ...(options.pki === undefined ? [] : ['--pki', options.pki])]);
  const host = JSON.parse(stdout) as { uri: string; pool: string; poolPath: string; network: string; address: string };
  const socketPath = host.uri.replace(/^.*socket=/, '');
  return {
    dir, socketPath, ...host, testUri: `test+unix:///default?socket=${socketPath}`, inside: [hostScript, 'exec', dir, ...number],
    async stop() {
      await run(hostScript, ['stop', dir, ...(options.beside === undefined ? [] : number)]);
      if (options.beside === undefined) await rm(dir, { recursive: true, force: true });
    },
  };
}
