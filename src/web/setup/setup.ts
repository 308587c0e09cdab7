// The page behind a one-time link: it makes the first admin, or lets a user choose a new password. Opening it spends
// nothing (mail programs open links to look at them); sending the form does.
import { randomUUID } from 'node:crypto';
import type { Request, Response } from 'express';
import { z } from 'zod';
import { hashPassword } from '../../password.ts';
import { AppError, say, type Sentence } from '../../errors.ts';
import type { User } from '../../model/user.ts';
import { revokeTokensOfUser } from '../../store/api-tokens.ts';
import { claimPasswordLink, selectOptionalSetupLink, spendFirstAdminLinks, type SetupLink } from '../../store/setup-links.ts';
import { insertFirstAdmin, selectUser } from '../../store/users.ts';
import { contextOf, flash } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { formText, parseForm } from '../forms.ts';
import { noteAudit } from '../middleware/guard.ts';
import { paths } from '../paths.ts';
import type { Route } from '../routes.ts';
import { beginSession } from '../session/begin.ts';
import { newPasswordFields, password, registerForm } from '../session/forms.ts';
import { limits, networkOf, spend } from '../session/limits.ts';
import { render } from '../views.ts';

const newPasswordForm = z.object({ password: password(), passwordAgain: password() });

export function showSetup(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { link } = await openLink(deps, req, res);
    await renderSetup(req, res, link, await ownerOf(deps, link), {}, {}, 200);
  };
}

export function useSetup(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { token, link } = await openLink(deps, req, res);
    if (link.kind === 'first-admin') await makeFirstAdmin(deps, req, res, link);
    else await chooseNewPassword(deps, req, res, token, link);
  };
}

/** Throws not-found in the same words for unknown, used and expired links. */
async function openLink(deps: WebDeps, req: Request, res: Response): Promise<{ token: string; link: SetupLink }> {
  // the address is the secret: it must not leave in a Referer, not even to our own style sheets' log
  res.setHeader('Referrer-Policy', 'no-referrer');
  const { token } = req.params;
  const now = deps.clock.now();
  const link = typeof token === 'string' ? await selectOptionalSetupLink(deps.db, token, now) : undefined;
  if (link !== undefined && typeof token === 'string') return { token, link };
  await spend(deps.db, limits.setup, networkOf(contextOf(req).ip), now);
  throw new AppError('not-found', say('setup.link-unusable'));
}

async function ownerOf(deps: WebDeps, link: SetupLink): Promise<User | undefined> {
  return link.kind === 'password' ? selectUser(deps.db, link.userId) : undefined;
}

async function makeFirstAdmin(deps: WebDeps, req: Request, res: Response, link: SetupLink): Promise<void> {
  const text = formText(req.body);
  const form = parseForm(registerForm, req.body);
  const fields = form.ok ? newPasswordFields(form.value, form.value.name) : form.fields;
  if (!form.ok || Object.keys(fields).length > 0) return renderSetup(req, res, link, undefined, text, fields, 422);
  const { name, displayName, email } = form.value;
  noteAudit(req, { target: name });
  const id = randomUUID();
  const now = deps.clock.now();
  const passwordHash = await hashPassword(form.value.password, name);
  const result = await insertFirstAdmin(deps.db, { id, name, displayName, email, passwordHash, role: 'admin', state: 'active', language: null, createdAt: now });
  if (result === 'name-taken') return renderSetup(req, res, link, undefined, text, { name: say('account.name-taken') }, 422);
  if (result === 'admin-exists') throw new AppError('conflict', say('setup.admin-exists'));
  await spendFirstAdminLinks(deps.db, now);
  await beginSession(req, await selectUser(deps.db, id));
  flash(req, 'success', say('setup.admin-made'));
  res.redirect(303, paths.admin);
}

async function chooseNewPassword(deps: WebDeps, req: Request, res: Response, token: string, link: SetupLink & { kind: 'password' }): Promise<void> {
  const owner = await selectUser(deps.db, link.userId);
  noteAudit(req, { target: owner.name });
  const form = parseForm(newPasswordForm, req.body);
  const fields = form.ok ? newPasswordFields(form.value, owner.name) : form.fields;
  if (!form.ok || Object.keys(fields).length > 0) return renderSetup(req, res, link, owner, {}, fields, 422);
  const now = deps.clock.now();
  const won = await claimPasswordLink(deps.db, token, owner.id, await hashPassword(form.value.password, owner.name), now);
  if (!won) throw new AppError('not-found', say('setup.link-unusable'));
  // whoever had the old password may have made tokens with it
  await revokeTokensOfUser(deps.db, owner.id, now);
  flash(req, 'success', say('setup.password-set'));
  res.redirect(303, paths.login);
}

async function renderSetup(
  req: Request, res: Response, link: SetupLink, owner: User | undefined,
  values: Readonly<Record<string, string>>, fields: Readonly<Record<string, Sentence>>, status: number,
): Promise<void> {
  const { t } = contextOf(req);
  const title = link.kind === 'first-admin' ? t('setup.title') : t('setup.password-title');
  await render(req, res, 'setup/setup', { title, kind: link.kind, owner, action: req.path, values, fields }, status);
}
