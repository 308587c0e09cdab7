// A one-time link by which a user chooses a password. It is shown in this one answer and stands nowhere else.
import type { Request, Response } from 'express';
import type { User } from '../../../model/user.ts';
import { createPasswordLink, setupLinkLifeMs } from '../../../store/setup-links.ts';
import { contextOf } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { noteAudit } from '../../middleware/guard.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { render } from '../../views.ts';
import { loadUser } from './load-user.ts';

export function makePasswordLink(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const user = await loadUser(deps, req);
    noteAudit(req, { target: user.name });
    await renderPasswordLink(deps, req, res, user);
  };
}

export async function renderPasswordLink(deps: WebDeps, req: Request, res: Response, user: User): Promise<void> {
  const token = await createPasswordLink(deps.db, user.id, deps.clock);
  const link = `${deps.config.publicUrl}${paths.setup(token)}`;
  await render(req, res, 'admin/users/password-link', { title: contextOf(req).t('users.link-title'), person: user, link, lifeMs: setupLinkLifeMs });
}
