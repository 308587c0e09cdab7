// Recoveries of lost hosts, one at a time for each host: hosts.recovery_id holds the place. Which instances are owed a
// restart stands at the instances, so that it outlives the recovery that could not do it.
import type { Sentence } from '../errors.ts';
import type { FenceProof } from '../model/host.ts';
import type { Instance } from '../model/instance.ts';
import type { Recovery, RecoveryReport, RecoveryState } from '../model/recovery.ts';
import { columnToJson, columnToSentence, jsonToColumn, sentenceToColumn } from './columns.ts';
import type { Db, SqlValue } from './db.ts';
import { selectInstancesByIds } from './instances.ts';

interface RecoveryRow {
  readonly id: string;
  readonly host_id: string;
  readonly host_name: string;
  readonly state: RecoveryState;
  readonly drill: number;
  readonly user_id: string | null;
  readonly forced: number;
  readonly confirmed_by: string | null;
  readonly waits_for: string | null;
  readonly seen_at: number | null;
  readonly noticed_at: number;
  readonly proven_at: number | null;
  readonly proof: FenceProof | null;
  readonly fence_tried_at: number | null;
  readonly alerted_at: number | null;
  readonly restarted_at: number | null;
  readonly ended_at: number | null;
  readonly report: Buffer;
}

const columns = `id, host_id, host_name, state, drill, user_id, forced, confirmed_by, waits_for, seen_at, noticed_at, proven_at, proof,
  fence_tried_at, alerted_at, restarted_at, ended_at, report`;
/** Bytes of the column; names of those that do not fit are left out from the end. */
const maxReportBytes = 16_000;

function toRecovery(row: RecoveryRow): Recovery {
  return {
    id: row.id,
    hostId: row.host_id,
    hostName: row.host_name,
    state: row.state,
    drill: row.drill === 1,
    userId: row.user_id,
    forced: row.forced === 1,
    confirmedBy: row.confirmed_by,
    waitsFor: columnToSentence(row.waits_for),
    seenAt: row.seen_at,
    noticedAt: row.noticed_at,
    provenAt: row.proven_at,
    proof: row.proof,
    fenceTriedAt: row.fence_tried_at,
    alertedAt: row.alerted_at,
    restartedAt: row.restarted_at,
    endedAt: row.ended_at,
    report: columnToJson<RecoveryReport>(row.report),
  };
}

// ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export async function selectOptionalRecovery(db: Db, id: string): Promise<Recovery | undefined> {
  const [row] = await db.query<RecoveryRow>(`SELECT ${columns} FROM recoveries WHERE id = ?`, [id]);
  return row && toRecovery(row);
}

/** All that have not ended, oldest first. */
export async function selectOpenRecoveries(db: Db): Promise<Recovery[]> {
  const rows = await db.query<RecoveryRow>(
    `SELECT ${columns} FROM recoveries WHERE state IN ('confirming', 'proving', 'waiting', 'restarting') ORDER BY noticed_at, id`,
  );
  return rows.map(toRecovery);
}

/** Newest first; `total` counts them all. */
export async function selectRecoveriesPage(db: Db, page: number, pageSize: number): Promise<{ recoveries: Recovery[]; total: number }> {
  const rows = await db.query<RecoveryRow>(`SELECT ${columns} FROM recoveries ORDER BY noticed_at DESC, id LIMIT ? OFFSET ?`, [pageSize, (page - 1) * pageSize]);
  const [count] = await db.query<{ total: number }>('SELECT COUNT(*) AS total FROM recoveries');
  return { recoveries: rows.map(toRecovery), total: count?.total ?? 0 };
}

/** Of one host, newest first. */
export async function selectRecoveriesByHost(db: Db, hostId: string, limit: number): Promise<Recovery[]> {
  const rows = await db.query<RecoveryRow>(`SELECT ${columns} FROM recoveries WHERE host_id = ? ORDER BY noticed_at DESC, id LIMIT ?`, [hostId, limit]);
  return rows.map(toRecovery);
}

