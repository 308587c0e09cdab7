// One login for users and admins.
import { setTimeout as delay } from 'node:timers/promises';
import { contextOf } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { formText, parseForm } from '../forms.ts';
import { AppError, say, type Sentence } from '../../errors.ts';
import { refundPoints } from '../../store/rate-limits.ts';
import { localPath } from '../local-path.ts';
import { noteAudit } from '../middleware/guard.ts';
import { paths } from '../paths.ts';
import type { Route } from '../routes.ts';
import { render } from '../views.ts';
import { authenticate } from './authenticate.ts';
import { beginSession, endSession } from './begin.ts';
import { deviceOf, rememberDevice } from './device.ts';
import { loginForm } from './forms.ts';
import { networkOf, visitorChanges } from './limits.ts';
import type { Request, Response } from 'express';

/**
 * A wrong name or password is answered after this time or a multiple of it. An account's hash may be of another portal's cost, or of
 * an older one's, and takes another time than none. Shorter than a hash takes: that shows; longer: who mistyped waits.
 */
const refusalMs = 1250;

export const showLogin: Route['handler'] = async (req, res) => {
  const next = localPath(req.query['next'], paths.home);
  if (contextOf(req).user !== undefined) return res.redirect(303, next);
  await renderLogin(req, res, { name: '', next }, {}, 200);
};

export function logIn(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const began = performance.now();
    const typed = formText(req.body);
    const next = localPath(typed['next'], paths.home);
    const form = parseForm(loginForm, req.body);
    if (!form.ok) return renderLogin(req, res, { name: typed['name'] ?? '', next }, form.fields, 422);
    const name = form.value.name.toLowerCase();
    noteAudit(req, { target: name });
    const refuse = (sentence: Sentence, status: number): Promise<void> => renderLogin(req, res, { name: form.value.name, next }, { _: sentence }, status);
    const { user: before, ip } = contextOf(req);
    const device = deviceOf(deps.config, req);
    const user = await authenticate(deps.db, { name, password: form.value.password, ip, device }, deps.clock.now()).catch((error: unknown) => {
      if (error instanceof AppError && error.kind === 'forbidden') return error;
      throw error;
    });
    if (user === undefined) {
      const everyMs = deps.refusalMs ?? refusalMs;
      await delay(everyMs - ((performance.now() - began) % everyMs));
      return refuse(say('session.wrong'), 401);
    }
    if (user instanceof AppError) return refuse(user.sentence, 403);
    // one of a class that logs in every day, and no stranger's try
    if (before === undefined && device === undefined) await refundPoints(deps.db, visitorChanges, networkOf(ip));
    rememberDevice(deps.config, req, user);
    await beginSession(req, user);
    res.redirect(303, next);
  };
}

async function renderLogin(req: Request, res: Response, values: { name: string; next: string }, fields: Readonly<Record<string, Sentence>>, status: number): Promise<void> {
  const { t, site } = contextOf(req);
  await render(req, res, 'session/login', { title: t('session.login-title'), values, fields, mayRegister: site.registration !== 'closed' }, status);
}

export const logOut: Route['handler'] = async (req, res) => {
  await endSession(req);
  res.redirect(303, paths.home);
};
