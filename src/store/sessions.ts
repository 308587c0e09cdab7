// Sessions in the database, so that every portal knows them and an account's change of rights ends them everywhere at once.
// The row's id is the SHA-256 of the cookie's id: who reads the table cannot log in with it.
import type { Db } from './db.ts';

export interface SessionRow {
  readonly data: string;
  readonly seenAt: number;
}

/** Valid now: not expired, and of nobody or of an active user whose epoch has not moved since the login. */
export async function selectOptionalSession(db: Db, id: string, now: number): Promise<SessionRow | undefined> {
  const [row] = await db.query<{ data: string; seen_at: number }>(
    `SELECT s.data, s.seen_at FROM sessions s LEFT JOIN users u ON u.id = s.user_id
     WHERE s.id = ? AND s.expires_at > ? AND (s.user_id IS NULL OR (u.session_epoch = s.user_epoch AND u.state = 'active'))`,
    [id, now],
  );
  return row && { data: row.data, seenAt: row.seen_at };
}

/** Which of these sessions are still those of a logged-in user; one question for all the connections a portal holds open. */
export async function selectLiveSessionIds(db: Db, ids: readonly string[], now: number): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const rows = await db.query<{ id: string }>(
    `SELECT s.id FROM sessions s JOIN users u ON u.id = s.user_id
     WHERE s.id IN (?) AND s.expires_at > ? AND u.session_epoch = s.user_epoch AND u.state = 'active'`,
    [ids, now],
  );
  return new Set(rows.map((row) => row.id));
}

export interface SessionWrite {
  readonly id: string;
  readonly userId: string | null;
  readonly userEpoch: number | null;
  readonly data: string;
  readonly ip: string;
  readonly userAgent: string;
  readonly now: number;
  readonly expiresAt: number;
}

export async function insertSession(db: Db, session: SessionWrite): Promise<void> {
  await db.execute(
    `INSERT INTO sessions (id, user_id, user_epoch, data, ip, user_agent, created_at, seen_at, expires_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON DUPLICATE KEY UPDATE user_id = VALUES(user_id), user_epoch = VALUES(user_epoch), data = VALUES(data), ip = VALUES(ip),
       user_agent = VALUES(user_agent), seen_at = VALUES(seen_at), expires_at = VALUES(expires_at)`,
    [session.id, session.userId, session.userEpoch, session.data, session.ip, session.userAgent, session.now, session.now, session.expiresAt],
  );
}

/** Never an insert: a slow request that ends after the logout must not bring the session back. */
export async function updateSession(db: Db, session: SessionWrite, maxAgeMs: number): Promise<void> {
  await db.execute(
    `UPDATE sessions SET user_id = ?, user_epoch = ?, data = ?, ip = ?, user_agent = ?, seen_at = ?, expires_at = LEAST(?, created_at + ?)
     WHERE id = ?`,
    [session.userId, session.userEpoch, session.data, session.ip, session.userAgent, session.now, session.expiresAt, maxAgeMs, session.id],
  );
}

/** Moves the end of an idle session; never past `maxAgeMs` after its beginning. */
export async function touchSession(db: Db, id: string, now: number, expiresAt: number, maxAgeMs: number): Promise<void> {
  await db.execute('UPDATE sessions SET seen_at = ?, expires_at = LEAST(?, created_at + ?) WHERE id = ?', [now, expiresAt, maxAgeMs, id]);
}

export async function deleteSession(db: Db, id: string): Promise<void> {
  await db.execute('DELETE FROM sessions WHERE id = ?', [id]);
}

/** All of a user's, but for the one named. */
export async function deleteSessionsOfUser(db: Db, userId: string, exceptId?: string): Promise<void> {
  await db.execute('DELETE FROM sessions WHERE user_id = ? AND id <> ?', [userId, exceptId ?? '']);
}

export interface UserSession {
  readonly id: string;
  readonly ip: string;
  readonly userAgent: string;
  readonly createdAt: number;
  readonly seenAt: number;
}

/** Those that still open something, last seen first. */
export async function selectSessionsByUser(db: Db, userId: string, now: number): Promise<UserSession[]> {
  const rows = await db.query<{ id: string; ip: string; user_agent: string; created_at: number; seen_at: number }>(
    `SELECT s.id, s.ip, s.user_agent, s.created_at, s.seen_at FROM sessions s JOIN users u ON u.id = s.user_id
     WHERE s.user_id = ? AND s.expires_at > ? AND s.user_epoch = u.session_epoch ORDER BY s.seen_at DESC LIMIT 100`,
    [userId, now],
  );
  return rows.map((row) => ({ id: row.id, ip: row.ip, userAgent: row.user_agent, createdAt: row.created_at, seenAt: row.seen_at }));
}

/** Rows of one statement. Too many and MySQL Cluster runs out of operation records; too few and it takes all night. */
const batchSize = 500;

/** Deletes what has expired, in batches; returns how many. */
export async function purgeExpiredSessions(db: Db, now: number): Promise<number> {
  for (let total = 0; ; ) {
    const { affectedRows } = await db.execute('DELETE FROM sessions WHERE expires_at <= ? LIMIT ?', [now, batchSize]);
    total += affectedRows;
    if (affectedRows < batchSize) return total;
  }
}
