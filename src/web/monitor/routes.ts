import type { WebDeps } from '../deps.ts';
import { paths } from '../paths.ts';
import type { Route } from '../routes.ts';
import { showList } from './list.ts';

export function monitorRoutes(deps: WebDeps): Route[] {
  return [
    { method: 'get', path: paths.instances, access: 'user', handler: showList(deps) },
  ];
}
