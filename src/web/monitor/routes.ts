import type { WebDeps } from '../deps.ts';
import { paths } from '../paths.ts';
import type { Route } from '../routes.ts';
import { showList } from './list.ts';
import { showSamples } from './samples.ts';

export function monitorRoutes(deps: WebDeps): Route[] {
  return [
    { method: 'get', path: paths.instances, access: 'user', handler: showList(deps) },
    { method: 'get', path: '/instances/:id/samples.json', access: 'user', handler: showSamples(deps) },
  ];
}
