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
  /** ends libvirtd and every guest */
  stop(): Promise<void>;
}

/** Why it cannot run here, or false. */
export function whyNoLibvirtd(): string | false {
  if (process.getuid?.() !== 0) return 'a private libvirtd needs root';
  for (const path of ['/usr/sbin/libvirtd', '/usr/bin/qemu-system-x86_64']) if (!existsSync(path)) return `${path} is not installed`;
  return false;
}

export async function startPrivateLibvirtd(): Promise<PrivateLibvirtd> {
  const dir = await mkdtemp(join(tmpdir(), 'host-'));
  const { stdout } = await run(hostScript, ['start', dir]);
  const host = JSON.parse(stdout) as { uri: string; pool: string; poolPath: string; network: string; address: string };
  const socketPath = host.uri.replace(/^.*socket=/, '');
  return {
    socketPath, ...host, inside: [hostScript, 'exec', dir], testUri: `test+unix:///default?socket=${socketPath}`,
    async stop() {
      await run(hostScript, ['stop', dir]);
      await rm(dir, { recursive: true, force: true });
    },
  };
}
