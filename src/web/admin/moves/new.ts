// Moving machines: choose them and where to, see what stands against each, start. Nothing moves before the second look.
import type { Request, Response } from 'express';
import { AppError, say, type Sentence } from '../../../errors.ts';
import { hostRoom, isOpenForNew } from '../../../model/capacity.ts';
import type { Instance } from '../../../model/instance.ts';
import { isMovable } from '../../../model/maintenance.ts';
import { submitMove } from '../../../operations/instance-migrate.ts';
import { previewMoves } from '../../../operations/move-plan.ts';
import { selectHosts } from '../../../store/hosts.ts';
import { selectInstancesByIds, selectInstancesPage } from '../../../store/instances.ts';
import { selectSettings } from '../../../store/settings.ts';
import { selectUserNames } from '../../../store/users.ts';
import { contextOf, currentUser, flash } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { chosenIds, formText, parseForm } from '../../forms.ts';
import { noteAudit } from '../../middleware/guard.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { render } from '../../views.ts';
import { anywhere, chosenText, foreseenTargets, listQuery, maxChosen, moveForm } from './forms.ts';

const pageSize = 100;
const checkTimes = { eachMs: 4000, allMs: 20_000 } as const;

export function showNewMoves(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const query = listQuery.parse(req.query);
    // a host's page asks for all of it
    const ticked = query.all === '1' && query.host !== undefined ? 'all' : new Set(query.instance);
    await renderChoice(deps, req, res, { host: query.host, search: query.search, page: query.page, ticked, to: query.to ?? anywhere, why: query.why, fields: {} }, 200);
  };
}

/** Asks the hosts; changes nothing. */
export function checkMoves(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const chosen = await readChoice(deps, req, res);
    if (chosen === undefined) return;
    const results = await previewMoves(deps.operations, chosen.instances, chosen.to, checkTimes);
    const { t } = contextOf(req);
    const [hosts, owners] = await Promise.all([selectHosts(deps.db), selectUserNames(deps.db, [...new Set(chosen.instances.map(({ userId }) => userId))])]);
    await render(req, res, 'admin/moves/check', {
      title: t('moves.new.result'), results, owners, hostNames: new Map(hosts.map(({ id, name }) => [id, name])), kept: chosenText(req.body),
      startable: results.filter(({ to }) => to !== null), limits: (await selectSettings(deps.db)).migration,
    });
  };
}

export function startMoves(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const chosen = await readChoice(deps, req, res);
    if (chosen === undefined) return;
    noteAudit(req, { target: chosen.instances.map(({ name }) => name).join(' '), detail: chosen.to ?? 'placement' });
    const why = chosen.why === '' ? say('moves.why.admin') : say('moves.why.words', { words: chosen.why });
    const targets = foreseenTargets(req.body);
    const started: { readonly id: string; readonly name: string }[] = [];
    const refused: { readonly name: string; readonly why: Sentence }[] = [];
    for (const instance of chosen.instances) {
      try {
        const { move } = await submitMove(deps.operations, { instance, toHostId: targets.get(instance.id) ?? chosen.to, trigger: 'admin', why, actor: currentUser(req) });
        started.push({ id: move.id, name: instance.name });
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        if (chosen.instances.length === 1) throw error;
        refused.push({ name: instance.name, why: error.sentence });
      }
    }
    tell(req, started, refused);
    const [first] = started;
    res.redirect(303, started.length === 1 && first !== undefined ? paths.adminItem('moves', first.id) : paths.adminPage('moves'));
  };
}

/** A session keeps five sentences: the first refusals stand for the others. */
function tell(req: Request, started: readonly { readonly name: string }[], refused: readonly { readonly name: string; readonly why: Sentence }[]): void {
  const { say: inWords } = contextOf(req);
  if (started.length === 1) flash(req, 'success', say('moves.new.started-one', { name: started[0]?.name ?? '' }));
  else if (started.length > 1) flash(req, 'success', say('moves.new.started', { n: started.length }));
  for (const { name, why } of refused.slice(0, 3)) flash(req, 'error', say('moves.new.refused', { name, why: inWords(why) }));
  if (refused.length > 3) flash(req, 'error', say('moves.new.refused-more', { n: refused.length - 3 }));
}

interface Choice { readonly instances: readonly Instance[]; readonly to: string | null; readonly why: string }

/** What was chosen; undefined: something is wrong with it, and the page has been shown again. */
async function readChoice(deps: WebDeps, req: Request, res: Response): Promise<Choice | undefined> {
  const ids = chosenIds(req.body);
  const form = parseForm(moveForm, req.body);
  const [instances, hosts] = await Promise.all([selectInstancesByIds(deps.db, ids.slice(0, maxChosen)), selectHosts(deps.db)]);
  const fields: Record<string, Sentence> = form.ok ? {} : { ...form.fields };
  if (instances.length === 0) fields['instances'] = say('moves.new.none-chosen');
  if (ids.length > maxChosen) fields['instances'] = say('moves.new.too-many', { max: maxChosen });
  const to = form.ok ? form.value.to : anywhere;
  if (to !== anywhere && !hosts.some((host) => host.id === to && isOpenForNew(host))) fields['to'] = say('moves.new.bad-target');
  if (form.ok && Object.keys(fields).length === 0) return { instances: instances.sort((a, b) => (a.name < b.name ? -1 : 1)), to: to === anywhere ? null : to, why: form.value.why };
  const text = formText(req.body);
  const query = listQuery.parse(text);
  await renderChoice(deps, req, res, { host: query.host, search: query.search, page: query.page, ticked: new Set(ids), to: text['to'] ?? anywhere, why: text['why'] ?? '', fields }, 422);
  return undefined;
}

interface Shown {
  readonly host: string | undefined;
  readonly search: string;
  readonly page: number;
  readonly ticked: ReadonlySet<string> | 'all';
  readonly to: string;
  readonly why: string;
  readonly fields: Readonly<Record<string, Sentence>>;
}

async function renderChoice(deps: WebDeps, req: Request, res: Response, shown: Shown, status: number): Promise<void> {
  const { t } = contextOf(req);
  const [{ instances: found, total }, hosts, settings] = await Promise.all([
    selectInstancesPage(deps.db, { page: shown.page, pageSize, search: shown.search, hostId: shown.host }), selectHosts(deps.db), selectSettings(deps.db),
  ]);
  const { ticked } = shown;
  // what was ticked stays in sight, also when the filter hides it
  const hidden = ticked === 'all' ? [] : await selectInstancesByIds(deps.db, [...ticked].filter((id) => !found.some((instance) => instance.id === id)).slice(0, maxChosen));
  const instances = [...hidden, ...found].filter((instance) => isMovable(instance) || instance.operationId !== null);
  const query = new URLSearchParams({ ...(shown.host === undefined ? {} : { host: shown.host }), ...(shown.search === '' ? {} : { search: shown.search }) }).toString();
  await render(req, res, 'admin/moves/new', {
    title: t('moves.new.title'), scripts: ['/js/choose.js'], instances, total, page: shown.page, pageSize, shown,
    isTicked: (id: string) => ticked === 'all' || ticked.has(id), hostNames: new Map(hosts.map(({ id, name }) => [id, name])), hosts,
    targets: hosts.filter(isOpenForNew).map((host) => ({ host, room: hostRoom(host, settings.overcommit) })), anywhere,
    owners: await selectUserNames(deps.db, [...new Set(instances.map(({ userId }) => userId))]), limits: settings.migration,
    base: `${paths.adminPage('moves')}/new?${query}${query === '' ? '' : '&'}`,
  }, status);
}
