// Jobs: a lease row each, so that of several portals one runs it. The holder renews all of its leases together, so it keeps a
// job (and the counters it remembers) until it stops or dies.
import type { Db } from './db.ts';
import { clockMarginMs, type Lease } from './lease-watch.ts';

export interface JobRow {
  readonly name: string;
  readonly leaseOwner: string | null;
  readonly leaseUntil: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly error: string | null;
}

export interface JobClaim {
  readonly now: number;
  readonly leaseMs: number;
  /** not when it was begun and ended within this time of now, on whichever portal */
  readonly notWithinMs?: number;
}

/** Takes or renews the lease and notes a run's start. false: another portal holds it, or it has run in this period. Repeatable. */
export async function claimJob(db: Db, name: string, owner: string, { now, leaseMs, notWithinMs = 0 }: JobClaim): Promise<boolean> {
  const claim = async (): Promise<number> => {
    const { affectedRows } = await db.execute(
      `UPDATE jobs SET lease_owner = ?, lease_until = ?, started_at = ? WHERE name = ? AND (lease_owner IS NULL OR lease_until < ? OR lease_owner = ?)
         AND (started_at IS NULL OR started_at NOT BETWEEN ? AND ? OR ended_at IS NULL OR ended_at < started_at OR (lease_owner = ? AND started_at = ?))`,
      [owner, now + leaseMs, now, name, now - clockMarginMs, owner, now - notWithinMs + 1, now + notWithinMs - 1, owner, now],
    );
    return affectedRows;
  };
  if ((await claim()) === 1) return true;
  if ((await db.query('SELECT name FROM jobs WHERE name = ?', [name])).length > 0) return false;
  await db.execute('INSERT INTO jobs (name) VALUES (?) ON DUPLICATE KEY UPDATE name = name', [name]);
  return (await claim()) === 1;
}

/** Takes the lease of a holder that is gone, without a run. false: it was not as seen any more. */
export async function claimStaleJob(db: Db, name: string, seen: Lease, lease: Lease): Promise<boolean> {
  const { affectedRows } = await db.execute(
    'UPDATE jobs SET lease_owner = ?, lease_until = ? WHERE name = ? AND ((lease_owner = ? AND lease_until = ?) OR lease_owner = ?)',
    [lease.ownerId, lease.until, name, seen.ownerId, seen.until, lease.ownerId],
  );
  return affectedRows === 1;
}

/** All that this portal holds. */
export async function renewJobs(db: Db, lease: Lease): Promise<void> {
  await db.execute('UPDATE jobs SET lease_until = ? WHERE lease_owner = ?', [lease.until, lease.ownerId]);
}

/** Records the end of a run. `error` is the system's words, for the admin. */
export async function updateJobEnded(db: Db, name: string, owner: string, now: number, error: string | null): Promise<void> {
  await db.execute('UPDATE jobs SET ended_at = ?, error = ? WHERE name = ? AND lease_owner = ?', [now, error?.slice(0, 2000) ?? null, name, owner]);
}

/** Gives up all leases of a portal that stops, so that another takes over at its next tick. */
export async function releaseJobs(db: Db, owner: string): Promise<void> {
  await db.execute('UPDATE jobs SET lease_owner = NULL, lease_until = 0 WHERE lease_owner = ?', [owner]);
}

export async function selectJobs(db: Db): Promise<JobRow[]> {
  const rows = await db.query<{ name: string; lease_owner: string | null; lease_until: number; started_at: number | null; ended_at: number | null; error: string | null }>(
    'SELECT * FROM jobs ORDER BY name',
  );
  return rows.map((row) => ({ name: row.name, leaseOwner: row.lease_owner, leaseUntil: row.lease_until, startedAt: row.started_at, endedAt: row.ended_at, error: row.error }));
}
