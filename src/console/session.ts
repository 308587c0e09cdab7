// Who is at the other end of a WebSocket: the browser's session cookie, read from the upgrade request, which passes no
// middleware. The cookie is express-session's: "s:" id "." HMAC-SHA256(id) in base64 without padding.
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { User } from '../model/user.ts';
import type { Db } from '../store/db.ts';
import { selectOptionalSession } from '../store/sessions.ts';
import { selectOptionalUser } from '../store/users.ts';
import { sessionRowId } from './tickets.ts';

export interface LiveSession {
  /** id of the row in `sessions` */
  readonly id: string;
  readonly user: User;
}

/** The row's id of the session that a request's cookie names; undefined: none that we signed. Whether it is alive, the database knows. */
export function sessionIdOf(req: IncomingMessage, config: { readonly publicUrl: string; readonly sessionSecret: string }): string | undefined {
  const name = config.publicUrl.startsWith('https:') ? '__Host-session' : 'session';
  const sid = signedCookie(req.headers.cookie ?? '', name, config.sessionSecret);
  return sid === undefined ? undefined : sessionRowId(sid);
}

/** A session when it is alive and somebody is logged in. Asked again while a screen is open: logout, "sign out everywhere", a disabled account or a changed role end it. */
export async function liveSession(db: Db, id: string, now: number): Promise<LiveSession | undefined> {
  const row = await selectOptionalSession(db, id, now);
  if (row === undefined) return undefined;
  const { userId, epoch } = JSON.parse(row.data) as { userId?: string; epoch?: number };
  if (userId === undefined) return undefined;
  const user = await selectOptionalUser(db, userId);
  return user !== undefined && user.state === 'active' && user.sessionEpoch === epoch ? { id, user } : undefined;
}

function signedCookie(header: string, name: string, secret: string): string | undefined {
  for (const pair of header.split(';')) {
    const at = pair.indexOf('=');
    if (pair.slice(0, at).trim() !== name) continue;
    const value = decode(pair.slice(at + 1).trim());
    const dot = value.lastIndexOf('.');
    if (!value.startsWith('s:') || dot < 2) return undefined;
    const sid = value.slice(2, dot);
    const given = Buffer.from(value.slice(dot + 1));
    const right = Buffer.from(createHmac('sha256', secret).update(sid).digest('base64').replace(/=+$/, ''));
    return given.length === right.length && timingSafeEqual(given, right) ? sid : undefined;
  }
  return undefined;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}
