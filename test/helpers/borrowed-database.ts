// Databases that outlive their test file: migrated once, lent to one at a time, and emptied before each loan. Who holds one
// holds a named lock of the server, which ends with its connection: a test that was killed gives back what it had, dirty,
// and the next borrower cleans it. (The lock is local to one SQL node; all tests of a run use the same one.)
import { readdir } from 'node:fs/promises';
import mysql from 'mysql2/promise';
import { openDatabase, type Database } from '../../src/store/db.ts';

/** How a database is made, and what tells that one was made so to the end. */
export interface Recipe {
  /** of the migrations */
  readonly directory: string;
  migrate(db: Database): Promise<unknown>;
}

export interface BorrowedDatabase {
  readonly url: string;
  giveBack(): Promise<void>;
}

/** Rows of one DELETE: a transaction of NDB holds a record for each until it commits. */
const batchRows = 2000;
const kept = ['migrations', 'migration_lease'];

/** The first free of `lent_0`, `lent_1`, …: there are as many as were ever needed at once. */
export async function borrowDatabase(server: string, recipe: Recipe): Promise<BorrowedDatabase> {
  const holder = await mysql.createConnection(connectionOptions(server));
  // a server that went away is told by whoever uses the database
  holder.on('error', () => undefined);
  try {
    const name = await takeFree(holder);
    const url = new URL(server);
    url.pathname = `/${name}`;
    if (!(await isCurrent(holder, name, recipe))) await make(holder, server, url, recipe);
    await clean(holder, name);
    return { url: url.href, giveBack: () => holder.end() };
  } catch (error) {
    holder.destroy();
    throw error;
  }
}

function connectionOptions(server: string): mysql.ConnectionOptions {
  const url = new URL(server);
  const socketPath = url.searchParams.get('socketPath');
  const account = { user: decodeURIComponent(url.username), password: decodeURIComponent(url.password) };
  return { ...account, ...(socketPath === null ? { host: url.hostname, port: Number(url.port || 3306) } : { socketPath }) };
}

async function takeFree(holder: mysql.Connection): Promise<string> {
  for (let number = 0; ; number++) {
    const name = `lent_${number}`;
    const [rows] = await holder.query<mysql.RowDataPacket[]>('SELECT GET_LOCK(?, 0) AS taken', [name]);
    if (rows[0]?.['taken'] === 1) return name;
  }
}

/** Whether exactly the migrations of this release ran to their end there. */
async function isCurrent(holder: mysql.Connection, name: string, recipe: Recipe): Promise<boolean> {
  const [tables] = await holder.query<mysql.RowDataPacket[]>("SELECT 1 FROM information_schema.tables WHERE table_schema = ? AND table_name = 'migrations'", [name]);
  if (tables.length === 0) return false;
  const [ran] = await holder.query<mysql.RowDataPacket[]>(`SELECT name FROM ${name}.migrations ORDER BY name`);
  const files = (await readdir(recipe.directory)).filter((file) => file.endsWith('.sql') && file !== 'schema.sql').sort();
  return ran.map((row) => String(row['name'])).join() === files.join();
}

/** One at a time: changes of tables hold up each other on MySQL Cluster, and two that wait for each other both begin anew. */
async function make(holder: mysql.Connection, server: string, url: URL, recipe: Recipe): Promise<void> {
  const name = url.pathname.slice(1);
  await holder.query("SELECT GET_LOCK('lent_making', 300)");
  await withDatabase(server, async (db) => {
    await db.execute(`DROP DATABASE IF EXISTS ${name}`);
    await db.execute(`CREATE DATABASE ${name}`);
  });
  await withDatabase(url.href, recipe.migrate);
  await holder.query("SELECT RELEASE_LOCK('lent_making')");
}

async function withDatabase(url: string, work: (db: Database) => Promise<unknown>): Promise<void> {
  const db = openDatabase([url], { connectionLimit: 8 });
  try {
    await work(db);
  } finally {
    await db.close();
  }
}

async function clean(holder: mysql.Connection, name: string): Promise<void> {
  const [tables] = await holder.query<mysql.RowDataPacket[]>('SELECT table_name AS name FROM information_schema.tables WHERE table_schema = ? AND table_name NOT IN (?)', [name, kept]);
  const [used] = await holder.query<mysql.RowDataPacket[]>(tables.map((table) => `(SELECT '${table['name']}' AS name FROM ${name}.${table['name']} LIMIT 1)`).join(' UNION ALL '));
  for (const table of used) await empty(holder, `${name}.${table['name']}`);
}

async function empty(holder: mysql.Connection, table: string): Promise<void> {
  for (let rows = batchRows; rows === batchRows;) {
    const [{ affectedRows }] = await holder.query<mysql.ResultSetHeader>(`DELETE FROM ${table} LIMIT ${batchRows}`);
    rows = affectedRows;
  }
}
