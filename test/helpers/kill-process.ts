import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** SIGKILL, until it has ended; nothing to wait for when it had ended before by itself. */
export async function killProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}
