// One line per request, with the ids; paths of one-time links are cut, query strings are left out.
import type { RequestHandler } from 'express';
import type { Log } from '../../log.ts';
import { optionalContext } from '../context.ts';
import { pathForLog } from './error-handler.ts';

export function requestLog(log: Log): RequestHandler {
  return (req, res, next) => {
    const startedAt = performance.now();
    res.once('close', () => {
      const context = optionalContext(req);
      log.info(
        { requestId: context?.requestId, userId: context?.user?.id, method: req.method, path: pathForLog(req.path), status: res.statusCode, elapsedMs: Math.round(performance.now() - startedAt) },
        'request',
      );
    });
    next();
  };
}
