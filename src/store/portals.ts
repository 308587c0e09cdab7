// The portals that work on this database. Each writes every few seconds that it lives; all times here are the database's, so
// that portals whose clocks differ are told by one.
import { createHash } from 'node:crypto';
import { uuidFromHash } from '../model/uuid.ts';
import type { Db } from './db.ts';

/** This process, as the others know it. */
export interface PortalIdentity {
  /** the same after a restart: of its name */
  readonly id: string;
  readonly name: string;
  /** where it listens itself, without the proxy in front of it */
  readonly url: string;
  readonly version: string;
  /** of this process alone: what its leases of jobs and operations name */
  readonly leaseOwner: string;
}

export interface Portal extends PortalIdentity {
  readonly startedAt: number;
  readonly seenAt: number;
  /** null: it runs, or died */
  readonly stoppedAt: number | null;
  /** how far its clock is ahead of the database's */
  readonly skewMs: number | null;
}

/** Milliseconds UTC by the database's clock, in SQL. */
export const databaseNow = "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(3)) DIV 1000)";

/** The id of the portal of this name: what is measured of it stays together over its restarts, without anything to keep. */
export function portalIdOf(name: string): string {
  return uuidFromHash(createHash('sha256').update(`portal ${name}`).digest('hex'));
}

/** It starts: also in place of its predecessor of the same name. */
export async function upsertPortal(db: Db, portal: PortalIdentity): Promise<void> {
  await db.execute(
    `INSERT INTO portals (id, name, url, version, lease_owner, started_at, seen_at) VALUES (?, ?, ?, ?, ?, ${databaseNow}, ${databaseNow})
     ON DUPLICATE KEY UPDATE name = VALUES(name), url = VALUES(url), version = VALUES(version), started_at = VALUES(started_at),
       seen_at = VALUES(seen_at), stopped_at = NULL, skew_ms = NULL, lease_owner = VALUES(lease_owner)`,
    [portal.id, portal.name, portal.url, portal.version, portal.leaseOwner],
  );
}

/** It lives. false: another process has its name, or its row was removed. */
export async function updatePortalSeen(db: Db, portal: Pick<PortalIdentity, 'id' | 'leaseOwner'>, skewMs: number | null): Promise<boolean> {
  const { affectedRows } = await db.execute(
    `UPDATE portals SET seen_at = ${databaseNow}, skew_ms = ? WHERE id = ? AND lease_owner = ?`, [skewMs, portal.id, portal.leaseOwner],
  );
  return affectedRows === 1;
}

/** It stops in good order. */
export async function updatePortalStopped(db: Db, portal: Pick<PortalIdentity, 'id' | 'leaseOwner'>): Promise<void> {
  await db.execute(`UPDATE portals SET stopped_at = ${databaseNow} WHERE id = ? AND lease_owner = ?`, [portal.id, portal.leaseOwner]);
}

interface PortalRow {
  readonly id: string;
  readonly name: string;
  readonly url: string;
  readonly version: string;
  readonly lease_owner: string;
  readonly started_at: number;
  readonly seen_at: number;
  readonly stopped_at: number | null;
  readonly skew_ms: number | null;
}

/** By name. */
export async function selectPortals(db: Db): Promise<Portal[]> {
  const rows = await db.query<PortalRow>('SELECT id, name, url, version, lease_owner, started_at, seen_at, stopped_at, skew_ms FROM portals ORDER BY name, id');
  return rows.map((row) => ({
    id: row.id, name: row.name, url: row.url, version: row.version, leaseOwner: row.lease_owner,
    startedAt: row.started_at, seenAt: row.seen_at, stoppedAt: row.stopped_at, skewMs: row.skew_ms,
  }));
}

/** A portal writes every 3 s that it lives; one that has not for so long, with a margin for one that is busy, does not, or was not there without a break. Milliseconds. */
export const livingMs = 15_000;
const lives = `stopped_at IS NULL AND seen_at >= ${databaseNow} - ${livingMs}`;

/** Since when a portal has been there without a break: the oldest start of those that live; null: none does. */
export async function selectPortalsUpSince(db: Db): Promise<number | null> {
  const [row] = await db.query<{ since: number | null }>(`SELECT MIN(started_at) AS since FROM portals WHERE ${lives}`);
  return row?.since ?? null;
}

/** Their names; also of those that lived when this database was backed up, when that was a moment ago. */
export async function selectLivingPortals(db: Db): Promise<string[]> {
  return (await db.query<{ name: string }>(`SELECT name FROM portals WHERE ${lives} ORDER BY name`)).map(({ name }) => name);
}

/** Forgets those not seen for that long. How many. */
export async function deleteOldPortals(db: Db, olderThanMs: number): Promise<number> {
  const { affectedRows } = await db.execute(`DELETE FROM portals WHERE seen_at < ${databaseNow} - ?`, [olderThanMs]);
  return affectedRows;
}

/** false: it lives, or is not there. */
export async function deletePortal(db: Db, id: string, notSeenForMs: number): Promise<boolean> {
  const { affectedRows } = await db.execute(`DELETE FROM portals WHERE id = ? AND (stopped_at IS NOT NULL OR seen_at < ${databaseNow} - ?)`, [id, notSeenForMs]);
  return affectedRows === 1;
}
