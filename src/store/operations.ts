// Operations and their steps. Whoever works on one holds its lease: every write of a runner names the owner it believes to
// be, so that one that lost its lease changes nothing.
import { AppError, say, type Sentence } from '../errors.ts';
import type { Operation, OperationKind, OperationState, OperationStep, StepState } from '../model/operation.ts';
import { columnToJson, columnToSentence, jsonToColumn, sentenceToColumn } from './columns.ts';
import type { Db, SqlValue } from './db.ts';
import { clockMarginMs, type Lease } from './lease-watch.ts';

interface OperationRow {
  readonly id: string;
  readonly kind: OperationKind;
  readonly state: OperationState;
  readonly instance_id: string | null;
  readonly host_id: string | null;
  readonly user_id: string | null;
  readonly progress_percent: number | null;
  readonly error: string | null;
  readonly note: string | null;
  readonly cancellable: number;
  readonly cancel_requested: number;
  readonly created_at: number;
  readonly started_at: number | null;
  readonly ended_at: number | null;
}

const columns = `id, kind, state, instance_id, host_id, user_id, progress_percent, error, note, cancellable, cancel_requested,
  created_at, started_at, ended_at`;

function toOperation(row: OperationRow): Operation {
  return {
    id: row.id,
    kind: row.kind,
    state: row.state,
    instanceId: row.instance_id,
    hostId: row.host_id,
    userId: row.user_id,
    progressPercent: row.progress_percent,
    error: columnToSentence(row.error),
    note: columnToSentence(row.note),
    cancellable: (row.state === 'queued' || row.state === 'running') && row.cancellable === 1 && row.cancel_requested === 0,
    cancelRequested: row.cancel_requested === 1,
    createdAt: row.created_at,
    startedAt: row.started_at,
    endedAt: row.ended_at,
  };
}

/** SQL of: it has not ended. */
export const isOpen = "state IN ('queued', 'running', 'undoing')";

export interface NewOperation extends Pick<Operation, 'id' | 'kind' | 'instanceId' | 'hostId' | 'userId' | 'createdAt'> {
  readonly input: unknown;
  readonly stepNames: readonly string[];
}

export async function insertOperation(tx: Db, operation: NewOperation): Promise<void> {
  await tx.execute(
    `INSERT INTO operations (id, kind, state, instance_id, host_id, user_id, input, context, created_at)
     VALUES (?, ?, 'queued', ?, ?, ?, ?, ?, ?)`,
    [operation.id, operation.kind, operation.instanceId, operation.hostId, operation.userId,
      jsonToColumn(operation.input), jsonToColumn({}), operation.createdAt],
  );
  const rows = operation.stepNames.map((name, position) => [operation.id, position, name]);
  await tx.execute(
    `INSERT INTO operation_steps (operation_id, position, name, state) VALUES ${rows.map(() => "(?, ?, ?, 'waiting')").join(', ')}`,
    rows.flat(),
  );
}

export async function selectOptionalOperation(db: Db, id: string): Promise<Operation | undefined> {
  const [row] = await db.query<OperationRow>(`SELECT ${columns} FROM operations WHERE id = ?`, [id]);
  return row && toOperation(row);
}

/** Throws not-found. */
export async function selectOperation(db: Db, id: string): Promise<Operation> {
  return orNotFound(await selectOptionalOperation(db, id));
}

function orNotFound(operation: Operation | undefined): Operation {
  if (operation === undefined) throw new AppError('not-found', say('errors.not-found'));
  return operation;
}

/**
 * The one that made an instance which is there; undefined: it ended long ago. MySQL Cluster commits the rows of a transaction one
 * after the other, so one that is not seen is looked for with a lock, which waits for whoever is just writing it.
 */
export async function selectOptionalCreation(db: Db, instanceId: string): Promise<Operation | undefined> {
  const ask = (lock: '' | 'LOCK IN SHARE MODE'): Promise<OperationRow[]> => db.query<OperationRow>(
    `SELECT ${columns} FROM operations WHERE instance_id = ? AND kind = 'instance-create' ORDER BY created_at DESC, id LIMIT 1 ${lock}`, [instanceId],
  );
  const [row] = await ask('');
  const [found] = row === undefined ? await ask('LOCK IN SHARE MODE') : [row];
  return found && toOperation(found);
}

