// Where the database and a host disagree and nobody may decide by himself. Reconciliation writes, admins read.
import type { Db } from './db.ts';

export interface Discrepancy {
  readonly id: string;
  /** what is wrong, in the reconciler's words: 'unknown-domain', 'domain-missing', … */
  readonly kind: string;
  readonly hostId: string;
  readonly instanceId: string | null;
  readonly domainUuid: string;
  readonly domainName: string;
  readonly firstSeenAt: number;
  readonly lastSeenAt: number;
}

interface DiscrepancyRow {
  readonly id: string;
  readonly kind: string;
  readonly host_id: string;
  readonly instance_id: string | null;
  readonly domain_uuid: string;
  readonly domain_name: string;
  readonly first_seen_at: number;
  readonly last_seen_at: number;
}

function toDiscrepancy(row: DiscrepancyRow): Discrepancy {
  return {
    id: row.id,
    kind: row.kind,
    hostId: row.host_id,
    instanceId: row.instance_id,
    domainUuid: row.domain_uuid,
    domainName: row.domain_name,
    firstSeenAt: row.first_seen_at,
    lastSeenAt: row.last_seen_at,
  };
}

/** Sees it for the first time or once more; `firstSeenAt` and `id` stay those of the first time. */
export async function upsertDiscrepancy(db: Db, found: Omit<Discrepancy, 'firstSeenAt' | 'lastSeenAt'>, now: number): Promise<void> {
  await db.execute(
    `INSERT INTO discrepancies (id, kind, host_id, instance_id, domain_uuid, domain_name, first_seen_at, last_seen_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)
     ON DUPLICATE KEY UPDATE instance_id = VALUES(instance_id), domain_name = VALUES(domain_name), last_seen_at = VALUES(last_seen_at)`,
    [found.id, found.kind, found.hostId, found.instanceId, found.domainUuid, found.domainName.slice(0, 255), now, now],
  );
}

export async function selectDiscrepancies(db: Db): Promise<Discrepancy[]> {
  return (await db.query<DiscrepancyRow>('SELECT * FROM discrepancies ORDER BY first_seen_at DESC, id LIMIT 500')).map(toDiscrepancy);
}

export async function selectDiscrepanciesByHost(db: Db, hostId: string): Promise<Discrepancy[]> {
  return (await db.query<DiscrepancyRow>('SELECT * FROM discrepancies WHERE host_id = ?', [hostId])).map(toDiscrepancy);
}

/** Forgets what a whole look at the host for these kinds, begun at `since`, did not see any more. */
export async function deleteDiscrepanciesNotSeen(db: Db, hostId: string, kinds: readonly string[], since: number): Promise<void> {
  await db.execute(
    `DELETE FROM discrepancies WHERE host_id = ? AND last_seen_at < ? AND kind IN (${kinds.map(() => '?').join(', ')})`, [hostId, since, ...kinds],
  );
}

export async function deleteDiscrepancy(db: Db, id: string): Promise<void> {
  await db.execute('DELETE FROM discrepancies WHERE id = ?', [id]);
}
