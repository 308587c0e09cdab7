// Logging in, logging out, registering.
import { paths } from '../paths.ts';
import type { WebDeps } from '../deps.ts';
import type { Route } from '../routes.ts';
import { logIn, logOut, showLogin } from './login.ts';
import { register, showRegister } from './register.ts';

export function sessionRoutes(deps: WebDeps): Route[] {
  return [
    { method: 'get', path: paths.login, access: 'visitor', handler: showLogin },
    { method: 'post', path: paths.login, access: 'visitor', audit: 'session.login', handler: logIn(deps) },
    { method: 'post', path: paths.logout, access: 'visitor', audit: 'session.logout', handler: logOut },
    { method: 'get', path: paths.register, access: 'visitor', handler: showRegister },
    { method: 'post', path: paths.register, access: 'visitor', audit: 'user.register', handler: register(deps) },
  ];
}
