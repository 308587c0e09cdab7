// The API's part of the route table: every endpoint, and the document that describes them.
import type { Request, Response } from 'express';
import { AppError, say } from '../../errors.ts';
import type { Language } from '../../model/user.ts';
import { currentUser, contextOf } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { noteAudit } from '../middleware/guard.ts';
import { sentenceFor } from '../locales/index.ts';
import { paths } from '../paths.ts';
import type { Route } from '../routes.ts';
import { apiEndpoints } from './endpoints.ts';
import { checkScope } from './bearer.ts';
import type { Endpoint } from './endpoint.ts';
import { once } from './idempotency.ts';
import { apiLanguage, apiTranslate } from './language.ts';
import { openApiDocument } from './openapi.ts';
import { linkHeader } from './paging.ts';

export function apiRoutes(deps: WebDeps): Route[] {
  const endpoints = apiEndpoints(deps);
  // anybody may ask for it, and making it takes some ms
  const documents = new Map<Language, string>();
  const documentFor = (req: Request): string => {
    const made = documents.get(apiLanguage(req)) ?? JSON.stringify(openApiDocument(endpoints, apiTranslate(req), deps.config.publicUrl));
    documents.set(apiLanguage(req), made);
    return made;
  };
  return [
    {
      method: 'get',
      path: `${paths.api}/openapi.json`,
      access: 'visitor',
      handler: (req, res) => void res.vary('Accept-Language').set('content-language', apiLanguage(req)).type('json').send(documentFor(req)),
    },
    ...endpoints.map((endpoint): Route => ({
      method: endpoint.method,
      path: paths.api + endpoint.path,
      access: endpoint.access,
      ...(endpoint.audit === undefined ? {} : { audit: endpoint.audit }),
      handler: (req, res) => serve(deps, endpoint, req, res),
    })),
  ];
}

async function serve(deps: WebDeps, endpoint: Endpoint, req: Request, res: Response): Promise<void> {
  checkScope(req, endpoint.scope);
  checkBodyType(req);
  const t = apiTranslate(req);
  const user = currentUser(req);
  const work = endpoint.prepare({
    params: { ...req.params },
    query: { ...req.query },
    body: req.body,
    user,
    context: { ...contextOf(req), language: apiLanguage(req), t, say: (sentence) => sentenceFor(user.role, t, sentence) },
    note: (note) => noteAudit(req, note),
  });
  const { reply, repeated } = await once(deps, endpoint, req, user, work);
  if (repeated) res.set('idempotency-replayed', 'true');
  if (reply.location !== undefined) res.location(reply.location);
  const link = linkHeader(req.originalUrl, reply.body);
  if (link !== undefined) res.set('link', link);
  res.vary('Accept-Language').set('content-language', apiLanguage(req)).status(endpoint.status);
  if (endpoint.response === undefined) res.end();
  else res.json(reply.body);
}

/** Anything but JSON (a form, say) has been parsed to something else, or not at all: neither may pass for an empty body. */
function checkBodyType(req: Request): void {
  if (req.headers['content-length'] === '0' || req.is('application/json') !== false) return;
  throw new AppError('invalid', say('api.errors.not-json'), { fields: { 'Content-Type': say('api.errors.not-json') } });
}
