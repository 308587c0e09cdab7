// What this is, and which version of it.
import { readFileSync } from 'node:fs';
import { contextOf } from '../context.ts';
import { paths } from '../paths.ts';
import type { Route } from '../routes.ts';
import { render } from '../views.ts';

const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string };

export function aboutRoutes(): Route[] {
  return [{ method: 'get', path: paths.about, access: 'visitor', handler: showAbout }];
}

const showAbout: Route['handler'] = (req, res) => render(req, res, 'about/about', { title: contextOf(req).t('about.title'), version });
