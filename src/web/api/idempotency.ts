// Idempotency-Key: the same request sent again gets the first one's answer, and is done once.
import { createHash, createHmac, randomUUID } from 'node:crypto';
import type { Request } from 'express';
import { AppError, say } from '../../errors.ts';
import type { User } from '../../model/user.ts';
import { uuidFromHash } from '../../model/uuid.ts';
import { claimIdempotencyKey, endIdempotencyClaim, releaseIdempotencyKey, updateIdempotencyAnswer, type IdempotencyClaim } from '../../store/idempotency-keys.ts';
import type { WebDeps } from '../deps.ts';
import type { Endpoint, Reply } from './endpoint.ts';

const keyPattern = /^[\x21-\x7e]{1,128}$/;
/** The response's column has this many bytes; a longer answer is done but not repeated. */
const maxAnswerBytes = 16_000;

/** Runs `work` once per user and key. Without the header it simply runs. */
export async function once(
  deps: WebDeps, endpoint: Endpoint, req: Request, user: User, work: (newId: string) => Promise<Reply<unknown>>,
): Promise<{ reply: Reply<unknown>; repeated: boolean }> {
  const key = req.get('idempotency-key');
  if (endpoint.method !== 'post' || key === undefined) return { reply: await work(randomUUID()), repeated: false };
  if (!keyPattern.test(key)) throw new AppError('invalid', say('api.errors.bad-idempotency-key'), { fields: { 'Idempotency-Key': say('api.errors.bad-idempotency-key') } });
  const claim = { userId: user.id, key, claimId: randomUUID(), requestHash: requestHash(deps.config.sessionSecret, req) };
  const taken = await takeKey(deps, claim);
  if ('reply' in taken) return { reply: taken.reply, repeated: true };
  const newId = idOf(deps.config.sessionSecret, claim, taken.since);
  return { reply: await runClaimed(deps, endpoint, claim, () => work(newId)), repeated: false };
}

// keyed, because bodies may hold passwords and a plain hash of one can be guessed
function requestHash(secret: string, req: Request): string {
  return createHmac('sha256', secret).update(JSON.stringify([req.method, req.originalUrl, sorted(req.body)])).digest('hex');
}

/** The same fields in another order are the same request. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value ?? null;
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, inner]) => [name, sorted(inner)]);
}

/** What is made with a key and without one has ids of one kind. */
const idVersion = 4;

/** A UUID that follows from the claim. */
function idOf(secret: string, claim: IdempotencyClaim, since: number): string {
  return uuidFromHash(createHmac('sha256', secret).update(JSON.stringify(['id', claim.userId, claim.key, since])).digest('hex'), idVersion);
}

/** The id of one of several things that one request makes: follows from the request's own. */
export function partId(newId: string, part: string): string {
  return uuidFromHash(createHash('sha256').update(newId).update(part).digest('hex'), idVersion);
}

async function takeKey(deps: WebDeps, claim: IdempotencyClaim): Promise<{ reply: Reply<unknown> } | { since: number }> {
  const result = await claimIdempotencyKey(deps.db, claim, deps.clock.now());
  switch (result.outcome) {
    case 'claimed':
      return { since: result.since };
    case 'in-progress':
      throw new AppError('conflict', say('api.errors.idempotency-in-progress'), { retryAfterSeconds: 1 });
    case 'other-request':
      throw new AppError('invalid', say('api.errors.idempotency-other-request'), { fields: { 'Idempotency-Key': say('api.errors.idempotency-other-request') } });
    case 'answered':
      if (result.answer.response === null) throw new AppError('conflict', say('api.errors.idempotency-not-kept'));
      return { reply: result.answer.response };
  }
}

async function runClaimed(deps: WebDeps, endpoint: Endpoint, claim: IdempotencyClaim, work: () => Promise<Reply<unknown>>): Promise<Reply<unknown>> {
  let reply: Reply<unknown>;
  try {
    reply = await work();
  } catch (error) {
    // a refusal did nothing: the key is free again. Otherwise nobody knows, and the next try must make the same thing.
    const didNothing = error instanceof AppError && error.kind !== 'host-unavailable';
    await (didNothing ? releaseIdempotencyKey : endIdempotencyClaim)(deps.db, claim);
    throw error;
  }
  const kept = endpoint.secret !== true && Buffer.byteLength(JSON.stringify(reply)) <= maxAnswerBytes;
  await updateIdempotencyAnswer(deps.db, claim, { status: endpoint.status, response: kept ? reply : null });
  return reply;
}