/** One that another row speaks of (its instance, host or move): as selectOptionalCreation it waits for whoever is just writing it. */
export async function selectOptionalNamedOperation(db: Db, id: string): Promise<Operation | undefined> {
  const operation = await selectOptionalOperation(db, id);
  if (operation !== undefined) return operation;
  const [row] = await db.query<OperationRow>(`SELECT ${columns} FROM operations WHERE id = ? LOCK IN SHARE MODE`, [id]);
  return row && toOperation(row);
}

/** Likewise. Throws not-found. */
export async function selectNamedOperation(db: Db, id: string): Promise<Operation> {
  return orNotFound(await selectOptionalNamedOperation(db, id));
}

interface StepRow {
  readonly position: number;
  readonly name: string;
  readonly state: StepState;
  readonly started_at: number | null;
  readonly ended_at: number | null;
  readonly error: string | null;
}

/** In their order. */
export async function selectOperationSteps(db: Db, operationId: string): Promise<OperationStep[]> {
  const rows = await db.query<StepRow>(
    'SELECT position, name, state, started_at, ended_at, error FROM operation_steps WHERE operation_id = ? ORDER BY position', [operationId],
  );
  return rows.map((row) => ({
    position: row.position, name: row.name, state: row.state, startedAt: row.started_at, endedAt: row.ended_at, error: columnToSentence(row.error),
  }));
}

export interface OperationFilter {
  readonly page: number;
  readonly pageSize: number;
  readonly state?: OperationState | undefined;
  readonly kind?: OperationKind | undefined;
  readonly instanceId?: string | undefined;
  readonly hostId?: string | undefined;
  readonly userId?: string | undefined;
}

/** Newest first; pages count from 1. `total` counts what the filter lets through. */
export async function selectOperationsPage(db: Db, filter: OperationFilter): Promise<{ operations: Operation[]; total: number }> {
  const conditions: string[] = [];
  const params: SqlValue[] = [];
  const only = (column: string, value: SqlValue | undefined): void => {
    if (value === undefined) return;
    conditions.push(`${column} = ?`);
    params.push(value);
  };
  only('state', filter.state);
  only('kind', filter.kind);
  only('instance_id', filter.instanceId);
  only('host_id', filter.hostId);
  only('user_id', filter.userId);
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
  const rows = await db.query<OperationRow>(
    `SELECT ${columns} FROM operations ${where} ORDER BY created_at DESC, id LIMIT ? OFFSET ?`,
    [...params, filter.pageSize, (filter.page - 1) * filter.pageSize],
  );
  const [count] = await db.query<{ total: number }>(`SELECT COUNT(*) AS total FROM operations ${where}`, params);
  return { operations: rows.map(toOperation), total: count?.total ?? 0 };
}

/** Newest first. */
export async function selectOperationsByInstance(db: Db, instanceId: string, limit = 20): Promise<Operation[]> {
  const rows = await db.query<OperationRow>(
    `SELECT ${columns} FROM operations WHERE instance_id = ? ORDER BY created_at DESC, id LIMIT ?`, [instanceId, limit],
  );
  return rows.map(toOperation);
}

/** Of these kinds, those on this host that have not ended; oldest first. */
export async function selectOpenOperationsByHost(db: Db, hostId: string, kinds: readonly OperationKind[]): Promise<Operation[]> {
  const rows = await db.query<OperationRow>(
    `SELECT ${columns} FROM operations WHERE ${isOpen} AND host_id = ? AND kind IN (${kinds.map(() => '?').join(', ')})
     ORDER BY created_at, id`,
    [hostId, ...kinds],
  );
  return rows.map(toOperation);
}

/** The newest of one of these kinds on this host, whatever became of it. */
export async function selectLastOperationOfHost(db: Db, hostId: string, kinds: readonly OperationKind[]): Promise<Operation | undefined> {
  const [row] = await db.query<OperationRow>(
    `SELECT ${columns} FROM operations WHERE host_id = ? AND kind IN (${kinds.map(() => '?').join(', ')}) ORDER BY created_at DESC, id LIMIT 1`,
    [hostId, ...kinds],
  );
  return row && toOperation(row);
}

/** Cancelling one that runs: only before its point of no return, which the runner passes by a write to this same row. */
export async function requestOperationCancel(db: Db, id: string): Promise<boolean> {
  const { affectedRows } = await db.execute(
    "UPDATE operations SET cancel_requested = 1, run_after = 0 WHERE id = ? AND state = 'running' AND cancellable = 1", [id],
  );
  return affectedRows === 1;
}

