// A real MySQL Cluster on this machine, and what befalls its nodes while a portal's database layer works: each kind of node is
// killed or hangs under load. Nobody is told of it, what was acknowledged is there, and nothing is there twice.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { openDatabase, type Database } from '../../src/store/db.ts';
import { migrate } from '../../src/store/migrate.ts';
import { deleteRestoredMark, isMarkedRestored } from '../../src/store/restores.ts';
import { must, root, run, script, temporaryFolder, until, type Result } from './run.ts';

const migrationsDirectory = `${root}/migrations`;
const libraries = ['common', 'packages', 'ndb', 'ndb-tests'].map((name) => `. ${root}/scripts/lib/${name}.sh`).join('; ');
const reason = spawnSync('bash', ['-c', `${libraries}; why_no_ndb ${tmpdir()}`], { encoding: 'utf8' }).stdout.trim();

describe('a cluster on one machine', { skip: reason === '' ? false : `MySQL Cluster: ${reason}` }, () => {
  const dir = `${temporaryFolder()}/ndb`;
  let db: Database;
  const ndb = (command: string, ...args: string[]): Promise<string> => must(script('ndb'), [command, dir, ...args]);
  const tryNdb = (command: string, ...args: string[]): Promise<Result> => run(script('ndb'), [command, dir, ...args]);
  const states = async (): Promise<Record<string, string>> =>
    Object.fromEntries((await ndb('status')).split('\n').filter((line) => /^(?:mgm|data|sql)/.test(line)).map((line) => line.split(' ') as [string, string]));

  before(async () => {
    const urls = (await ndb('up')).trim().split(',');
    assert.equal(urls.length, 2);
    db = openDatabase(urls);
    await migrate(db, { directory: migrationsDirectory, engine: 'ndbcluster' });
    await db.execute("INSERT INTO jobs (name, lease_until) VALUES ('counter', 0)");
  });
  after(async () => {
    await db?.close();
    await ndb('down');
    assert.deepEqual(Object.values(await states()), ['off', 'off', 'off', 'off', 'off']);
    rmSync(dir, { recursive: true, force: true });
  });

  it('says what its nodes do, and refuses what makes no sense', async () => {
    assert.deepEqual(await states(), { mgm: 'running', data1: 'running', data2: 'running', sql1: 'running', sql2: 'running' });
    assert.match((await tryNdb('kill', 'data3')).stderr, /needs one of/);
    assert.match((await run(script('ndb'), ['status', `${dir}-other`])).stderr, /there is no cluster/);
    assert.ok(!(await must('ps', ['axww', '-o', 'args'])).includes((await ndb('url')).slice(14, 60)), 'no password among the processes');
  });

  it('has every table twice, whichever SQL node made it', async () => {
    const [first, second] = await Promise.all(['1', '2'].map((node) => ndb('sql', node, '-Ne', "SELECT COUNT(*), MIN(engine), MAX(engine) FROM information_schema.tables WHERE table_schema = 'cloud'")));
    assert.match(first ?? '', /^\d\d+\tndbcluster\tndbcluster$/m);
    assert.equal(first, second);
  });

  it('comes back from a backup as it was then', async () => {
    await db.execute("INSERT INTO jobs (name, lease_until) VALUES ('kept', 7)");
    const backup = (await ndb('backup')).trim();
    const [noted] = await db.query<{ kinds: string }>("SELECT GROUP_CONCAT(kind ORDER BY kind) AS kinds FROM backups WHERE bytes > 0 AND ended_at >= begun_at");
    assert.equal(noted?.kinds, 'logical,native');
    await db.execute("DELETE FROM jobs WHERE name = 'kept'");
    await ndb('restore', backup);
    assert.deepEqual((await db.query<{ n: number }>("SELECT lease_until AS n FROM jobs WHERE name = 'kept'")).map(({ n }) => n), [7]);
    await db.execute("DELETE FROM jobs WHERE name = 'kept'");
    assert.equal(await isMarkedRestored(db), true);
    await deleteRestoredMark(db);
    assert.deepEqual(await migrate(db, { directory: migrationsDirectory, engine: 'ndbcluster' }), []);
  });

  // under this load, and with a frozen node's locks in the way: what a page may take at the very longest
  const longestMs = 15_000;
  for (const [what, node] of [['kill', 'sql1'], ['kill', 'data1'], ['freeze', 'sql1'], ['freeze', 'data2'], ['kill', 'mgm']] as const) {
    it(`${what} ${node}: nobody is told, nothing is lost, nothing is there twice`, async (t) => {
      const counted = (await db.query<{ n: number }>("SELECT lease_until AS n FROM jobs WHERE name = 'counter'"))[0]?.n ?? 0;
      const done = { increments: 0, inserted: [] as string[], longestMs: 0 };
      let stop = false;
      const worker = async (work: () => Promise<unknown>): Promise<void> => {
        while (!stop) {
          const began = performance.now();
          await work();
          done.longestMs = Math.max(done.longestMs, performance.now() - began);
          await delay(5);
        }
      };
      const workers = [
        worker(() => db.query('SELECT name FROM jobs LIMIT 50')),
        worker(async () => { await db.execute("UPDATE jobs SET lease_until = lease_until + 1 WHERE name = 'counter'"); done.increments++; }),
        worker(async () => {
          const name = randomUUID().slice(0, 30);
          await db.transaction((tx) => tx.execute('INSERT INTO jobs (name) VALUES (?)', [name]));
          done.inserted.push(name);
        }),
      ];
      const trouble = async (): Promise<void> => {
        await delay(500);
        await ndb(what, node);
        const before = done.increments;
        await until('work goes on', 60_000, () => done.increments > before + 20);
        if (what === 'freeze') await tryNdb('thaw', node); // a data node that hung too long was shut out, and ends itself
        await delay(1000);
        await ndb('start', node);
        await until('all SQL nodes are used again', 60_000, () => db.nodes.every(({ lostAt }) => lostAt === undefined));
      };
      await Promise.race([trouble(), ...workers]).finally(() => { stop = true; });
      await Promise.all(workers);
      t.diagnostic(`${done.increments} increments, ${done.inserted.length} rows, the longest wait ${Math.round(done.longestMs)} ms`);
      assert.equal((await db.query<{ n: number }>("SELECT lease_until AS n FROM jobs WHERE name = 'counter'"))[0]?.n, counted + done.increments);
      const rows = await db.query<{ name: string }>("SELECT name FROM jobs WHERE name <> 'counter' ORDER BY name");
      assert.deepEqual(rows.map(({ name }) => name), [...done.inserted].sort());
      while ((await db.execute("DELETE FROM jobs WHERE name <> 'counter' LIMIT 500")).affectedRows > 0);
      assert.ok(done.longestMs < longestMs, `${Math.round(done.longestMs)} ms`);
    });
  }
});
