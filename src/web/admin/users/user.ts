// One account, as an admin sees and changes it. Every change of rights ends the user's sessions on all portals.
import type { Request, Response } from 'express';
import { AppError, say, type Sentence } from '../../../errors.ts';
import type { Role } from '../../../model/access.ts';
import { effectiveQuota, type User, type UserState } from '../../../model/user.ts';
import { selectAuditPage } from '../../../store/audit.ts';
import { deleteSessionsOfUser, selectSessionsByUser } from '../../../store/sessions.ts';
import { selectSettings } from '../../../store/settings.ts';
import { updateQuota, updateUserAccess } from '../../../store/users.ts';
import { contextOf, flash } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { parseForm } from '../../forms.ts';
import { noteAudit } from '../../middleware/guard.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { render } from '../../views.ts';
import { quotaForm, roleForm } from './forms.ts';
import { loadUser } from './load-user.ts';

export function showUser(deps: WebDeps): Route['handler'] {
  return async (req, res) => renderUser(deps, req, res, await loadUser(deps, req), {}, {}, 200);
}

/** Approving and enabling are the same change from two states; disabling is the third. */
export function setState(deps: WebDeps, state: UserState, done: Sentence): Route['handler'] {
  return (req, res) => changeAccess(deps, req, res, { state }, done);
}

export function setRole(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const form = parseForm(roleForm, req.body);
    if (!form.ok) throw new AppError('invalid', say('form.not-a-choice'), { fields: form.fields });
    await changeAccess(deps, req, res, { role: form.value.role }, say('users.role-changed'));
  };
}

async function changeAccess(deps: WebDeps, req: Request, res: Response, access: { role?: Role; state?: UserState }, done: Sentence): Promise<void> {
  const user = await loadUser(deps, req);
  noteAudit(req, { target: user.name, detail: access.role ?? access.state ?? '' });
  const result = await updateUserAccess(deps.db, user.id, access, deps.clock.now());
  if (result === 'missing') throw new AppError('not-found', say('users.not-found'));
  if (result === 'last-admin') throw new AppError('conflict', say('users.last-admin'));
  // the epoch has already ended them; this frees their rows
  await deleteSessionsOfUser(deps.db, user.id);
  // an admin who took their own rights has no session any more, and sees the login
  if (user.id !== contextOf(req).user?.id) flash(req, 'success', done);
  res.redirect(303, paths.adminItem('users', user.id));
}

export function setQuota(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const user = await loadUser(deps, req);
    const form = parseForm(quotaForm, req.body);
    if (!form.ok) return renderUser(deps, req, res, user, form.text, form.fields, 422);
    noteAudit(req, { target: user.name, detail: JSON.stringify(form.value) });
    await updateQuota(deps.db, user.id, form.value, deps.clock.now());
    flash(req, 'success', say('common.saved'));
    res.redirect(303, paths.adminItem('users', user.id));
  };
}

async function renderUser(
  deps: WebDeps, req: Request, res: Response, person: User,
  values: Readonly<Record<string, string>>, fields: Readonly<Record<string, Sentence>>, status: number,
): Promise<void> {
  const [settings, sessions, recent] = await Promise.all([
    selectSettings(deps.db),
    selectSessionsByUser(deps.db, person.id, deps.clock.now()),
    selectAuditPage(deps.db, { userName: person.name }, 10, 0),
  ]);
  await render(
    req,
    res,
    'admin/users/user',
    {
      title: `${contextOf(req).t('users.one-title')}: ${person.name}`,
      person,
      standard: settings.quota,
      quota: effectiveQuota(person.quota, settings.quota),
      sessions,
      recent: recent.entries,
      values,
      fields,
    },
    status,
  );
}