/** Ends one that nobody has begun. */
export async function cancelQueuedOperation(tx: Db, id: string, now: number): Promise<boolean> {
  const { affectedRows } = await tx.execute(
    "UPDATE operations SET state = 'cancelled', cancel_requested = 1, ended_at = ? WHERE id = ? AND state = 'queued'", [now, id],
  );
  return affectedRows === 1;
}

// ── for the runner ──────────────────────────────────────────────────────────────────────────────────────────────────

/** An operation with what only its runner needs. */
export interface OperationRecord<Context> {
  readonly operation: Operation;
  readonly input: unknown;
  readonly context: Context;
  /** claims since the last step that was finished: one that grows tells of an operation that kills its runner */
  readonly attempts: number;
  /** since when its host has not answered */
  readonly waitingSince: number | null;
  /** when its guest was last reset */
  readonly eventAt: number | null;
}

interface RecordRow extends OperationRow {
  readonly input: Buffer;
  readonly context: Buffer;
  readonly lease_owner: string | null;
  readonly lease_until: number;
  readonly attempts: number;
  readonly waiting_since: number | null;
  readonly event_at: number | null;
}

export interface ClaimableQuery {
  readonly now: number;
  readonly limit: number;
  /** what this portal knows to do; others are for a newer one */
  readonly kinds: readonly OperationKind[];
  /** who asks: it needs no margin for its own clock */
  readonly ownerId: string;
  readonly exceptIds: readonly string[];
  /** hosts that have enough going on */
  readonly exceptHostIds: readonly string[];
}

// a lease of one's own that was given up counts by one's own clock
const isFree = '(lease_owner IS NULL OR lease_until < ? OR (lease_owner = ? AND lease_until < ?))';

/** Oldest first: those that nobody holds and whose time has come. */
export async function selectClaimableOperations(db: Db, query: ClaimableQuery): Promise<{ id: string; hostId: string | null }[]> {
  const params: SqlValue[] = [query.now - clockMarginMs, query.ownerId, query.now, query.now, ...query.kinds];
  let except = ` AND kind IN (${query.kinds.map(() => '?').join(', ')})`;
  if (query.exceptIds.length > 0) {
    except += ` AND id NOT IN (${query.exceptIds.map(() => '?').join(', ')})`;
    params.push(...query.exceptIds);
  }
  if (query.exceptHostIds.length > 0) {
    except += ` AND (host_id IS NULL OR host_id NOT IN (${query.exceptHostIds.map(() => '?').join(', ')}))`;
    params.push(...query.exceptHostIds);
  }
  const rows = await db.query<{ id: string; host_id: string | null }>(
    `SELECT id, host_id FROM operations
     WHERE ${isOpen} AND ${isFree} AND run_after <= ?${except} ORDER BY created_at, id LIMIT ?`,
    [...params, query.limit],
  );
  return rows.map((row) => ({ id: row.id, hostId: row.host_id }));
}

/** Of these kinds, what others hold. */
export async function selectOperationLeases(db: Db, ownerId: string, kinds: readonly OperationKind[]): Promise<{ id: string; hostId: string | null; lease: Lease }[]> {
  const rows = await db.query<{ id: string; host_id: string | null; lease_owner: string; lease_until: number }>(
    `SELECT id, host_id, lease_owner, lease_until FROM operations
     WHERE ${isOpen} AND lease_until > 0 AND lease_owner IS NOT NULL AND lease_owner <> ? AND kind IN (${kinds.map(() => '?').join(', ')})`,
    [ownerId, ...kinds],
  );
  return rows.map((row) => ({ id: row.id, hostId: row.host_id, lease: { ownerId: row.lease_owner, until: row.lease_until } }));
}

/**
 * Takes the lease: a free one, one that has ended by any clock, or the one that `stale` names, whose holder is gone. undefined:
 * another was faster. Repeating it after an unknown outcome tells the truth.
 */
