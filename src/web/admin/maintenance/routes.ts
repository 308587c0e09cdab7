// Maintenance of hosts, for admins.
import type { WebDeps } from '../../deps.ts';
import type { Route } from '../../routes.ts';
import { endMaintenance, showMaintenance, showReturn, startMaintenance } from './maintenance.ts';

export function adminMaintenanceRoutes(deps: WebDeps): Route[] {
  return [
    { method: 'get', path: '/admin/hosts/:id/maintenance', access: 'admin', handler: showMaintenance(deps) },
    { method: 'post', path: '/admin/hosts/:id/maintenance', access: 'admin', audit: 'host.maintenance', handler: startMaintenance(deps) },
    { method: 'get', path: '/admin/hosts/:id/return', access: 'admin', handler: showReturn(deps) },
    { method: 'post', path: '/admin/hosts/:id/return', access: 'admin', audit: 'host.return', handler: endMaintenance(deps) },
  ];
}
