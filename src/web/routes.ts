// The table of all pages: method, path, who may open it, what is written to the audit log, and the handler.
import type { Request, Response } from 'express';
import type { Access } from '../model/access.ts';
import { accountRoutes } from './account/routes.ts';
import { adminAuditRoutes } from './admin/audit/routes.ts';
import { adminUserRoutes } from './admin/users/routes.ts';
import { admissionRoutes } from './admission/routes.ts';
import { apiRoutes } from './api/routes.ts';
import type { WebDeps } from './deps.ts';
import { eventRoutes } from './events/routes.ts';
import { homeRoutes } from './home/routes.ts';
import { instanceRoutes } from './instances/routes.ts';
import { monitorRoutes } from './monitor/routes.ts';
import { operationRoutes } from './operations/routes.ts';
import { resourceRoutes } from './resources/routes.ts';
import { sessionRoutes } from './session/routes.ts';
import { setupRoutes } from './setup/routes.ts';

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
    ...sessionRoutes(deps),
    ...setupRoutes(deps),
    ...accountRoutes(deps),
    ...adminUserRoutes(deps),
    ...adminAuditRoutes(deps),
    ...monitorRoutes(deps),
    ...instanceRoutes(deps),
    ...operationRoutes(deps),
    ...admissionRoutes(deps),
    ...resourceRoutes(deps),
    ...eventRoutes(deps),
    ...apiRoutes(deps),
  ];
}
