// API tokens: `Authorization: Bearer …` below /api, and nowhere else. Token and user are loaded for every request, so
// that a revoked token, a disabled account or a lost role holds at once.
import type { Request } from 'express';
import { AppError, say } from '../../errors.ts';
import { selectOptionalTokenUser, type ApiToken } from '../../store/api-tokens.ts';
import { spendPoint, type RateLimit } from '../../store/rate-limits.ts';
import type { WebDeps } from '../deps.ts';
import type { AuthenticateBearer } from '../middleware/request-context.ts';
import { paths } from '../paths.ts';
import { networkOf } from '../session/limits.ts';
import type { Endpoint } from './endpoint.ts';

/**
 * Bad tokens from one address. They cannot be guessed: this only keeps a broken program from costing much. Good tokens are not
 * counted, so that nobody is locked out by a neighbour behind the same address.
 */
const failures: RateLimit = { name: 'api-token-ip', points: 60, windowMs: 10 * 60_000 };

const tokens = new WeakMap<Request, ApiToken>();

/** The token this request came with; undefined: it came with a session. */
export function tokenOf(req: Request): ApiToken | undefined {
  return tokens.get(req);
}

export function authenticateBearer(deps: WebDeps): AuthenticateBearer {
  return async (req) => {
    if (!req.path.startsWith(`${paths.api}/`)) return undefined;
    const secret = /^Bearer +(\S+)$/i.exec(req.get('authorization') ?? '')?.[1];
    if (secret === undefined) return undefined;
    const now = deps.clock.now();
    const found = await selectOptionalTokenUser(deps.db, secret, now);
    if (found === undefined) throw await refusal(deps, req, now);
    tokens.set(req, found.token);
    return { user: found.user, scope: found.token.scope };
  };
}

async function refusal(deps: WebDeps, req: Request, now: number): Promise<AppError> {
  const spent = await spendPoint(deps.db, failures, networkOf(req.ip ?? ''), now);
  if (spent.allowed) return new AppError('unauthenticated', say('api.errors.bad-token'));
  return new AppError('too-many', say('api.errors.too-many-bad-tokens'), { retryAfterSeconds: Math.ceil(spent.remainingMs / 1000) });
}

/** A session may do all that its user may; a token what its scope says, and never what makes access: tokens and passwords. */
export function checkScope(req: Request, scope: Endpoint['scope']): void {
  const token = tokenOf(req);
  if (token === undefined) return;
  if (scope === 'session') throw new AppError('forbidden', say('api.errors.session-only'));
  if (scope === 'write' && token.scope !== 'write') throw new AppError('forbidden', say('api.errors.read-only-token'));
}
