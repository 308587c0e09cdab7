// One SQL node: a pool of connections to it, and whether it can be worked with. A node that dies cuts its connections; one that
// hangs accepts them and answers nobody, so what is overdue is held against a question of its own: a node that does not answer
// even that has all of its connections cut, and whoever waited goes on elsewhere. It is asked again until it answers.
import { connect, type Socket } from 'node:net';
import mysql from 'mysql2/promise';
import type { SqlValue } from './db.ts';
import { isNodeLost } from './mysql-errors.ts';

/** A statement that takes longer makes the node prove that it lives. Too short: questions all the time; too long: pages wait. */
const overdueMs = 1500;
/** An answer to that question. Too short: a busy node is taken for a dead one; too long: pages wait. */
const answerMs = 3000;
/** No statement of ours takes longer, but changes of big tables. */
const statementMs = 120_000;
/**
 * A portal that stands still inside a transaction keeps its locks no longer than this; without an end to that nobody could take
 * over what it was at. Too short: one that pauses begins its transactions anew. Only MariaDB has it for a connection, and reads what
 * stands in such a comment; MySQL Cluster has TransactionInactiveTimeout in its config.ini.
 */
const letGoOfIdle = 'SET @idle = 1 /*M! , SESSION idle_transaction_timeout = 5 */';
/** Between two questions to a node that is lost. */
const probeEveryMs = 1000;

export class SqlNode {
  /** host:port or the socket's path, for people */
  readonly name: string;
  readonly #options: mysql.ConnectionOptions;
  readonly #pool: mysql.Pool;
  readonly #sockets = new Set<Socket>();
  #lostAt: number | undefined;
  #closed = false;
  #isAsking = false;
  #timer: NodeJS.Timeout | undefined;
  /** those that wait for a connection */
  readonly #waiting = new Set<(error: Error) => void>();

