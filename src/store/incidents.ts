// Incidents, their history, and where each rule stands with each subject (alert_states). All that opens or ends one is done
// while the guard is held, so that two portals that look at once make one incident of it.
import { randomUUID } from 'node:crypto';
import { AppError, say, type Sentence } from '../errors.ts';
import type { Severity } from '../model/alert-rule.ts';
import type { AlertState, EndReason, Incident, IncidentEvent, IncidentState, Subject } from '../model/incident.ts';
import { columnToSentence, sentenceToColumn } from './columns.ts';
import type { Db, SqlValue } from './db.ts';

/** Rows of one statement: NDB runs out of operation records for batches of thousands. */
const batchRows = 250;
const sentenceLength = 2000;

function* batches<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let start = 0; start < items.length; start += batchRows) yield items.slice(start, start + batchRows);
}

/**
 * The first statement of whatever changes incidents. It waits for whoever has the guard. Where rules stand is read with locks after
 * it: on MySQL Cluster the rows of a transaction are committed one after the other, so the guard may be ours before they are as its
 * last holder left them.
 */
export async function holdAlertGuard(tx: Db): Promise<void> {
  await tx.execute('INSERT INTO alert_guard (id) VALUES (1) ON DUPLICATE KEY UPDATE id = id');
}

// ── where each rule stands ──────────────────────────────────────────────────────────────────────────────────────────

interface StateRow { rule_id: string; subject_id: string; phase: AlertState['phase']; since: number; seen_at: number; incident_id: string | null }

const toState = (row: StateRow): AlertState => ({ subjectId: row.subject_id, phase: row.phase, since: row.since, seenAt: row.seen_at, incidentId: row.incident_id });

/** One of them, under the guard. */
export async function selectAlertState(tx: Db, ruleId: string, subjectId: string): Promise<AlertState | undefined> {
  const [row] = await tx.query<StateRow>('SELECT rule_id, subject_id, phase, since, seen_at, incident_id FROM alert_states WHERE rule_id = ? AND subject_id = ? LOCK IN SHARE MODE', [ruleId, subjectId]);
  return row && toState(row);
}

/** ruleId → subjectId → state. `locked`: under the guard, to change them. */
export async function selectAlertStates(db: Db, read: 'plain' | 'locked'): Promise<Map<string, Map<string, AlertState>>> {
  const byRule = new Map<string, Map<string, AlertState>>();
  const lock = read === 'locked' ? 'LOCK IN SHARE MODE' : '';
  for (const row of await db.query<StateRow>(`SELECT rule_id, subject_id, phase, since, seen_at, incident_id FROM alert_states ${lock}`)) {
    const states = byRule.get(row.rule_id) ?? new Map<string, AlertState>();
    states.set(row.subject_id, toState(row));
    byRule.set(row.rule_id, states);
  }
  return byRule;
}

export async function upsertAlertStates(tx: Db, ruleId: string, states: readonly AlertState[]): Promise<void> {
  for (const batch of batches(states)) {
    await tx.execute(
      `INSERT INTO alert_states (rule_id, subject_id, phase, since, seen_at, incident_id) VALUES ${batch.map(() => '(?, ?, ?, ?, ?, ?)').join(', ')}
       ON DUPLICATE KEY UPDATE phase = VALUES(phase), since = VALUES(since), seen_at = VALUES(seen_at), incident_id = VALUES(incident_id)`,
      batch.flatMap((state) => [ruleId, state.subjectId, state.phase, state.since, state.seenAt, state.incidentId]),
    );
  }
}

export async function deleteAlertStates(tx: Db, ruleId: string, subjectIds: readonly string[]): Promise<void> {
  for (const batch of batches(subjectIds)) await tx.execute('DELETE FROM alert_states WHERE rule_id = ? AND subject_id IN (?)', [ruleId, batch]);
}

// ── incidents ───────────────────────────────────────────────────────────────────────────────────────────────────────

interface IncidentRow {
  id: string; rule_id: string; condition_name: string; subject_kind: Subject['kind']; subject_id: string; subject_name: string; severity: Severity; state: IncidentState;
  sentence: string; opened_at: number; resolved_at: number | null; end_reason: EndReason | null; reopened: number; acknowledged_at: number | null; acknowledged_by: string | null;
  note: string | null; tell: 'opened' | 'resolved' | null; told_at: number | null;
}

