// Jobs: a lease row each, so that of several portals one runs it. The holder renews at every run, so it keeps the job
// (and the counters it remembers) until it stops or dies.
import type { Db } from './db.ts';

export interface JobRow {
  readonly name: string;
  readonly leaseOwner: string | null;
  readonly leaseUntil: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly error: string | null;
}

/** Takes or renews the lease until now + leaseMs. False: another portal holds it. */
export async function claimJob(db: Db, name: string, owner: string, now: number, leaseMs: number): Promise<boolean> {
  const claim = async (): Promise<number> => {
    const { affectedRows } = await db.execute(
      'UPDATE jobs SET lease_owner = ?, lease_until = ?, started_at = ? WHERE name = ? AND (lease_until < ? OR lease_owner = ?)',
      [owner, now + leaseMs, now, name, now, owner],
    );
    return affectedRows;
  };
  if ((await claim()) === 1) return true;
  await db.execute('INSERT INTO jobs (name) VALUES (?) ON DUPLICATE KEY UPDATE name = name', [name]);
  return (await claim()) === 1;
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
