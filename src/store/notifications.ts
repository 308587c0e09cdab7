// The outbox. A notification is written with what it tells of, in one transaction; each of its deliveries is leased, sent and
// recorded. Killed between sending and recording, it is sent again under the same id: receivers can tell.
import { randomUUID } from 'node:crypto';
import type { Sentence } from '../errors.ts';
import type { DeliveryState, NotificationKind } from '../model/notification.ts';
import { columnToJson, columnToSentence, jsonToColumn, sentenceToColumn } from './columns.ts';
import type { Db } from './db.ts';

export interface Target { readonly kind: 'mail' | 'webhook'; /** of the user or the webhook */ readonly id: string }
export interface Notification { readonly id: string; readonly kind: NotificationKind; readonly at: number; readonly content: unknown }

/** With a delivery for each target. The same id again changes nothing: false. */
export async function insertNotification(tx: Db, notification: Notification, targets: readonly Target[]): Promise<boolean> {
  const { id, kind, at, content } = notification;
  const [known] = await tx.query('SELECT id FROM notifications WHERE id = ?', [id]);
  if (known !== undefined) return false;
  await tx.execute('INSERT INTO notifications (id, kind, at, content) VALUES (?, ?, ?, ?) ON DUPLICATE KEY UPDATE id = id', [id, kind, at, jsonToColumn(content)]);
  if (targets.length === 0) return true;
  await tx.execute(
    `INSERT INTO deliveries (id, notification_id, target_kind, target_id, state, run_after, created_at) VALUES ${targets.map(() => "(?, ?, ?, ?, 'queued', ?, ?)").join(', ')}
     ON DUPLICATE KEY UPDATE id = id`,
    targets.flatMap((target) => [randomUUID(), id, target.kind, target.id, at, at]),
  );
  return true;
}

export async function countNotificationsSince(db: Db, kind: NotificationKind, since: number): Promise<number> {
  const [row] = await db.query<{ total: number }>('SELECT COUNT(*) AS total FROM notifications WHERE kind = ? AND at > ?', [kind, since]);
  return row?.total ?? 0;
}

export async function notificationExists(db: Db, id: string): Promise<boolean> {
  return (await db.query('SELECT id FROM notifications WHERE id = ?', [id])).length > 0;
}

export interface DueDelivery { readonly id: string; readonly target: Target; readonly attempts: number; readonly createdAt: number; readonly notification: Notification }

/** What may be tried now and nobody holds, of one notification or of all; oldest first. */
export async function selectDueDeliveries(db: Db, now: number, limit: number, notificationId?: string): Promise<DueDelivery[]> {
  const only = notificationId === undefined ? '' : 'AND d.notification_id = ?';
  const rows = await db.query<{ id: string; target_kind: Target['kind']; target_id: string; attempts: number; created_at: number; notification_id: string; kind: NotificationKind; at: number; content: Buffer }>(
    `SELECT d.id, d.target_kind, d.target_id, d.attempts, d.created_at, d.notification_id, n.kind, n.at, n.content
     FROM deliveries d JOIN notifications n ON n.id = d.notification_id WHERE d.state = 'queued' AND d.run_after <= ? AND d.lease_until < ? ${only} ORDER BY d.run_after, d.id LIMIT ?`,
    [now, now, ...(notificationId === undefined ? [] : [notificationId]), limit],
  );
  return rows.map((row) => ({
    id: row.id, target: { kind: row.target_kind, id: row.target_id }, attempts: row.attempts, createdAt: row.created_at,
    notification: { id: row.notification_id, kind: row.kind, at: row.at, content: columnToJson(row.content) },
  }));
}

/** Takes it for `leaseMs`, unless somebody has it or has just failed with it. The attempt counts from here: one that kills the portal each time must not be tried for ever. */
export async function claimDelivery(db: Db, id: string, owner: string, now: number, leaseMs: number): Promise<boolean> {
  const { affectedRows } = await db.execute(
    "UPDATE deliveries SET lease_owner = ?, lease_until = ?, attempts = attempts + 1 WHERE id = ? AND state = 'queued' AND run_after <= ? AND lease_until < ?",
    [owner, now + leaseMs, id, now, now],
  );
  if (affectedRows === 1) return true;
  const [row] = await db.query('SELECT id FROM deliveries WHERE id = ? AND lease_owner = ? AND lease_until = ?', [id, owner, now + leaseMs]);
  return row !== undefined;
}

export async function updateDeliverySent(db: Db, id: string, owner: string, now: number): Promise<void> {
  await db.execute("UPDATE deliveries SET state = 'sent', ended_at = ?, error = NULL, lease_owner = NULL, lease_until = 0 WHERE id = ? AND lease_owner = ?", [now, id, owner]);
}

