// A user's API tokens.
import { AppError, say } from '../../errors.ts';
import { createApiToken, maxTokensPerUser, revokeToken, selectTokensByUser } from '../../store/api-tokens.ts';
import { currentUser, flash } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { parseForm } from '../forms.ts';
import { noteAudit } from '../middleware/guard.ts';
import { paths } from '../paths.ts';
import type { Route } from '../routes.ts';
import { tokenForm } from './forms.ts';
import { renderAccount } from './page.ts';

const dayMs = 86_400_000;

/** The answer itself shows the secret: it must lie in no session and no URL, so there is no redirect. */
export function createToken(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const user = currentUser(req);
    const now = deps.clock.now();
    const form = parseForm(tokenForm, req.body);
    if (!form.ok) return renderAccount(deps, req, res, { values: form.text, fields: form.fields }, 422);
    if ((await selectTokensByUser(deps.db, user.id, now)).length >= maxTokensPerUser) {
      throw new AppError('conflict', say('account.too-many-tokens', { max: maxTokensPerUser }));
    }
    const { tokenName, scope, days } = form.value;
    const { secret } = await createApiToken(deps.db, { userId: user.id, name: tokenName, scope, expiresAt: now + days * dayMs }, now);
    noteAudit(req, { target: tokenName, detail: scope });
    await renderAccount(deps, req, res, { newToken: { name: tokenName, secret } }, 200);
  };
}

export function endToken(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { id } = req.params;
    const found = typeof id === 'string' && (await revokeToken(deps.db, currentUser(req).id, id, deps.clock.now()));
    if (!found) throw new AppError('not-found', say('account.token-not-found'));
    flash(req, 'success', say('account.token-revoked'));
    res.redirect(303, paths.account);
  };
}
