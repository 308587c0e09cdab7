// Balancing: its mode and thresholds, what it suggests, the hosts' load now and with that done, and the moves it led to.
import { AppError, say, type Sentence } from '../../../errors.ts';
import type { HostOutlook } from '../../../model/balancing.ts';
import { hostStatus, type Host, type HostStatus } from '../../../model/host.ts';
import { balancingModes, settingsBounds as bounds, type Settings } from '../../../model/settings.ts';
import { applySuggestion, viewBalancing } from '../../../operations/balancing.ts';
import { selectHosts } from '../../../store/hosts.ts';
import { selectInstancesByIds } from '../../../store/instances.ts';
import { selectMovesPage } from '../../../store/moves.ts';
import { selectSettings } from '../../../store/settings.ts';
import { claimSuggestionEnded, selectOpenSuggestions, selectOptionalSuggestion, type Suggestion } from '../../../store/suggestions.ts';
import { currentUser, flash } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { noteAudit } from '../../middleware/guard.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { itemId } from '../item-id.ts';
import { groupForm } from '../settings/group-form.ts';
import { settingsPageRoutes } from '../settings/page.ts';

const here = paths.adminPage('balancing');
/** Of the history; the page of moves has the rest. */
const shownMoves = 10;

export function adminBalancingRoutes(deps: WebDeps): Route[] {
  return [
    ...settingsPageRoutes(deps, {
      path: here, view: 'admin/balancing/balancing', titleKey: 'balancing.title', locals: present,
      forms: [
        groupForm({
          group: 'balancing',
          fields: [
            { path: 'mode', kind: 'choice', values: balancingModes },
            { path: 'samples', kind: 'number', bounds: bounds.balancingSamples },
            { path: 'highCpuPercent', kind: 'number', bounds: bounds.percent, digits: 1, suffix: '%' },
            { path: 'highMemoryPercent', kind: 'number', bounds: bounds.percent, digits: 1, suffix: '%' },
            { path: 'lowCpuPercent', kind: 'number', bounds: bounds.percent, digits: 1, suffix: '%' },
            { path: 'lowMemoryPercent', kind: 'number', bounds: bounds.percent, digits: 1, suffix: '%' },
            { path: 'minGainPercent', kind: 'number', bounds: bounds.percent, digits: 1 },
            { path: 'cooldownSeconds', kind: 'number', bounds: bounds.cooldownSeconds, suffix: 's' },
            { path: 'movesPerRound', kind: 'number', bounds: bounds.movesPerRound },
          ],
          complaints,
        }),
      ],
    }),
    { method: 'post', path: '/admin/balancing/:id/apply', access: 'admin', audit: 'suggestion.apply', handler: apply(deps) },
    { method: 'post', path: '/admin/balancing/:id/dismiss', access: 'admin', audit: 'suggestion.dismiss', handler: dismiss(deps) },
  ];
}

function complaints(value: Settings['balancing']): Record<string, Sentence> {
  return {
    ...(value.lowCpuPercent >= value.highCpuPercent ? { lowCpuPercent: say('balancing.low-below-high', { high: value.highCpuPercent }) } : {}),
    ...(value.lowMemoryPercent >= value.highMemoryPercent ? { lowMemoryPercent: say('balancing.low-below-high', { high: value.highMemoryPercent }) } : {}),
  };
}

interface HostRow {
  readonly host: Host;
  readonly status: HostStatus;
  /** undefined: not measured enough */
  readonly load: HostOutlook | undefined;
}

async function present({ db, clock, config }: WebDeps): Promise<Readonly<Record<string, unknown>>> {
  const settings = await selectSettings(db);
  const { mode } = settings.balancing;
  const [{ loads }, suggestions, hosts, history] = await Promise.all([
    // switched off a moment ago: they are taken back by the next look
    viewBalancing(db, config, settings, clock.now()), mode === 'off' ? [] : selectOpenSuggestions(db), selectHosts(db), selectMovesPage(db, { trigger: 'balancing', page: 1, pageSize: shownMoves }),
  ]);
  const instances = await selectInstancesByIds(db, suggestions.map(({ instanceId }) => instanceId));
  return {
    mode,
    hosts: hosts.map((host): HostRow => ({ host, status: hostStatus(host), load: loads.get(host.id) })),
    suggestions, moves: history.moves, totalMoves: history.total,
    instances: new Map(instances.map((instance) => [instance.id, instance])), hostNames: new Map(hosts.map((host) => [host.id, host.name])),
  };
}

/** Throws not-found for one that never was. */
async function loadSuggestion({ db }: WebDeps, id: string): Promise<Suggestion> {
  const suggestion = await selectOptionalSuggestion(db, id);
  if (suggestion === undefined) throw new AppError('not-found', say('errors.page-not-found'));
  return suggestion;
}

function apply(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const suggestion = await loadSuggestion(deps, itemId(req));
    noteAudit(req, { target: suggestion.instanceId });
    try {
      const { move } = await applySuggestion(deps.operations, suggestion, currentUser(req));
      noteAudit(req, { detail: `${move.instanceName}: ${move.fromHostName} → ${move.toHostName}` });
      flash(req, 'success', say('balancing.applied', { name: move.instanceName, host: move.toHostName }));
    } catch (error) {
      if (!(error instanceof AppError) || (error.kind !== 'conflict' && error.kind !== 'no-capacity')) throw error;
      noteAudit(req, { detail: error.sentence.key });
      flash(req, 'error', error.sentence);
    }
    res.redirect(303, here);
  };
}

function dismiss(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const suggestion = await loadSuggestion(deps, itemId(req));
    noteAudit(req, { target: suggestion.instanceId });
    const won = await claimSuggestionEnded(deps.db, suggestion.id, 'dismissed', deps.clock.now());
    flash(req, won ? 'info' : 'error', say(won ? 'balancing.dismissed' : 'balancing.decided'));
    res.redirect(303, here);
  };
}
