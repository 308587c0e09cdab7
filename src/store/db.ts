// The connection to MySQL, MariaDB or MySQL Cluster: one or more SQL nodes, whole-transaction retries of temporary errors, and
// writes that are done once even when the answer to a COMMIT was lost.
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type mysql from 'mysql2/promise';
import { AppError, say } from '../errors.ts';
import { errnoOf, isNodeLost, isTemporary } from './mysql-errors.ts';
import { SqlNode, type SqlConnection } from './sql-node.ts';

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
  /** Runs `work` in one transaction and again from its beginning on temporary errors: it must be repeatable. No nesting. It is
   * committed once: when the answer to its COMMIT was lost, it is found out before it is run again. */
  transaction<T>(work: (tx: Db) => Promise<T>): Promise<T>;
  /** in the order of DATABASE_URL: the first that answers does the work */
  readonly nodes: readonly SqlNode[];
  close(): Promise<void>;
}

/** While no SQL node answers it is so many attempts, for so long at least (nodes that refuse connections do so at once). Too few: a
 * restart of the database reaches the user; too many: a dead one makes pages hang. */
const maxAttempts = 6;
const aloneMs = 2500;
/** How long temporary errors are met with another attempt: a data node that hangs is given up by the others after 6 to 8 s. */
const patienceMs = 15_000;
const longestPauseMs = 1000;

export function isDuplicateKey(error: unknown): boolean {
  return errnoOf(error) === 1062;
}

/** ALTER TABLE … ADD COLUMN, or ADD KEY, of one that is there. */
export function isAddedAlready(error: unknown): boolean {
  return [1060, 1061].includes(errnoOf(error) ?? 0);
}

export function openDatabase(urls: readonly string[], options: { readonly connectionLimit?: number } = {}): Database {
  const nodes = urls.map((url) => new SqlNode(url, options.connectionLimit ?? 10));

  /** The first that works, but not the one that has just failed; where none does, the one after that: any may be back already. */
  function choose(failed: SqlNode | undefined): SqlNode {
    const working = nodes.filter((node) => node.lostAt === undefined);
    const chosen = working.find((node) => node !== failed) ?? working[0] ?? nodes[(failed === undefined ? 0 : nodes.indexOf(failed) + 1) % nodes.length];
    if (chosen === undefined) throw new Error('DATABASE_URL names no server');
    return chosen;
  }

  /** Repeats on temporary errors with jitter; after a lost connection another SQL node is tried. */
  async function withRetries<T>(work: (connection: SqlConnection) => Promise<T>): Promise<T> {
    const began = performance.now();
    let failed: SqlNode | undefined;
    for (let attempt = 1; ; attempt++) {
      const node = choose(failed);
      try {
        return await node.withConnection(work);
      } catch (error) {
        if (!isTemporary(error) && !isNodeLost(error)) throw error;
        const tookMs = performance.now() - began;
        if (tookMs > patienceMs || (isNodeLost(error) && attempt >= maxAttempts && tookMs > aloneMs)) {
          throw new AppError('host-unavailable', say('errors.database-unavailable'), { cause: error, retryAfterSeconds: 5 });
        }
        failed = isNodeLost(error) ? node : undefined;
        // where there is another node, it is tried at once
        if (failed === undefined || nodes.length === 1 || attempt >= nodes.length) await delay(Math.min(Math.random() * 40 * 2 ** attempt, longestPauseMs));
      }
    }
  }

  function transaction<T>(work: (tx: Db) => Promise<T>): Promise<T> {
    const commit: Commit<T> = { id: randomBytes(16), sent: undefined };
    return withRetries((connection) => inTransaction(connection, work, commit));
  }

  return {
    nodes,
    query: (sql, params) => withRetries((connection) => runQuery(connection, sql, params)),
    execute: (sql, params) => (isWrite(sql) && !isRepeatable(sql) ? transaction((tx) => tx.execute(sql, params)) : withRetries((connection) => runExecute(connection, sql, params))),
    transaction,
    async close() {
      await Promise.all(nodes.map((node) => node.close()));
    },
  };
}

async function runQuery<T extends object>(connection: SqlConnection, sql: string, params?: readonly SqlValue[]): Promise<T[]> {
  return (await connection(sql, params)) as unknown as T[];
}

async function runExecute(connection: SqlConnection, sql: string, params?: readonly SqlValue[]): Promise<{ affectedRows: number; insertId: number }> {
  const { affectedRows, insertId } = (await connection(sql, params)) as mysql.ResultSetHeader;
  return { affectedRows, insertId };
}

/** Not DDL nor SET: those are no part of a transaction. */
function isWrite(sql: string): boolean {
  return /^\s*(?:INSERT|UPDATE|DELETE|REPLACE)\b/i.test(sql);
}

/** Done twice it is as done once, and nobody asks how many rows it changed. */
function isRepeatable(sql: string): boolean {
  return /^\s*REPLACE\b/i.test(sql);
}

/** What is known of the earlier attempts at one transaction. */
interface Commit<T> {
  readonly id: Buffer;
  /** COMMIT was sent after work that gave this; if no answer came, it may have happened, or be about to */
  sent: { readonly result: T } | undefined;
}

/**
 * Work that wrote something leaves a mark, a row with the transaction's id, in the same transaction. An attempt that follows a
 * COMMIT without an answer begins with that row: it is there, so all was done; or it waits at the row until the server has ended
 * the earlier attempt; or the row is ours now, and the earlier attempt can never be committed any more, however late it goes on.
 */
async function inTransaction<T>(connection: SqlConnection, work: (tx: Db) => Promise<T>, commit: Commit<T>): Promise<T> {
  await connection('START TRANSACTION');
  const mayBeDone = commit.sent;
  if (mayBeDone !== undefined && !(await insertMark(connection, commit.id))) {
    await connection('ROLLBACK');
    return mayBeDone.result;
  }
  let wrote = false;
  const result = await work({
    query: (sql, params) => runQuery(connection, sql, params),
    async execute(sql, params) {
      const changed = await runExecute(connection, sql, params);
      wrote ||= isWrite(sql) && changed.affectedRows > 0;
      return changed;
    },
  });
  if (wrote && mayBeDone === undefined) await insertMark(connection, commit.id);
  if (wrote) commit.sent = { result };
  await connection('COMMIT');
  return result;
}

/** false: it is there. */
async function insertMark(connection: SqlConnection, id: Buffer): Promise<boolean> {
  try {
    await connection('INSERT INTO transaction_marks (id, made_at) VALUES (?, ?)', [id, Date.now()]);
    return true;
  } catch (error) {
    if (isDuplicateKey(error)) return false;
    throw error;
  }
}

/** Deletes at most `limit` of the marks made before `before`, which nobody asks for any more; how many that were. */
export async function purgeTransactionMarks(db: Db, before: number, limit: number): Promise<number> {
  return (await db.execute('DELETE FROM transaction_marks WHERE made_at < ? LIMIT ?', [before, limit])).affectedRows;
}
