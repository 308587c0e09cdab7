// How many requests of one person a portal works on at a time. All pages share the database's few connections, and reading leaves
// nothing that could be counted by the hour: without this, one script that asks for everything at once has them all. Those past
// the number wait for their turn, so that a page with many parts, or a browser with many tabs, sees no error.
import type { Request, RequestHandler, Response } from 'express';
import type { Config } from '../../config.ts';
import { AppError, say } from '../../errors.ts';
import { contextOf } from '../context.ts';
import type { Route } from '../routes.ts';
import { deviceOf, devicesOf } from '../session/device.ts';
import { networkOf } from '../session/limits.ts';

interface Places {
  /** Worked on at a time. Too few: many tabs are slow; too many: one person has the database for themselves. */
  readonly working: number;
  /** Held up behind them. Too few: tabs that are opened again at once see errors; too many: a script fills the memory. */
  readonly waiting: number;
}

const ofUser: Places = { working: 10, waiting: 90 };
/** A room full of people behind one address, who open the top page and log in. */
const ofNetwork: Places = { working: 30, waiting: 270 };
/** Nobody looks at a page any more that comes later. */
const patienceMs = 10_000;

interface Line {
  working: number;
  /** first come, first served: a Set keeps the order */
  readonly waiting: Set<() => void>;
}

/** Makes one handler of a route's guards and its handler, which are worked on when it is their asker's turn. */
export function createTurns(config: Config): (guards: readonly RequestHandler[], handler: Route['handler']) => RequestHandler {
  const lines = new Map<string, Line>();

  return (guards, handler) => async (req, res) => {
    const { key, places } = askerOf(config, req);
    const line = lines.get(key) ?? { working: 0, waiting: new Set() };
    lines.set(key, line);
    if (!(await hasTurn(line, places, res))) return;
    try {
      for (const guard of guards) await pass(guard, req, res);
      await handler(req, res);
    } finally {
      // and not when the browser goes: what it asked for is worked on until here
      const [next] = line.waiting;
      if (next !== undefined) next();
      else if (--line.working === 0) lines.delete(key);
    }
  };
}

function askerOf(config: Config, req: Request): { readonly key: string; readonly places: Places } {
  const { user, ip } = contextOf(req);
  if (user !== undefined) return { key: user.id, places: ofUser };
  const device = deviceOf(config, req);
  return device === undefined ? { key: networkOf(ip), places: ofNetwork } : { key: devicesOf(device.userId), places: ofUser };
}

/** Waits for a place; false: the browser went away meanwhile. Throws AppError too-many when too many wait, or it takes too long. */
function hasTurn(line: Line, places: Places, res: Response): Promise<boolean> {
  // while its session was read: nothing would tell of it any more
  if (res.closed || res.destroyed) return Promise.resolve(false);
  if (line.working < places.working) {
    line.working++;
    return Promise.resolve(true);
  }
  const refusal = new AppError('too-many', say('errors.too-many-at-once'), { retryAfterSeconds: 1 });
  if (line.waiting.size >= places.waiting) return Promise.reject(refusal);
  return new Promise((resolve, reject) => {
    // at once, so that nobody who has gone is given a place
    const leave = (settle: () => void): void => {
      clearTimeout(timer);
      res.off('close', gone);
      line.waiting.delete(called);
      settle();
    };
    const called = (): void => leave(() => resolve(true));
    const gone = (): void => leave(() => resolve(false));
    const timer = setTimeout(() => leave(() => reject(refusal)), patienceMs);
    line.waiting.add(called);
    res.once('close', gone);
  });
}

/** Resolves when the guard lets the request through. */
function pass(guard: RequestHandler, req: Request, res: Response): Promise<void> {
  return new Promise((resolve, reject) => {
    const next = (error?: unknown): void => (error === undefined ? resolve() : reject(error));
    Promise.resolve(guard(req, res, next)).catch(reject);
  });
}
