// API tokens: shown once, kept as SHA-256, expiring, revocable. A token may do what its user may, or only read.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import type { User } from '../model/user.ts';
import type { Db } from './db.ts';
import { selectOptionalUser } from './users.ts';

export const tokenScopes = ['read', 'write'] as const;
export type TokenScope = (typeof tokenScopes)[number];

export interface ApiToken {
  readonly id: string;
  readonly userId: string;
  readonly name: string;
  readonly scope: TokenScope;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly lastUsedAt: number | null;
}

interface ApiTokenRow {
  id: string;
  user_id: string;
  name: string;
  scope: TokenScope;
  created_at: number;
  expires_at: number;
  last_used_at: number | null;
}

const columns = 'id, user_id, name, scope, created_at, expires_at, last_used_at';
/** Larger: "last used" lies by that much; smaller: every call of the API is a write. */
const touchEveryMs = 60_000;
/** Of one user; a program that makes one a run would fill the table. */
export const maxTokensPerUser = 50;

function toToken(row: ApiTokenRow): ApiToken {
  return {
    id: row.id, userId: row.user_id, name: row.name, scope: row.scope,
    createdAt: row.created_at, expiresAt: row.expires_at, lastUsedAt: row.last_used_at,
  };
}

function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

export interface NewApiToken {
  readonly userId: string;
  readonly name: string;
  readonly scope: TokenScope;
  readonly expiresAt: number;
}

/** Makes a token. `secret` is what the caller sends; it cannot be read again. */
export async function createApiToken(db: Db, token: NewApiToken, now: number): Promise<{ id: string; secret: string }> {
  const id = randomUUID();
  // the prefix lets secret scanners of code hosts recognise one that was published by mistake
  const secret = `cloudhpc_${randomBytes(32).toString('base64url')}`;
  await db.execute(
    'INSERT INTO api_tokens (id, user_id, name, token_hash, scope, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE id = id',
    [id, token.userId, token.name, hashToken(secret), token.scope, now, token.expiresAt],
  );
  return { id, secret };
}

/** The user whose token this is; undefined when it is unknown, expired or revoked, or the account is not active. */
export async function selectOptionalTokenUser(db: Db, secret: string, now: number): Promise<{ token: ApiToken; user: User } | undefined> {
  const [row] = await db.query<ApiTokenRow>(`SELECT ${columns} FROM api_tokens WHERE token_hash = ? AND expires_at > ? AND revoked_at IS NULL`, [
    hashToken(secret), now,
  ]);
  if (row === undefined) return undefined;
  const user = await selectOptionalUser(db, row.user_id);
  if (user === undefined || user.state !== 'active') return undefined;
  if (now - (row.last_used_at ?? 0) >= touchEveryMs) await db.execute('UPDATE api_tokens SET last_used_at = ? WHERE id = ?', [now, row.id]);
  return { token: toToken(row), user };
}

/** Those that can still be used, newest first. */
export async function selectTokensByUser(db: Db, userId: string, now: number): Promise<ApiToken[]> {
  const rows = await db.query<ApiTokenRow>(
    `SELECT ${columns} FROM api_tokens WHERE user_id = ? AND revoked_at IS NULL AND expires_at > ? ORDER BY created_at DESC, id`,
    [userId, now],
  );
  return rows.map(toToken);
}

/** False: there is no such token of this user. */
export async function revokeToken(db: Db, userId: string, id: string, now: number): Promise<boolean> {
  const { affectedRows } = await db.execute('UPDATE api_tokens SET revoked_at = COALESCE(revoked_at, ?) WHERE id = ? AND user_id = ?', [now, id, userId]);
  return affectedRows === 1;
}

/** All of them; those that are revoked already keep their time. */
export async function revokeTokensOfUser(db: Db, userId: string, now: number): Promise<void> {
  await db.execute('UPDATE api_tokens SET revoked_at = ? WHERE user_id = ? AND revoked_at IS NULL', [now, userId]);
}

/** At most `limit` of the tokens that expired or were revoked before `before` (ms UTC); how many that were. */
export async function deleteDeadTokens(db: Db, before: number, limit: number): Promise<number> {
  const rows = await db.query<{ id: string }>('SELECT id FROM api_tokens WHERE expires_at < ? OR revoked_at < ? LIMIT ?', [before, before, limit]);
  if (rows.length === 0) return 0;
  // by their keys: a DELETE that looks at every row locks those that are in use, on MySQL Cluster
  await db.execute('DELETE FROM api_tokens WHERE id IN (?)', [rows.map((row) => row.id)]);
  return rows.length;
}
