// The admission gate's memory: one row.
import type { Sentence } from '../errors.ts';
import type { Gate } from '../model/admission.ts';
import type { Db } from './db.ts';

interface GateRow { readonly closed: number; readonly since: number; readonly reasons: string; readonly checked_at: number; readonly turning: string | null }

/** The gate as it stands; open where it was never evaluated. */
export async function selectGate(db: Db): Promise<Gate> {
  const [row] = await db.query<GateRow>('SELECT closed, since, reasons, checked_at, turning FROM gate WHERE id = 1');
  if (row === undefined) return { closed: false, since: 0, reasons: [] };
  const turning = row.turning === null ? {} : { turning: JSON.parse(row.turning) as NonNullable<Gate['turning']> };
  return { closed: row.closed === 1, since: row.since, reasons: JSON.parse(row.reasons) as Sentence[], ...turning };
}

/** Stores `next` if the gate still is `before`. False: another portal evaluated it meanwhile, whose word stands. */
export async function updateGate(db: Db, before: Gate, next: Gate, now: number): Promise<boolean> {
  await db.execute("INSERT INTO gate (id, closed, since, reasons, checked_at) VALUES (1, 0, 0, '[]', 0) ON DUPLICATE KEY UPDATE id = id");
  const turning = next.turning === undefined || Object.keys(next.turning).length === 0 ? null : JSON.stringify(next.turning);
  const { affectedRows } = await db.execute(
    'UPDATE gate SET closed = ?, since = ?, reasons = ?, checked_at = ?, turning = ? WHERE id = 1 AND closed = ? AND since = ?',
    [next.closed ? 1 : 0, next.since, JSON.stringify(next.reasons), now, turning, before.closed ? 1 : 0, before.since],
  );
  return affectedRows === 1;
}
