// Headers and the session's cookie.
import type { RequestHandler } from 'express';
import session, { type Store } from 'express-session';
import helmet from 'helmet';
import { randomBytes } from 'node:crypto';
import type { Config } from '../config.ts';

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
    cookie: { path: '/', httpOnly: true, sameSite: 'lax', secure, maxAge: sessionLifeMs },
  });
}

/**
 * Lets a redirect wait until the session is stored. express-session sends a response's head before that: a browser that is
 * quick, or a database that is slow, and the next page is asked for by somebody who is not logged in yet.
 */
export const saveBeforeRedirect: RequestHandler = (req, res, next) => {
  const redirect = res.redirect.bind(res) as (status: number, url: string) => void;
  const whenSaved = (status: number, url: string): void => {
    // ended by a logout; or a visitor's that holds nothing, which is not stored at all
    const current = req.session as typeof req.session | undefined;
    if (current?.userId === undefined && current?.flashes === undefined) return redirect(status, url);
    current.save((error: unknown) => (error ? next(error) : redirect(status, url)));
  };
  res.redirect = (first: number | string, second?: number | string): void => (typeof first === 'number' ? whenSaved(first, String(second)) : whenSaved(302, first));
  next();
};
