// Alert rules. The shipped ones are put in once, when a cloud is new or a release brings them: what an admin deletes stays deleted.
import { AppError, say } from '../errors.ts';
import { defaultRules, laterRules, type AlertRule } from '../model/alert-rule.ts';
import { columnToJson, jsonToColumn } from './columns.ts';
import type { Db } from './db.ts';

interface RuleRow {
  id: string; name: string; condition_name: AlertRule['condition']; direction: AlertRule['direction']; limit_value: number; clear_value: number;
  hold_seconds: number; scope: Buffer; severity: AlertRule['severity']; enabled: number; quiet_from: number | null; quiet_until: number | null; updated_at: number;
}

const columns = 'id, name, condition_name, direction, limit_value, clear_value, hold_seconds, scope, severity, enabled, quiet_from, quiet_until, updated_at';

function toRule(row: RuleRow): AlertRule {
  return {
    id: row.id, name: row.name, condition: row.condition_name, direction: row.direction, limit: row.limit_value, clear: row.clear_value,
    holdSeconds: row.hold_seconds, scope: columnToJson<string[]>(row.scope), severity: row.severity, enabled: row.enabled === 1,
    quiet: row.quiet_from === null || row.quiet_until === null ? null : { from: row.quiet_from, until: row.quiet_until }, updatedAt: row.updated_at,
  };
}

export async function selectAlertRules(db: Db): Promise<AlertRule[]> {
  return (await db.query<RuleRow>(`SELECT ${columns} FROM alert_rules ORDER BY condition_name, limit_value DESC, id`)).map(toRule);
}

export async function selectOptionalAlertRule(db: Db, id: string): Promise<AlertRule | undefined> {
  const [row] = await db.query<RuleRow>(`SELECT ${columns} FROM alert_rules WHERE id = ?`, [id]);
  return row && toRule(row);
}

export async function selectAlertRule(db: Db, id: string): Promise<AlertRule> {
  const rule = await selectOptionalAlertRule(db, id);
  if (rule === undefined) throw new AppError('not-found', say('alerts.rule-not-found'));
  return rule;
}

export async function insertAlertRule(db: Db, rule: AlertRule, now: number): Promise<void> {
  await db.execute(
    `INSERT INTO alert_rules (id, name, condition_name, direction, limit_value, clear_value, hold_seconds, scope, severity, enabled, quiet_from, quiet_until, created_at, updated_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE id = id`,
    [rule.id, rule.name, rule.condition, rule.direction, rule.limit, rule.clear, rule.holdSeconds, jsonToColumn(rule.scope), rule.severity, rule.enabled ? 1 : 0,
      rule.quiet?.from ?? null, rule.quiet?.until ?? null, now, now],
  );
}

/** False: somebody changed or deleted it since `rule.updatedAt` was read. Its condition stays what it is. */
export async function updateAlertRule(db: Db, rule: AlertRule, now: number): Promise<boolean> {
  const next = Math.max(now, rule.updatedAt + 1);
  const { affectedRows } = await db.execute(
    `UPDATE alert_rules SET name = ?, direction = ?, limit_value = ?, clear_value = ?, hold_seconds = ?, scope = ?, severity = ?, enabled = ?, quiet_from = ?, quiet_until = ?, updated_at = ?
     WHERE id = ? AND updated_at = ?`,
    [rule.name, rule.direction, rule.limit, rule.clear, rule.holdSeconds, jsonToColumn(rule.scope), rule.severity, rule.enabled ? 1 : 0,
      rule.quiet?.from ?? null, rule.quiet?.until ?? null, next, rule.id, rule.updatedAt],
  );
  if (affectedRows === 1) return true;
  // a write whose answer was lost is run again by db.ts: what stands there may be ours
  const stored = await selectOptionalAlertRule(db, rule.id);
  return stored !== undefined && JSON.stringify(stored) === JSON.stringify({ ...rule, updatedAt: next });
}

export async function deleteAlertRule(db: Db, id: string): Promise<void> {
  await db.execute('DELETE FROM alert_rules WHERE id = ?', [id]);
}

/** Once in a cloud's life; any number of portals may start at once. */
export async function seedAlertRules(db: Db, now: number): Promise<void> {
  for (const [mark, rules] of Object.entries({ 'seeded:alert-rules': defaultRules, ...laterRules })) {
    if ((await db.query('SELECT name FROM settings WHERE name = ?', [mark])).length > 0) continue;
    for (const rule of rules) await insertAlertRule(db, rule, now);
    await db.execute('INSERT INTO settings (name, value, updated_at, updated_by) VALUES (?, ?, 0, NULL) ON DUPLICATE KEY UPDATE name = name', [mark, 'true']);
  }
}
