// Answers kept under the key that a client chose, so that a request sent again after a lost answer is done once.
// A row without a status is work in hand; its claim runs out, should the portal that took it die.
import { isDuplicateKey, type Db } from './db.ts';

const keepMs = 24 * 3600 * 1000;
/** Longer than any request of ours takes. Too short: a slow one is done twice; too long: after a crash the client waits. */
const claimMs = 60_000;

export interface IdempotencyClaim {
  readonly userId: string;
  readonly key: string;
  /** names this attempt; made before the insert, so that a repeated insert knows its own row */
  readonly claimId: string;
  /** keyed hash of method, path and body */
  readonly requestHash: string;
}

export interface StoredAnswer {
  readonly status: number;
  /** null: its body held a secret and was not kept */
  readonly response: { readonly body: unknown; readonly location?: string } | null;
}

export type ClaimResult =
  /** `since`: the first claim's time, also when this one took it over: what was begun under it can be found by that */
  | { readonly outcome: 'claimed'; readonly since: number }
  | { readonly outcome: 'answered'; readonly answer: StoredAnswer }
  | { readonly outcome: 'in-progress' }
  | { readonly outcome: 'other-request' };

interface KeyRow { request_hash: string; claim_id: string; claimed_until: number; created_at: number; status: number | null; response: Buffer | null }

/** Takes the key for this request, or says who has it. Of any number of simultaneous claims exactly one wins. */
export async function claimIdempotencyKey(db: Db, claim: IdempotencyClaim, now: number): Promise<ClaimResult> {
  await db.execute('DELETE FROM idempotency_keys WHERE user_id = ? AND expires_at <= ?', [claim.userId, now]);
  try {
    await db.execute(
      'INSERT INTO idempotency_keys (user_id, idempotency_key, request_hash, claim_id, claimed_until, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)',
      [claim.userId, claim.key, claim.requestHash, claim.claimId, now + claimMs, now, now + keepMs],
    );
    return { outcome: 'claimed', since: now };
  } catch (error) {
    if (!isDuplicateKey(error)) throw error;
  }
  const [row] = await db.query<KeyRow>(
    'SELECT request_hash, claim_id, claimed_until, created_at, status, response FROM idempotency_keys WHERE user_id = ? AND idempotency_key = ?',
    [claim.userId, claim.key],
  );
  // released between the two statements: as good as in progress, the client asks again
  if (row === undefined) return { outcome: 'in-progress' };
  if (row.claim_id === claim.claimId) return { outcome: 'claimed', since: row.created_at };
  if (row.request_hash !== claim.requestHash) return { outcome: 'other-request' };
  if (row.status !== null) return { outcome: 'answered', answer: { status: row.status, response: row.response === null ? null : parseResponse(row.response) } };
  return (await takeOver(db, claim, row, now)) ? { outcome: 'claimed', since: row.created_at } : { outcome: 'in-progress' };
}

function parseResponse(response: Buffer): StoredAnswer['response'] {
  return JSON.parse(response.toString('utf8')) as StoredAnswer['response'];
}

async function takeOver(db: Db, claim: IdempotencyClaim, row: KeyRow, now: number): Promise<boolean> {
  if (row.claimed_until > now) return false;
  const { affectedRows } = await db.execute(
    'UPDATE idempotency_keys SET claim_id = ?, claimed_until = ? WHERE user_id = ? AND idempotency_key = ? AND claim_id = ? AND status IS NULL',
    [claim.claimId, now + claimMs, claim.userId, claim.key, row.claim_id],
  );
  return affectedRows === 1;
}

/** Keeps the answer of the request that holds the claim. */
export async function updateIdempotencyAnswer(db: Db, claim: IdempotencyClaim, answer: StoredAnswer): Promise<void> {
  await db.execute(
    'UPDATE idempotency_keys SET status = ?, response = ? WHERE user_id = ? AND idempotency_key = ? AND claim_id = ?',
    [answer.status, answer.response === null ? null : Buffer.from(JSON.stringify(answer.response)), claim.userId, claim.key, claim.claimId],
  );
}

/** Gives the key back: nothing was done under it, and the same request may be tried again. */
export async function releaseIdempotencyKey(db: Db, claim: IdempotencyClaim): Promise<void> {
  await db.execute('DELETE FROM idempotency_keys WHERE user_id = ? AND idempotency_key = ? AND claim_id = ? AND status IS NULL', [claim.userId, claim.key, claim.claimId]);
}

/** Lets the same request take over at once what was begun: whether it was done is not known. */
export async function endIdempotencyClaim(db: Db, claim: IdempotencyClaim): Promise<void> {
  await db.execute('UPDATE idempotency_keys SET claimed_until = 0 WHERE user_id = ? AND idempotency_key = ? AND claim_id = ? AND status IS NULL', [claim.userId, claim.key, claim.claimId]);
}

/** For the clean-up job. At most `limit` rows at once: a big DELETE fails on MySQL Cluster. */
export async function deleteExpiredIdempotencyKeys(db: Db, now: number, limit = 500): Promise<number> {
  return (await db.execute('DELETE FROM idempotency_keys WHERE expires_at <= ? LIMIT ?', [now, limit])).affectedRows;
}
