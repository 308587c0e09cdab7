import type { WebDeps } from '../deps.ts';
import { paths } from '../paths.ts';
import type { Route } from '../routes.ts';
import { EventsHub } from './hub.ts';
import { showEvents } from './stream.ts';

export function eventRoutes(deps: WebDeps): Route[] {
  return [{ method: 'get', path: paths.events, access: 'user', handler: showEvents(new EventsHub(deps)) }];
}
