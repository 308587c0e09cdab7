// Beginning and ending a session. Each beginning has a new id, so that an id planted before the login opens nothing.
import { randomBytes } from 'node:crypto';
import type { Request } from 'express';
import type { User } from '../../model/user.ts';
import { contextOf, setContext } from '../context.ts';
import type {} from './store.ts';

/** Logs `user` in with a new session; what the old one held is gone. */
export async function beginSession(req: Request, user: User): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    req.session.regenerate((error: unknown) => (error ? reject(asError(error)) : resolve()));
  });
  // from here on, also for the audit row, it is this user who asks
  setContext(req, { ...contextOf(req), user });
  req.session.userId = user.id;
  req.session.epoch = user.sessionEpoch;
  // now, so that two pages opened at the same moment do not each make one, of which only the last would hold
  req.session.csrfToken = randomBytes(32).toString('hex');
  req.session.ip = contextOf(req).ip;
  req.session.userAgent = (req.get('user-agent') ?? '').slice(0, 255);
}

export async function endSession(req: Request): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    req.session.destroy((error: unknown) => (error ? reject(asError(error)) : resolve()));
  });
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
