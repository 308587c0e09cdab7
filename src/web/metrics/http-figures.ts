// How many requests this portal answered, and how fast. By the route's pattern, never by the path: a path has ids in it, and
// anybody can think of new ones.
import type { Request, RequestHandler } from 'express';
import { counter, labelsOf, type Family, type Sample } from './exposition.ts';

export interface HttpFigures {
  readonly count: RequestHandler;
  families(): Family[];
}

/** Upper ends in seconds. An event stream is open for hours and says nothing about speed: it is counted, not timed. */
const bucketSeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']);

export function createHttpFigures(): HttpFigures {
  const requests = new Map<string, number>();
  const counts = bucketSeconds.map(() => 0);
  let [total, sumSeconds, open] = [0, 0, 0];

  return {
    count(req, res, next) {
      const startedAt = performance.now();
      open++;
      res.once('close', () => {
        open--;
        const labels = labelsOf({ method: methods.has(req.method) ? req.method : 'other', route: routeOf(req), status: `${Math.floor(res.statusCode / 100)}xx` });
        requests.set(labels, (requests.get(labels) ?? 0) + 1);
        if (res.getHeader('Content-Type') === 'text/event-stream') return;
        const seconds = (performance.now() - startedAt) / 1000;
        const bucket = bucketSeconds.findIndex((end) => seconds <= end);
        if (bucket >= 0) counts[bucket] = (counts[bucket] ?? 0) + 1;
        total++;
        sumSeconds += seconds;
      });
      next();
    },
    families: () => [
      counter('http_requests_total', 'Requests answered by this portal.', requests),
      { name: 'http_request_duration_seconds', type: 'histogram', help: 'Time to answer a request, event streams left out.', samples: histogram() },
      { name: 'http_requests_in_progress', type: 'gauge', help: 'Requests that this portal is answering now, event streams among them.', samples: [['', open]] },
    ],
  };

  function* histogram(): Generator<Sample> {
    let below = 0;
    for (const [i, end] of bucketSeconds.entries()) yield [`_bucket{le="${end}"}`, below += counts[i] ?? 0];
    yield ['_bucket{le="+Inf"}', total];
    yield ['_sum', sumSeconds];
    yield ['_count', total];
  }
}

function routeOf(req: Request): string {
  const route = req.route as { readonly path?: unknown } | undefined;
  return typeof route?.path === 'string' ? route.path : 'none';
}
