// Counts and short rows of many tables for the export of figures: each one statement, whatever the number of rows.
import type { InstanceState } from '../model/instance.ts';
import type { Quota } from '../model/user.ts';
import type { Db } from './db.ts';
import { isOpen } from './operations.ts';

interface Count { readonly kind: string; readonly state: string; readonly total: number }

export interface WorkCounts {
  /** operations that have not ended */
  readonly open: readonly Count[];
  readonly oldestOpenAt: number | null;
  /** by kind, of those that failed since the given time */
  readonly failed: readonly Omit<Count, 'state'>[];
  readonly moves: readonly Omit<Count, 'kind'>[];
  readonly deliveries: readonly Omit<Count, 'kind'>[];
  readonly incidents: readonly { readonly severity: string; readonly total: number }[];
  readonly discrepancies: number;
}

export async function selectWorkCounts(db: Db, failedSince: number): Promise<WorkCounts> {
  const [open, oldest, failed, moves, deliveries, incidents, discrepancies] = await Promise.all([
    db.query<Count>(`SELECT kind, state, COUNT(*) AS total FROM operations WHERE ${isOpen} GROUP BY kind, state`),
    db.query<{ at: number | null }>(`SELECT MIN(created_at) AS at FROM operations WHERE ${isOpen}`),
    db.query<Count>("SELECT kind, COUNT(*) AS total FROM operations WHERE state = 'failed' AND created_at >= ? GROUP BY kind", [failedSince]),
    db.query<Count>("SELECT state, COUNT(*) AS total FROM moves WHERE state IN ('queued', 'moving') GROUP BY state"),
    db.query<Count>("SELECT state, COUNT(*) AS total FROM deliveries WHERE state = 'queued' GROUP BY state"),
    db.query<{ severity: string; total: number }>("SELECT severity, COUNT(*) AS total FROM incidents WHERE state IN ('open', 'acknowledged') GROUP BY severity"),
    db.query<{ total: number }>('SELECT COUNT(*) AS total FROM discrepancies'),
  ]);
  return { open, oldestOpenAt: oldest[0]?.at ?? null, failed, moves, deliveries, incidents, discrepancies: discrepancies[0]?.total ?? 0 };
}

export interface InstanceCount { readonly hostId: string | null; readonly state: InstanceState; readonly total: number }

export async function countInstancesByHostAndState(db: Db): Promise<InstanceCount[]> {
  const rows = await db.query<{ host_id: string | null; state: InstanceState; total: number }>('SELECT host_id, state, COUNT(*) AS total FROM instances GROUP BY host_id, state');
  return rows.map((row) => ({ hostId: row.host_id, state: row.state, total: row.total }));
}

export interface InstanceFigures {
  readonly id: string;
  readonly name: string;
  readonly userName: string;
  readonly hostId: string | null;
  readonly state: InstanceState;
  readonly vcpus: number;
  readonly memoryMib: number;
  readonly diskGib: number;
  readonly subjectId: number;
}

interface InstanceFiguresRow {
  readonly id: string;
  readonly name: string;
  readonly user_name: string | null;
  readonly host_id: string | null;
  readonly state: InstanceState;
  readonly vcpus: number;
  readonly memory_mib: number;
  readonly disk_gib: number;
  readonly subject_id: number;
}

/** The next instances after this id; '' for the first ones. */
export async function selectInstanceFigures(db: Db, afterId: string, limit: number): Promise<InstanceFigures[]> {
  const rows = await db.query<InstanceFiguresRow>(
    `SELECT i.id, i.name, u.name AS user_name, i.host_id, i.state, i.vcpus, i.memory_mib, i.disk_gib, i.subject_id
     FROM instances i LEFT JOIN users u ON u.id = i.user_id WHERE i.id > ? ORDER BY i.id LIMIT ?`,
    [afterId, limit],
  );
  return rows.map((row) => ({
    id: row.id, name: row.name, userName: row.user_name ?? '', hostId: row.host_id, state: row.state,
    vcpus: row.vcpus, memoryMib: row.memory_mib, diskGib: row.disk_gib, subjectId: row.subject_id,
  }));
}

export interface UserQuota { readonly userId: string; readonly name: string; readonly quota: Quota }

/** Active users with the quota that holds for them. `standard`: for those without one of their own. */
export async function selectUserQuotas(db: Db, standard: Quota): Promise<UserQuota[]> {
  const rows = await db.query<Readonly<Record<'id' | 'name', string> & Record<'instances' | 'vcpus' | 'memory' | 'disk', number>>>(
    `SELECT id, name, COALESCE(quota_instances, ?) AS instances, COALESCE(quota_vcpus, ?) AS vcpus, COALESCE(quota_memory_mib, ?) AS memory, COALESCE(quota_disk_gib, ?) AS disk
     FROM users WHERE state = 'active'`,
    [standard.instances, standard.vcpus, standard.memoryMib, standard.diskGib],
  );
  return rows.map((row) => ({
    userId: row.id, name: row.name,
    // a value of a placeholder arrives as the placeholder's type, which some servers take for a text
    quota: { instances: Number(row.instances), vcpus: Number(row.vcpus), memoryMib: Number(row.memory), diskGib: Number(row.disk) },
  }));
}
