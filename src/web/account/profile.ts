// A user's own changes: profile, password, sessions.
import { hashPassword, isPassword } from '../../password.ts';
import { say } from '../../errors.ts';
import { revokeTokensOfUser, selectTokensByUser } from '../../store/api-tokens.ts';
import { bumpSessionEpoch, selectPasswordHash, selectUser, updatePassword, updateProfile } from '../../store/users.ts';
import { currentUser, flash } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { formText, parseForm } from '../forms.ts';
import { paths } from '../paths.ts';
import type { Route } from '../routes.ts';
import { beginSession } from '../session/begin.ts';
import { newPasswordFields } from '../session/forms.ts';
import { limits, spend } from '../session/limits.ts';
import { passwordForm, profileForm } from './forms.ts';
import { renderAccount } from './page.ts';

export function saveProfile(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const form = parseForm(profileForm, req.body);
    if (!form.ok) return renderAccount(deps, req, res, { values: form.text, fields: form.fields }, 422);
    const { displayName, email, language } = form.value;
    await updateProfile(deps.db, currentUser(req).id, { displayName, email, language: language === 'auto' ? null : language }, deps.clock.now());
    flash(req, 'success', say('common.saved'));
    res.redirect(303, paths.account);
  };
}

/** Asks for the old password; ends every other session and revokes the API tokens. */
export function changePassword(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const user = currentUser(req);
    const now = deps.clock.now();
    const form = parseForm(passwordForm, req.body);
    const fields = form.ok ? newPasswordFields(form.value, user.name) : form.fields;
    if (!form.ok || Object.keys(fields).length > 0) return renderAccount(deps, req, res, { values: formText(req.body), fields }, 422);
    await spend(deps.db, limits.passwordCheck, user.id, now);
    if (!(await isPassword(form.value.oldPassword, await selectPasswordHash(deps.db, user.id)))) {
      return renderAccount(deps, req, res, { fields: { oldPassword: say('account.old-password-wrong') } }, 422);
    }
    const passwordHash = await hashPassword(form.value.password, user.name);
    await deps.db.transaction(async (tx) => {
      await updatePassword(tx, user.id, passwordHash, now);
      // whoever had the old password may have made tokens with it
      await revokeTokensOfUser(tx, user.id, now);
    });
    await beginSession(req, await selectUser(deps.db, user.id));
    flash(req, 'success', say('account.password-changed'));
    res.redirect(303, paths.account);
  };
}

/** "Sign out everywhere": this session goes on under a new id. */
export function endOtherSessions(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { id } = currentUser(req);
    const now = deps.clock.now();
    await bumpSessionEpoch(deps.db, id, now);
    await beginSession(req, await selectUser(deps.db, id));
    const tokens = await selectTokensByUser(deps.db, id, now);
    flash(req, 'success', tokens.length === 0 ? say('account.sessions-ended') : say('account.sessions-ended-tokens', { tokens: tokens.length }));
    res.redirect(303, paths.account);
  };
}
