// The administrator's commands on a real database, as separate processes: what they print, how they end, what they leave.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { selectAuditPage } from '../../src/store/audit.ts';
import { selectOptionalTokenUser } from '../../src/store/api-tokens.ts';
import { selectOptionalFence, updateFence } from '../../src/store/fences.ts';
import { selectHosts } from '../../src/store/hosts.ts';
import { selectOptionalSetupLink } from '../../src/store/setup-links.ts';
import { selectPoolsByHost } from '../../src/store/storage-pools.ts';
import { selectOptionalUserByName, selectPasswordHash } from '../../src/store/users.ts';
import { isPassword } from '../../src/password.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';
import { startFakeLibvirtd } from '../helpers/fake-libvirtd/index.ts';
import { root, run, temporaryFolder, type Result } from './run.ts';

describe('scripts/admin', () => {
  let database: TestDatabase;
  before(async () => {
    database = await createTestDatabase();
  });
  after(() => database.close());
  const admin = (args: readonly string[], input = '', more: Record<string, string> = {}): Promise<Result> =>
    run(process.execPath, ['--import', 'tsx', `${root}/src/admin.ts`, ...args], { input, env: { DATABASE_URL: database.url, SESSION_SECRET: 'x'.repeat(40), ...more } });
  const passwordOf = async (name: string, password: string): Promise<boolean> => {
    const user = await selectOptionalUserByName(database.db, name);
    return isPassword(password, user && (await selectPasswordHash(database.db, user.id)));
  };

  it('gives a set-up link while there is no admin', async () => {
    const result = await admin(['setup-link']);
    assert.equal(result.code, 0, result.stderr);
    const token = /^\/setup\/(\S+)\n$/.exec(result.stdout)?.[1] ?? '';
    assert.deepEqual(await selectOptionalSetupLink(database.db, token, Date.now()), { kind: 'first-admin' });
  });

  it('makes an admin with a password from the standard input or a file, and says what is wrong with others', async () => {
    assert.match((await admin(['create-admin', 'ada'], 'short\n')).stderr, /10/);
    assert.equal((await admin(['create-admin', 'Ada Lovelace'], 'correct horse 7\n')).code, 2);
    assert.equal((await admin(['create-admin', 'ada'], 'correct horse 7\n')).code, 0);
    assert.ok(await passwordOf('ada', 'correct horse 7'));
    assert.equal((await selectOptionalUserByName(database.db, 'ada'))?.role, 'admin');
    const file = `${temporaryFolder()}/password`;
    writeFileSync(file, 'battery staple 8\n');
    assert.equal((await admin(['create-admin', 'grace', '--password-file', file])).code, 0);
    assert.ok(await passwordOf('grace', 'battery staple 8'));
    assert.equal((await admin(['create-admin', 'ada'], 'correct horse 9\n')).code, 1);
    assert.ok(await passwordOf('ada', 'correct horse 7'), 'an account that exists is left alone');
  });

  it('gives no set-up link when there is an admin, with a status of its own', async () => {
    const result = await admin(['setup-link']);
    assert.equal(result.code, 3);
    assert.equal(result.stdout, '');
  });

  it('makes tokens that work, with the scope asked for', async () => {
    const secret = (await admin(['token', 'ada', '--scope', 'read', '--days', '1'])).stdout.trim();
    const found = await selectOptionalTokenUser(database.db, secret, Date.now());
    assert.equal(found?.user.name, 'ada');
    assert.equal(found.token.scope, 'read');
    assert.ok(found.token.expiresAt <= Date.now() + 86_400_000);
    assert.equal((await admin(['token', 'ada', '--scope', 'everything'])).code, 2);
    assert.equal((await admin(['token', 'ada', '--days', '1000'])).code, 2);
    assert.equal((await admin(['token', 'nobody'])).code, 1);
  });

  it('resets a password, which ends sessions and tokens, or gives a link for it', async () => {
    const secret = (await admin(['token', 'ada'])).stdout.trim();
    const epoch = (await selectOptionalUserByName(database.db, 'ada'))?.sessionEpoch ?? 0;
    assert.equal((await admin(['reset-password', 'ada'], 'another horse 7\n')).code, 0);
    assert.ok(await passwordOf('ada', 'another horse 7'));
    assert.ok(((await selectOptionalUserByName(database.db, 'ada'))?.sessionEpoch ?? 0) > epoch);
    assert.equal(await selectOptionalTokenUser(database.db, secret, Date.now()), undefined);
    const link = await admin(['reset-password', 'ada', '--link']);
    const token = /^\/setup\/(\S+)\n$/.exec(link.stdout)?.[1] ?? '';
    assert.equal((await selectOptionalSetupLink(database.db, token, Date.now()))?.kind, 'password');
  });

  it('writes what was done to the audit log, without secrets', async () => {
    const { entries } = await selectAuditPage(database.db, {}, 100, 0);
    assert.ok(entries.some((entry) => entry.action === 'user.create' && entry.target === 'grace' && entry.userName.startsWith('shell')));
    assert.doesNotMatch(JSON.stringify(entries), /horse|staple|cloudhpc_/);
  });

  it('runs several commands, up to the first that fails, and none when one is misspelt', async () => {
    const result = await admin(['migrate', 'then', 'setup-link', 'then', 'hosts']);
    assert.equal(result.code, 3);
    assert.match(result.stdout, /up to date/);
    const misspelt = await admin(['create-admin', 'eve', 'then', 'migrat'], 'correct horse 7\n');
    assert.equal(misspelt.code, 2);
    assert.equal(await selectOptionalUserByName(database.db, 'eve'), undefined);
  });

  it('diagnoses what is missing, and what to do about it', async () => {
    const unreachable = `${temporaryFolder()}/libvirt-sock`;
    assert.equal((await admin(['add-host', '--name', 'kvm1', '--uri', `qemu+unix:///system?socket=${unreachable}`])).code, 1);
    const result = await admin(['doctor']);
    assert.equal(result.code, 1);
    assert.match(result.stdout, /WRONG {2}hosts: none\n +→ add one/);
    assert.match(result.stdout, /ok +schema/);
    const database = await admin(['doctor'], '', { DATABASE_URL: `mysql://cloud:wrong@localhost/cloud?socketPath=${unreachable}` });
    assert.equal(database.code, 1);
    assert.match(database.stdout, /WRONG {2}database: does not answer.*\n +→ is it running/);
    assert.doesNotMatch(database.stdout + database.stderr, /wrong@/);
    assert.match((await admin(['doctor'], '', { DATABASE_URL: '' })).stderr, /DATABASE_URL/);
    assert.equal((await admin(['doctor', 'now'])).code, 2);
  });

  it('takes a host into management with its pool and its fence agent, whose password stays in the browser', async () => {
    const fake = await startFakeLibvirtd();
    const add = (...more: string[]): Promise<Result> => admin(['add-host', '--name', 'kvm1', '--uri', fake.uri, '--shared-pool', 'default', ...more]);
    try {
      for (const wrong of ['passwd=x', 'path=/bin/sh', 'nothing']) {
        const refused = await add('--fence-agent', 'fence_ipmilan', '--fence', wrong);
        assert.deepEqual([refused.code, /--fence/.test(refused.stderr)], [2, true], wrong);
      }
      assert.equal((await add('--fence-agent', '../sh')).code, 2);
      const added = await add('--fence-agent', 'fence_ipmilan', '--fence', 'ip=10.9.0.11', '--fence', 'username=cloud');
      assert.equal(added.code, 0, added.stderr);
      const [host] = await selectHosts(database.db);
      const id = host?.id ?? '';
      assert.deepEqual((await selectPoolsByHost(database.db, id)).map(({ name, shared }) => [name, shared]), [['default', true]]);
      const parameters = { ip: '10.9.0.11', username: 'cloud' };
      assert.deepEqual(await selectOptionalFence(database.db, id), { agent: 'fence_ipmilan', parameters, sealed: null });
      await updateFence(database.db, id, { agent: 'fence_ipmilan', parameters, sealed: Buffer.from('sealed') });
      await add('--fence-agent', 'fence_ipmilan', '--fence', 'ip=10.9.0.12');
      assert.deepEqual(await selectOptionalFence(database.db, id), { agent: 'fence_ipmilan', parameters: { ip: '10.9.0.12' }, sealed: Buffer.from('sealed') });
      await add('--fence-agent', 'fence_apc', '--fence', 'plug=3');
      assert.deepEqual(await selectOptionalFence(database.db, id), { agent: 'fence_apc', parameters: { plug: '3' }, sealed: null });
    } finally {
      await fake.close();
    }
  });

  it('explains itself', async () => {
    const help = await admin(['help']);
    assert.equal(help.code, 0);
    for (const command of ['create-admin', 'reset-password', 'token', 'migrate', 'setup-link', 'doctor', 'add-host', 'register-image']) assert.ok(help.stdout.includes(`  ${command}`), command);
    assert.equal((await admin(['frobnicate'])).code, 2);
  });
});
