// Screens in the browser: WebSockets on the portal's own port. An upgrade passes no route, no middleware and no CSRF check,
// so everything that opens a page is asked here again: origin, session, ticket, and whose machine it is.
import { STATUS_CODES, type IncomingMessage, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import type { Instance } from '../model/instance.ts';
import { instanceCan } from '../model/instance.ts';
import type { User } from '../model/user.ts';
import type { Database } from '../store/db.ts';
import { selectOptionalHost } from '../store/hosts.ts';
import { selectOptionalInstance } from '../store/instances.ts';
import { closeCode, closeSocket, defaultLimits, joinScreen, type ProxyLimits } from './proxy.ts';
import { liveSession, sessionIdOf, type LiveSession } from './session.ts';
import { redeemTicket, ticketInProtocols } from './tickets.ts';

export interface ConsoleDeps {
  readonly config: { readonly publicUrl: string; readonly sessionSecret: string };
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Log;
}

export interface ConsoleLimits extends ProxyLimits {
  /** Screens open at once. Too small: a class cannot work; too big: one user's script takes all sockets. */
  readonly maxPerUser: number;
  readonly maxTotal: number;
  /**
   * Upgrades whose session is being looked up, apart from the screens: of a session that has ended the cookie is signed as well.
   * Too small: a class that opens its screens together is refused; too big: a slow database is asked for strangers first.
   */
  readonly maxUnknown: number;
  /** how soon an open screen notices a logout, a deletion or a move */
  readonly recheckMs: number;
}

const defaults: ConsoleLimits = { ...defaultLimits, maxPerUser: 10, maxTotal: 500, maxUnknown: 100, recheckMs: 5000 };

export const consoleSocketPath = '/console/ws';
/** VNC's messages are small; only a pasted text is not. */
const maxMessageBytes = 1024 * 1024;

/** What an upgrade is refused with. The browser learns the status and nothing else. */
class Refusal extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

interface Screen {
  readonly socket: WebSocket;
  readonly session: LiveSession;
  readonly instance: Instance;
}

export interface AttachedConsole {
  /** ends every open screen: the portal stops */
  close(): void;
}

/** Serves /console/ws on `server`. Every other upgrade is refused. */
export function attachConsole(server: Server, deps: ConsoleDeps, over: Partial<ConsoleLimits> = {}): AttachedConsole {
  const limits = { ...defaults, ...over };
  const sockets = new WebSocketServer({ noServer: true, maxPayload: maxMessageBytes, perMessageDeflate: false, handleProtocols: () => 'binary' });
  const screens = new Set<Screen>();
  /** by the session's row id */
  const unknown = new Map<Duplex, string>();
  /** by the user's id */
  const opening = new Map<Duplex, string>();

  const openFor = (userId: string): number => [...screens].filter((screen) => screen.session.user.id === userId).length + count(opening, userId);

  async function open(req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    if (req.url?.split('?')[0] !== consoleSocketPath) throw new Refusal(404, 'no such socket');
    if (!isOwnOrigin(req, deps.config.publicUrl)) throw new Refusal(403, 'another origin');
    // without the database: strangers wait for nothing, and nobody waits for them
    const sessionId = sessionIdOf(req, deps.config);
    if (sessionId === undefined) throw new Refusal(401, 'no session');
    if (count(unknown, sessionId) >= limits.maxPerUser) throw new Refusal(429, 'too many screens of this session');
    if (unknown.size >= limits.maxUnknown) throw new Refusal(503, 'too many sessions to look up');
    unknown.set(socket, sessionId);
    const now = deps.clock.now();
    const session = await liveSession(deps.db, sessionId, now).finally(() => unknown.delete(socket));
    if (session === undefined) throw new Refusal(401, 'no session');
    opening.set(socket, session.user.id);
    if (screens.size + opening.size > limits.maxTotal) throw new Refusal(503, 'too many screens in all');
    if (openFor(session.user.id) > limits.maxPerUser) throw new Refusal(429, 'too many screens of this user');
    const { instance, target } = await admit(deps, session, ticketInProtocols(req.headers['sec-websocket-protocol']), now);
    if (socket.destroyed) return;
    sockets.handleUpgrade(req, socket, head, (webSocket) => void watch({ socket: webSocket, session, instance }, target));
  }

  async function watch(screen: Screen, target: { readonly host: string; readonly port: number }): Promise<void> {
    const ids = { instanceId: screen.instance.id, userId: screen.session.user.id };
    screens.add(screen);
    deps.log.info(ids, 'screen opened');
    const rechecking = setInterval(() => {
      recheck(deps, screen).then((code) => code !== undefined && closeSocket(screen.socket, code), (error: unknown) => deps.log.warn({ ...ids, err: error }, 'screen could not be rechecked'));
    }, limits.recheckMs);
    await joinScreen(screen.socket, target, limits);
    clearInterval(rechecking);
    screens.delete(screen);
    deps.log.info(ids, 'screen closed');
  }

  server.on('upgrade', (req, socket, head) => {
    socket.on('error', () => socket.destroy());
    open(req, socket, head)
      .catch((error: unknown) => {
        const status = error instanceof Refusal ? error.status : 500;
        if (error instanceof Refusal) deps.log.info({ status, reason: error.message }, 'screen refused');
        else deps.log.error({ err: error }, 'screen failed by a bug');
        socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy());
      })
      .finally(() => opening.delete(socket));
  });

  return {
    close() {
      for (const { socket } of screens) {
        socket.close(1001);
        socket.terminate();
      }
    },
  };
}

