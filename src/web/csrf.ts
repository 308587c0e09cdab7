// Changes need a token that no other site knows, and must not come from another site. Of who is logged in it is a synchroniser
// token in the session. Of visitors it is the keyed hash of a cookie: a row in the database for whoever opens a page without a
// cookie would let anybody fill it. Who plants such a cookie does not know the hash's key.
import { createHmac, randomBytes } from 'node:crypto';
import { csrfSync } from 'csrf-sync';
import type { Request, RequestHandler } from 'express';
import type { Config } from '../config.ts';
import { AppError, say } from '../errors.ts';
import { optionalContext } from './context.ts';
import { isHttps } from './security.ts';

export interface CsrfHandlers {
  /** puts the token's maker into the page's locals */
  readonly offer: RequestHandler;
  /** refuses changes without the token or from another site */
  readonly check: RequestHandler;
}

const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS']);

export function csrfHandlers(config: Config): CsrfHandlers {
  const csrf = csrfSync({
    getTokenFromRequest: (req) => {
      const header = req.headers['x-csrf-token'];
      if (typeof header === 'string') return header;
      const body: unknown = req.body;
      return typeof body === 'object' && body !== null && '_csrf' in body && typeof body._csrf === 'string' ? body._csrf : null;
    },
    getTokenFromState: (req) => (req.session.userId === undefined ? visitorToken(config, req) : (req.session.csrfToken ?? null)),
    storeTokenInState: (req, token) => {
      if (typeof token === 'string') req.session.csrfToken = token;
    },
  });
  return {
    // lazily: an answer without a form needs no token
    offer(req, res, next) {
      (res.locals as { csrfToken?: () => string }).csrfToken = () => csrf.generateToken(req);
      next();
    },
    check(req, _res, next) {
      if (safeMethods.has(req.method) || optionalContext(req)?.bearer === true) return next();
      const site = req.headers['sec-fetch-site'];
      if (site !== undefined && site !== 'same-origin' && site !== 'none') return next(new AppError('forbidden', say('errors.cross-site')));
      if (!csrf.isRequestValid(req)) return next(new AppError('forbidden', say('errors.csrf')));
      return next();
    },
  };
}

const visitorKeys = new WeakMap<Request, string>();

function visitorToken(config: Config, req: Request): string {
  const key = visitorKeys.get(req) ?? keyInCookie(config, req) ?? newKey(config, req);
  visitorKeys.set(req, key);
  return createHmac('sha256', config.sessionSecret).update(`csrf of visitor ${key}`).digest('hex');
}

function cookieName(config: Config): string {
  return isHttps(config) ? '__Host-visitor' : 'visitor';
}

function keyInCookie(config: Config, req: Request): string | undefined {
  return new RegExp(`(?:^|;\\s*)${cookieName(config)}=([0-9a-f]{64})(?:;|$)`).exec(req.headers.cookie ?? '')?.[1];
}

/** Goes with the answer, until the browser is closed. */
function newKey(config: Config, req: Request): string {
  const key = randomBytes(32).toString('hex');
  req.res?.cookie(cookieName(config), key, { path: '/', httpOnly: true, sameSite: 'lax', secure: isHttps(config) });
  return key;
}