const columns = `id, rule_id, condition_name, subject_kind, subject_id, subject_name, severity, state, sentence, opened_at, resolved_at, end_reason, reopened,
  acknowledged_at, acknowledged_by, note, tell, told_at`;

function toIncident(row: IncidentRow): Incident {
  return {
    id: row.id, ruleId: row.rule_id, condition: row.condition_name, subject: { kind: row.subject_kind, id: row.subject_id, name: row.subject_name }, severity: row.severity, state: row.state,
    sentence: columnToSentence(row.sentence) ?? say('alerts.nothing-known'), openedAt: row.opened_at, resolvedAt: row.resolved_at, endReason: row.end_reason, reopened: row.reopened,
    acknowledgedAt: row.acknowledged_at, acknowledgedBy: row.acknowledged_by, note: row.note, toldAt: row.told_at,
  };
}

export type NewIncident = Pick<Incident, 'id' | 'ruleId' | 'condition' | 'subject' | 'severity' | 'sentence' | 'openedAt'>;

/** With their first line of history; they are to be told. */
export async function insertIncidents(tx: Db, incidents: readonly NewIncident[], now: number): Promise<void> {
  for (const batch of batches(incidents)) {
    await tx.execute(
      `INSERT INTO incidents (id, rule_id, condition_name, subject_kind, subject_id, subject_name, severity, state, sentence, opened_at, tell)
       VALUES ${batch.map(() => "(?, ?, ?, ?, ?, ?, ?, 'open', ?, ?, 'opened')").join(', ')} ON DUPLICATE KEY UPDATE id = id`,
      batch.flatMap(({ id, ruleId, condition, subject, severity, sentence, openedAt }) => [
        id, ruleId, condition, subject.kind, subject.id, [...subject.name].slice(0, 80).join(''), severity, sentenceToColumn(sentence, sentenceLength), openedAt,
      ]),
    );
  }
  await insertIncidentEvents(tx, incidents.map(({ id, sentence }) => ({ incidentId: id, at: now, kind: 'opened', sentence })));
}

/** They are open again, as acknowledged as they were, and nobody is told once more. */
export async function updateIncidentsReopened(tx: Db, incidents: readonly { readonly id: string; readonly sentence: Sentence }[], now: number): Promise<void> {
  for (const batch of batches(incidents)) {
    await tx.execute(
      `UPDATE incidents SET state = IF(acknowledged_at IS NULL, 'open', 'acknowledged'), resolved_at = NULL, end_reason = NULL, reopened = reopened + 1
       WHERE id IN (?) AND state = 'resolved'`, [batch.map(({ id }) => id)],
    );
  }
  await insertIncidentEvents(tx, incidents.map(({ id, sentence }) => ({ incidentId: id, at: now, kind: 'reopened', sentence })));
}

export async function updateIncidentsResolved(tx: Db, ids: readonly string[], reason: EndReason, now: number): Promise<void> {
  for (const batch of batches(ids)) {
    await tx.execute("UPDATE incidents SET state = 'resolved', resolved_at = ?, end_reason = ? WHERE id IN (?) AND state <> 'resolved'", [now, reason, batch]);
  }
  await insertIncidentEvents(tx, ids.map((id) => ({ incidentId: id, at: now, kind: 'resolved', sentence: say(`alerts.end.${reason}`) })));
}

/** Over for good: whoever was told of them is told so; what nobody was told of needs no end either. */
export async function updateIncidentsEnded(tx: Db, ids: readonly string[]): Promise<void> {
  for (const batch of batches(ids)) await tx.execute("UPDATE incidents SET tell = IF(told_at IS NULL, NULL, 'resolved') WHERE id IN (?)", [batch]);
}

/** What a message says now; it is to be told again. */
export async function updateIncidentSentence(tx: Db, id: string, sentence: Sentence, now: number): Promise<void> {
  await tx.execute("UPDATE incidents SET sentence = ?, tell = 'opened' WHERE id = ?", [sentenceToColumn(sentence, sentenceLength), id]);
  await insertIncidentEvents(tx, [{ incidentId: id, at: now, kind: 'again', sentence }]);
}

