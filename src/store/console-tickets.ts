// Single-use keys to one instance's screen in the browser. The table has their SHA-256 only.
import type { Db } from './db.ts';

export interface ConsoleTicket {
  readonly ticketHash: string;
  readonly instanceId: string;
  readonly userId: string;
  /** id of the row in `sessions` */
  readonly sessionId: string;
  readonly expiresAt: number;
}

export async function insertConsoleTicket(db: Db, ticket: ConsoleTicket): Promise<void> {
  await db.execute(
    `INSERT INTO console_tickets (ticket_hash, instance_id, user_id, session_id, expires_at) VALUES (?, ?, ?, ?, ?)
     ON DUPLICATE KEY UPDATE ticket_hash = ticket_hash`,
    [ticket.ticketHash, ticket.instanceId, ticket.userId, ticket.sessionId, ticket.expiresAt],
  );
}

/** Uses a ticket up: of any number of tries, on any number of portals, one gets it. undefined: unknown, used or expired. */
export async function claimConsoleTicket(db: Db, ticketHash: string, now: number): Promise<ConsoleTicket | undefined> {
  const { affectedRows } = await db.execute('UPDATE console_tickets SET used_at = ? WHERE ticket_hash = ? AND used_at IS NULL AND expires_at > ?', [now, ticketHash, now]);
  if (affectedRows !== 1) return undefined;
  const [row] = await db.query<{ instance_id: string; user_id: string; session_id: string; expires_at: number }>(
    'SELECT instance_id, user_id, session_id, expires_at FROM console_tickets WHERE ticket_hash = ?',
    [ticketHash],
  );
  return row && { ticketHash, instanceId: row.instance_id, userId: row.user_id, sessionId: row.session_id, expiresAt: row.expires_at };
}

/** Rows of one statement. Too many and MySQL Cluster runs out of operation records. */
const batchSize = 500;

/** Deletes what expired before `before`, at most one batch; how many rows that were. */
export async function purgeConsoleTickets(db: Db, before: number): Promise<number> {
  return (await db.execute('DELETE FROM console_tickets WHERE expires_at < ? LIMIT ?', [before, batchSize])).affectedRows;
}
