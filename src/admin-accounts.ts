// Accounts from a shell: for automation, and for the day when nobody can log in.
import { randomUUID } from 'node:crypto';
import { neededOption, option, passwordOption, readPassword, UsageError, type Command, type CommandDeps } from './admin-command.ts';
import { AppError, say } from './errors.ts';
import type { User } from './model/user.ts';
import { hashPassword } from './password.ts';
import { createApiToken, revokeTokensOfUser, tokenScopes, type TokenScope } from './store/api-tokens.ts';
import { createPasswordLink, createSetupLink, spendFirstAdminLinks } from './store/setup-links.ts';
import { adminExists, insertFirstAdmin, insertUser, selectOptionalUserByName, updatePassword } from './store/users.ts';
import { paths } from './web/paths.ts';
import { userName } from './web/session/forms.ts';

/** what scripts/up asks for: "there is an admin already" is an answer, not a failure */
const adminExistsStatus = 3;
const dayMs = 86_400_000;

export const accountCommands: Readonly<Record<string, Command>> = {
  'setup-link': {
    usage: 'setup-link', summary: 'print the one-time address that makes the first admin (exit status 3: there is one)', words: 0,
    async run({ db, clock, print }) {
      if (await adminExists(db)) return adminExistsStatus;
      print(paths.setup(await createSetupLink(db, clock)));
      return 0;
    },
  },
  'create-admin': {
    usage: 'create-admin NAME [--email A] [--password-file F]', summary: 'make an admin', words: 1, audit: 'user.create',
    options: { ...passwordOption, email: { type: 'string' } },
    async run(deps, [name = ''], options) {
      await createAdmin(deps, checkedName(name), option(options, 'email') ?? `${name}@localhost`, await readPassword(options));
      deps.print(`${name} is an admin`);
      return 0;
    },
  },
  'reset-password': {
    usage: 'reset-password USER [--link | --password-file F]', summary: 'set a password, or print a one-time address where the user chooses one', words: 1, audit: 'user.reset-password',
    options: { ...passwordOption, link: { type: 'boolean' } },
    async run(deps, [name = ''], options) {
      const user = await namedUser(deps, name);
      if (options['link'] === true) {
        deps.print(paths.setup(await createPasswordLink(deps.db, user.id, deps.clock)));
        return 0;
      }
      await updatePassword(deps.db, user.id, await hashPassword(await readPassword(options), user.name), deps.clock.now());
      // whoever had the old password may have made tokens with it
      await revokeTokensOfUser(deps.db, user.id, deps.clock.now());
      deps.print(`${user.name} has a new password, and is logged out everywhere`);
      return 0;
    },
  },
  token: {
    usage: 'token USER [--scope read|write] [--days N] [--name TEXT]', summary: 'make an API token and print it, once (write, 30 days)', words: 1, audit: 'token.create',
    options: { scope: { type: 'string', default: 'write' }, days: { type: 'string', default: '30' }, name: { type: 'string', default: 'scripts/admin' } },
    async run(deps, [name = ''], options) {
      const user = await namedUser(deps, name);
      if (user.state !== 'active') throw new UsageError(`${user.name} is not active: a token would not work`);
      const token = { userId: user.id, name: neededOption(options, 'name').slice(0, 80), scope: scopeOf(neededOption(options, 'scope')), expiresAt: deps.clock.now() + daysOf(neededOption(options, 'days')) * dayMs };
      deps.print((await createApiToken(deps.db, token, deps.clock.now())).secret);
      return 0;
    },
  },
};

function checkedName(name: string): string {
  const parsed = userName().safeParse(name);
  if (!parsed.success) throw new UsageError('a name has 2 to 32 of the characters a-z 0-9 . _ - and begins with a letter or digit');
  return parsed.data;
}

async function createAdmin({ db, clock }: CommandDeps, name: string, email: string, password: string): Promise<void> {
  const now = clock.now();
  const admin = { id: randomUUID(), name, displayName: name, email, passwordHash: await hashPassword(password, name), role: 'admin', state: 'active', language: null, createdAt: now } as const;
  const first = await insertFirstAdmin(db, admin);
  const made = first === 'made' || (first === 'admin-exists' && (await insertUser(db, admin)));
  if (!made) throw new AppError('conflict', say('account.name-taken'));
  await spendFirstAdminLinks(db, now);
}

async function namedUser({ db }: CommandDeps, name: string): Promise<User> {
  const user = await selectOptionalUserByName(db, name);
  if (user === undefined) throw new AppError('not-found', say('users.not-found'));
  return user;
}

function scopeOf(text: string): TokenScope {
  const scope = tokenScopes.find((each) => each === text);
  if (scope === undefined) throw new UsageError(`--scope is one of: ${tokenScopes.join(', ')}`);
  return scope;
}

function daysOf(text: string): number {
  const days = Number(text);
  if (!Number.isInteger(days) || days < 1 || days > 365) throw new UsageError('--days is a whole number from 1 to 365');
  return days;
}