export async function claimOperation<Context>(db: Db, id: string, lease: Lease, now: number, stale?: Lease): Promise<OperationRecord<Context> | undefined> {
  await db.execute(
    `UPDATE operations SET lease_owner = ?, lease_until = ?, attempts = attempts + 1, started_at = COALESCE(started_at, ?),
       state = CASE state WHEN 'queued' THEN 'running' ELSE state END
     WHERE id = ? AND ${isOpen} AND run_after <= ?
       AND (${isFree} OR (lease_owner = ? AND lease_until = ?))`,
    [lease.ownerId, lease.until, now, id, now, now - clockMarginMs, lease.ownerId, now, stale?.ownerId ?? null, stale?.until ?? null],
  );
  const [row] = await db.query<RecordRow>(
    `SELECT ${columns}, input, context, lease_owner, lease_until, attempts, waiting_since, event_at FROM operations WHERE id = ?`, [id],
  );
  if (row === undefined || row.lease_owner !== lease.ownerId || row.lease_until !== lease.until) return undefined;
  return {
    operation: toOperation(row), input: columnToJson(row.input), context: columnToJson<Context>(row.context),
    attempts: row.attempts, waitingSince: row.waiting_since, eventAt: row.event_at,
  };
}

/** false: the lease is another's, or the operation has ended. */
export async function renewOperationLease(db: Db, id: string, lease: Lease): Promise<boolean> {
  const { affectedRows } = await db.execute('UPDATE operations SET lease_until = ? WHERE id = ? AND lease_owner = ?', [lease.until, id, lease.ownerId]);
  return affectedRows === 1;
}

/** Those that anybody holds, with who does; oldest first, at most `limit`. */
export async function selectHeldOperations(db: Db, limit: number): Promise<{ ownerId: string; operation: Operation }[]> {
  const rows = await db.query<OperationRow & { lease_owner: string }>(
    `SELECT ${columns}, lease_owner FROM operations
     WHERE ${isOpen} AND lease_until > 0 AND lease_owner IS NOT NULL ORDER BY created_at, id LIMIT ?`, [limit],
  );
  return rows.map((row) => ({ ownerId: row.lease_owner, operation: toOperation(row) }));
}

/** Which of these somebody wishes to cancel. */
export async function selectCancelRequests(db: Db, ids: readonly string[]): Promise<string[]> {
  if (ids.length === 0) return [];
  const rows = await db.query<{ id: string }>(
    `SELECT id FROM operations WHERE cancel_requested = 1 AND id IN (${ids.map(() => '?').join(', ')})`, ids,
  );
  return rows.map((row) => row.id);
}

export interface OperationChange {
  readonly state?: OperationState;
  readonly context?: unknown;
  readonly progressPercent?: number | null;
  readonly error?: Sentence | null;
  readonly note?: Sentence | null;
  readonly cancellable?: boolean;
  /** false: it comes too late */
  readonly cancelRequested?: false;
  readonly attempts?: number;
  readonly runAfter?: number;
  readonly waitingSince?: number | null;
  readonly endedAt?: number;
  /** gives the lease back */
  readonly release?: true;
}

export interface HeldCondition {
  readonly id: string;
  readonly ownerId: string;
  /** also fails when somebody asked to cancel: passing the point of no return and cancelling exclude each other */
  readonly unlessCancelled?: boolean;
}

/** Writes to an operation that the caller holds. false: it does not hold it (any more), and nothing is changed. */
export async function updateHeldOperation(db: Db, held: HeldCondition, change: OperationChange): Promise<boolean> {
  const sets: string[] = ['lease_owner = lease_owner'];
  const params: SqlValue[] = [];
  const set = (column: string, value: SqlValue): void => {
    sets.push(`${column} = ?`);
    params.push(value);
  };
  if (change.state !== undefined) set('state', change.state);
  if (change.context !== undefined) set('context', jsonToColumn(change.context));
  if (change.progressPercent !== undefined) set('progress_percent', change.progressPercent);
  if (change.error !== undefined) set('error', sentenceToColumn(change.error, 2000));
  if (change.note !== undefined) set('note', sentenceToColumn(change.note, 500));
  if (change.cancellable !== undefined) set('cancellable', change.cancellable ? 1 : 0);
  if (change.cancelRequested !== undefined) set('cancel_requested', 0);
  if (change.attempts !== undefined) set('attempts', change.attempts);
  if (change.runAfter !== undefined) set('run_after', change.runAfter);
  if (change.waitingSince !== undefined) set('waiting_since', change.waitingSince);
  if (change.endedAt !== undefined) set('ended_at', change.endedAt);
  if (change.release) {
    set('lease_owner', null);
    set('lease_until', 0);
  }
  const { affectedRows } = await db.execute(
    `UPDATE operations SET ${sets.join(', ')} WHERE id = ? AND lease_owner = ?${held.unlessCancelled ? ' AND cancel_requested = 0' : ''}`,
    [...params, held.id, held.ownerId],
  );
  return affectedRows === 1;
}