/** Its recovery that has not ended; null: none. */
export async function selectHostRecoveryId(db: Db, hostId: string): Promise<string | null> {
  const [row] = await db.query<{ recovery_id: string | null }>('SELECT recovery_id FROM hosts WHERE id = ?', [hostId]);
  return row?.recovery_id ?? null;
}

/** Hosts on which something has its home, or is just about to, or whose loss is rehearsed: proving them gone is of use. */
export async function selectInhabitedHostIds(db: Db): Promise<Set<string>> {
  const rows = await db.query<{ host_id: string }>(
    `SELECT DISTINCT host_id FROM instances WHERE host_id IS NOT NULL AND state <> 'failed'
     UNION SELECT to_host_id FROM moves WHERE state IN ('queued', 'moving')
     UNION SELECT host_id FROM drills WHERE state = 'running'`,
  );
  return new Set(rows.map((row) => row.host_id));
}

/** Fenced hosts with instances that are owed a restart, while no recovery works on it. */
export async function selectHostsOwingRestarts(db: Db): Promise<string[]> {
  const rows = await db.query<{ id: string }>(
    `SELECT hosts.id FROM hosts WHERE hosts.state = 'fenced' AND hosts.recovery_id IS NULL
       AND EXISTS (SELECT 1 FROM instances WHERE instances.host_id = hosts.id AND instances.recovery_id IS NOT NULL)`,
  );
  return rows.map((row) => row.id);
}

/** Instances that this host still owes a restart. Those that have found another home meanwhile are not among them. */
export async function selectOwedInstances(db: Db, hostId: string): Promise<Instance[]> {
  const rows = await db.query<{ id: string }>('SELECT id FROM instances WHERE host_id = ? AND recovery_id IS NOT NULL', [hostId]);
  return (await selectInstancesByIds(db, rows.map((row) => row.id))).filter((instance) => instance.hostId === hostId);
}

// ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export type NewRecovery = Pick<Recovery, 'id' | 'hostId' | 'hostName' | 'drill' | 'userId' | 'forced' | 'confirmedBy' | 'seenAt' | 'noticedAt' | 'report'>;

/** Takes the host's place for a recovery and records it. false: another one has it. */
export async function claimHostRecovery(tx: Db, recovery: NewRecovery): Promise<boolean> {
  const { affectedRows } = await tx.execute('UPDATE hosts SET recovery_id = ? WHERE id = ? AND recovery_id IS NULL', [recovery.id, recovery.hostId]);
  if (affectedRows === 0) return false;
  await tx.execute(
    `INSERT INTO recoveries (id, host_id, host_name, state, drill, user_id, forced, confirmed_by, seen_at, noticed_at, report)
     VALUES (?, ?, ?, 'confirming', ?, ?, ?, ?, ?, ?, ?)`,
    [recovery.id, recovery.hostId, recovery.hostName, recovery.drill ? 1 : 0, recovery.userId, recovery.forced ? 1 : 0, recovery.confirmedBy,
      recovery.seenAt, recovery.noticedAt, jsonToColumn(recovery.report)],
  );
  return true;
}

export interface RecoveryChange {
  readonly state?: RecoveryState;
  readonly waitsFor?: Sentence | null;
  readonly provenAt?: number;
  readonly proof?: FenceProof;
  readonly fenceTriedAt?: number;
  readonly restartedAt?: number;
  readonly endedAt?: number;
  readonly report?: RecoveryReport;
}

export async function updateRecovery(db: Db, id: string, change: RecoveryChange): Promise<void> {
  const sets: string[] = ['id = id'];
  const params: SqlValue[] = [];
  const set = (column: string, value: SqlValue | undefined): void => {
    if (value === undefined) return;
    sets.push(`${column} = ?`);
    params.push(value);
  };
  set('state', change.state);
  if (change.waitsFor !== undefined) set('waits_for', sentenceToColumn(change.waitsFor, 1000));
  set('proven_at', change.provenAt);
  set('proof', change.proof);
  set('fence_tried_at', change.fenceTriedAt);
  set('restarted_at', change.restartedAt);
  set('ended_at', change.endedAt);
  if (change.report !== undefined) set('report', reportToColumn(change.report));
  await db.execute(`UPDATE recoveries SET ${sets.join(', ')} WHERE id = ?`, [...params, id]);
}

