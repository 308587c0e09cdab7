// The rules of MySQL Cluster (NDB). What a file can break is checked everywhere; what a server says of its tables, on whatever
// server the tests run: on MySQL Cluster also by the data nodes' own dictionary.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Database } from '../../src/store/db.ts';
import { createBareDatabase, createTestDatabase, databaseEngine, type TestDatabase } from '../helpers/database.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const onNdb = databaseEngine() === 'ndbcluster';

/** What does not work there, or only within one SQL node. */
const forbidden: readonly (readonly [why: string, words: RegExp])[] = [
  ['NDB refuses savepoints', /\bSAVEPOINT\b/i],
  ['named locks are local to one SQL node', /\b(GET|RELEASE|IS_FREE|IS_USED)_LOCK\s*\(/i],
  ['locks of tables are local to one SQL node', /\bLOCK TABLES\b/i],
  ['the engine is a setting', /\b(CREATE|ALTER) TABLE\b[^`]*[)\s]ENGINE\s*=/i],
  ['NDB has neither', /\b(FULLTEXT|SPATIAL) (KEY|INDEX)\b/i],
  ['a foreign key locks the parent’s row on each change of a child', /\bFOREIGN KEY\b|\) REFERENCES /i],
];

function filesBelow(folder: string, ending: string): string[] {
  return readdirSync(`${root}/${folder}`, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith(ending) && !name.endsWith('.test.ts')).map((name) => `${folder}/${name}`);
}

function withoutComments(text: string): string {
  return text.replace(/^\s*(\/\/|\*|\/\*|--).*$/gm, '');
}

/** Everything in this database that MySQL Cluster could not hold, or would hold in another way than the rest. */
async function brokenRules(db: Database): Promise<string[]> {
  const tables = await db.query<{ name: string; engine: string; keyed: number }>(
    `SELECT t.table_name AS name, LOWER(t.engine) AS engine,
       (SELECT COUNT(*) FROM information_schema.statistics s WHERE s.table_schema = t.table_schema AND s.table_name = t.table_name AND s.index_name = 'PRIMARY') AS keyed
     FROM information_schema.tables t WHERE t.table_schema = DATABASE()`,
  );
  const columns = await db.query<{ name: string; col: string; type: string; bytes: number | null }>(
    `SELECT table_name AS name, column_name AS col, data_type AS type, character_octet_length AS bytes FROM information_schema.columns WHERE table_schema = DATABASE()`,
  );
  const broken = tables.flatMap(({ name, engine, keyed }) => [
    ...(engine === databaseEngine() ? [] : [`${name}: engine ${engine}`]),
    ...(Number(keyed) > 0 ? [] : [`${name}: no primary key`]),
    ...(rowBytes(columns.filter((column) => column.name === name)) <= 30_000 ? [] : [`${name}: rows beyond 30,000 bytes`]),
  ]);
  const aside = columns.filter(({ type }) => /text|blob|json|geometry/i.test(type)).map(({ name, col, type }) => `${name}.${col}: ${type.toLowerCase()}`);
  return [...broken, ...aside].sort();
}

function rowBytes(columns: readonly { readonly bytes: number | null }[]): number {
  // two bytes of length before each text; no number takes more than eight
  return columns.reduce((sum, { bytes }) => sum + (bytes === null ? 8 : Number(bytes) + 2), 0);
}

describe('what MySQL Cluster does not do', () => {
  for (const file of [...filesBelow('src', '.ts'), ...filesBelow('migrations', '.sql')]) {
    const text = withoutComments(readFileSync(`${root}/${file}`, 'utf8'));
    for (const [why, words] of forbidden) {
      const found = words.exec(text);
      if (found !== null) it(`${file} says ${JSON.stringify(found[0].slice(0, 60))}`, () => assert.fail(why));
    }
  }

  it('is adding a column that may not be null while others write the table', () => {
    // those before were released with portals that had to stop
    for (const file of filesBelow('migrations', '.sql').filter((name) => name >= 'migrations/20261124' && /\/\d{14}_/.test(name))) {
      assert.doesNotMatch(withoutComments(readFileSync(`${root}/${file}`, 'utf8')), /\bADD COLUMN\b[^,;]*\b(NOT NULL|DEFAULT)\b/i, file);
    }
  });

  it('is looked for in code and migrations', () => {
    for (const sentence of ['SAVEPOINT a', 'SELECT GET_LOCK(1, 2)', 'LOCK TABLES users WRITE', 'CREATE TABLE a (b INT NOT NULL) ENGINE=InnoDB', 'CREATE TABLE a (FULLTEXT KEY b (c))', 'b INT, FOREIGN KEY (b)']) {
      assert.ok(forbidden.some(([, words]) => words.test(sentence)), sentence);
    }
    assert.ok(filesBelow('src', '.ts').length > 200 && filesBelow('migrations', '.sql').length > 50);
  });
});

describe(`the tables on ${onNdb ? 'MySQL Cluster' : 'this server'}`, () => {
  let database: TestDatabase;
  before(async () => { database = await createTestDatabase(); });
  after(() => database.close());

  it('have the engine of the setting, a primary key, rows up to 30,000 bytes and nothing that is kept aside', async () => {
    assert.deepEqual(await brokenRules(database.db), []);
  });

  it('would be found out if they had not', async () => {
    const bare = await createBareDatabase();
    try {
      await bare.db.execute('CREATE TABLE loose (a INT, b TEXT) ENGINE=MyISAM');
      assert.deepEqual(await brokenRules(bare.db), ['loose.b: text', 'loose: engine myisam', 'loose: no primary key', 'loose: rows beyond 30,000 bytes']);
    } finally {
      await bare.close();
    }
  });

  if (onNdb) {
    it('are all in the data nodes, without hidden keys and without tables of parts', async () => {
      const there = await database.db.query<{ name: string }>("SELECT fq_name AS name FROM ndbinfo.dict_obj_info WHERE type = 2 AND fq_name LIKE CONCAT(DATABASE(), '/def/%')");
      const names = there.map(({ name }) => name.split('/').at(-1) ?? '').sort();
      const known = await database.db.query<{ name: string }>('SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()');
      assert.deepEqual(names, known.map(({ name }) => name).sort());
    });
  }
});
