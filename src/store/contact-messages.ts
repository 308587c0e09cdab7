// Table contact_messages: what people wrote with the contact form, and what admins answered. A message is stored before
// it is mailed, so that a dead mail server loses nothing.
import { AppError, say } from '../errors.ts';
import type { ContactMessage } from '../model/contact-message.ts';
import type { Db } from './db.ts';

interface MessageRow {
  id: string; at: number; user_id: string | null; name: string; email: string; subject: string; body: Buffer;
  mailed_at: number | null; mail_error: string | null; read_at: number | null; answer: Buffer | null; answered_at: number | null;
  answered_by: string | null; answer_mailed_at: number | null; answer_mail_error: string | null;
}

const columns =
  'id, at, user_id, name, email, subject, body, mailed_at, mail_error, read_at, answer, answered_at, answered_by, answer_mailed_at, answer_mail_error';

function toMessage(row: MessageRow): ContactMessage {
  return {
    id: row.id, at: row.at, userId: row.user_id, name: row.name, email: row.email, subject: row.subject, body: row.body.toString('utf8'),
    mailedAt: row.mailed_at, mailError: row.mail_error, readAt: row.read_at,
    answer: row.answer === null ? null : row.answer.toString('utf8'), answeredAt: row.answered_at, answeredBy: row.answered_by,
    answerMailedAt: row.answer_mailed_at, answerMailError: row.answer_mail_error,
  };
}

export async function insertContactMessage(
  db: Db, message: Pick<ContactMessage, 'id' | 'at' | 'userId' | 'name' | 'email' | 'subject' | 'body'>,
): Promise<void> {
  await db.execute(
    'INSERT INTO contact_messages (id, at, user_id, name, email, subject, body) VALUES (?, ?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE id = id',
    [message.id, message.at, message.userId, message.name, message.email, message.subject, Buffer.from(message.body, 'utf8')],
  );
}

/** Newest first. */
export async function selectContactMessages(db: Db, page: { readonly limit: number; readonly offset: number }): Promise<ContactMessage[]> {
  const rows = await db.query<MessageRow>(`SELECT ${columns} FROM contact_messages ORDER BY at DESC, id LIMIT ? OFFSET ?`, [page.limit, page.offset]);
  return rows.map(toMessage);
}

export async function countContactMessages(db: Db): Promise<{ readonly all: number; readonly unread: number; readonly notMailed: number }> {
  const [row] = await db.query<{ everything: number; unread: string | number | null; failed: string | number | null }>(
    'SELECT COUNT(*) AS everything, SUM(read_at IS NULL) AS unread, SUM(mail_error IS NOT NULL AND mailed_at IS NULL) AS failed FROM contact_messages',
  );
  return { all: row?.everything ?? 0, unread: Number(row?.unread ?? 0), notMailed: Number(row?.failed ?? 0) };
}

export async function selectContactMessage(db: Db, id: string): Promise<ContactMessage> {
  const [row] = await db.query<MessageRow>(`SELECT ${columns} FROM contact_messages WHERE id = ?`, [id]);
  if (row === undefined) throw new AppError('not-found', say('admin.messages.not-found'));
  return toMessage(row);
}

/** What came of mailing it to the contact address: null is success. */
export async function updateContactMessageMailed(db: Db, id: string, now: number, error: string | null): Promise<void> {
  await db.execute('UPDATE contact_messages SET mailed_at = ?, mail_error = ? WHERE id = ?', [error === null ? now : null, error === null ? null : error.slice(0, 250), id]);
}

export async function updateContactMessageRead(db: Db, id: string, now: number): Promise<void> {
  await db.execute('UPDATE contact_messages SET read_at = ? WHERE id = ? AND read_at IS NULL', [now, id]);
}

/** One answer a message: false when another admin was first. */
export async function claimContactMessageAnswer(db: Db, id: string, answer: string, userId: string, now: number): Promise<boolean> {
  const { affectedRows } = await db.execute(
    'UPDATE contact_messages SET answer = ?, answered_at = ?, answered_by = ?, read_at = COALESCE(read_at, ?) WHERE id = ? AND answered_at IS NULL',
    [Buffer.from(answer, 'utf8'), now, userId, now, id],
  );
  if (affectedRows === 1) return true;
  // a write whose answer was lost is run again by db.ts: what stands there may be ours
  const stored = await selectContactMessage(db, id);
  return stored.answeredBy === userId && stored.answeredAt === now && stored.answer === answer;
}

export async function updateContactMessageAnswerMailed(db: Db, id: string, now: number, error: string | null): Promise<void> {
  await db.execute('UPDATE contact_messages SET answer_mailed_at = ?, answer_mail_error = ? WHERE id = ?', [error === null ? now : null, error === null ? null : error.slice(0, 250), id]);
}
