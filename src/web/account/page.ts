// The user information page. Its forms come back to it, each with its own complaints.
import type { Request, Response } from 'express';
import type { Sentence } from '../../errors.ts';
import { effectiveQuota } from '../../model/user.ts';
import { selectTokensByUser } from '../../store/api-tokens.ts';
import { selectSessionsByUser } from '../../store/sessions.ts';
import { selectSettings } from '../../store/settings.ts';
import { contextOf, currentUser } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import type { Route } from '../routes.ts';
import { sessionRowId } from '../session/store.ts';
import { render } from '../views.ts';

export interface AccountPageExtra {
  readonly values?: Readonly<Record<string, string>>;
  readonly fields?: Readonly<Record<string, Sentence>>;
  /** a token just made: shown now, never again */
  readonly newToken?: { readonly name: string; readonly secret: string };
}

export function showAccount(deps: WebDeps): Route['handler'] {
  return (req, res) => renderAccount(deps, req, res, {}, 200);
}

export async function renderAccount(deps: WebDeps, req: Request, res: Response, extra: AccountPageExtra, status: number): Promise<void> {
  const user = currentUser(req);
  const { t } = contextOf(req);
  const now = deps.clock.now();
  const [sessions, tokens, settings] = await Promise.all([
    selectSessionsByUser(deps.db, user.id, now),
    selectTokensByUser(deps.db, user.id, now),
    selectSettings(deps.db),
  ]);
  await render(
    req,
    res,
    'account/account',
    {
      title: t('account.title'),
      account: user,
      quota: effectiveQuota(user.quota, settings.quota),
      sessions,
      currentSession: sessionRowId(req.sessionID),
      tokens,
      values: extra.values ?? {},
      fields: extra.fields ?? {},
      newToken: extra.newToken,
    },
    status,
  );
}