function reportToColumn(report: RecoveryReport): Buffer {
  for (let count = report.unfit.length; ; count--) {
    const column = jsonToColumn({ ...report, unfit: report.unfit.slice(0, count) });
    if (column.length <= maxReportBytes || count === 0) return column;
  }
}

/** An admin's word that the host has no power. false: it was given already, or the recovery has ended. */
export async function claimRecoveryConfirmed(db: Db, id: string, userId: string): Promise<boolean> {
  const { affectedRows } = await db.execute(
    `UPDATE recoveries SET confirmed_by = ? WHERE id = ? AND confirmed_by IS NULL AND ended_at IS NULL
       AND (proof IS NULL OR proof = 'lock')`, [userId, id],
  );
  return affectedRows === 1;
}

/** An admin's word that it is the host and not our network. */
export async function updateRecoveryForced(db: Db, id: string): Promise<void> {
  await db.execute('UPDATE recoveries SET forced = 1 WHERE id = ? AND ended_at IS NULL', [id]);
}

/** Once for each recovery: whoever wins tells the admins. */
export async function claimRecoveryAlert(db: Db, id: string, at: number): Promise<boolean> {
  return (await db.execute('UPDATE recoveries SET alerted_at = ? WHERE id = ? AND alerted_at IS NULL', [at, id])).affectedRows === 1;
}

/** The host's place is free again. What has found another home meanwhile is owed nothing: it would be started at the next loss. */
export async function updateRecoveryEnded(tx: Db, id: string, hostId: string, state: RecoveryState, at: number): Promise<void> {
  await tx.execute('UPDATE instances SET recovery_id = NULL WHERE recovery_id = ? AND (host_id IS NULL OR host_id <> ?)', [id, hostId]);
  await tx.execute("UPDATE recoveries SET state = ?, ended_at = ?, waits_for = NULL WHERE id = ? AND ended_at IS NULL", [state, at, id]);
  await tx.execute('UPDATE hosts SET recovery_id = NULL WHERE id = ? AND recovery_id = ?', [hostId, id]);
}

/** Is it unreachable still? The row is written, so that its coming back and its being proven gone exclude each other. */
export async function claimHostStillUnreachable(tx: Db, hostId: string): Promise<boolean> {
  return (await tx.execute("UPDATE hosts SET state_since = state_since WHERE id = ? AND state = 'unreachable'", [hostId])).affectedRows === 1;
}

/**
 * What ran here and is to run again elsewhere. What is just being shut down or deleted is not: its owner wants it off.
 * What is just being started is.
 */
export async function updateInstancesOwed(tx: Db, hostId: string, recoveryId: string): Promise<void> {
  await tx.execute(
    `UPDATE instances SET recovery_id = ? WHERE host_id = ? AND ha = 1 AND (recovery_id IS NOT NULL
       OR (state IN ('running', 'paused') AND (operation_kind IS NULL OR operation_kind NOT IN ('instance-shutdown', 'instance-force-off', 'instance-delete')))
       OR (state = 'stopped' AND operation_kind = 'instance-start'))`,
    [recoveryId, hostId],
  );
}

/** It runs again, or nobody wants it to. */
export async function updateInstanceNotOwed(tx: Db, instanceId: string): Promise<void> {
  await tx.execute('UPDATE instances SET recovery_id = NULL WHERE id = ?', [instanceId]);
}

/** It has come back before anything was done. */
export async function updateHostOwesNothing(tx: Db, hostId: string): Promise<void> {
  await tx.execute('UPDATE instances SET recovery_id = NULL WHERE host_id = ? AND recovery_id IS NOT NULL', [hostId]);
}

/** What was running on a host that has no power. Operations that hold instances end by themselves and say what they found. */
export async function selectRunningInstanceIds(tx: Db, hostId: string): Promise<string[]> {
  const rows = await tx.query<{ id: string }>("SELECT id FROM instances WHERE host_id = ? AND operation_id IS NULL AND state IN ('running', 'paused') ORDER BY id", [hostId]);
  return rows.map((row) => row.id);
}
