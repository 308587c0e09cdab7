// The user information page.
import type { WebDeps } from '../deps.ts';
import { paths } from '../paths.ts';
import type { Route } from '../routes.ts';
import { showAccount } from './page.ts';
import { changePassword, endOtherSessions, saveProfile } from './profile.ts';
import { createToken, endToken } from './tokens.ts';

export function accountRoutes(deps: WebDeps): Route[] {
  return [
    { method: 'get', path: paths.account, access: 'user', handler: showAccount(deps) },
    { method: 'post', path: '/account/profile', access: 'user', audit: 'account.update', handler: saveProfile(deps) },
    { method: 'post', path: '/account/password', access: 'user', audit: 'account.password', handler: changePassword(deps) },
    { method: 'post', path: '/account/sessions/end', access: 'user', audit: 'account.sign-out-everywhere', handler: endOtherSessions(deps) },
    { method: 'post', path: '/account/tokens', access: 'user', audit: 'token.create', handler: createToken(deps) },
    { method: 'post', path: '/account/tokens/:id/revoke', access: 'user', audit: 'token.revoke', handler: endToken(deps) },
  ];
}
