// express-session's store over our table. What it adds: a session belongs to a user and an epoch, a touch costs a statement
// at most once a minute, and a session that was ended stays ended though a slower request saves it afterwards.
import { createHash } from 'node:crypto';
import type {} from '../context.ts';
import { Store, type SessionData as WholeSessionData } from 'express-session';
import type { Clock } from '../../clock.ts';
import type { Db } from '../../store/db.ts';
import { deleteSession, insertSession, selectOptionalSession, touchSession, updateSession, type SessionWrite } from '../../store/sessions.ts';

declare module 'express-session' {
  interface SessionData {
    /** where the login came from, for the user's list of sessions */
    ip: string;
    userAgent: string;
    /** when the row was last written; put in by the store, never saved */
    seenAt: number;
  }
}

/** An idle session's end, where the cookie says none. */
const defaultIdleMs = 24 * 3_600_000;
/** A login ends after this long whatever happens. */
export const maxAgeMs = 7 * 24 * 3_600_000;
/** Visitors only carry a CSRF token and a language: crawlers would fill the table with longer ones. */
const visitorIdleMs = 2 * 3_600_000;
/** Smaller: each page view is a write; larger: "last seen" lies by that much. */
const touchEveryMs = 60_000;
const maxDataBytes = 4000;

/** What the table knows a session by. */
export function sessionRowId(sid: string): string {
  return createHash('sha256').update(sid).digest('hex');
}

type SessionData = Pick<WholeSessionData, 'cookie'> & Partial<WholeSessionData>;
type Done = (error?: unknown) => void;

export class DatabaseSessionStore extends Store {
  readonly #db: Db;
  readonly #clock: Clock;

  constructor(db: Db, clock: Clock) {
    super();
    this.#db = db;
    this.#clock = clock;
  }

  override get(sid: string, done: (error: unknown, session?: WholeSessionData | null) => void): void {
    selectOptionalSession(this.#db, sessionRowId(sid), this.#clock.now()).then(
      (row) => done(null, row === undefined ? null : { ...(JSON.parse(row.data) as WholeSessionData), seenAt: row.seenAt }),
      done,
    );
  }

  override set(sid: string, session: SessionData, done: Done = () => undefined): void {
    const isStored = session.seenAt !== undefined;
    const write = this.#toWrite(sid, session);
    if (Buffer.byteLength(write.data) > maxDataBytes) {
      done(new Error(`a session of ${Buffer.byteLength(write.data)} bytes does not fit into ${maxDataBytes}`));
      return;
    }
    (isStored ? updateSession(this.#db, write, maxAgeMs) : insertSession(this.#db, write)).then(() => {
      rememberSeen(session, write.now);
      done();
    }, done);
  }

  override touch(sid: string, session: SessionData, done: Done = () => undefined): void {
    const now = this.#clock.now();
    if (session.seenAt !== undefined && now - session.seenAt < touchEveryMs) {
      done();
      return;
    }
    touchSession(this.#db, sessionRowId(sid), now, now + idleOf(session), maxAgeMs).then(() => done(), done);
  }

  override destroy(sid: string, done: Done = () => undefined): void {
    deleteSession(this.#db, sessionRowId(sid)).then(() => done(), done);
  }

  #toWrite(sid: string, session: SessionData): SessionWrite {
    const now = this.#clock.now();
    const { seenAt: _, ...data } = session;
    return {
      id: sessionRowId(sid),
      userId: session.userId ?? null,
      userEpoch: session.epoch ?? null,
      data: JSON.stringify(data),
      ip: session.ip ?? '',
      userAgent: (session.userAgent ?? '').slice(0, 255),
      now,
      expiresAt: now + idleOf(session),
    };
  }
}

function idleOf(session: SessionData): number {
  const cookieMs = session.cookie.originalMaxAge ?? defaultIdleMs;
  return session.userId === undefined ? Math.min(visitorIdleMs, cookieMs) : cookieMs;
}

// not enumerable: express-session hashes the session's JSON to see whether it changed
function rememberSeen(session: SessionData, seenAt: number): void {
  Object.defineProperty(session, 'seenAt', { value: seenAt, writable: true, configurable: true, enumerable: false });
}
