// What a handler knows of the request in hand: who asks, in which language, from where.
import type { Request } from 'express';
import type {} from 'express-session';
import { AppError, say, type Sentence } from '../errors.ts';
import type { Settings } from '../model/settings.ts';
import type { Language, User } from '../model/user.ts';
import type { Translate } from './locales/index.ts';

declare module 'express-session' {
  interface SessionData {
    userId: string;
    /** the user's sessionEpoch at login; another one now means that this session is over */
    epoch: number;
    flashes: Flash[];
  }
}

export interface Flash {
  readonly kind: 'success' | 'error' | 'info';
  readonly sentence: Sentence;
}

export interface Context {
  readonly user: User | undefined;
  readonly language: Language;
  readonly t: Translate;
  /** a Sentence in the reader's language */
  readonly say: (sentence: Sentence) => string;
  /** for <script nonce> */
  readonly nonce: string;
  readonly ip: string;
  readonly site: Settings['site'];
  readonly requestId: string;
  /** authenticated by an API token, which no other site can make a browser send: needs no CSRF token */
  readonly bearer: boolean;
}

const contexts = new WeakMap<Request, Context>();

export function setContext(req: Request, context: Context): void {
  contexts.set(req, context);
}

/** Throws when the middleware that sets it has not run: a bug. */
export function contextOf(req: Request): Context {
  const context = contexts.get(req);
  if (context === undefined) throw new Error(`no context for ${req.method} ${req.path}`);
  return context;
}

export function optionalContext(req: Request): Context | undefined {
  return contexts.get(req);
}

/** The user who is logged in. Throws AppError unauthenticated. */
export function currentUser(req: Request): User {
  const { user } = contextOf(req);
  if (user === undefined) throw new AppError('unauthenticated', say('errors.login-needed'));
  return user;
}

/** A sentence for the next page this session opens. */
export function flash(req: Request, kind: Flash['kind'], sentence: Sentence): void {
  req.session.flashes = [...(req.session.flashes ?? []).slice(-4), { kind, sentence }];
}
