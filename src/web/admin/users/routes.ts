// Users, for admins.
import { say } from '../../../errors.ts';
import type { WebDeps } from '../../deps.ts';
import type { Route } from '../../routes.ts';
import { createUser, listUsers, showNewUser } from './list.ts';
import { makePasswordLink } from './password-link.ts';
import { setQuota, setRole, setState, showUser } from './user.ts';

export function adminUserRoutes(deps: WebDeps): Route[] {
  return [
    { method: 'get', path: '/admin/users', access: 'admin', handler: listUsers(deps) },
    { method: 'get', path: '/admin/users/new', access: 'admin', handler: showNewUser },
    { method: 'post', path: '/admin/users', access: 'admin', audit: 'user.create', handler: createUser(deps) },
    { method: 'get', path: '/admin/users/:id', access: 'admin', handler: showUser(deps) },
    { method: 'post', path: '/admin/users/:id/approve', access: 'admin', audit: 'user.approve', handler: setState(deps, 'active', say('users.approved')) },
    { method: 'post', path: '/admin/users/:id/enable', access: 'admin', audit: 'user.enable', handler: setState(deps, 'active', say('users.enabled')) },
    { method: 'post', path: '/admin/users/:id/disable', access: 'admin', audit: 'user.disable', handler: setState(deps, 'disabled', say('users.disabled')) },
    { method: 'post', path: '/admin/users/:id/role', access: 'admin', audit: 'user.role', handler: setRole(deps) },
    { method: 'post', path: '/admin/users/:id/quota', access: 'admin', audit: 'user.quota', handler: setQuota(deps) },
    { method: 'post', path: '/admin/users/:id/password-link', access: 'admin', audit: 'user.password-link', handler: makePasswordLink(deps) },
  ];
}
