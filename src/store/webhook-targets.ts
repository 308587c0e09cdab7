// Where notifications are posted to. The secret that signs them is sealed and read only by who sends; nothing that a page is
// made from carries it.
import { AppError, say } from '../errors.ts';
import type { Severity } from '../model/alert-rule.ts';
import type { Db } from './db.ts';

export interface WebhookTarget {
  readonly id: string;
  readonly name: string;
  readonly url: string;
  readonly enabled: boolean;
  readonly minSeverity: Severity;
  /** is told too when an incident is over */
  readonly resolved: boolean;
  readonly updatedAt: number;
}

interface TargetRow { id: string; name: string; url: string; enabled: number; min_severity: Severity; resolved: number; updated_at: number }
const columns = 'id, name, url, enabled, min_severity, resolved, updated_at';

function toTarget(row: TargetRow): WebhookTarget {
  return { id: row.id, name: row.name, url: row.url, enabled: row.enabled === 1, minSeverity: row.min_severity, resolved: row.resolved === 1, updatedAt: row.updated_at };
}

export async function selectWebhookTargets(db: Db): Promise<WebhookTarget[]> {
  return (await db.query<TargetRow>(`SELECT ${columns} FROM webhook_targets ORDER BY name, id LIMIT 100`)).map(toTarget);
}

export async function selectOptionalWebhookTarget(db: Db, id: string): Promise<WebhookTarget | undefined> {
  const [row] = await db.query<TargetRow>(`SELECT ${columns} FROM webhook_targets WHERE id = ?`, [id]);
  return row && toTarget(row);
}

export async function selectWebhookTarget(db: Db, id: string): Promise<WebhookTarget> {
  const target = await selectOptionalWebhookTarget(db, id);
  if (target === undefined) throw new AppError('not-found', say('alerts.target-not-found'));
  return target;
}

/** As it was sealed; undefined: the target is gone. */
export async function selectWebhookSecret(db: Db, id: string): Promise<Buffer | undefined> {
  return (await db.query<{ secret: Buffer }>('SELECT secret FROM webhook_targets WHERE id = ?', [id]))[0]?.secret;
}

export async function insertWebhookTarget(db: Db, target: WebhookTarget, sealed: Buffer, now: number): Promise<void> {
  await db.execute(
    `INSERT INTO webhook_targets (id, name, url, secret, enabled, min_severity, resolved, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE id = id`,
    [target.id, target.name, target.url, sealed, target.enabled ? 1 : 0, target.minSeverity, target.resolved ? 1 : 0, now, now],
  );
}

/** False: it is gone. */
export async function updateWebhookTarget(db: Db, target: WebhookTarget, now: number): Promise<boolean> {
  const { affectedRows } = await db.execute(
    'UPDATE webhook_targets SET name = ?, url = ?, enabled = ?, min_severity = ?, resolved = ?, updated_at = ? WHERE id = ?',
    [target.name, target.url, target.enabled ? 1 : 0, target.minSeverity, target.resolved ? 1 : 0, now, target.id],
  );
  return affectedRows === 1;
}

export async function updateWebhookSecret(db: Db, id: string, sealed: Buffer, now: number): Promise<boolean> {
  const { affectedRows } = await db.execute('UPDATE webhook_targets SET secret = ?, updated_at = ? WHERE id = ?', [sealed, now, id]);
  return affectedRows === 1;
}

export async function deleteWebhookTarget(db: Db, id: string): Promise<void> {
  await db.execute('DELETE FROM webhook_targets WHERE id = ?', [id]);
}
