// A database of its own for each test file, on the real server that TEST_DATABASE_URL names (scripts/test starts one).
// Making one is quick on MariaDB and MySQL; on MySQL Cluster it takes longer than most tests, so there it is a cleaned one.
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { openDatabase, type Database } from '../../src/store/db.ts';
import { migrate } from '../../src/store/migrate.ts';
import { borrowDatabase } from './borrowed-database.ts';

export interface TestDatabase {
  readonly db: Database;
  /** for a portal in a process of its own */
  readonly url: string;
  /** drops it, or gives it back */
  close(): Promise<void>;
}

const migrationsDirectory = fileURLToPath(new URL('../../migrations', import.meta.url));

export function databaseEngine(): 'innodb' | 'ndbcluster' {
  return process.env['TEST_DATABASE_ENGINE'] === 'ndbcluster' ? 'ndbcluster' : 'innodb';
}

/** A migrated, empty database that nobody else uses. Throws, naming the variable, where there is no server. */
export async function createTestDatabase(): Promise<TestDatabase> {
  if (databaseEngine() === 'innodb') return createOwnDatabase(migrateHere);
  const lent = await borrowDatabase(serverUrl(), { directory: migrationsDirectory, migrate: migrateHere });
  return withPool(lent.url, lent.giveBack);
}

/** A new database without any table, dropped at the end: for tests that make or change tables. */
export async function createBareDatabase(): Promise<TestDatabase> {
  return createOwnDatabase(() => Promise.resolve([]));
}

async function createOwnDatabase(prepare: (db: Database) => Promise<unknown>): Promise<TestDatabase> {
  const base = serverUrl();
  const name = `test_${randomBytes(6).toString('hex')}`;
  const server = openDatabase([base], { connectionLimit: 1 });
  await server.execute(`CREATE DATABASE ${name}`);
  const url = new URL(base);
  url.pathname = `/${name}`;
  const database = withPool(url.href, async () => {
    await server.execute(`DROP DATABASE ${name}`);
    await server.close();
  });
  await prepare(database.db);
  return database;
}

function withPool(url: string, afterwards: () => Promise<void>): TestDatabase {
  const db = openDatabase([url], { connectionLimit: 20 });
  return {
    db,
    url,
    async close() {
      await db.close();
      await afterwards();
    },
  };
}

function migrateHere(db: Database): Promise<string[]> {
  return migrate(db, { directory: migrationsDirectory, engine: databaseEngine() });
}

function serverUrl(): string {
  const url = process.env['TEST_DATABASE_URL'];
  if (url === undefined) throw new Error('TEST_DATABASE_URL is not set: run the tests through scripts/test');
  return url;
}
