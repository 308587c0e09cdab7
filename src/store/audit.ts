// Who did what, when, from where, and what came of it. A row is added when something begins and gets its result once.
import type { Db, SqlValue } from './db.ts';

/**
 * How long an entry is kept. Shorter: what happened in the last year's same course can no longer be looked up; longer: the names
 * and addresses of people who left long ago are kept for nobody, and the table grows without end.
 */
export const auditKeptDays = 400;

export const auditResults = ['begun', 'ok', 'refused', 'failed', 'cut-off'] as const;
/** begun: a portal died in between; refused: an expected "no" (4xx); failed: our fault or a host's (5xx); cut-off: the asker left */
export type AuditResult = (typeof auditResults)[number];

export interface AuditEntry {
  readonly id: string;
  readonly at: number;
  readonly userId: string | null;
  /** the name at that time, so that it is readable when the account is gone; '' for visitors */
  readonly userName: string;
  /** the `audit` of the route: 'instance.create' */
  readonly action: string;
  /** what it was done to: a name or an id */
  readonly target: string;
  readonly ip: string;
  readonly result: AuditResult;
  /** for people; never a secret */
  readonly detail: string;
}

interface AuditRow {
  id: string;
  at: number;
  user_id: string | null;
  user_name: string;
  action: string;
  target: string;
  ip: string;
  result: AuditResult;
  detail: string;
}

/** Adds a row. Texts are cut to the columns' lengths; line breaks become spaces, so that no entry can pose as two. */
export async function insertAudit(db: Db, entry: AuditEntry): Promise<void> {
  await db.execute(
    `INSERT INTO audit (id, at, user_id, user_name, action, target, ip, result, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON DUPLICATE KEY UPDATE id = id`,
    [
      entry.id, entry.at, entry.userId, oneLine(entry.userName, 80), entry.action, oneLine(entry.target, 255),
      entry.ip.slice(0, 45), entry.result, oneLine(entry.detail, 2000),
    ],
  );
}

/** What came of it. The name is taken from the account where the row was begun by a visitor who logged in by it. */
export async function updateAudit(
  db: Db,
  id: string,
  end: { readonly result: AuditResult; readonly target: string; readonly detail: string; readonly userId: string | null },
): Promise<void> {
  await db.execute(
    `UPDATE audit SET result = ?, target = ?, detail = ?, user_id = COALESCE(?, user_id),
       user_name = IF(user_name = '', COALESCE((SELECT name FROM users WHERE id = ?), ''), user_name) WHERE id = ? AND result = 'begun'`,
    [end.result, oneLine(end.target, 255), oneLine(end.detail, 2000), end.userId, end.userId, id],
  );
}

function oneLine(text: string, maxLength: number): string {
  // by code points: half of a surrogate pair would be refused by the column
  return [...text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ')].slice(0, maxLength).join('');
}

export interface AuditFilter {
  readonly userName?: string | undefined;
  /** an action, or the part before the dot: 'instance' */
  readonly action?: string | undefined;
  readonly result?: AuditResult | undefined;
  /** from this time on, before that one */
  readonly from?: number | undefined;
  readonly until?: number | undefined;
}

/** Newest first. */
export async function selectAuditPage(db: Db, filter: AuditFilter, limit: number, offset: number): Promise<{ entries: AuditEntry[]; total: number }> {
  const conditions: string[] = [];
  const params: SqlValue[] = [];
  const and = (condition: string, ...values: SqlValue[]): void => {
    conditions.push(condition);
    params.push(...values);
  };
  if (filter.userName) and('user_name = ?', filter.userName);
  if (filter.action) and('(action = ? OR LEFT(action, ?) = ?)', filter.action, filter.action.length + 1, `${filter.action}.`);
  if (filter.result) and('result = ?', filter.result);
  if (filter.from !== undefined) and('at >= ?', filter.from);
  if (filter.until !== undefined) and('at < ?', filter.until);
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
  const rows = await db.query<AuditRow>(
    `SELECT id, at, user_id, user_name, action, target, ip, result, detail FROM audit ${where} ORDER BY at DESC, id DESC LIMIT ? OFFSET ?`,
    [...params, limit, offset],
  );
  const [count] = await db.query<{ total: number }>(`SELECT COUNT(*) AS total FROM audit ${where}`, params);
  return { entries: rows.map(toEntry), total: count?.total ?? 0 };
}

function toEntry(row: AuditRow): AuditEntry {
  return {
    id: row.id, at: row.at, userId: row.user_id, userName: row.user_name, action: row.action, target: row.target, ip: row.ip,
    result: row.result, detail: row.detail,
  };
}

/** The actions that occur, for the filter's list. */
export async function selectAuditActions(db: Db): Promise<string[]> {
  const rows = await db.query<{ action: string }>('SELECT DISTINCT action FROM audit ORDER BY action LIMIT 200');
  return rows.map((row) => row.action);
}

/** At most `limit` of the entries from before `before` (ms UTC); how many that were. Run again it goes on with the rest. */
export async function deleteAuditBefore(db: Db, before: number, limit: number): Promise<number> {
  return (await db.execute('DELETE FROM audit WHERE at < ? LIMIT ?', [before, limit])).affectedRows;
}
