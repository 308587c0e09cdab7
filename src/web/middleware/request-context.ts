// Who asks, in which language: loads the session's user anew for every request, so that a disabled account or a changed
// role holds at once on every portal.
import { randomUUID } from 'node:crypto';
import type { Request, RequestHandler } from 'express';
import { languages, type Language, type User } from '../../model/user.ts';
import { countIncidents } from '../../store/incidents.ts';
import { selectSettings } from '../../store/settings.ts';
import { selectOptionalUser } from '../../store/users.ts';
import { contextOf, setContext } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { sentenceFor, translator } from '../locales/index.ts';
import { paths } from '../paths.ts';

/** Tells the user of an API token; undefined: the request has none. Throws AppError unauthenticated for a bad one. */
export type AuthenticateBearer = (req: Request) => Promise<{ readonly user: User; readonly scope: string } | undefined>;

const translators = new Map(languages.map((language) => [language, translator(language)]));

export function requestContext(deps: WebDeps, authenticateBearer: AuthenticateBearer): RequestHandler {
  return async (req, res, next) => {
    const { site } = await selectSettings(deps.db);
    const context = (user: User | undefined, bearer: boolean): void => {
      const language = languageOf(req, user, site.defaultLanguage);
      const t = translators.get(language) ?? translator(language);
      const { nonce } = res.locals as { nonce: string };
      setContext(req, { user, language, t, say: (sentence) => sentenceFor(user?.role, t, sentence), nonce, ip: req.ip ?? '', site, requestId: randomUUID(), bearer });
    };
    (res.locals as { now?: number }).now = deps.clock.now();
    // first without a user, so that a bad token's error page has a language
    context(undefined, false);
    const token = await authenticateBearer(req);
    if (token !== undefined) context(token.user, true);
    else context(await sessionUser(deps, req), false);
    // beside the word "Alerts" on every page of administration
    if (contextOf(req).user?.role === 'admin' && (req.path === paths.admin || req.path.startsWith(`${paths.admin}/`))) (res.locals as { openIncidents?: number }).openIncidents = (await countIncidents(deps.db)).open;
    next();
  };
}

async function sessionUser(deps: WebDeps, req: Request): Promise<User | undefined> {
  const { userId, epoch } = req.session;
  if (userId === undefined) return undefined;
  const user = await selectOptionalUser(deps.db, userId);
  return user !== undefined && user.state === 'active' && user.sessionEpoch === epoch ? user : undefined;
}

/** The user's setting, then the cookie, then the browser, then the site's default. */
function languageOf(req: Request, user: User | undefined, standard: Language): Language {
  if (user?.language != null) return user.language;
  const cookie = /(?:^|;\s*)language=([A-Za-z-]+)/.exec(req.headers.cookie ?? '')?.[1];
  const chosen = languages.find((language) => language === cookie);
  if (chosen !== undefined) return chosen;
  for (const accepted of req.acceptsLanguages()) {
    if (/^zh/i.test(accepted)) return 'zh-TW';
    if (/^en/i.test(accepted)) return 'en';
  }
  return standard;
}
