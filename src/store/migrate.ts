// Brings the database to the schema of this release: runs the files of migrations/ that have not run yet, in order.
// Several portals may start at once: a lease row lets one of them work while the others wait.
import { createHash, randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { isAddedAlready, type Database, type Db } from './db.ts';

export interface MigrateOptions {
  /** directory of the .sql files */
  readonly directory: string;
  readonly engine: 'innodb' | 'ndbcluster';
  readonly onFile?: (name: string) => void;
}

/** Longer than any single statement of ours takes; a migrator that died blocks the next one for this long. */
const leaseMs = 60_000;

/** Runs what is missing; returns the names of the files that ran now. Throws when a file that ran before has changed. */
export async function migrate(database: Database, options: MigrateOptions): Promise<string[]> {
  const files = (await readdir(options.directory)).filter((name) => name.endsWith('.sql') && name !== 'schema.sql').sort();
  const create = (sql: string): Promise<unknown> => runDdl(database, sql, options.engine);
  // first of all, because every write leaves a mark there
  await create('CREATE TABLE IF NOT EXISTS transaction_marks (id BINARY(16) NOT NULL, made_at BIGINT NOT NULL, PRIMARY KEY (id), KEY transaction_marks_made_at (made_at))');
  await create('CREATE TABLE IF NOT EXISTS migrations (name VARCHAR(128) CHARACTER SET ascii NOT NULL, checksum CHAR(64) CHARACTER SET ascii NOT NULL, applied_at BIGINT NOT NULL, PRIMARY KEY (name))');
  await create('CREATE TABLE IF NOT EXISTS migration_lease (id TINYINT NOT NULL, owner CHAR(36) CHARACTER SET ascii NOT NULL, until BIGINT NOT NULL, PRIMARY KEY (id))');
  // most starts find all of them done, and wait for nobody
  if ((await selectMissing(database, options.directory, files)).length === 0) return [];
  const owner = randomUUID();
  await takeLease(database, owner);
  try {
    const ran: string[] = [];
    for (const { name, sql, checksum } of await selectMissing(database, options.directory, files)) {
      await create(sql);
      await database.execute('INSERT INTO migrations (name, checksum, applied_at) VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE checksum = VALUES(checksum)', [name, checksum, Date.now()]);
      await database.execute('UPDATE migration_lease SET until = ? WHERE id = 1 AND owner = ?', [Date.now() + leaseMs, owner]);
      options.onFile?.(name);
      ran.push(name);
    }
    return ran;
  } finally {
    await database.execute('UPDATE migration_lease SET until = 0 WHERE id = 1 AND owner = ?', [owner]);
  }
}

interface MigrationFile { readonly name: string; readonly sql: string; readonly checksum: string }

async function selectMissing(database: Database, directory: string, files: readonly string[]): Promise<MigrationFile[]> {
  const applied = new Map((await database.query<{ name: string; checksum: string }>('SELECT name, checksum FROM migrations')).map((row) => [row.name, row.checksum]));
  const missing: MigrationFile[] = [];
  for (const name of files) {
    const sql = await readFile(`${directory}/${name}`, 'utf8');
    const checksum = createHash('sha256').update(sql).digest('hex');
    const before = applied.get(name);
    if (before === checksum) continue;
    if (before !== undefined) throw new Error(`migrations/${name} ran here with other contents: a migration that has run is never edited, add a new one`);
    missing.push({ name, sql, checksum });
  }
  return missing;
}

// DDL commits by itself; the transaction only keeps SET and CREATE on one connection. On MySQL Cluster two that make the same
// table at once can hold the table's lock and the schema's against each other, which the server does not notice, even when
// the table is there already: so it is looked for first, the wait is short, and those that failed come back at different times.
async function runDdl(database: Database, sql: string, engine: MigrateOptions['engine']): Promise<void> {
  const [, table] = /^CREATE TABLE IF NOT EXISTS (\w+)/.exec(sql) ?? [];
  let attempt = 0;
  await database.transaction(async (tx: Db) => {
    if (attempt++ > 0) await delay(Math.random() * 4000);
    if (table !== undefined && (await isThere(tx, table))) return;
    await tx.execute(`SET default_storage_engine = ${engine}`);
    if (table !== undefined) await tx.execute('SET lock_wait_timeout = 2');
    try {
      await tx.execute(sql);
    } catch (error) {
      // a migrator that died between ALTER TABLE and its note: all columns and keys of one statement come together
      if (!/^ALTER TABLE/i.test(sql) || !isAddedAlready(error)) throw error;
    } finally {
      await tx.execute('SET lock_wait_timeout = DEFAULT');
    }
  });
}

async function isThere(tx: Db, table: string): Promise<boolean> {
  return (await tx.query('SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?', [table])).length > 0;
}

async function takeLease(database: Database, owner: string): Promise<void> {
  await database.execute('INSERT INTO migration_lease (id, owner, until) VALUES (1, ?, 0) ON DUPLICATE KEY UPDATE id = id', [owner]);
  for (;;) {
    const now = Date.now();
    const { affectedRows } = await database.execute('UPDATE migration_lease SET owner = ?, until = ? WHERE id = 1 AND (until < ? OR owner = ?)', [owner, now + leaseMs, now, owner]);
    if (affectedRows === 1) return;
    await delay(200);
  }
}
