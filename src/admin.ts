// What an administrator does from a shell (scripts/admin), also while the portal runs: it works on the database and the
// hosts as any other portal would.
import { randomUUID } from 'node:crypto';
import { userInfo } from 'node:os';
import { parseArgs } from 'node:util';
import { accountCommands } from './admin-accounts.ts';
import { cloudCommands } from './admin-cloud.ts';
import { option, UsageError, type Command, type CommandDeps, type Options } from './admin-command.ts';
import { databaseCommands } from './admin-database.ts';
import { doctorCommands } from './admin-doctor.ts';
import { restoreCommands } from './admin-restore.ts';
import { systemClock as clock } from './clock.ts';
import { ConfigError, readConfig } from './config.ts';
import { AppError } from './errors.ts';
import { createLog } from './log.ts';
import { openHypervisor } from './libvirt/open-hypervisor.ts';
import { HostProblemError } from './operations/host-add.ts';
import { insertAudit } from './store/audit.ts';
import { openDatabase, type Database } from './store/db.ts';
import { sentenceText, translator } from './web/locales/index.ts';

const commands: Readonly<Record<string, Command>> = { ...accountCommands, ...cloudCommands, ...databaseCommands, ...restoreCommands, ...doctorCommands };

function help(): string {
  const lines = Object.values(commands).map((command) => `  ${command.usage}\n      ${command.summary}`);
  return `usage: scripts/admin [--data DIR] COMMAND …\n\n${lines.join('\n')}\n\nA password is read from --password-file or, without it, from the standard input; never from the command line.\nSeveral commands: COMMAND … then COMMAND …`;
}

/** Several commands in one process: `migrate then add-host … then doctor`. The first that fails is the last. */
function split(args: readonly string[]): string[][] {
  const parts: string[][] = [[]];
  for (const word of args) {
    if (word === 'then') parts.push([]);
    else parts.at(-1)?.push(word);
  }
  return parts;
}

async function main(args: readonly string[]): Promise<number> {
  if (args.length === 0 || args[0] === 'help' || args[0] === '--help') {
    process.stdout.write(`${help()}\n`);
    return args.length === 0 ? 2 : 0;
  }
  // all are understood before the first is run
  const runs = split(args).map(([name = '', ...rest]) => ({ command: commandOf(name), ...parse(commandOf(name), rest) }));
  const config = readConfig();
  const db = openDatabase(config.databaseUrls, { connectionLimit: 2 });
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  const openHost: typeof openHypervisor = (uri, more) => openHypervisor(uri, { ...(config.libvirtPkiPath === undefined ? {} : { pkiPath: config.libvirtPkiPath }), ...more });
  const deps: CommandDeps = { config, db, clock, openHost, log: createLog('warn'), t: translator('en'), print };
  try {
    for (const { command, words, options } of runs) {
      const status = await command.run(deps, words, options);
      if (status !== 0) return status;
      if (command.audit !== undefined) await writeAudit(db, command.audit, words[0] ?? option(options, 'name') ?? '');
    }
    return 0;
  } finally {
    await db.close();
  }
}

function commandOf(name: string): Command {
  const command = commands[name];
  if (command === undefined) throw new UsageError(`unknown command: ${name}\n\n${help()}`);
  return command;
}

function parse(command: Command, args: readonly string[]): { words: string[]; options: Options } {
  try {
    const { positionals, values } = parseArgs({ args: [...args], options: command.options ?? {}, allowPositionals: true });
    if (positionals.length === command.words) return { words: positionals, options: values };
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : String(error)}\nusage: scripts/admin ${command.usage}`);
  }
  throw new UsageError(`usage: scripts/admin ${command.usage}`);
}

/** Whoever has a shell here stands above the accounts; the log still says what was done, and that it was done here. */
async function writeAudit(db: Database, action: string, target: string): Promise<void> {
  await insertAudit(db, {
    id: randomUUID(), at: clock.now(), userId: null, userName: `shell: ${userInfo().username}`, action, target, ip: '', result: 'ok', detail: 'scripts/admin',
  });
}

function explain(error: unknown): string {
  if (error instanceof UsageError || error instanceof ConfigError) return error.message;
  if (isMissingTable(error)) return 'the database has no schema yet: run scripts/admin migrate';
  if (!(error instanceof AppError)) return error instanceof Error ? (error.stack ?? error.message) : String(error);
  const t = translator('en');
  const sentences = [error.sentence, ...(error instanceof HostProblemError ? [error.problem.fix] : [])];
  const fields = Object.values(error.fields).filter((sentence) => !sentences.some((other) => other.key === sentence.key));
  const cause = error.kind === 'host-unavailable' && error.cause instanceof Error ? [`(${error.cause.message})`] : [];
  return [...[...sentences, ...fields].map((sentence) => sentenceText(t, sentence)), ...cause].join('\n');
}

function isMissingTable(error: unknown): boolean {
  return error instanceof Error && 'errno' in error && error.errno === 1146;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