export interface StepChange {
  readonly state: StepState;
  readonly startedAt?: number;
  readonly endedAt?: number | null;
  readonly error?: Sentence;
}

export async function updateOperationStep(tx: Db, operationId: string, position: number, change: StepChange): Promise<void> {
  await tx.execute(
    `UPDATE operation_steps SET state = ?, started_at = COALESCE(started_at, ?), ended_at = ?, error = COALESCE(?, error)
     WHERE operation_id = ? AND position = ?`,
    [change.state, change.startedAt ?? null, change.endedAt ?? null, sentenceToColumn(change.error ?? null, 2000), operationId, position],
  );
}

/** Something happened to its instance: a step that waits for it looks again at once. */
export async function updateOperationPoked(db: Db, id: string): Promise<void> {
  await db.execute("UPDATE operations SET run_after = 0 WHERE id = ? AND state IN ('running', 'undoing') AND run_after > 0", [id]);
}

/** Its guest was reset, which only an event tells: the step that waits for that goes on at once. */
export async function updateOperationEvent(db: Db, id: string, at: number): Promise<void> {
  await db.execute("UPDATE operations SET event_at = ?, run_after = 0 WHERE id = ? AND state IN ('running', 'undoing')", [at, id]);
}

/** A host is back: what waited for it runs again at once. */
export async function updateOperationsOfHostReady(db: Db, hostId: string): Promise<number> {
  const { affectedRows } = await db.execute(
    "UPDATE operations SET run_after = 0 WHERE host_id = ? AND state IN ('running', 'undoing') AND waiting_since IS NOT NULL AND run_after > 0", [hostId],
  );
  return affectedRows;
}

/** How many are queued, running or being undone, for pages and health. */
export async function countOpenOperations(db: Db): Promise<number> {
  const [row] = await db.query<{ total: number }>(`SELECT COUNT(*) AS total FROM operations WHERE ${isOpen}`);
  return row?.total ?? 0;
}

/** Runs at once what waits: for its host, for another try, for its undo. false: it has ended. */
export async function updateOperationReady(db: Db, id: string): Promise<boolean> {
  const { affectedRows } = await db.execute(`UPDATE operations SET run_after = 0 WHERE id = ? AND ${isOpen}`, [id]);
  return affectedRows === 1;
}

/** Who asked for a new instance since then, oldest first. */
export async function selectCreationsSince(db: Db, since: number): Promise<{ readonly userId: string | null; readonly at: number }[]> {
  const rows = await db.query<{ user_id: string | null; created_at: number }>(
    "SELECT user_id, created_at FROM operations WHERE kind = 'instance-create' AND created_at >= ? ORDER BY created_at", [since],
  );
  return rows.map((row) => ({ userId: row.user_id, at: row.created_at }));
}

/** How many failed since then: what an admin looks at in the morning. */
export async function countFailedOperations(db: Db, since: number): Promise<number> {
  const [row] = await db.query<{ total: number }>("SELECT COUNT(*) AS total FROM operations WHERE state = 'failed' AND created_at >= ?", [since]);
  return row?.total ?? 0;
}

/** Forgets operations that ended before then, with their steps; a batch at a time. Returns how many. */
export async function deleteEndedOperations(db: Db, before: number, limit = 200): Promise<number> {
  const rows = await db.query<{ id: string }>(
    "SELECT id FROM operations WHERE state IN ('done', 'failed', 'cancelled') AND ended_at < ? LIMIT ?", [before, limit],
  );
  if (rows.length === 0) return 0;
  const ids = rows.map((row) => row.id);
  const marks = ids.map(() => '?').join(', ');
  // steps first: a crash in between leaves an operation without steps, found again by the next call
  await db.execute(`DELETE FROM operation_steps WHERE operation_id IN (${marks})`, ids);
  await db.execute(`DELETE FROM left_behind WHERE operation_id IN (${marks})`, ids);
  await db.execute(`DELETE FROM operations WHERE id IN (${marks})`, ids);
  return ids.length;
}
