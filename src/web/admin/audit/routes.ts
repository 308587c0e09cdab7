// The audit log, for admins.
import type { WebDeps } from '../../deps.ts';
import type { Route } from '../../routes.ts';
import { showAudit } from './audit.ts';

export function adminAuditRoutes(deps: WebDeps): Route[] {
  return [{ method: 'get', path: '/admin/audit', access: 'admin', handler: showAudit(deps) }];
}
