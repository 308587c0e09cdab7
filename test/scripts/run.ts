// Runs the project's scripts and other programs as a person would, for the tests of scripts/.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** Private hosts and databases make namespaces and change users. */
export const needsRoot = process.getuid?.() === 0 ? false : 'needs root (network and mount namespaces)';

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 's-'));
}

export interface Result { readonly code: number; readonly stdout: string; readonly stderr: string }

/** Runs to the end; a non-zero exit is a result, not an exception. */
export function run(program: string, args: readonly string[], options: { readonly input?: string; readonly env?: Record<string, string> } = {}): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = execFile(program, args, { cwd: root, env: { ...process.env, ...options.env }, maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== 'number') reject(new Error(`${program} ${args.join(' ')}: ${error.message}\n${stderr}`));
      else resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
    child.stdin?.on('error', () => undefined); // it ended without reading
    child.stdin?.end(options.input ?? '');
  });
}

/** Like run, but anything but exit 0 fails the test with what the program said. */
export async function must(program: string, args: readonly string[], options: { readonly input?: string; readonly env?: Record<string, string> } = {}): Promise<string> {
  const result = await run(program, args, options);
  if (result.code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${result.code}\n${result.stdout}${result.stderr}`);
  return result.stdout;
}

export const script = (name: string): string => `${root}/scripts/${name}`;

/** A piece of bash with the library functions of scripts/lib at hand. */
export function withLibrary(files: readonly string[], commands: string): Promise<Result> {
  const sources = files.map((file) => `. ${root}/scripts/lib/${file}.sh`).join('\n');
  return run('bash', ['-c', `set -euo pipefail\n${sources}\n${commands}`]);
}

export function start(program: string, args: readonly string[], env: Record<string, string> = {}): ChildProcess {
  return spawn(program, args, { cwd: root, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Polls until the condition holds; throws with its name after timeoutMs. */
export async function until(what: string, timeoutMs: number, condition: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`after ${timeoutMs} ms still not: ${what}`);
    await sleep(100);
  }
}
