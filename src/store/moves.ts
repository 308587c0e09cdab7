// Moves of instances between hosts: the diary, and the queue. At most so many go on at once, on any number of portals:
// who gives places away holds the guard row, and a move that has a place is `moving` until it has ended.
import { AppError, say, type Sentence } from '../errors.ts';
import { movesToStart, type Move, type MoveLimits, type MoveProgress, type MoveState, type MoveTrigger } from '../model/move.ts';
import { columnToSentence, sentenceToColumn } from './columns.ts';
import type { Db, SqlValue } from './db.ts';

interface MoveRow {
  readonly id: string;
  readonly instance_id: string;
  readonly instance_name: string;
  readonly user_id: string;
  readonly kind: Move['kind'];
  readonly with_disk: number;
  readonly from_host_id: string;
  readonly from_host_name: string;
  readonly to_host_id: string;
  readonly to_host_name: string;
  readonly from_pool_id: string | null;
  readonly to_pool_id: string | null;
  readonly trigger: Move['trigger'];
  readonly why: string;
  readonly batch_id: string | null;
  readonly actor_id: string | null;
  readonly state: MoveState;
  readonly phase: Move['phase'];
  readonly transferred_bytes: number | null;
  readonly remaining_bytes: number | null;
  readonly total_bytes: number | null;
  readonly dirty_bytes_per_second: number | null;
  readonly iteration: number | null;
  readonly eta_ms: number | null;
  readonly progress_at: number | null;
  readonly downtime_ms: number | null;
  readonly error: string | null;
  readonly created_at: number;
  readonly started_at: number | null;
  readonly begun_at: number | null;
  readonly ended_at: number | null;
}

const columns = `id, instance_id, instance_name, user_id, kind, with_disk, from_host_id, from_host_name, to_host_id, to_host_name, from_pool_id, to_pool_id,
  \`trigger\`, why, batch_id, actor_id, state, phase, transferred_bytes, remaining_bytes, total_bytes, dirty_bytes_per_second, iteration, eta_ms, progress_at,
  downtime_ms, error, created_at, started_at, begun_at, ended_at`;

function toMove(row: MoveRow): Move {
  return {
    id: row.id,
    instanceId: row.instance_id,
    instanceName: row.instance_name,
    userId: row.user_id,
    kind: row.kind,
    withDisk: row.with_disk === 1,
    fromHostId: row.from_host_id,
    fromHostName: row.from_host_name,
    toHostId: row.to_host_id,
    toHostName: row.to_host_name,
    fromPoolId: row.from_pool_id,
    toPoolId: row.to_pool_id,
    trigger: row.trigger,
    why: columnToSentence(row.why) ?? { key: 'errors.unknown' },
    batchId: row.batch_id,
    actorId: row.actor_id,
    state: row.state,
    phase: row.phase,
    transferredBytes: row.transferred_bytes,
    remainingBytes: row.remaining_bytes,
    totalBytes: row.total_bytes,
    dirtyBytesPerSecond: row.dirty_bytes_per_second,
    iteration: row.iteration,
    etaMs: row.eta_ms,
    progressAt: row.progress_at,
    downtimeMs: row.downtime_ms,
    error: columnToSentence(row.error),
    createdAt: row.created_at,
    startedAt: row.started_at,
    begunAt: row.begun_at,
    endedAt: row.ended_at,
  };
}

// ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export async function selectOptionalMove(db: Db, id: string): Promise<Move | undefined> {
  const [row] = await db.query<MoveRow>(`SELECT ${columns} FROM moves WHERE id = ?`, [id]);
  return row && toMove(row);
}

/** Throws not-found. */
export async function selectMove(db: Db, id: string): Promise<Move> {
  const move = await selectOptionalMove(db, id);
  if (move === undefined) throw new AppError('not-found', say('errors.not-found'));
  return move;
}

export interface MoveFilter {
  /** counts from 1 */
  readonly page: number;
  readonly pageSize: number;
  readonly state?: MoveState | undefined;
  /** from or to it */
  readonly hostId?: string | undefined;
  readonly instanceId?: string | undefined;
  readonly batchId?: string | undefined;
  readonly trigger?: MoveTrigger | undefined;
  /** only those that have ended */
  readonly ended?: boolean | undefined;
}

