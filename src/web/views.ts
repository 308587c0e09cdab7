// Pages: an EJS file inside views/layout.ejs. `render` is a promise and is awaited, so that an error in a view becomes an
// error page: a throw inside res.render's callback would pass every error handler and end the process.
import { fileURLToPath } from 'node:url';
import ejs from 'ejs';
import type { Request, Response } from 'express';
import { contextOf } from './context.ts';
import { formatFor } from './format.ts';
import { paths } from './paths.ts';

const viewsDirectory = fileURLToPath(new URL('../../views', import.meta.url));
const cache = process.argv[1]?.includes('/dist/') ?? false;

export type Locals = Readonly<Record<string, unknown>> & { readonly title: string };

/** Renders views/{view}.ejs. `locals.title` is the page's title in the reader's language. */
export async function render(req: Request, res: Response, view: string, locals: Locals, status = 200): Promise<void> {
  const all = { ...pageLocals(req, res), scripts: [], ...locals };
  const body = await renderFile(view, all);
  const html = await renderFile('layout', { ...all, body });
  res.status(status).type('html').send(html);
}

/** A fragment without the layout, for scripts that replace a part of a page. */
export async function renderFragment(req: Request, res: Response, view: string, locals: Readonly<Record<string, unknown>>): Promise<void> {
  res.type('html').send(await renderFile(view, { ...pageLocals(req, res), ...locals }));
}

function renderFile(view: string, locals: object): Promise<string> {
  return ejs.renderFile(`${viewsDirectory}/${view}.ejs`, locals, { cache, root: viewsDirectory, views: [viewsDirectory] });
}

function pageLocals(req: Request, res: Response): Record<string, unknown> {
  const context = contextOf(req);
  const locals = res.locals as { csrfToken?: () => string; now?: number; openIncidents?: number };
  // read once: the next page must not show them again
  const flashes = req.session?.flashes ?? [];
  if (flashes.length > 0) delete req.session.flashes;
  return {
    site: context.site,
    user: context.user,
    language: context.language,
    t: context.t,
    say: context.say,
    nonce: context.nonce,
    fmt: formatFor(context.language, context.t),
    paths,
    csrfToken: locals.csrfToken?.() ?? '',
    theme: themeOf(req),
    currentPath: req.originalUrl.split('?')[0],
    now: locals.now ?? Date.now(),
    flashes,
    openIncidents: locals.openIncidents ?? 0,
  };
}

function themeOf(req: Request): 'light' | 'dark' | 'auto' {
  const match = /(?:^|;\s*)theme=(light|dark)/.exec(req.headers.cookie ?? '');
  return match?.[1] === 'dark' ? 'dark' : match?.[1] === 'light' ? 'light' : 'auto';
}
