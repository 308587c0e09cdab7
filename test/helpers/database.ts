// A database of its own for each test file, on the real server that TEST_DATABASE_URL names (scripts/test starts one).
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { openDatabase, type Database } from '../../src/store/db.ts';
import { migrate } from '../../src/store/migrate.ts';

export interface TestDatabase {
  readonly db: Database;
  /** for a portal in a process of its own */
  readonly url: string;
  /** drops it */
  close(): Promise<void>;
}

export function databaseEngine(): 'innodb' | 'ndbcluster' {
  return process.env['TEST_DATABASE_ENGINE'] === 'ndbcluster' ? 'ndbcluster' : 'innodb';
}

/** A new, migrated, empty database. Throws, naming the variable, where there is no server. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const base = process.env['TEST_DATABASE_URL'];
  if (base === undefined) throw new Error('TEST_DATABASE_URL is not set: run the tests through scripts/test');
  const name = `test_${randomBytes(6).toString('hex')}`;
  const server = openDatabase([base], { connectionLimit: 1 });
  await server.execute(`CREATE DATABASE ${name}`);
  const url = new URL(base);
  url.pathname = `/${name}`;
  const db = openDatabase([url.href], { connectionLimit: 20 });
  await migrate(db, { directory: fileURLToPath(new URL('../../migrations', import.meta.url)), engine: databaseEngine() });
  return {
    db,
    url: url.href,
    async close() {
      await db.close();
      await server.execute(`DROP DATABASE ${name}`);
      await server.close();
    },
  };
}
