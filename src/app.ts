// The portal's middleware, in order, on one screen.
import { fileURLToPath } from 'node:url';
import compression from 'compression';
import express, { type Express } from 'express';
import { AppError, say } from './errors.ts';
import { authenticateBearer } from './web/api/bearer.ts';
import { csrfHandlers } from './web/csrf.ts';
import type { WebDeps } from './web/deps.ts';
import { showHealth } from './web/health.ts';
import { createHttpFigures } from './web/metrics/http-figures.ts';
import { showMetrics } from './web/metrics/metrics.ts';
import { errorHandler } from './web/middleware/error-handler.ts';
import { audited, checkAccess, limitChanges } from './web/middleware/guard.ts';
import { requestContext } from './web/middleware/request-context.ts';
import { requestLog } from './web/middleware/request-log.ts';
import { createTurns } from './web/middleware/turns.ts';
import { paths } from './web/paths.ts';
import { allRoutes } from './web/routes.ts';
import { saveBeforeRedirect, securityHeaders, sessionMiddleware } from './web/security.ts';
import { DatabaseSessionStore } from './web/session/store.ts';

const publicDirectory = fileURLToPath(new URL('../public', import.meta.url));

export function createApp(deps: WebDeps): Express {
  const app = express();
  app.disable('x-powered-by');
  // pages are not stored, so nobody asks for them by their hash
  app.disable('etag');
  // what is decided by a path (tokens below /api, links cut from the log) must see the path that is routed
  app.enable('case sensitive routing');
  app.set('trust proxy', deps.config.trustProxy === '' ? false : deps.config.trustProxy);
  app.set('query parser', 'simple');

  app.get(paths.health, showHealth(deps));
  const figures = createHttpFigures();
  app.use(figures.count);
  app.use(securityHeaders(deps.config));
  // only what may be a file: a look at the disk before every page would cost more than its session
  const files = express.static(publicDirectory, { index: false, maxAge: '1h' });
  app.use((req, res, next) => (/^\/(?:css|js|vendor|favicon)/.test(req.path) ? files(req, res, next) : next()));
  app.use(noStore);
  app.use(requestLog(deps.log));
  // an event stream must not wait in a compressor's buffer
  app.use(compression({ filter: (req, res) => req.path !== paths.events && compression.filter(req, res) }));
  app.get(paths.metrics, showMetrics(deps, figures));
  app.use(sessionMiddleware(deps.config, new DatabaseSessionStore(deps.db, deps.clock)));
  app.use(saveBeforeRedirect);
  app.use(requestContext(deps, authenticateBearer(deps)));
  app.use(express.urlencoded({ extended: false, limit: '100kb', parameterLimit: 200 }));
  app.use(express.json({ limit: '100kb' }));
  const csrf = csrfHandlers(deps.config);
  app.use(csrf.offer);
  // ids of ours are shorter and plainer; whatever else stands there is of nothing
  app.param('id', (_req, _res, next, id: string) => next(/^[\w.-]{1,64}$/.test(id) ? undefined : new AppError('not-found', say('errors.page-not-found'))));
  const inTurn = createTurns(deps.config);
  for (const route of allRoutes(deps)) {
    // a visitor's request without a token leaves no trace in the audit log: it could be used to flood it
    const recorded = [...(route.method === 'get' ? [] : [limitChanges(deps, route)]), audited(deps, route)];
    const guards = route.access === 'visitor' ? [csrf.check, ...recorded] : [...recorded, checkAccess(route), csrf.check];
    // an event stream is no work, and a browser that is refused one does not ask again
    app[route.method](route.path, ...(route.path === paths.events ? [...guards, route.handler] : [inTurn(guards, route.handler)]));
  }
  app.use((_req, _res, next) => next(new AppError('not-found', say('errors.page-not-found'))));
  app.use(errorHandler(deps.log));
  return app;
}

/** Pages show one person's things, also those that refuse: no cache keeps them. */
const noStore: express.RequestHandler = (_req, res, next) => {
  res.setHeader('Cache-Control', 'no-store');
  next();
};
