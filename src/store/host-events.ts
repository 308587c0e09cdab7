// The history of a host: contact lost and found, maintenance, fencing, recovery, burn-ins, in words.
import { randomUUID } from 'node:crypto';
import type { HostEvent } from '../model/host.ts';
import { columnToSentence, sentenceToColumn } from './columns.ts';
import type { Db } from './db.ts';

interface EventRow {
  readonly id: string;
  readonly host_id: string;
  readonly at: number;
  readonly kind: HostEvent['kind'];
  readonly user_id: string | null;
  readonly sentence: string;
  readonly reason: string | null;
}

/** `id` is made by a caller whose transaction may run twice. */
export type NewHostEvent = Omit<HostEvent, 'id' | 'reason'> & { readonly id?: string; readonly reason?: HostEvent['reason'] };

export async function insertHostEvent(db: Db, event: NewHostEvent): Promise<void> {
  await db.execute(
    `INSERT INTO host_events (id, host_id, at, kind, user_id, sentence, reason) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON DUPLICATE KEY UPDATE id = id`,
    [event.id ?? randomUUID(), event.hostId, event.at, event.kind, event.userId, sentenceToColumn(event.sentence, 1000), sentenceToColumn(event.reason ?? null, 2000)],
  );
}

/** Newest first. */
export async function selectHostEvents(db: Db, hostId: string, limit = 100): Promise<HostEvent[]> {
  const rows = await db.query<EventRow>(
    'SELECT id, host_id, at, kind, user_id, sentence, reason FROM host_events WHERE host_id = ? ORDER BY at DESC, id LIMIT ?', [hostId, limit],
  );
  return rows.map((row) => ({
    id: row.id, hostId: row.host_id, at: row.at, kind: row.kind, userId: row.user_id,
    sentence: columnToSentence(row.sentence) ?? { key: 'errors.unknown' }, reason: columnToSentence(row.reason),
  }));
}

/** Older entries than this many of one host help nobody; a loose cable would fill the table with them. */
export const hostHistoryLength = 1000;

/** Shortens histories that have grown too long, a batch each, and forgets those of hosts that are gone. Returns how many entries went. */
export async function trimHostEvents(db: Db, limit = 500): Promise<number> {
  const orphans = await db.query<{ host_id: string }>(
    'SELECT DISTINCT host_id FROM host_events WHERE NOT EXISTS (SELECT 1 FROM hosts WHERE hosts.id = host_events.host_id) LIMIT 1',
  );
  let gone = 0;
  for (const { host_id: id } of orphans) gone += (await db.execute('DELETE FROM host_events WHERE host_id = ? LIMIT ?', [id, limit])).affectedRows;
  const long = await db.query<{ host_id: string }>('SELECT host_id FROM host_events GROUP BY host_id HAVING COUNT(*) > ? LIMIT 1', [hostHistoryLength]);
  for (const { host_id: id } of long) {
    const [oldest] = await db.query<{ at: number }>('SELECT at FROM host_events WHERE host_id = ? ORDER BY at DESC LIMIT 1 OFFSET ?', [id, hostHistoryLength - 1]);
    if (oldest !== undefined) gone += (await db.execute('DELETE FROM host_events WHERE host_id = ? AND at < ? LIMIT ?', [id, oldest.at, limit])).affectedRows;
  }
  return gone;
}
