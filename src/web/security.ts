// Headers, cookies and the CSRF check. Deny by default: a change needs the session's token, and must not come from another site.
import type { RequestHandler } from 'express';
import session, { type Store } from 'express-session';
import { csrfSync } from 'csrf-sync';
import helmet from 'helmet';
import { randomBytes } from 'node:crypto';
import type { Config } from '../config.ts';
import { AppError, say } from '../errors.ts';
import { optionalContext } from './context.ts';

const dayMs = 86_400_000;
/** Idle sessions end after this; too short logs people out over lunch, too long keeps forgotten ones open. */
export const sessionLifeMs = dayMs;

export function isHttps(config: Config): boolean {
  return config.publicUrl.startsWith('https:');
}

/** Content-Security-Policy with a nonce per response, no framing, no referrer to other sites, HSTS over HTTPS. */
export function securityHeaders(config: Config): RequestHandler[] {
  const setNonce: RequestHandler = (_req, res, next) => {
    (res.locals as { nonce?: string }).nonce = randomBytes(16).toString('base64');
    next();
  };
  const webSocketOrigin = config.publicUrl.replace(/^http/, 'ws');
  return [
    setNonce,
    helmet({
      contentSecurityPolicy: {
        useDefaults: false,
        directives: {
          defaultSrc: ["'none'"],
          scriptSrc: ["'self'", (_req, res) => `'nonce-${String((res as unknown as { locals: { nonce: string } }).locals.nonce)}'`],
          styleSrc: ["'self'"],
          imgSrc: ["'self'", 'data:', 'blob:'],
          fontSrc: ["'self'"],
          connectSrc: ["'self'", webSocketOrigin],
          formAction: ["'self'"],
          frameAncestors: ["'none'"],
          baseUri: ["'none'"],
          manifestSrc: ["'self'"],
        },
      },
      // 'same-origin', so that a one-time link never leaves in a Referer, while same-site form posts still name their origin
      referrerPolicy: { policy: 'same-origin' },
      strictTransportSecurity: isHttps(config) ? { maxAge: 31_536_000 } : false,
      crossOriginEmbedderPolicy: false,
    }),
  ];
}

export function sessionMiddleware(config: Config, store: Store): RequestHandler {
  const secure = isHttps(config);
  return session({
    name: secure ? '__Host-session' : 'session',
    secret: config.sessionSecret,
    store,
    resave: false,
    saveUninitialized: false,
    rolling: true,
    proxy: config.trustProxy !== '',
    cookie: { path: '/', httpOnly: true, sameSite: 'lax', secure, maxAge: sessionLifeMs },
  });
}

const csrf = csrfSync({
  getTokenFromRequest: (req) => {
    const header = req.headers['x-csrf-token'];
    if (typeof header === 'string') return header;
    const body: unknown = req.body;
    return typeof body === 'object' && body !== null && '_csrf' in body && typeof body._csrf === 'string' ? body._csrf : null;
  },
  getTokenFromState: (req) => req.session.csrfToken ?? null,
  storeTokenInState: (req, token) => {
    if (typeof token === 'string') req.session.csrfToken = token;
  },
});

const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Puts the token's maker into the page's locals, and refuses changes without the token or from another site. */
export function csrfProtection(): RequestHandler {
  return (req, res, next) => {
    // lazily: a page without a form needs no session
    (res.locals as { csrfToken?: () => string }).csrfToken = () => csrf.generateToken(req);
    if (safeMethods.has(req.method) || optionalContext(req)?.bearer === true) return next();
    const site = req.headers['sec-fetch-site'];
    if (site !== undefined && site !== 'same-origin' && site !== 'none') return next(new AppError('forbidden', say('errors.cross-site')));
    if (!csrf.isRequestValid(req)) return next(new AppError('forbidden', say('errors.csrf')));
    return next();
  };
}
