// Moves that balancing suggests, and what became of them. Open ones are few: as many as the cap of a round allows.
import type { Sentence } from '../errors.ts';
import { columnToSentence, sentenceToColumn } from './columns.ts';
import type { Db } from './db.ts';

/** expired: it would not help any more, or the instance has moved otherwise */
export const suggestionStates = ['open', 'applied', 'dismissed', 'expired'] as const;
export type SuggestionState = (typeof suggestionStates)[number];

export interface Suggestion {
  readonly id: string;
  readonly instanceId: string;
  readonly fromHostId: string;
  readonly toHostId: string;
  readonly why: Sentence;
  /** points of load by which the two hosts come closer */
  readonly gainPercent: number;
  readonly state: SuggestionState;
  /** of the move, when applied */
  readonly operationId: string | null;
  readonly createdAt: number;
  readonly endedAt: number | null;
}

interface SuggestionRow {
  readonly id: string;
  readonly instance_id: string;
  readonly from_host_id: string;
  readonly to_host_id: string;
  readonly why: string;
  readonly gain_percent: number;
  readonly state: SuggestionState;
  readonly operation_id: string | null;
  readonly created_at: number;
  readonly ended_at: number | null;
}

const columns = 'id, instance_id, from_host_id, to_host_id, why, gain_percent, state, operation_id, created_at, ended_at';

function toSuggestion(row: SuggestionRow): Suggestion {
  return {
    id: row.id,
    instanceId: row.instance_id,
    fromHostId: row.from_host_id,
    toHostId: row.to_host_id,
    why: columnToSentence(row.why) ?? { key: 'errors.unknown' },
    gainPercent: row.gain_percent,
    state: row.state,
    operationId: row.operation_id,
    createdAt: row.created_at,
    endedAt: row.ended_at,
  };
}

export async function insertSuggestion(db: Db, suggestion: Omit<Suggestion, 'state' | 'operationId' | 'endedAt'>): Promise<void> {
  await db.execute(
    `INSERT INTO suggestions (id, instance_id, from_host_id, to_host_id, why, gain_percent, state, created_at) VALUES (?, ?, ?, ?, ?, ?, 'open', ?)
     ON DUPLICATE KEY UPDATE id = id`,
    [suggestion.id, suggestion.instanceId, suggestion.fromHostId, suggestion.toHostId, sentenceToColumn(suggestion.why, 1000), suggestion.gainPercent, suggestion.createdAt],
  );
}

/** Oldest first: the order in which they were made, which is the order in which they help. */
export async function selectOpenSuggestions(db: Db): Promise<Suggestion[]> {
  return (await db.query<SuggestionRow>(`SELECT ${columns} FROM suggestions WHERE state = 'open' ORDER BY created_at, id`)).map(toSuggestion);
}

export async function selectOptionalSuggestion(db: Db, id: string): Promise<Suggestion | undefined> {
  const [row] = await db.query<SuggestionRow>(`SELECT ${columns} FROM suggestions WHERE id = ?`, [id]);
  return row && toSuggestion(row);
}

/** instance id → when an admin said no to moving it, since then. */
export async function selectDismissedSince(db: Db, since: number): Promise<Map<string, number>> {
  const rows = await db.query<{ instance_id: string; at: number }>(
    "SELECT instance_id, MAX(ended_at) AS at FROM suggestions WHERE state = 'dismissed' AND ended_at >= ? GROUP BY instance_id", [since],
  );
  return new Map(rows.map((row) => [row.instance_id, row.at]));
}

/** Ends an open one that comes to nothing. false: somebody has decided about it already. */
export async function claimSuggestionEnded(db: Db, id: string, state: 'dismissed' | 'expired', now: number): Promise<boolean> {
  const { affectedRows } = await db.execute("UPDATE suggestions SET state = ?, ended_at = ? WHERE id = ? AND state = 'open'", [state, now, id]);
  return affectedRows === 1;
}

/** Ends an open one by this move, which is about to be asked for. false: somebody has decided about it already, otherwise than by this move. */
export async function claimSuggestionApplied(db: Db, id: string, operationId: string, now: number): Promise<boolean> {
  const { affectedRows } = await db.execute(
    "UPDATE suggestions SET state = 'applied', ended_at = ?, operation_id = ? WHERE id = ? AND (state = 'open' OR (state = 'applied' AND operation_id = ?))", [now, operationId, id, operationId],
  );
  return affectedRows === 1;
}

/** This move came to nothing. */
export async function reopenSuggestion(db: Db, id: string, operationId: string): Promise<void> {
  await db.execute("UPDATE suggestions SET state = 'open', ended_at = NULL, operation_id = NULL WHERE id = ? AND state = 'applied' AND operation_id = ?", [id, operationId]);
}

/** Forgets those that ended before; at most `limit`. */
export async function deleteSuggestionsEndedBefore(db: Db, before: number, limit: number): Promise<number> {
  return (await db.execute("DELETE FROM suggestions WHERE state <> 'open' AND ended_at < ? LIMIT ?", [before, limit])).affectedRows;
}