/** Newest first. `total` counts what the filter lets through. */
export async function selectMovesPage(db: Db, filter: MoveFilter): Promise<{ moves: Move[]; total: number }> {
  const conditions: string[] = [];
  const params: SqlValue[] = [];
  const where = (condition: string, ...values: (string | undefined)[]): void => {
    if (values.some((value) => value === undefined || value === '')) return;
    conditions.push(condition);
    params.push(...(values as string[]));
  };
  where('state = ?', filter.state);
  where('(from_host_id = ? OR to_host_id = ?)', filter.hostId, filter.hostId);
  where('instance_id = ?', filter.instanceId);
  where('batch_id = ?', filter.batchId);
  where('`trigger` = ?', filter.trigger);
  if (filter.ended === true) conditions.push("state IN ('done', 'failed', 'cancelled')");
  const clause = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
  const rows = await db.query<MoveRow>(
    `SELECT ${columns} FROM moves ${clause} ORDER BY created_at DESC, id LIMIT ? OFFSET ?`, [...params, filter.pageSize, (filter.page - 1) * filter.pageSize],
  );
  const [count] = await db.query<{ total: number }>(`SELECT COUNT(*) AS total FROM moves ${clause}`, params);
  return { moves: rows.map(toMove), total: count?.total ?? 0 };
}

/** In the order in which they were asked for. */
export async function selectMovesByBatch(db: Db, batchId: string): Promise<Move[]> {
  return (await db.query<MoveRow>(`SELECT ${columns} FROM moves WHERE batch_id = ? ORDER BY created_at, id`, [batchId])).map(toMove);
}

/** All that wait or go on, oldest first. */
export async function selectOpenMoves(db: Db): Promise<Move[]> {
  return (await db.query<MoveRow>(`SELECT ${columns} FROM moves WHERE state IN ('queued', 'moving') ORDER BY created_at, id`)).map(toMove);
}

/** However they ended. Of those asked for more than a day before, none: no move lasts that long. */
export async function selectMovesEndedSince(db: Db, since: number): Promise<Move[]> {
  return (await db.query<MoveRow>(`SELECT ${columns} FROM moves WHERE created_at >= ? AND ended_at >= ? ORDER BY ended_at`, [since - 86_400_000, since])).map(toMove);
}

/** Newest first. */
export async function selectMovesByInstance(db: Db, instanceId: string, limit = 20): Promise<Move[]> {
  return (await db.query<MoveRow>(`SELECT ${columns} FROM moves WHERE instance_id = ? ORDER BY created_at DESC, id LIMIT ?`, [instanceId, limit])).map(toMove);
}

// ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export type NewMove = Pick<
  Move,
  'id' | 'instanceId' | 'instanceName' | 'userId' | 'kind' | 'withDisk' | 'fromHostId' | 'fromHostName' | 'toHostId' | 'toHostName' | 'trigger' | 'why' | 'batchId' | 'actorId' | 'createdAt'
> & Partial<Pick<Move, 'fromPoolId' | 'toPoolId'>>;

/**
 * In a transaction that gives places away: before it writes a move of the queue, after users, instances, hosts and pools. Who
 * held a move and then asked for the guard would wait for whoever has the guard and reads the moves.
 */
export async function holdMoveGuard(tx: Db): Promise<void> {
  await tx.execute('INSERT INTO move_guard (id) VALUES (1) ON DUPLICATE KEY UPDATE id = id');
}

/** Inserts it at the end of the queue; a restart does not queue. */
export async function insertMove(tx: Db, move: NewMove): Promise<void> {
  if (move.kind !== 'restart') await holdMoveGuard(tx);
  await tx.execute(
    `INSERT INTO moves (id, instance_id, instance_name, user_id, kind, with_disk, from_host_id, from_host_name, to_host_id, to_host_name, from_pool_id, to_pool_id,
       \`trigger\`, why, batch_id, actor_id, state, created_at, started_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE id = id`,
    [move.id, move.instanceId, move.instanceName, move.userId, move.kind, move.withDisk ? 1 : 0, move.fromHostId, move.fromHostName, move.toHostId,
      move.toHostName, move.fromPoolId ?? null, move.toPoolId ?? null, move.trigger, sentenceToColumn(move.why, 1000), move.batchId, move.actorId, move.kind === 'restart' ? 'moving' : 'queued', move.createdAt,
      move.kind === 'restart' ? move.createdAt : null],
  );
}

