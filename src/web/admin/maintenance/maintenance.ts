// A host's maintenance: what emptying it would do, how far it is, what is left; and the way back.
import type { Request, Response } from 'express';
import { AppError, say } from '../../../errors.ts';
import { hostStatus, type Host } from '../../../model/host.ts';
import { mayCancel } from '../../../model/operation.ts';
import { submitHostDrain } from '../../../operations/host-drain.ts';
import { submitHostReturn } from '../../../operations/host-return.ts';
import { loadMovePlanning, previewMoves, type CheckedMove } from '../../../operations/move-plan.ts';
import { selectHost } from '../../../store/hosts.ts';
import { selectInstancesToReturn } from '../../../store/instances.ts';
import { selectSettings } from '../../../store/settings.ts';
import { contextOf, currentUser, flash } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { formatFor } from '../../format.ts';
import { noteAudit } from '../../middleware/guard.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { render } from '../../views.ts';
import { itemId } from '../item-id.ts';
import { moveWords } from '../moves/words.ts';
import { loadMaintenance, loadReport, type HostMaintenance } from './state.ts';

const checkTimes = { eachMs: 3000, allMs: 10_000 } as const;
/** Of a preview so many are checked: each costs both hosts a few calls. */
const previewed = 100;
const refreshSeconds = 5;

export function showMaintenance(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const host = await selectHost(deps.db, itemId(req));
    const state = await loadMaintenance(deps.db, host);
    const { underWay } = state;
    const [report, preview, settings] = await Promise.all([
      loadReport(deps.db, underWay?.operation ?? state.last), previewOf(deps, host, state), selectSettings(deps.db),
    ]);
    const { t, language } = contextOf(req);
    const open = (report?.open ?? []).map((move) => ({ move, words: moveWords(move, deps.clock.now(), t, formatFor(language, t)) }));
    await page(deps, req, res, 'admin/maintenance/show', { host, state, report, open, preview, limits: settings.migration, mayCancel }, underWay !== undefined);
  };
}

export function showReturn(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const host = await selectHost(deps.db, itemId(req));
    const state = await loadMaintenance(deps.db, host);
    if (state.underWay?.operation.kind === 'host-return') return res.redirect(303, maintenancePath(host));
    const planning = await loadMovePlanning(deps.operations);
    const opened = { ...planning, fleet: { ...planning.fleet, hosts: planning.fleet.hosts.map((each): Host => (each.id === host.id ? { ...each, wish: 'enabled' } : each)) } };
    const preview = host.state === 'up' ? await previewMoves(deps.operations, state.toReturn.slice(0, previewed), host.id, checkTimes, opened) : [];
    await page(deps, req, res, 'admin/maintenance/return', { host, state, preview, hosts: planning.fleet.hosts }, false);
  };
}

function page(deps: WebDeps, req: Request, res: Response, view: string, locals: { readonly host: Host } & Readonly<Record<string, unknown>>, live: boolean): Promise<void> {
  const { t } = contextOf(req);
  return render(req, res, view, {
    title: t('maintenance.host-title', { host: locals.host.name }), here: maintenancePath(locals.host), status: hostStatus(locals.host), pollIntervalMs: deps.config.pollIntervalMs,
    refreshSeconds: live ? refreshSeconds : 0, scripts: live ? ['/js/operation.js', '/js/live.js', '/js/moves.js'] : [], ...locals,
  });
}

/** What would move now, and what not; nothing while it moves already, or while the host does not answer. */
function previewOf(deps: WebDeps, host: Host, { underWay, here }: HostMaintenance): Promise<CheckedMove[]> {
  if (underWay !== undefined || host.state !== 'up') return Promise.resolve([]);
  return previewMoves(deps.operations, here.slice(0, previewed), null, checkTimes);
}

export function startMaintenance(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const host = await selectHost(deps.db, itemId(req));
    noteAudit(req, { target: host.name });
    await submitHostDrain(deps.operations, host, currentUser(req));
    flash(req, 'success', say('maintenance.started', { host: host.name }));
    res.redirect(303, maintenancePath(host));
  };
}

export function endMaintenance(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const host = await selectHost(deps.db, itemId(req));
    noteAudit(req, { target: host.name });
    if (host.wish !== 'maintenance' && (await selectInstancesToReturn(deps.db, host.id)).length === 0) throw new AppError('conflict', say('maintenance.refused.host-return.not-needed', { host: host.name }));
    await submitHostReturn(deps.operations, host, currentUser(req));
    flash(req, 'success', say('maintenance.returned', { host: host.name }));
    res.redirect(303, maintenancePath(host));
  };
}

const maintenancePath = (host: Pick<Host, 'id'>): string => paths.hostMaintenance(host.id);
