// The diary of an instance: all that happened to it, in words.
import { randomUUID } from 'node:crypto';
import type { InstanceEvent } from '../model/instance.ts';
import { columnToSentence, sentenceToColumn } from './columns.ts';
import type { Db } from './db.ts';

interface EventRow {
  readonly id: string;
  readonly instance_id: string;
  readonly at: number;
  readonly user_id: string | null;
  readonly sentence: string;
  readonly reason: string | null;
}

export type NewInstanceEvent = Omit<InstanceEvent, 'id' | 'reason'> & { readonly id?: string; readonly reason?: InstanceEvent['reason'] };

export async function insertInstanceEvent(db: Db, event: NewInstanceEvent): Promise<void> {
  await db.execute(
    `INSERT INTO instance_events (id, instance_id, at, user_id, sentence, reason) VALUES (?, ?, ?, ?, ?, ?)
     ON DUPLICATE KEY UPDATE id = id`,
    [event.id ?? randomUUID(), event.instanceId, event.at, event.userId, sentenceToColumn(event.sentence, 1000), sentenceToColumn(event.reason ?? null, 2000)],
  );
}

/** Newest first. */
export async function selectInstanceEvents(db: Db, instanceId: string, limit = 100): Promise<InstanceEvent[]> {
  const rows = await db.query<EventRow>(
    'SELECT id, instance_id, at, user_id, sentence, reason FROM instance_events WHERE instance_id = ? ORDER BY at DESC, id LIMIT ?', [instanceId, limit],
  );
  return rows.map((row) => ({
    id: row.id, instanceId: row.instance_id, at: row.at, userId: row.user_id,
    sentence: columnToSentence(row.sentence) ?? { key: 'errors.unknown' }, reason: columnToSentence(row.reason),
  }));
}

/** Older entries than this many of one instance help nobody; a script that opens consoles all night would fill the table with them. */
export const diaryLength = 1000;

/** Shortens diaries that have grown too long, a batch each. Returns how many entries went. */
export async function trimInstanceEvents(db: Db, limit = 500): Promise<number> {
  const long = await db.query<{ instance_id: string }>('SELECT instance_id FROM instance_events GROUP BY instance_id HAVING COUNT(*) > ? LIMIT 100', [diaryLength]);
  let gone = 0;
  for (const { instance_id: id } of long) {
    const [oldest] = await db.query<{ at: number }>('SELECT at FROM instance_events WHERE instance_id = ? ORDER BY at DESC LIMIT 1 OFFSET ?', [id, diaryLength - 1]);
    if (oldest !== undefined) gone += (await db.execute('DELETE FROM instance_events WHERE instance_id = ? AND at < ? LIMIT ?', [id, oldest.at, limit])).affectedRows;
  }
  return gone;
}

/** A batch at a time, because a large transaction fails on NDB. Returns how many went. */
export async function deleteInstanceEvents(db: Db, instanceId: string, limit = 200): Promise<number> {
  return (await db.execute('DELETE FROM instance_events WHERE instance_id = ? LIMIT ?', [instanceId, limit])).affectedRows;
}
