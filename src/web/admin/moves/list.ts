// All moves: what goes on and waits now, and the history with its filters, also as a file.
import { z } from 'zod';
import { moveStates, moveTriggers, type Move } from '../../../model/move.ts';
import { selectHosts } from '../../../store/hosts.ts';
import { selectOptionalInstance } from '../../../store/instances.ts';
import { selectMovesPage, selectOpenMoves, type MoveFilter } from '../../../store/moves.ts';
import { selectSettings } from '../../../store/settings.ts';
import { selectUserNames } from '../../../store/users.ts';
import { contextOf } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { formatFor } from '../../format.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { render } from '../../views.ts';
import { csvOf } from './csv.ts';
import { moveWords } from './words.ts';

const pageSize = 50;
/** The page without scripts is loaded anew after so many seconds while something moves. */
export const refreshSeconds = 5;

const endStates = moveStates.filter((state) => state !== 'queued' && state !== 'moving');
/** Out of the URL: what cannot be used is left out, a list is never an error. */
const listQuery = z.object({
  state: z.enum(moveStates).optional().catch(undefined),
  trigger: z.enum(moveTriggers).optional().catch(undefined),
  host: z.uuid().optional().catch(undefined),
  instance: z.uuid().optional().catch(undefined),
  page: z.coerce.number().int().min(1).max(1_000_000).catch(1),
});

function readQuery(query: unknown): { filter: Omit<MoveFilter, 'page' | 'pageSize'>; page: number; chosen: Record<string, string> } {
  const { state, trigger, host, instance, page } = listQuery.parse(query);
  const chosen = Object.fromEntries(Object.entries({ state, trigger, host, instance }).flatMap(([key, value]): [string, string][] => (value === undefined ? [] : [[key, value]])));
  return { filter: { state, trigger, hostId: host, instanceId: instance, ended: true }, page, chosen };
}

export function listMoves(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { t, language } = contextOf(req);
    const { filter, page, chosen } = readQuery(req.query);
    const [open, history, hosts, settings, instance] = await Promise.all([
      selectOpenMoves(deps.db), selectMovesPage(deps.db, { ...filter, page, pageSize }), selectHosts(deps.db), selectSettings(deps.db),
      filter.instanceId === undefined ? undefined : selectOptionalInstance(deps.db, filter.instanceId),
    ]);
    const [now, fmt] = [deps.clock.now(), formatFor(language, t)];
    const inWords = (moves: readonly Move[]) => moves.map((move) => ({ move, words: moveWords(move, now, t, fmt) }));
    const query = new URLSearchParams(chosen).toString();
    await render(req, res, 'admin/moves/list', {
      title: t('moves.page.title'), scripts: ['/js/live.js', '/js/moves.js'], refreshSeconds: open.length > 0 ? refreshSeconds : 0,
      open: inWords(open), history: inWords(history.moves), total: history.total, page, pageSize, limits: settings.migration, hosts,
      userNames: await selectUserNames(deps.db, [...new Set([...open, ...history.moves].map((move) => move.userId))]),
      chosen, states: endStates, triggers: moveTriggers, instanceName: instance?.name ?? history.moves[0]?.instanceName ?? '',
      base: `${paths.adminPage('moves')}?${query}${query === '' ? '' : '&'}`, csvPath: `${paths.adminPage('moves')}.csv${query === '' ? '' : `?${query}`}`,
      pollIntervalMs: deps.config.pollIntervalMs,
    });
  };
}

/** Rows of one read, and of the whole file: a table program takes no more. */
const batchSize = 1000;
const maxRows = 100_000;

export function exportMoves(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { filter } = readQuery(req.query);
    const { say } = contextOf(req);
    res.status(200).type('text/csv; charset=utf-8').set('Content-Disposition', 'attachment; filename="moves.csv"');
    for (let page = 1; (page - 1) * batchSize < maxRows; page++) {
      const { moves } = await selectMovesPage(deps.db, { ...filter, page, pageSize: batchSize });
      const owners = await selectUserNames(deps.db, [...new Set(moves.map((move) => move.userId))]);
      res.write(csvOf(moves, owners, say, page === 1));
      if (moves.length < batchSize) break;
    }
    res.end();
  };
}