/** False: it is not open, or somebody else has. */
export async function claimIncidentAcknowledged(tx: Db, id: string, userId: string, note: string | null, now: number): Promise<boolean> {
  const { affectedRows } = await tx.execute(
    // who has seen it on the page need not be told of it any more
    "UPDATE incidents SET state = 'acknowledged', acknowledged_at = ?, acknowledged_by = ?, note = ?, tell = IF(tell = 'opened', NULL, tell), told_at = COALESCE(told_at, ?) WHERE id = ? AND state = 'open'",
    [now, userId, note, now, id],
  );
  if (affectedRows === 0) return false;
  await insertIncidentEvents(tx, [{ incidentId: id, at: now, kind: 'acknowledged', userId, note }]);
  return true;
}

export interface ToTell { readonly incident: Incident; readonly what: 'opened' | 'resolved' }

/** Oldest first. */
export async function selectIncidentsToTell(tx: Db, limit: number): Promise<ToTell[]> {
  const seen = await tx.query<{ id: string }>("SELECT id FROM incidents WHERE tell IN ('opened', 'resolved') ORDER BY opened_at, id LIMIT ?", [limit]);
  if (seen.length === 0) return [];
  const rows = await tx.query<IncidentRow>(
    `SELECT ${columns} FROM incidents WHERE id IN (?) AND tell IN ('opened', 'resolved') ORDER BY opened_at, id LOCK IN SHARE MODE`, [seen.map(({ id }) => id)],
  );
  return rows.map((row) => ({ incident: toIncident(row), what: row.tell === 'resolved' ? 'resolved' : 'opened' }));
}

export interface OpenIncident { readonly condition: string; readonly subjectId: string; readonly severity: Severity }

/** Those of these conditions that are not over. */
export async function selectOpenIncidentsOf(db: Db, conditions: readonly string[]): Promise<OpenIncident[]> {
  const rows = await db.query<{ condition_name: string; subject_id: string; severity: Severity }>(
    "SELECT condition_name, subject_id, severity FROM incidents WHERE state IN ('open', 'acknowledged') AND condition_name IN (?)", [conditions],
  );
  return rows.map((row) => ({ condition: row.condition_name, subjectId: row.subject_id, severity: row.severity }));
}

/** null: nobody wants to hear of them. Whoever was not told of one needs not hear of its end either. */
export async function updateIncidentsTold(tx: Db, told: readonly ToTell[], at: number | null): Promise<void> {
  for (const batch of batches(told)) await tx.execute('UPDATE incidents SET tell = NULL, told_at = COALESCE(?, told_at) WHERE id IN (?)', [at, batch.map(({ incident }) => incident.id)]);
  if (at === null) return;
  await insertIncidentEvents(tx, told.map(({ incident, what }) => ({ incidentId: incident.id, at, kind: what === 'opened' ? 'told' : 'told-resolved' })));
}

// ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export async function selectIncident(db: Db, id: string): Promise<Incident> {
  const [row] = await db.query<IncidentRow>(`SELECT ${columns} FROM incidents WHERE id = ?`, [id]);
  if (row === undefined) throw new AppError('not-found', say('alerts.incident-not-found'));
  return toIncident(row);
}

export interface IncidentFilter {
  readonly states?: readonly IncidentState[] | undefined;
  readonly severity?: Severity | undefined;
  readonly ruleId?: string | undefined;
  readonly subjectKind?: Subject['kind'] | undefined;
  /** opened from this time on, before that one */
  readonly from?: number | undefined;
  readonly until?: number | undefined;
}

const orders = {
  newest: 'opened_at DESC, id',
  /** what nobody looks after yet first, the worst before the rest, and those of one rule together */
  urgency: "state = 'acknowledged', severity = 'info', severity = 'warning', rule_id, opened_at DESC, id",
};

export async function selectIncidentsPage(db: Db, filter: IncidentFilter, limit: number, offset: number, order: keyof typeof orders = 'newest'): Promise<{ incidents: Incident[]; total: number }> {
  const conditions: string[] = [];
  const params: SqlValue[] = [];
  const and = (condition: string, value: SqlValue | undefined): void => {
    if (value === undefined) return;
    conditions.push(condition);
    params.push(value);
  };
  and('state IN (?)', filter.states);
  and('severity = ?', filter.severity);
  and('rule_id = ?', filter.ruleId);
  and('subject_kind = ?', filter.subjectKind);
  and('opened_at >= ?', filter.from);
  and('opened_at < ?', filter.until);
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
  const [rows, [count]] = await Promise.all([
    db.query<IncidentRow>(`SELECT ${columns} FROM incidents ${where} ORDER BY ${orders[order]} LIMIT ? OFFSET ?`, [...params, limit, offset]),
    db.query<{ total: number }>(`SELECT COUNT(*) AS total FROM incidents ${where}`, params),
  ]);
  return { incidents: rows.map(toIncident), total: count?.total ?? 0 };
}

