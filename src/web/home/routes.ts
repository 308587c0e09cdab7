// The top page, the language switch.
import type { WebDeps } from '../deps.ts';
import type { Route } from '../routes.ts';
import { showHome } from './home.ts';
import { setLanguage } from './language.ts';

export function homeRoutes(deps: WebDeps): Route[] {
  return [
    { method: 'get', path: '/', access: 'visitor', handler: showHome(deps) },
    { method: 'post', path: '/language', access: 'visitor', handler: setLanguage(deps) },
  ];
}
