// VM Monitor: a user's machines, or everybody's for an admin who asks.
import { instanceStates, type Instance } from '../../model/instance.ts';
import type { User } from '../../model/user.ts';
import type { Db } from '../../store/db.ts';
import { countInstancesByUser, selectInstancesByUser, selectInstancesPage } from '../../store/instances.ts';
import { selectUserNames } from '../../store/users.ts';
import { loadSparklines } from '../charts/sparkline.ts';
import { contextOf, currentUser } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { formatFor } from '../format.ts';
import { paths } from '../paths.ts';
import type { Route } from '../routes.ts';
import { render } from '../views.ts';
import { listFields, listPath, pageSize, readChosen, readListQuery, type ListQuery } from './list-query.ts';
import { isRowStale, loadRows, rowWords } from './rows.ts';

export function showList(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { t, language } = contextOf(req);
    const user = currentUser(req);
    const asked = readListQuery(req.query, user.role);
    const now = deps.clock.now();

    const { found, query } = await loadPage(deps.db, user, asked);
    const { all, search, state, page } = query;
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
    const others = new URLSearchParams(listFields({ ...query, page: 1 })).toString();
    await render(req, res, 'monitor/list', {
      title: t('monitor.title'),
      scripts: ['/js/live.js', '/js/choose.js'],
      rows: rows.map((row) => ({
        instance: row.instance,
        words: { ...rowWords(row, t, fmt), age: row.sample === null ? null : ageOf(row.sample.at) },
        size: { memory: fmt.mib(row.instance.memoryMib), disk: fmt.gib(row.instance.diskGib) },
        spark: sparklines.get(row.instance.subjectId) ?? null,
        stale: isRowStale(row, now, deps.config.pollIntervalMs),
        owner: owners.get(row.instance.userId) ?? null,
      })),
      total: found.total, page, pageSize, search, state, states: instanceStates, all, now, chosen: readChosen(req.query), fields: listFields(query),
      unfiltered: listPath({ ...query, search: '', state: undefined, page: 1 }),
      base: `${paths.instances}?${others}${others === '' ? '' : '&'}`,
      pollIntervalMs: deps.config.pollIntervalMs, detailIntervalMs: deps.config.detailIntervalMs,
    });
  };
}

/** The page that was asked for; when what stood there is gone (deleted, or not in that state any more), the last one. */
async function loadPage(db: Db, user: User, query: ListQuery): Promise<{ found: { instances: Instance[]; total: number }; query: ListQuery }> {
  const found = await select(db, user, query);
  const last = Math.max(1, Math.ceil(found.total / pageSize));
  if (query.page <= last) return { found, query };
  return { found: await select(db, user, { ...query, page: last }), query: { ...query, page: last } };
}

async function select(db: Db, user: User, { all, search, state, page }: ListQuery): Promise<{ instances: Instance[]; total: number }> {
  if (all) return selectInstancesPage(db, { page, pageSize, search, state });
  const [instances, total] = await Promise.all([selectInstancesByUser(db, user.id, { page, pageSize, search, state }), countInstancesByUser(db, user.id, search, state)]);
  return { instances, total };
}
