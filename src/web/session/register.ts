// Registration: open, by approval, or closed, as the admins have set it.
import { randomUUID } from 'node:crypto';
import type { Request, Response } from 'express';
import { hashPassword } from '../../password.ts';
import { AppError, say, type Sentence } from '../../errors.ts';
import { insertUser, selectUser } from '../../store/users.ts';
import { contextOf, flash } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { formText, parseForm } from '../forms.ts';
import { noteAudit } from '../middleware/guard.ts';
import { paths } from '../paths.ts';
import type { Route } from '../routes.ts';
import { render } from '../views.ts';
import { beginSession } from './begin.ts';
import { rememberDevice } from './device.ts';
import { newPasswordFields, registerForm } from './forms.ts';
import { limits, networkOf, spend } from './limits.ts';

export const showRegister: Route['handler'] = async (req, res) => {
  if (contextOf(req).user !== undefined) return res.redirect(303, paths.home);
  await renderRegister(req, res, {}, {}, 200);
};

export function register(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { site, ip } = contextOf(req);
    if (site.registration === 'closed') throw new AppError('forbidden', say('session.registration-closed'));
    const text = formText(req.body);
    const form = parseForm(registerForm, req.body);
    // all at once: a password is judged also when the name is wrong
    const { name: typedName = '', password: typedPassword = '', passwordAgain = '' } = text;
    const fields = { ...newPasswordFields({ password: typedPassword, passwordAgain }, typedName.trim()), ...(form.ok ? {} : form.fields) };
    if (!form.ok || Object.keys(fields).length > 0) return renderRegister(req, res, text, fields, 422);
    const { name, displayName, email, password } = form.value;
    noteAudit(req, { target: name });
    await spend(deps.db, limits.register, networkOf(ip), deps.clock.now());

    const id = randomUUID();
    const state = site.registration === 'open' ? 'active' : 'pending';
    const passwordHash = await hashPassword(password, name);
    const made = await insertUser(deps.db, { id, name, displayName, email, passwordHash, role: 'user', state, language: null, createdAt: deps.clock.now() });
    if (!made) return renderRegister(req, res, text, { name: say('account.name-taken') }, 422);
    if (state === 'active') {
      const user = await selectUser(deps.db, id);
      rememberDevice(deps.config, req, user);
      await beginSession(req, user);
      flash(req, 'success', say('session.registered'));
    } else {
      flash(req, 'info', say('session.registered-pending'));
    }
    res.redirect(303, paths.home);
  };
}

async function renderRegister(req: Request, res: Response, values: Readonly<Record<string, string>>, fields: Readonly<Record<string, Sentence>>, status: number): Promise<void> {
  const { t, site } = contextOf(req);
  await render(req, res, 'session/register', { title: t('session.register-title'), values, fields, registration: site.registration }, status);
}
