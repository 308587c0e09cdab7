// migrations/schema.sql, which people read, is what the migrations make; and every table keeps the rules that MySQL Cluster asks for.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openDatabase, type Database } from '../src/store/db.ts';
import { migrate } from '../src/store/migrate.ts';
import { createBareDatabase, createTestDatabase, databaseEngine, type TestDatabase } from './helpers/database.ts';

const directory = fileURLToPath(new URL('../migrations', import.meta.url));
const own = ['transaction_marks', 'migrations', 'migration_lease'];

interface Column { table: string; name: string; type: string; nullable: string; standard: string | null; charset: string | null }

function columnsOf(db: Database): Promise<Column[]> {
  return db.query<Column>(
    `SELECT table_name AS \`table\`, column_name AS name, column_type AS type, is_nullable AS nullable, column_default AS standard, character_set_name AS charset
     FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name NOT IN (?) ORDER BY table_name, ordinal_position`,
    [own],
  );
}

function keysOf(db: Database): Promise<{ table: string; key: string; position: number; column: string; loose: number }[]> {
  return db.query(
    `SELECT table_name AS \`table\`, index_name AS \`key\`, seq_in_index AS position, column_name AS \`column\`, non_unique AS loose
     FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name NOT IN (?) ORDER BY 1, 2, 3`,
    [own],
  );
}

describe('the schema', () => {
  let migrated: TestDatabase;
  before(async () => { migrated = await createTestDatabase(); });
  after(async () => { await migrated.close(); });

  it('is the one of schema.sql', async () => {
    const written = await createBareDatabase();
    try {
      for (const statement of readFileSync(`${directory}/schema.sql`, 'utf8').split(/;\s*$/m)) {
        if (statement.replace(/^--.*$/gm, '').trim() !== '') await written.db.execute(statement);
      }
      assert.deepEqual(await columnsOf(written.db), await columnsOf(migrated.db));
      assert.deepEqual(await keysOf(written.db), await keysOf(migrated.db));
    } finally {
      await written.close();
    }
  });

  it('has a primary key everywhere, no TEXT, BLOB or JSON, and rows below 30,000 bytes', async () => {
    const keys = await keysOf(migrated.db);
    const bytes = new Map<string, number>();
    for (const column of await columnsOf(migrated.db)) {
      assert.doesNotMatch(column.type, /text|blob|json/i, `${column.table}.${column.name}`);
      const length = Number(/\((\d+)/.exec(column.type)?.[1] ?? 8);
      const width = /char/.test(column.type) && column.charset === 'utf8mb4' ? 4 : 1;
      bytes.set(column.table, (bytes.get(column.table) ?? 0) + (/char|binary/.test(column.type) ? length * width + 2 : 8));
    }
    for (const [table, size] of bytes) {
      assert.ok(size < 30_000, `${table}: ${size} bytes`);
      assert.ok(keys.some((key) => key.table === table && key.key === 'PRIMARY'), `${table} has no primary key`);
    }
  });

  it('uses the engine of the setting for every table', async () => {
    const engines = await migrated.db.query<{ engine: string }>('SELECT DISTINCT LOWER(engine) AS engine FROM information_schema.tables WHERE table_schema = DATABASE()');
    assert.deepEqual(engines.map((row) => row.engine), [databaseEngine()]);
  });

  it('is made by repeatable files of one statement each, and a second run does nothing', async () => {
    for (const name of readdirSync(directory).filter((each) => each.endsWith('.sql') && each !== 'schema.sql')) {
      const sql = readFileSync(`${directory}/${name}`, 'utf8');
      assert.equal(sql.trim().replace(/;$/, '').includes(';'), false, `${name} has more than one statement`);
      assert.doesNotMatch(sql, /ENGINE\s*=/i, name);
      assert.match(name, /^\d{14}_[a-z_]+?__[a-z_]+\.sql$/);
    }
    assert.deepEqual(await migrate(migrated.db, { directory, engine: databaseEngine() }), []);
  });

  it('goes on where a migrator died between a statement and its note, whichever it was', async () => {
    const before = (await migrated.db.query<{ name: string }>('SELECT name FROM migrations ORDER BY name')).map(({ name }) => name);
    await migrated.db.execute('DELETE FROM migrations');
    assert.deepEqual(await migrate(migrated.db, { directory, engine: databaseEngine() }), before);
    assert.deepEqual((await migrated.db.query<{ name: string }>('SELECT name FROM migrations ORDER BY name')).map(({ name }) => name), before);
  });

  it('is migrated once when several portals start together', async () => {
    const bare = await createBareDatabase();
    const portals = [1, 2, 3].map(() => openDatabase([bare.url]));
    try {
      const ran = await Promise.all(portals.map((db) => migrate(db, { directory, engine: databaseEngine() })));
      assert.deepEqual(ran.map((files) => files.length).sort((a, b) => a - b).slice(0, 2), [0, 0]);
    } finally {
      await Promise.all(portals.map((db) => db.close()));
      await bare.close();
    }
  });
});
