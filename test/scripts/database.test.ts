// The private database of scripts/up, as a real MariaDB.
import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { after, describe, it } from 'node:test';
import { must, needsRoot, run, script, temporaryFolder } from './run.ts';

describe('a private database', { skip: needsRoot }, () => {
  const folder = `${temporaryFolder()}/db`;
  const sql = (statement: string): Promise<string> => must(script('database'), ['shell', folder], { input: statement });
  const pid = (): number => Number(readFileSync(`${folder}/pid`, 'utf8').split(' ')[0]);
  after(() => must(script('database'), ['stop', folder]));

  it('starts from nothing and answers on its socket only', async () => {
    const url = new URL((await must(script('database'), ['start', folder])).trim());
    assert.equal(url.searchParams.get('socketPath'), `${folder}/run/mariadb.sock`);
    assert.equal(statSync(`${folder}/password`).mode & 0o777, 0o600);
    assert.match(await sql('SELECT @@skip_networking, @@tx_isolation, @@innodb_flush_log_at_trx_commit'), /1\tREAD-COMMITTED\t1/);
  });

  it('keeps its password out of the process list', async () => {
    const password = readFileSync(`${folder}/password`, 'utf8');
    assert.ok(password.length >= 40);
    assert.ok(!(await must('ps', ['axww', '-o', 'args'])).includes(password));
  });

  it('lets the account into one database alone', async () => {
    const login = ['--no-defaults', `--socket=${folder}/run/mariadb.sock`, '--user=cloud'];
    const env = { MYSQL_PWD: readFileSync(`${folder}/password`, 'utf8') };
    assert.match(await must('mariadb', [...login, '-e', 'SHOW DATABASES'], { env }), /cloud/);
    assert.equal((await run('mariadb', [...login, '-e', 'SELECT * FROM mysql.user'], { env })).code, 1);
    assert.equal((await run('mariadb', [...login, '-e', 'SELECT 1'], { env: { MYSQL_PWD: 'wrong' } })).code, 1);
    assert.equal((await run('mariadb', [...login, '-e', 'SELECT 1'], { env: { MYSQL_PWD: '' } })).code, 1);
  });

  it('is the same after a second start, a stop and a kill', async () => {
    await sql('CREATE TABLE t (a INT); INSERT INTO t VALUES (42)');
    const before = pid();
    await must(script('database'), ['start', folder]);
    assert.equal(pid(), before, 'a running one is left as it is');
    await must(script('database'), ['stop', folder]);
    await must(script('database'), ['start', folder]);
    process.kill(pid(), 'SIGKILL');
    await must(script('database'), ['start', folder]);
    assert.match(await sql('SELECT a FROM t'), /42/);
  });
});
