// VM Monitor: a user's machines, or everybody's for an admin who asks.
import { countInstancesByUser, selectInstancesByUser, selectInstancesPage } from '../../store/instances.ts';
import { selectUserNames } from '../../store/users.ts';
import { loadSparklines } from '../charts/sparkline.ts';
import { contextOf, currentUser } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { formatFor } from '../format.ts';
import { paths } from '../paths.ts';
import type { Route } from '../routes.ts';
import { render } from '../views.ts';
import { isRowStale, loadRows, rowWords } from './rows.ts';

/** Rows of one page. More: the page grows past what a phone takes; fewer: a class's machines need leafing. */
const pageSize = 50;

export function showList(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { t, language } = contextOf(req);
    const user = currentUser(req);
    const search = textOf(req.query['search']).trim().slice(0, 64);
    const page = Math.max(1, Math.min(100_000, Math.trunc(Number(textOf(req.query['page']))) || 1));
    const all = user.role === 'admin' && req.query['all'] === '1';
    const now = deps.clock.now();

    const found = all
      ? await selectInstancesPage(deps.db, { page, pageSize, search })
      : await Promise.all([selectInstancesByUser(deps.db, user.id, { page, pageSize, search }), countInstancesByUser(deps.db, user.id, search)])
        .then(([instances, total]) => ({ instances, total }));
    const [rows, sparklines, owners] = await Promise.all([
      loadRows(deps.db, found.instances, now),
      loadSparklines(deps.db, 'instance', found.instances.map(({ subjectId }) => subjectId), now, deps.config.pollIntervalMs),
      all ? selectUserNames(deps.db, [...new Set(found.instances.map((instance) => instance.userId))]) : new Map<string, string>(),
    ]);
    const fmt = formatFor(language, t);
    // the machines of a host were measured at one time: a page has few ages
    const ages = new Map<number, string>();
    const ageOf = (at: number): string => {
      const words = ages.get(at) ?? t('common.updated-ago', { age: fmt.age(at, now) });
      ages.set(at, words);
      return words;
    };
    await render(req, res, 'monitor/list', {
      title: t('monitor.title'),
      scripts: ['/js/live.js'],
      rows: rows.map((row) => ({
        instance: row.instance,
        words: { ...rowWords(row, t, fmt), age: row.sample === null ? null : ageOf(row.sample.at) },
        size: { memory: fmt.mib(row.instance.memoryMib), disk: fmt.gib(row.instance.diskGib) },
        spark: sparklines.get(row.instance.subjectId) ?? null,
        stale: isRowStale(row, now, deps.config.pollIntervalMs),
        owner: owners.get(row.instance.userId) ?? null,
      })),
      total: found.total, page, pageSize, search, all, now,
      base: `${paths.instances}?${new URLSearchParams({ ...(all ? { all: '1' } : {}), ...(search === '' ? {} : { search }) }).toString()}&`,
      pollIntervalMs: deps.config.pollIntervalMs, detailIntervalMs: deps.config.detailIntervalMs,
    });
  };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
