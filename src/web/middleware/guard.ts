// Around every handler of the table: who may open it, and the audit row of a change.
import { randomUUID } from 'node:crypto';
import type { Request, RequestHandler } from 'express';
import { AppError, say } from '../../errors.ts';
import { mayAccess } from '../../model/access.ts';
import type { User } from '../../model/user.ts';
import { insertAudit, updateAudit } from '../../store/audit.ts';
import { spendPoints } from '../../store/rate-limits.ts';
import { contextOf } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import type { Route } from '../routes.ts';
import { deviceOf, devicesOf } from '../session/device.ts';
import { limits, networkOf, spend, visitorChanges } from '../session/limits.ts';

interface AuditNote {
  target?: string;
  detail?: string;
}
const notes = new WeakMap<Request, AuditNote>();

/** A handler's own words for the audit row: what was acted on, and what was done. Never a secret. */
export function noteAudit(req: Request, note: AuditNote): void {
  notes.set(req, { ...notes.get(req), ...note });
}

export function checkAccess(route: Route): RequestHandler {
  return (req, _res, next) => {
    const { user } = contextOf(req);
    if (mayAccess(route.access, user?.role)) return next();
    if (user === undefined) return next(new AppError('unauthenticated', say('errors.login-needed')));
    return next(new AppError('forbidden', say('errors.forbidden')));
  };
}

/** A user's request that is refused (no access, no token) is written to the audit log too; a stranger's is not. */
function leavesRow({ audit, access }: Route, user: User | undefined): boolean {
  return audit !== undefined && (user !== undefined || access === 'visitor');
}

/**
 * Counts a change before the audit log takes a row for it, whatever comes of it: nobody can fill the database at will. Admins
 * are trusted with it. Of a visitor only what leaves a row counts: whoever shares their address could use it up for them.
 */
export function limitChanges(deps: WebDeps, route: Route): RequestHandler {
  return async (req, _res, next) => {
    const { user, ip } = contextOf(req);
    const now = deps.clock.now();
    if (user !== undefined) {
      if (user.role !== 'admin') await spend(deps.db, leavesRow(route, user) ? [limits.changes, limits.changesPerDay] : limits.changes, user.id, now);
    } else if (leavesRow(route, user)) {
      const device = deviceOf(deps.config, req);
      // who has copied a device's cookie can use up what its account's devices have: then they are strangers, but not shut out
      const isDevices = device !== undefined && (await spendPoints(deps.db, visitorChanges, devicesOf(device.userId), now)).allowed;
      if (!isDevices) await spend(deps.db, visitorChanges, networkOf(ip), now);
    }
    next();
  };
}

/**
 * Writes "begun" before the handler and the result after it: a portal killed in between leaves "begun", which is the truth.
 */
export function audited(deps: WebDeps, route: Route): RequestHandler {
  const { audit } = route;
  return async (req, res, next) => {
    const { user, ip } = contextOf(req);
    if (audit === undefined || !leavesRow(route, user)) return next();
    const id = randomUUID();
    // now: when an error has left the route, its parameters are gone
    const target = targetOf(req);
    await insertAudit(deps.db, { id, at: deps.clock.now(), userId: user?.id ?? null, userName: user?.name ?? '', action: audit, target, ip, result: 'begun', detail: '' });
    res.once('close', () => {
      const note = notes.get(req);
      const result = !res.writableFinished ? 'cut-off' : res.statusCode < 400 ? 'ok' : res.statusCode < 500 || res.statusCode === 507 ? 'refused' : 'failed';
      updateAudit(deps.db, id, { result, target: note?.target ?? target, detail: note?.detail ?? '', userId: contextOf(req).user?.id ?? user?.id ?? null })
        .catch((error: unknown) => deps.log.error({ err: error, auditId: id, action: audit }, 'the audit row could not be completed'));
    });
    return next();
  };
}

function targetOf(req: Request): string {
  const { id } = req.params;
  return typeof id === 'string' ? id.slice(0, 64) : '';
}
