import type { WebDeps } from '../deps.ts';
import { paths } from '../paths.ts';
import type { Route } from '../routes.ts';
import { showResources } from './page.ts';

export function resourceRoutes(deps: WebDeps): Route[] {
  return [{ method: 'get', path: paths.resources, access: 'user', handler: showResources(deps) }];
}
