// The connection to MySQL, MariaDB or MySQL Cluster: pools over one or more SQL nodes, whole-transaction retries of
// temporary errors, and the only place that knows MySQL's error numbers.
import { setTimeout as delay } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import { AppError, say } from '../errors.ts';

/** An array stands for the list of an IN (?); an empty one is a syntax error. */
export type SqlValue = string | number | bigint | boolean | null | Buffer | readonly (string | number)[];
export type Row = Record<string, unknown>;

/** What a store function needs: run one statement. Both the pool and a transaction are one. */
export interface Db {
  /** SELECT; rows as plain objects */
  query<T extends object = Row>(sql: string, params?: readonly SqlValue[]): Promise<T[]>;
  /** INSERT, UPDATE, DELETE; how many rows matched (not merely changed: a repeated UPDATE still counts) */
  execute(sql: string, params?: readonly SqlValue[]): Promise<{ affectedRows: number; insertId: number }>;
}

export interface Database extends Db {
  /** Runs `work` in one transaction and again from its beginning on temporary errors: it must be repeatable. No nesting. */
  transaction<T>(work: (tx: Db) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

// 1205 lock wait, 1213 deadlock, 1297 NDB temporary, 4350 two wrote the same new row of a unique key to NDB: nothing was done,
// the whole transaction is run again.
const temporaryErrnos = new Set([1205, 1213, 1297, 4350]);
// The connection went away or NDB lost track (157, 4008, 4009, 4012): the outcome is unknown. Every write here is repeatable.
const unknownOutcomeErrnos = new Set([157, 4008, 4009, 4012, 1053, 1927, 2006, 2013]);
// Errors of NDB that the server has no number for: their own stands in the words, "Got error 4350 '…' from NDBCLUSTER".
const wrappingErrnos = new Set([1030, 1296]);
const connectionCodes = new Set(['PROTOCOL_CONNECTION_LOST', 'ECONNRESET', 'EPIPE', 'ECONNREFUSED', 'ENOENT', 'ETIMEDOUT', 'ER_SERVER_SHUTDOWN']);
/** Attempts at one transaction. Too few: a node's death reaches the user; too many: a dead database makes pages hang. */
const maxAttempts = 6;

function errnoOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errno' in error) || typeof error.errno !== 'number') return undefined;
  const [, wrapped] = (wrappingErrnos.has(error.errno) && /^Got error (\d+) /.exec(error.message)) || [];
  return wrapped === undefined ? error.errno : Number(wrapped);
}

function codeOf(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

export function isDuplicateKey(error: unknown): boolean {
  return errnoOf(error) === 1062;
}

/** ALTER TABLE … ADD COLUMN of one that is there. */
export function isDuplicateColumn(error: unknown): boolean {
  return errnoOf(error) === 1060;
}

function isWorthRepeating(error: unknown): boolean {
  const errno = errnoOf(error);
  if (errno !== undefined && (temporaryErrnos.has(errno) || unknownOutcomeErrnos.has(errno))) return true;
  const code = codeOf(error);
  return code !== undefined && connectionCodes.has(code);
}

/** Parses one DATABASE_URL (mysql://user:password@host:port/database[?socketPath=…]). */
function poolOptions(url: string, connectionLimit: number): mysql.PoolOptions {
  const parsed = new URL(url);
  const socketPath = parsed.searchParams.get('socketPath');
  const database = decodeURIComponent(parsed.pathname.slice(1));
  return {
    user: decodeURIComponent(parsed.username),
    password: decodeURIComponent(parsed.password),
    ...(socketPath === null ? { host: parsed.hostname, port: Number(parsed.port || 3306) } : { socketPath }),
    ...(database === '' ? {} : { database }),
    connectionLimit,
    connectTimeout: 5000,
    charset: 'utf8mb4_bin',
    timezone: 'Z',
    multipleStatements: false,
    supportBigNumbers: true,
    // repeated conditional updates must tell "matched", not "changed": clients found rows
    flags: ['FOUND_ROWS'],
  };
}

export function openDatabase(urls: readonly string[], options: { readonly connectionLimit?: number } = {}): Database {
  const pools = urls.map((url) => mysql.createPool(poolOptions(url, options.connectionLimit ?? 10)));
  let current = 0;
  const pool = (): mysql.Pool => {
    const chosen = pools[current % pools.length];
    if (chosen === undefined) throw new Error('DATABASE_URL names no server');
    return chosen;
  };

  /** Repeats on temporary errors with jitter; after a lost connection the next SQL node is tried. */
  async function withRetries<T>(work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        if (!isWorthRepeating(error)) throw error;
        if (attempt >= maxAttempts) throw new AppError('host-unavailable', say('errors.database-unavailable'), { cause: error, retryAfterSeconds: 5 });
        if (codeOf(error) !== undefined && !temporaryErrnos.has(errnoOf(error) ?? 0)) current++;
        await delay(Math.random() * 40 * 2 ** attempt);
      }
    }
  }

  return {
    query: (sql, params) => withRetries(() => runQuery(pool(), sql, params)),
    execute: (sql, params) => withRetries(() => runExecute(pool(), sql, params)),
    transaction: (work) => withRetries(() => inTransaction(pool(), work)),
    async close() {
      await Promise.all(pools.map((each) => each.end()));
    },
  };
}

type Runner = Pick<mysql.Pool, 'query'>;

// `query` with client-side escaping instead of prepared statements: multi-row inserts and IN lists have as many shapes as
// sizes, and each prepared shape stays in the server's memory.
async function runQuery<T extends object>(runner: Runner, sql: string, params: readonly SqlValue[] = []): Promise<T[]> {
  const [rows] = await runner.query(sql, [...params]).catch(withoutValues(sql));
  return rows as T[];
}

async function runExecute(runner: Runner, sql: string, params: readonly SqlValue[] = []): Promise<{ affectedRows: number; insertId: number }> {
  const [result] = await runner.query<mysql.ResultSetHeader>(sql, [...params]).catch(withoutValues(sql));
  return { affectedRows: result.affectedRows, insertId: result.insertId };
}

/** mysql2's errors carry the statement with all values in it, hashes and keys among them, and would bring them into the log. */
function withoutValues(sql: string): (error: unknown) => never {
  return (error) => {
    if (typeof error === 'object' && error !== null && 'sql' in error) error.sql = sql;
    throw error;
  };
}

async function inTransaction<T>(pool: mysql.Pool, work: (tx: Db) => Promise<T>): Promise<T> {
  const connection = await pool.getConnection();
  try {
    await connection.beginTransaction();
    const result = await work({
      query: (sql, params) => runQuery(connection, sql, params),
      execute: (sql, params) => runExecute(connection, sql, params),
    });
    await connection.commit();
    connection.release();
    return result;
  } catch (error) {
    // a connection whose rollback fails is broken: it must not go back to the pool
    try {
      await connection.rollback();
      connection.release();
    } catch {
      connection.destroy();
    }
    throw error;
  }
}
