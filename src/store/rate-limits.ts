// Counters of tries in the database, so that all portals share one limit. A counter's window begins with its first try.
// (rate-limiter-flexible's MySQL store speaks to one callback-style connection, takes the time from the process and repeats
// nothing; over several SQL nodes of MySQL Cluster each temporary error would be a failed login. These are two statements.)
import { createHash } from 'node:crypto';
import type { Database, Db } from './db.ts';

export interface RateLimit {
  /** part of the key: 'login-ip' */
  readonly name: string;
  /** tries that are let through in a window */
  readonly points: number;
  readonly windowMs: number;
}

export interface Spent {
  /** the one that refused; without a refusal, the last */
  readonly limit: RateLimit;
  readonly allowed: boolean;
  /** until the window ends */
  readonly remainingMs: number;
}

// hashed: names of any script fit the key, and the table lists nobody's address
function keyOf(limit: RateLimit, subject: string): string {
  return `${limit.name}:${createHash('sha256').update(subject).digest('hex').slice(0, 40)}`;
}

/** Counts one try, however many arrive at once. */
export function spendPoint(db: Database, limit: RateLimit, subject: string, now: number): Promise<Spent> {
  return spendPoints(db, [limit], subject, now);
}

/** Counts one try under each limit; what one refuses is not counted under those after it. */
export function spendPoints(db: Database, limits: readonly [RateLimit, ...RateLimit[]], subject: string, now: number): Promise<Spent> {
  return db.transaction(async (tx) => {
    let spent = await count(tx, limits[0], subject, now);
    for (const limit of limits.slice(1)) if (spent.allowed) spent = await count(tx, limit, subject, now);
    return spent;
  });
}

async function count(tx: Db, limit: RateLimit, subject: string, now: number): Promise<Spent> {
  const key = keyOf(limit, subject);
  // assignments run from left to right: `points` still sees the old `expire`
  await tx.execute(
    'INSERT INTO rate_limits (`key`, points, expire) VALUES (?, 1, ?) ON DUPLICATE KEY UPDATE points = IF(expire <= ?, 1, points + 1), expire = IF(expire <= ?, ?, expire)',
    [key, now + limit.windowMs, now, now, now + limit.windowMs],
  );
  const [row] = await tx.query<{ points: number; expire: number }>('SELECT points, expire FROM rate_limits WHERE `key` = ?', [key]);
  return { limit, allowed: (row?.points ?? 0) <= limit.points, remainingMs: Math.max(0, (row?.expire ?? now) - now) };
}

/** Takes one try back under each limit. */
export async function refundPoints(db: Db, limits: readonly RateLimit[], subject: string): Promise<void> {
  await db.execute('UPDATE rate_limits SET points = points - 1 WHERE `key` IN (?) AND points > 0', [limits.map((limit) => keyOf(limit, subject))]);
}

/** Forgets all tries. */
export async function clearPoints(db: Db, limit: RateLimit, subject: string): Promise<void> {
  await db.execute('DELETE FROM rate_limits WHERE `key` = ?', [keyOf(limit, subject)]);
}

const batchSize = 500;

/** Deletes counters whose window is over, in batches; returns how many. */
export async function purgeRateLimits(db: Db, now: number): Promise<number> {
  for (let total = 0; ; ) {
    const { affectedRows } = await db.execute('DELETE FROM rate_limits WHERE expire <= ? LIMIT ?', [now, batchSize]);
    total += affectedRows;
    if (affectedRows < batchSize) return total;
  }
}
