// Hosts, for admins.
import { say } from '../../../errors.ts';
import type { WebDeps } from '../../deps.ts';
import type { Route } from '../../routes.ts';
import { createHost, probeHost, showNewHost } from './add.ts';
import { showBurnIn, startBurnIn } from './burn-in.ts';
import { changeConnection, changeHostSettings, checkKnownHost, removeHost, setHostWish, showHost } from './host.ts';
import { listHosts } from './list.ts';

export function adminHostRoutes(deps: WebDeps): Route[] {
  return [
    { method: 'get', path: '/admin/hosts', access: 'admin', handler: listHosts(deps) },
    { method: 'get', path: '/admin/hosts/new', access: 'admin', handler: showNewHost },
    { method: 'post', path: '/admin/hosts/new', access: 'admin', audit: 'host.check', handler: probeHost(deps) },
    { method: 'post', path: '/admin/hosts', access: 'admin', audit: 'host.add', handler: createHost(deps) },
    { method: 'get', path: '/admin/hosts/:id', access: 'admin', handler: showHost(deps) },
    { method: 'post', path: '/admin/hosts/:id', access: 'admin', audit: 'host.change', handler: changeHostSettings(deps) },
    { method: 'post', path: '/admin/hosts/:id/check', access: 'admin', audit: 'host.check', handler: checkKnownHost(deps) },
    { method: 'post', path: '/admin/hosts/:id/connection', access: 'admin', audit: 'host.change', handler: changeConnection(deps) },
    { method: 'post', path: '/admin/hosts/:id/burn-in', access: 'admin', audit: 'host.burn-in', handler: startBurnIn(deps) },
    { method: 'get', path: '/admin/burn-ins/:id', access: 'admin', handler: showBurnIn(deps) },
    { method: 'post', path: '/admin/hosts/:id/enable', access: 'admin', audit: 'host.enable', handler: setHostWish(deps, 'enabled', (name) => say('hosts.enabled', { name })) },
    { method: 'post', path: '/admin/hosts/:id/disable', access: 'admin', audit: 'host.disable', handler: setHostWish(deps, 'disabled', (name) => say('hosts.disabled', { name })) },
    { method: 'post', path: '/admin/hosts/:id/delete', access: 'admin', audit: 'host.remove', handler: removeHost(deps) },
  ];
}