  constructor(url: string, connectionLimit: number) {
    const { name, address, account } = parse(url);
    this.name = name;
    this.#options = {
      ...account,
      // our own sockets, so that all of them can be cut at once
      stream: () => this.#open(address),
      connectTimeout: answerMs,
      charset: 'utf8mb4_bin',
      timezone: 'Z',
      multipleStatements: false,
      supportBigNumbers: true,
      // repeated conditional updates must tell "matched", not "changed": clients found rows
      flags: ['FOUND_ROWS'],
    };
    this.#pool = mysql.createPool({ ...this.#options, connectionLimit });
    // one that breaks at this is found broken by what follows
    this.#pool.pool.on('connection', (connection) => void connection.query(letGoOfIdle, () => undefined));
  }

  /** When it was lost, by performance.now(); undefined: it works as far as is known. */
  get lostAt(): number | undefined {
    return this.#lostAt;
  }

  #open(address: Address): Socket {
    const socket = 'path' in address ? connect(address) : connect({ ...address, noDelay: true, keepAlive: true, keepAliveInitialDelay: 10_000 });
    this.#sockets.add(socket);
    return socket.once('close', () => this.#sockets.delete(socket));
  }

  /** Lends a connection; one that `work` found broken does not come back. */
  async withConnection<T>(work: (connection: SqlConnection) => Promise<T>): Promise<T> {
    const connection = await this.#acquire();
    const run: SqlConnection = async (sql, params = []) => {
      const watch = setInterval(() => this.#doubt(), overdueMs);
      try {
        const [result] = await within(statementMs, connection.query(sql, [...params]));
        return result;
      } catch (error) {
        throw withoutValues(error, sql);
      } finally {
        clearInterval(watch);
      }
    };
    try {
      const result = await work(run);
      connection.release();
      return result;
    } catch (error) {
      if (isNodeLost(error)) {
        connection.destroy();
        this.#doubt();
        throw error;
      }
      // ends the transaction, if there was one; a connection that cannot is broken
      await run('ROLLBACK').then(() => connection.release(), () => connection.destroy());
      throw error;
    }
  }

  /** One SELECT at this very node, once. */
  async query<T extends object>(sql: string): Promise<T[]> {
    return (await this.withConnection((run) => run(sql))) as unknown as T[];
  }

  /** Waits for a free connection, but not at a node that is lost meanwhile. */
  #acquire(): Promise<mysql.PoolConnection> {
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      this.#pool.getConnection().then(
        (connection) => (this.#waiting.delete(reject) ? resolve(connection) : connection.release()),
        (error: unknown) => {
          this.#waiting.delete(reject);
          if (isNodeLost(error)) this.#lose();
          reject(error);
        },
      );
    });
  }

  /** Takes it out of use until it answers again. */
  #lose(): void {
    if (this.#lostAt !== undefined || this.#closed) return;
    this.#lostAt = performance.now();
    const error = Object.assign(new Error(`${this.name} does not answer`), { code: 'PROTOCOL_CONNECTION_LOST' });
    for (const socket of this.#sockets) socket.destroy(error);
    for (const reject of this.#waiting) reject(error);
    this.#waiting.clear();
    this.#tryAgain(0);
  }

  #tryAgain(inMs: number): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.ping().then(
        () => { this.#lostAt = undefined; },
        () => this.#tryAgain(probeEveryMs),
      );
    }, inMs).unref();
  }

  #doubt(): void {
    if (this.#lostAt !== undefined || this.#isAsking) return;
    this.#isAsking = true;
    this.ping()
      .catch((error: unknown) => { if (isNodeLost(error)) this.#lose(); })
      .finally(() => { this.#isAsking = false; });
  }

  /** Asks it something on a connection of its own; milliseconds until the answer, of which there may be none within seconds. */
  async ping(): Promise<number> {
    const began = performance.now();
    const connection = await mysql.createConnection(this.#options);
    // told by the query that waits
    connection.on('error', () => undefined);
    try {
      // a table, because an SQL node without data nodes answers all else
      await within(answerMs, connection.query('SELECT name FROM migrations LIMIT 1'));
    } catch (error) {
      if (isNodeLost(error)) throw error;
    } finally {
      connection.destroy();
    }
    return performance.now() - began;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    // a node that hangs never says goodbye
    const cut = setTimeout(() => { for (const socket of this.#sockets) socket.destroy(); }, this.#lostAt === undefined ? answerMs : 0);
    await this.#pool.end().catch(() => undefined);
    clearTimeout(cut);
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** Runs one statement; rows or a result header. */
export type SqlConnection = (sql: string, params?: readonly SqlValue[]) => Promise<mysql.QueryResult>;

type Address = { readonly path: string } | { readonly host: string; readonly port: number };

/** Parses one DATABASE_URL (mysql://user:password@host:port/database[?socketPath=…]). */
function parse(url: string): { readonly name: string; readonly address: Address; readonly account: mysql.ConnectionOptions } {
  const parsed = new URL(url);
  const path = parsed.searchParams.get('socketPath');
  const port = Number(parsed.port || 3306);
  const database = decodeURIComponent(parsed.pathname.slice(1));
  return {
    name: path ?? `${parsed.hostname}:${port}`,
    address: path === null ? { host: parsed.hostname.replace(/^\[(.*)\]$/, '$1'), port } : { path },
    account: { user: decodeURIComponent(parsed.username), password: decodeURIComponent(parsed.password), ...(database === '' ? {} : { database }) },
  };
}

/** mysql2's own timeout of a statement outlives a connection that breaks. */
async function within<T>(ms: number, answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(Object.assign(new Error(`no answer within ${ms} ms`), { code: 'ETIMEDOUT' })), ms);
  });
  return Promise.race([answer, timeout]).finally(() => clearTimeout(timer));
}

/** mysql2's errors carry the statement with all values in it, hashes and keys among them, and would bring them into the log. */
function withoutValues(error: unknown, sql: string): unknown {
  if (typeof error === 'object' && error !== null && 'sql' in error) error.sql = sql;
  return error;
}