/** `again`: when it is tried next; null: never. */
export async function updateDeliveryFailed(db: Db, id: string, owner: string, error: Sentence, again: number | null, now: number): Promise<void> {
  await db.execute(
    'UPDATE deliveries SET state = ?, run_after = ?, ended_at = ?, error = ?, lease_owner = NULL, lease_until = 0 WHERE id = ? AND lease_owner = ?',
    [again === null ? 'failed' : 'queued', again ?? now, again === null ? now : null, sentenceToColumn(error, 500), id, owner],
  );
}

/** Tried again at once, from the beginning of its attempts. False: it is not one that failed or waits. */
export async function updateDeliveryAgain(db: Db, id: string, now: number): Promise<boolean> {
  const { affectedRows } = await db.execute("UPDATE deliveries SET state = 'queued', attempts = 0, run_after = ?, ended_at = NULL WHERE id = ? AND state IN ('queued', 'failed')", [now, id]);
  return affectedRows === 1;
}

export async function countWaitingDeliveries(db: Db, target: Target): Promise<number> {
  const [row] = await db.query<{ total: number }>("SELECT COUNT(*) AS total FROM deliveries WHERE state = 'queued' AND target_kind = ? AND target_id = ?", [target.kind, target.id]);
  return row?.total ?? 0;
}

/** One batch of what waits for a receiver that is gone; how many. What a portal is sending at this moment is left to it: it finds no receiver at the next attempt. */
export async function giveUpWaitingDeliveries(db: Db, target: Target, error: Sentence, now: number, limit: number): Promise<number> {
  const { affectedRows } = await db.execute(
    "UPDATE deliveries SET state = 'failed', ended_at = ?, error = ?, lease_owner = NULL WHERE state = 'queued' AND target_kind = ? AND target_id = ? AND lease_until < ? LIMIT ?",
    [now, sentenceToColumn(error, 500), target.kind, target.id, now, limit],
  );
  return affectedRows;
}

export interface Delivery {
  readonly id: string; readonly notificationId: string; readonly kind: NotificationKind; readonly target: Target; readonly targetName: string; readonly state: DeliveryState;
  readonly attempts: number; readonly createdAt: number; readonly runAfter: number; readonly endedAt: number | null; readonly error: Sentence | null;
}

/** What came of the one delivery of a test. */
export async function selectDeliveryOutcome(db: Db, notificationId: string): Promise<{ readonly state: DeliveryState; readonly error: Sentence | null } | undefined> {
  const [row] = await db.query<{ state: DeliveryState; error: string | null }>('SELECT state, error FROM deliveries WHERE notification_id = ?', [notificationId]);
  return row && { state: row.state, error: columnToSentence(row.error) };
}

/** Newest first. */
export async function selectDeliveriesPage(db: Db, filter: { readonly state?: DeliveryState | undefined }, limit: number, offset: number): Promise<{ deliveries: Delivery[]; total: number }> {
  const where = filter.state === undefined ? '' : 'WHERE d.state = ?';
  const params = filter.state === undefined ? [] : [filter.state];
  const rows = await db.query<{
    id: string; notification_id: string; kind: NotificationKind; target_kind: Target['kind']; target_id: string; name: string | null; state: DeliveryState; attempts: number;
    created_at: number; run_after: number; ended_at: number | null; error: string | null;
  }>(
    `SELECT d.id, d.notification_id, n.kind, d.target_kind, d.target_id, COALESCE(CONVERT(u.name USING utf8mb4), w.name) AS name, d.state, d.attempts, d.created_at, d.run_after, d.ended_at, d.error
     FROM deliveries d JOIN notifications n ON n.id = d.notification_id LEFT JOIN users u ON u.id = d.target_id LEFT JOIN webhook_targets w ON w.id = d.target_id
     ${where} ORDER BY d.created_at DESC, d.id LIMIT ? OFFSET ?`,
    [...params, limit, offset],
  );
  const [count] = await db.query<{ total: number }>(`SELECT COUNT(*) AS total FROM deliveries d ${where}`, params);
  return {
    deliveries: rows.map((row) => ({
      id: row.id, notificationId: row.notification_id, kind: row.kind, target: { kind: row.target_kind, id: row.target_id }, targetName: row.name ?? '', state: row.state,
      attempts: row.attempts, createdAt: row.created_at, runAfter: row.run_after, endedAt: row.ended_at, error: columnToSentence(row.error),
    })),
    total: count?.total ?? 0,
  };
}

/** One batch; how many notifications it took, at most `limit` rows in a statement. Their deliveries go first: a run that ends in between leaves no orphans. */
export async function deleteNotificationsBefore(db: Db, before: number, limit: number): Promise<number> {
  const rows = await db.query<{ id: string }>('SELECT id FROM notifications WHERE at < ? LIMIT ?', [before, limit]);
  if (rows.length === 0) return 0;
  const ids = rows.map(({ id }) => id);
  for (let gone = limit; gone === limit;) ({ affectedRows: gone } = await db.execute('DELETE FROM deliveries WHERE notification_id IN (?) LIMIT ?', [ids, limit]));
  await db.execute('DELETE FROM notifications WHERE id IN (?)', [ids]);
  return ids.length;
}