function count(sockets: ReadonlyMap<Duplex, string>, owner: string): number {
  return [...sockets.values()].filter((id) => id === owner).length;
}

/** Same origin as the page: by the Host that the browser named, or by the portal's public address behind a proxy. */
function isOwnOrigin(req: IncomingMessage, publicUrl: string): boolean {
  const { origin, host } = req.headers;
  if (origin === undefined || !URL.canParse(origin)) return false;
  return origin === new URL(publicUrl).origin || new URL(origin).host === host;
}

/** Uses the ticket up and says where the screen is. A ticket of another session opens nothing, and is gone. */
async function admit(deps: ConsoleDeps, session: LiveSession, ticket: string | undefined, now: number): Promise<{ instance: Instance; target: { host: string; port: number } }> {
  if (ticket === undefined) throw new Refusal(401, 'no ticket');
  const redeemed = await redeemTicket(deps.db, now, ticket);
  if (redeemed === undefined) throw new Refusal(401, 'ticket unknown, used or expired');
  if (redeemed.sessionId !== session.id || redeemed.userId !== session.user.id) throw new Refusal(401, 'ticket of another session');
  const instance = await selectOptionalInstance(deps.db, redeemed.instanceId);
  if (instance === undefined || !mayOpen(session.user, instance)) throw new Refusal(404, 'no such instance, or not theirs');
  if (!instanceCan('console', instance) || instance.hostId === null || instance.consolePort === null) throw new Refusal(409, 'no screen now');
  const host = await selectOptionalHost(deps.db, instance.hostId);
  if (host === undefined) throw new Refusal(409, 'no host');
  return { instance, target: { host: host.consoleAddress, port: instance.consolePort } };
}

function mayOpen(user: User, instance: Instance): boolean {
  return instance.userId === user.id || user.role === 'admin';
}

/** Why an open screen must close now; undefined: it may stay. */
async function recheck(deps: ConsoleDeps, screen: Screen): Promise<number | undefined> {
  const session = await liveSession(deps.db, screen.session.id, deps.clock.now());
  if (session === undefined || session.user.id !== screen.session.user.id) return closeCode.sessionOver;
  const instance = await selectOptionalInstance(deps.db, screen.instance.id);
  if (instance === undefined || !mayOpen(session.user, instance)) return closeCode.gone;
  const moved = instance.hostId !== screen.instance.hostId || instance.consolePort !== screen.instance.consolePort;
  return moved ? closeCode.moved : undefined;
}
