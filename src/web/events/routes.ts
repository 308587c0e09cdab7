import { currentUser } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { formText } from '../forms.ts';
import { paths } from '../paths.ts';
import type { Route } from '../routes.ts';
import { EventsHub } from './hub.ts';
import { LatencyMeter } from './latency.ts';
import { showEvents } from './stream.ts';

export function eventRoutes(deps: WebDeps): Route[] {
  const latency = new LatencyMeter(deps);
  return [
    { method: 'get', path: paths.events, access: 'user', handler: showEvents(new EventsHub(deps, latency)) },
    // changes nothing of anybody's: how long it took until a window showed a sample
    { method: 'post', path: `${paths.events}/painted`, access: 'user', handler: async (req, res) => {
      await latency.confirm(currentUser(req).id, formText(req.body)['ticket'] ?? '', deps.clock.now());
      res.status(204).end();
    } },
  ];
}
