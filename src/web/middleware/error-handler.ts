// The one place where a kind of failure becomes a status, a page and a log level.
import { randomUUID } from 'node:crypto';
import type { ErrorRequestHandler } from 'express';
import { AppError, say, type ErrorKind } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { sendProblem } from '../api/problem.ts';
import { optionalContext } from '../context.ts';
import { paths } from '../paths.ts';
import { render } from '../views.ts';

export const statusOfKind: Readonly<Record<ErrorKind, number>> = {
  invalid: 422,
  unauthenticated: 401,
  forbidden: 403,
  'not-found': 404,
  conflict: 409,
  'quota-exceeded': 409,
  'too-many': 429,
  'no-capacity': 507,
  'host-unavailable': 503,
};

/** What body parsers and the router throw: a client's mistake with a status of its own. */
function fromParser(error: unknown): { status: number; error: AppError } | undefined {
  if (typeof error !== 'object' || error === null || !('status' in error) || typeof error.status !== 'number') return undefined;
  if (error.status === 413) return { status: 413, error: new AppError('invalid', say('errors.too-large', { limit: '100 KiB' }), { cause: error }) };
  if (error.status >= 400 && error.status < 500) return { status: 400, error: new AppError('invalid', say('errors.unreadable'), { cause: error }) };
  return undefined;
}

export function errorHandler(log: Log): ErrorRequestHandler {
  // Express tells an error handler by its four parameters
  return async (thrown: unknown, req, res, _next) => {
    const parser = fromParser(thrown);
    const known = thrown instanceof AppError ? thrown : parser?.error;
    const status = parser?.status ?? (known === undefined ? 500 : statusOfKind[known.kind]);
    const reference = randomUUID();
    const line = { requestId: optionalContext(req)?.requestId, userId: optionalContext(req)?.user?.id, method: req.method, path: pathForLog(req.path), status, reference };
    if (known === undefined) log.error({ ...line, err: thrown }, 'request failed by a bug');
    else if (status >= 500) log.warn({ ...line, err: known }, 'request failed');
    else log.info({ ...line, reason: known.message }, 'request refused');

    if (res.headersSent) {
      res.destroy();
      return;
    }
    const shown = known ?? new AppError('invalid', say('errors.bug', { reference }));
    if (shown.retryAfterSeconds !== undefined) res.setHeader('Retry-After', String(shown.retryAfterSeconds));
    const context = optionalContext(req);
    if (context === undefined) {
      res.status(status).type('text').send(`${status}\n`);
    } else if (req.path.startsWith(`${paths.api}/`)) {
      sendProblem(req, res, shown, status);
    } else if (shown.kind === 'unauthenticated' && req.method === 'GET' && req.accepts(['html', 'json']) === 'html') {
      res.redirect(303, `${paths.login}?next=${encodeURIComponent(req.originalUrl)}`);
    } else if (req.accepts(['html', 'json']) === 'json') {
      res.status(status).json({ error: context.say(shown.sentence), fields: Object.fromEntries(Object.entries(shown.fields).map(([name, sentence]) => [name, context.say(sentence)])) });
    } else {
      await errorPage().catch((error: unknown) => {
        log.error({ ...line, err: error }, 'the error page failed');
        res.status(500).type('text').send(context.say(say('errors.bug', { reference })));
      });
    }

    async function errorPage(): Promise<void> {
      const title = context?.t(`errors.title.${status}`) ?? String(status);
      await render(req, res, 'error', { title, status, message: context?.say(shown.sentence) ?? '', fields: shown.fields }, status);
    }
  };
}

/** One-time tokens stand in the path of a set-up link: they are cut before they reach the log. */
export function pathForLog(path: string): string {
  return path.replace(/^(\/+setup\/).+$/i, '$1[cut]');
}