interface OpenRow { readonly id: string; readonly state: MoveState; readonly from_host_id: string; readonly to_host_id: string }

/**
 * Gives the free places to those that wait, in order. Returns how many got one. Their operations run at once; whoever
 * works for them does not need to be this portal. In its own transaction, or last in another.
 */
export async function grantMovePlaces(tx: Db, limits: MoveLimits, now: number): Promise<number> {
  await holdMoveGuard(tx);
  // a locking read: a plain one may show the places as they were before the guard was ours
  const rows = await tx.query<OpenRow>(
    "SELECT id, state, from_host_id, to_host_id FROM moves WHERE state IN ('queued', 'moving') AND kind <> 'restart' ORDER BY created_at, id FOR UPDATE",
  );
  const ids = movesToStart(rows.map((row) => ({ id: row.id, state: row.state, fromHostId: row.from_host_id, toHostId: row.to_host_id })), limits);
  if (ids.length === 0) return 0;
  await tx.execute("UPDATE moves SET state = 'moving', started_at = ?, phase = 'checking' WHERE id IN (?) AND state = 'queued'", [now, ids]);
  await tx.execute("UPDATE operations SET run_after = 0 WHERE id IN (?) AND state = 'running' AND run_after > 0", [ids]);
  return ids.length;
}

/** Has this one a place? Gives the free places away first. */
export async function claimMovePlace(tx: Db, id: string, limits: MoveLimits, now: number): Promise<boolean> {
  await grantMovePlaces(tx, limits, now);
  return (await selectOptionalMove(tx, id))?.state === 'moving';
}

/** From now on the hosts work on it, and go on with it also when nobody here listens. */
export async function updateMoveBegun(tx: Db, id: string, kind: Move['kind'], at: number): Promise<void> {
  await tx.execute('UPDATE moves SET kind = ?, begun_at = COALESCE(begun_at, ?) WHERE id = ?', [kind, at, id]);
}

export async function updateMoveProgress(db: Db, id: string, progress: MoveProgress): Promise<void> {
  await db.execute(
    `UPDATE moves SET phase = ?, transferred_bytes = ?, remaining_bytes = ?, total_bytes = ?, dirty_bytes_per_second = ?, iteration = ?, eta_ms = ?, progress_at = ?
     WHERE id = ? AND state = 'moving'`,
    [progress.phase, progress.transferredBytes, progress.remainingBytes, progress.totalBytes, progress.dirtyBytesPerSecond, progress.iteration,
      progress.etaMs, progress.progressAt, id],
  );
}

/** Forgets moves that ended before then, a batch at a time. Returns how many. */
export async function deleteMovesEndedBefore(db: Db, before: number, limit = 500): Promise<number> {
  return (await db.execute('DELETE FROM moves WHERE ended_at < ? LIMIT ?', [before, limit])).affectedRows;
}

export interface MoveEnd {
  readonly state: Extract<MoveState, 'done' | 'failed' | 'cancelled'>;
  readonly at: number;
  readonly error: Sentence | null;
  /** what libvirt counted; absent or null: it is not known */
  readonly downtimeMs?: number | null;
  readonly transferredBytes?: number | null;
  readonly iteration?: number | null;
}

/** Its place is free again. */
export async function updateMoveEnded(tx: Db, id: string, end: MoveEnd): Promise<void> {
  await tx.execute(
    `UPDATE moves SET state = ?, ended_at = ?, error = ?, downtime_ms = ?, transferred_bytes = COALESCE(?, transferred_bytes), iteration = COALESCE(?, iteration),
       phase = NULL, remaining_bytes = NULL, eta_ms = NULL WHERE id = ? AND state IN ('queued', 'moving')`,
    [end.state, end.at, sentenceToColumn(end.error, 2000), end.downtimeMs ?? null, end.transferredBytes ?? null, end.iteration ?? null, id],
  );
}
