// The table of all pages: method, path, who may open it, what is written to the audit log, and the handler.
import type { Request, Response } from 'express';
import type { Access } from '../model/access.ts';
import { aboutRoutes } from './about/routes.ts';
import { accountRoutes } from './account/routes.ts';
import { adminAlertRoutes } from './admin/alerts/routes.ts';
import { adminAuditRoutes } from './admin/audit/routes.ts';
import { adminAvailabilityRoutes } from './admin/availability/routes.ts';
import { adminBalancingRoutes } from './admin/balancing/routes.ts';
import { adminCapsRoutes } from './admin/caps/routes.ts';
import { adminDashboardRoutes } from './admin/dashboard/routes.ts';
import { adminMonitoringRoutes } from './admin/monitoring/routes.ts';
import { adminPortalRoutes } from './admin/portals/routes.ts';
import { adminDatabaseRoutes } from './admin/database/routes.ts';
import { adminDiscrepancyRoutes } from './admin/discrepancies/routes.ts';
import { adminForecastRoutes } from './admin/forecast/routes.ts';
import { adminFlavourRoutes } from './admin/flavours/routes.ts';
import { adminHostRoutes } from './admin/hosts/routes.ts';
import { adminImageRoutes } from './admin/images/routes.ts';
import { adminMaintenanceRoutes } from './admin/maintenance/routes.ts';
import { adminMessageRoutes } from './admin/messages/routes.ts';
import { adminMoveRoutes } from './admin/moves/routes.ts';
import { adminOperationRoutes } from './admin/operations/routes.ts';
import { adminPlacementRoutes } from './admin/placement/routes.ts';
import { adminPoolRoutes } from './admin/pools/routes.ts';
import { adminPriceRoutes } from './admin/prices/routes.ts';
import { adminQuotaRoutes } from './admin/quotas/routes.ts';
import { adminSettingsRoutes } from './admin/settings/routes.ts';
import { adminThresholdRoutes } from './admin/thresholds/routes.ts';
import { adminUsageRoutes } from './admin/usage/routes.ts';
import { adminUserRoutes } from './admin/users/routes.ts';
import { admissionRoutes } from './admission/routes.ts';
import { apiRoutes } from './api/routes.ts';
import { chartRoutes } from './charts/routes.ts';
import { contactRoutes } from './contact/routes.ts';
import type { WebDeps } from './deps.ts';
import { eventRoutes } from './events/routes.ts';
import { homeRoutes } from './home/routes.ts';
import { instanceRoutes } from './instances/routes.ts';
import { monitorRoutes } from './monitor/routes.ts';
import { operationRoutes } from './operations/routes.ts';
import { resourceRoutes } from './resources/routes.ts';
import { sessionRoutes } from './session/routes.ts';
import { setupRoutes } from './setup/routes.ts';
import { usageRoutes } from './usage/routes.ts';

export interface Route {
  readonly method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  readonly path: string;
  readonly access: Access;
  /** action in the audit log; every route that changes something has one */
  readonly audit?: string;
  readonly handler: (req: Request, res: Response) => Promise<void> | void;
}

export function allRoutes(deps: WebDeps): Route[] {
  return [
    ...homeRoutes(deps),
    ...aboutRoutes(),
    ...contactRoutes(deps),
    ...sessionRoutes(deps),
    ...setupRoutes(deps),
    ...accountRoutes(deps),
    ...usageRoutes(deps),
    ...adminDashboardRoutes(deps),
    ...adminAlertRoutes(deps),
    ...adminOperationRoutes(deps),
    ...adminMoveRoutes(deps),
    ...adminMaintenanceRoutes(deps),
    ...adminDatabaseRoutes(deps),
    ...adminDiscrepancyRoutes(deps),
    ...adminPortalRoutes(deps),
    ...adminMessageRoutes(deps),
    ...adminAuditRoutes(deps),
    ...adminHostRoutes(deps),
    ...adminAvailabilityRoutes(deps),
    ...adminPoolRoutes(deps),
    ...adminImageRoutes(deps),
    ...adminFlavourRoutes(deps),
    ...adminUserRoutes(deps),
    ...adminUsageRoutes(deps),
    ...adminForecastRoutes(deps),
    ...adminQuotaRoutes(deps),
    ...adminThresholdRoutes(deps),
    ...adminPlacementRoutes(deps),
    ...adminBalancingRoutes(deps),
    ...adminMonitoringRoutes(deps),
    ...adminCapsRoutes(deps),
    ...adminPriceRoutes(deps),
    ...adminSettingsRoutes(deps),
    ...monitorRoutes(deps),
    ...chartRoutes(deps),
    ...instanceRoutes(deps),
    ...operationRoutes(deps),
    ...admissionRoutes(deps),
    ...resourceRoutes(deps),
    ...eventRoutes(deps),
    ...apiRoutes(deps),
  ];
}
