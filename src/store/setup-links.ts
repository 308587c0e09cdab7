// One-time links: the first makes the first admin, others let a user choose a new password. The database knows only the
// token's SHA-256, so that who reads it cannot use a link.
import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { AppError, say } from '../errors.ts';
import type { Database, Db } from './db.ts';
import { adminExists, updatePassword } from './users.ts';

/** Long enough for a mail to be read the next morning; a link lying around longer is a risk. */
export const setupLinkLifeMs = 24 * 3_600_000;

function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** A link's token for making the first admin. Throws conflict when there is an admin. */
export async function createSetupLink(db: Db, clock: Clock): Promise<string> {
  if (await adminExists(db)) throw new AppError('conflict', say('setup.admin-exists'));
  return insertLink(db, null, clock.now());
}

/** A link's token for choosing a new password; links made for this user before stop working. */
export async function createPasswordLink(db: Db, userId: string, clock: Clock): Promise<string> {
  await db.execute('DELETE FROM setup_links WHERE user_id = ?', [userId]);
  return insertLink(db, userId, clock.now());
}

async function insertLink(db: Db, userId: string | null, now: number): Promise<string> {
  const token = randomBytes(32).toString('base64url');
  await db.execute('INSERT INTO setup_links (token_hash, user_id, created_at, expires_at) VALUES (?, ?, ?, ?) ON DUPLICATE KEY UPDATE token_hash = token_hash', [
    hashToken(token), userId, now, now + setupLinkLifeMs,
  ]);
  return token;
}

export type SetupLink = { readonly kind: 'first-admin' } | { readonly kind: 'password'; readonly userId: string };

/** What the link is for; undefined when it is unknown, used, expired, or there is an admin by now. */
export async function selectOptionalSetupLink(db: Db, token: string, now: number): Promise<SetupLink | undefined> {
  const [row] = await db.query<{ user_id: string | null }>('SELECT user_id FROM setup_links WHERE token_hash = ? AND used_at IS NULL AND expires_at > ?', [
    hashToken(token), now,
  ]);
  if (row === undefined) return undefined;
  if (row.user_id !== null) return { kind: 'password', userId: row.user_id };
  return (await adminExists(db)) ? undefined : { kind: 'first-admin' };
}

/** The first admin is there: every link that could make one is spent. */
export async function spendFirstAdminLinks(db: Db, now: number): Promise<void> {
  await db.execute('UPDATE setup_links SET used_at = ? WHERE user_id IS NULL AND used_at IS NULL', [now]);
}

/** Spends the link and sets the password in one; false when another request was first. Ends the user's sessions. */
export async function claimPasswordLink(db: Database, token: string, userId: string, passwordHash: string, now: number): Promise<boolean> {
  return db.transaction(async (tx) => {
    const { affectedRows } = await tx.execute('UPDATE setup_links SET used_at = ? WHERE token_hash = ? AND user_id = ? AND used_at IS NULL AND expires_at > ?', [
      now, hashToken(token), userId, now,
    ]);
    if (affectedRows !== 1) return false;
    await updatePassword(tx, userId, passwordHash, now);
    return true;
  });
}

/** Deletes what can never be used again; returns how many. */
export async function purgeSetupLinks(db: Db, now: number): Promise<number> {
  const { affectedRows } = await db.execute('DELETE FROM setup_links WHERE expires_at <= ? LIMIT 500', [now]);
  return affectedRows;
}
