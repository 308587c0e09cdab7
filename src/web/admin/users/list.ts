// All accounts: search, state, usage; and adding one by hand.
import { randomUUID } from 'node:crypto';
import type { Request, Response } from 'express';
import { randomPasswordHash } from '../../../password.ts';
import { say, type Sentence } from '../../../errors.ts';
import { userStates } from '../../../model/user.ts';
import { countUsersByState, insertUser, selectUser, selectUsersPage } from '../../../store/users.ts';
import { contextOf } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { formText, parseForm } from '../../forms.ts';
import { noteAudit } from '../../middleware/guard.ts';
import type { Route } from '../../routes.ts';
import { render } from '../../views.ts';
import { newUserForm, userListQuery } from './forms.ts';
import { renderPasswordLink } from './password-link.ts';

const pageSize = 50;

export function listUsers(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { t } = contextOf(req);
    const { q, state, page } = userListQuery.parse(req.query);
    const [{ users, total }, counts] = await Promise.all([
      selectUsersPage(deps.db, { search: q.trim(), state }, pageSize, (page - 1) * pageSize),
      countUsersByState(deps.db),
    ]);
    const query = new URLSearchParams({ ...(q === '' ? {} : { q }), ...(state === undefined ? {} : { state }) }).toString();
    const base = `/admin/users?${query}${query === '' ? '' : '&'}`;
    await render(req, res, 'admin/users/list', { title: t('users.title'), users, total, counts, states: userStates, q, state: state ?? '', page, pageSize, base });
  };
}

export const showNewUser: Route['handler'] = (req, res) => renderNewUser(req, res, { role: 'user' }, {}, 200);

/** The account has a password that nobody knows; its owner chooses one by the link that the answer shows. */
export function createUser(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const form = parseForm(newUserForm, req.body);
    if (!form.ok) return renderNewUser(req, res, form.text, form.fields, 422);
    const { name, displayName, email, role } = form.value;
    noteAudit(req, { target: name, detail: role });
    const id = randomUUID();
    const made = await insertUser(deps.db, {
      id, name, displayName, email, role, passwordHash: await randomPasswordHash(), state: 'active', language: null, createdAt: deps.clock.now(),
    });
    if (!made) return renderNewUser(req, res, formText(req.body), { name: say('account.name-taken') }, 422);
    await renderPasswordLink(deps, req, res, await selectUser(deps.db, id));
  };
}

async function renderNewUser(req: Request, res: Response, values: Readonly<Record<string, string>>, fields: Readonly<Record<string, Sentence>>, status: number): Promise<void> {
  await render(req, res, 'admin/users/new', { title: contextOf(req).t('users.new-title'), values, fields }, status);
}
