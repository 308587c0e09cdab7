// What a command of scripts/admin is, and how it is given a password.
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { ParseArgsConfig } from 'node:util';
import type { Clock } from './clock.ts';
import type { Config } from './config.ts';
import type { OpenHypervisor } from './libvirt/hypervisor.ts';
import type { Log } from './log.ts';
import type { Database } from './store/db.ts';
import type { Translate } from './web/locales/index.ts';

export interface CommandDeps {
  readonly config: Config;
  readonly db: Database;
  readonly clock: Clock;
  readonly openHost: OpenHypervisor;
  readonly log: Log;
  /** English: a shell has no language setting of ours */
  readonly t: Translate;
  print(line: string): void;
}

export type Options = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

export interface Command {
  /** as the help shows it */
  readonly usage: string;
  readonly summary: string;
  /** how many words without a dash it takes */
  readonly words: number;
  readonly options?: NonNullable<ParseArgsConfig['options']>;
  /** its action in the audit log, written when it succeeds */
  readonly audit?: string;
  /** Resolves with the exit status. */
  run(deps: CommandDeps, words: readonly string[], options: Options): Promise<number>;
}

/** Something that whoever typed the command can put right; the message says how. Exit status 2. */
export class UsageError extends Error {}

/** An option's text; throws UsageError when it is needed and missing. */
export function option(options: Options, name: string): string | undefined {
  const value = options[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

export function neededOption(options: Options, name: string): string {
  const value = option(options, name);
  if (value === undefined) throw new UsageError(`--${name} is needed`);
  return value;
}

export const passwordOption = { 'password-file': { type: 'string' } } as const;

/** From --password-file, or from the standard input: asked for without echo on a terminal. One line ending is not part of it. */
export async function readPassword(options: Options): Promise<string> {
  const file = option(options, 'password-file');
  const raw = file !== undefined ? await readPasswordFile(file) : process.stdin.isTTY ? await askPassword() : await text(process.stdin);
  const password = raw.replace(/\r?\n$/, '');
  if (password === '') throw new UsageError('the password is empty');
  return password;
}

async function readPasswordFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new UsageError(`the password file cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function askPassword(): Promise<string> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = createInterface({ input: process.stdin, output: silent, terminal: true });
  try {
    process.stderr.write('New password: ');
    const first = await terminal.question('');
    process.stderr.write('\nThe same again: ');
    const second = await terminal.question('');
    process.stderr.write('\n');
    if (first !== second) throw new UsageError('the two passwords differ');
    return first;
  } finally {
    terminal.close();
  }
}
