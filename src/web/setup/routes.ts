// One-time links.
import type { WebDeps } from '../deps.ts';
import type { Route } from '../routes.ts';
import { showSetup, useSetup } from './setup.ts';

export function setupRoutes(deps: WebDeps): Route[] {
  return [
    { method: 'get', path: '/setup/:token', access: 'visitor', handler: showSetup(deps) },
    { method: 'post', path: '/setup/:token', access: 'visitor', audit: 'setup.use', handler: useSetup(deps) },
  ];
}