export interface IncidentCounts { readonly open: number; readonly acknowledged: number; readonly critical: number }

/** `critical`: of the open ones. */
export async function countIncidents(db: Db): Promise<IncidentCounts> {
  const rows = await db.query<{ state: IncidentState; severity: Severity; total: number }>(
    "SELECT state, severity, COUNT(*) AS total FROM incidents WHERE state IN ('open', 'acknowledged') GROUP BY state, severity",
  );
  const sum = (of: (row: { state: IncidentState; severity: Severity }) => boolean): number => rows.filter(of).reduce((total, row) => total + row.total, 0);
  return { open: sum((row) => row.state === 'open'), acknowledged: sum((row) => row.state === 'acknowledged'), critical: sum((row) => row.state === 'open' && row.severity === 'critical') };
}

export interface RuleCount { readonly ruleId: string; readonly condition: string; readonly severity: Severity; readonly total: number }

/** How many opened since then, by rule; most first. */
export async function countIncidentsByRule(db: Db, since: number): Promise<RuleCount[]> {
  const rows = await db.query<{ rule_id: string; condition_name: string; severity: Severity; total: number }>(
    'SELECT rule_id, condition_name, severity, COUNT(*) AS total FROM incidents WHERE opened_at >= ? GROUP BY rule_id, condition_name, severity ORDER BY total DESC, rule_id', [since],
  );
  return rows.map((row) => ({ ruleId: row.rule_id, condition: row.condition_name, severity: row.severity, total: row.total }));
}

// ── history ─────────────────────────────────────────────────────────────────────────────────────────────────────────

interface NewEvent { readonly incidentId: string; readonly at: number; readonly kind: IncidentEvent['kind']; readonly userId?: string; readonly sentence?: Sentence; readonly note?: string | null }

async function insertIncidentEvents(tx: Db, events: readonly NewEvent[]): Promise<void> {
  for (const batch of batches(events)) {
    await tx.execute(
      `INSERT INTO incident_events (id, incident_id, at, kind, user_id, sentence, note) VALUES ${batch.map(() => '(?, ?, ?, ?, ?, ?, ?)').join(', ')} ON DUPLICATE KEY UPDATE id = id`,
      batch.flatMap(({ incidentId, at, kind, userId, sentence, note }) => [randomUUID(), incidentId, at, kind, userId ?? null, sentenceToColumn(sentence ?? null, sentenceLength), note ?? null]),
    );
  }
}

/** Oldest first; of one that came back hundreds of times, the last. */
export async function selectIncidentEvents(db: Db, incidentId: string, limit = 200): Promise<IncidentEvent[]> {
  const rows = await db.query<{ id: string; at: number; kind: IncidentEvent['kind']; user_id: string | null; sentence: string | null; note: string | null }>(
    'SELECT id, at, kind, user_id, sentence, note FROM incident_events WHERE incident_id = ? ORDER BY at DESC, id LIMIT ?', [incidentId, limit],
  );
  return rows.reverse().map((row) => ({ id: row.id, at: row.at, kind: row.kind, userId: row.user_id, sentence: columnToSentence(row.sentence), note: row.note }));
}

/** One batch; how many incidents it took, at most `limit` rows in a statement. Their history goes first: a run that ends in between leaves no orphans. */
export async function deleteIncidentsResolvedBefore(db: Db, before: number, limit: number): Promise<number> {
  const rows = await db.query<{ id: string }>("SELECT id FROM incidents WHERE state = 'resolved' AND opened_at < ? AND resolved_at < ? LIMIT ?", [before, before, limit]);
  if (rows.length === 0) return 0;
  const ids = rows.map(({ id }) => id);
  // a host that flapped for months has thousands of lines
  for (let gone = limit; gone === limit;) ({ affectedRows: gone } = await db.execute('DELETE FROM incident_events WHERE incident_id IN (?) LIMIT ?', [ids, limit]));
  await db.execute('DELETE FROM incidents WHERE id IN (?)', [ids]);
  return ids.length;
}
