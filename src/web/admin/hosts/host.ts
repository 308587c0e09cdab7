// One host: what it is, what lies on it, and an admin's choices about it.
import { randomUUID } from 'node:crypto';
import type { Request, Response } from 'express';
import { AppError, say, type Sentence } from '../../../errors.ts';
import type { Host, StoragePool } from '../../../model/host.ts';
import { changeHost, HostProblemError } from '../../../operations/host-add.ts';
import { checkHost, type HostReport } from '../../../operations/host-check.ts';
import type { HostProblem } from '../../../operations/host-problem.ts';
import { syncFleet } from '../../../operations/fleet-sync.ts';
import { insertHostEvent } from '../../../store/host-events.ts';
import { deleteHostIfEmpty, selectHost, updateHost } from '../../../store/hosts.ts';
import { deletePoolIfUnused, selectPoolsByHost } from '../../../store/storage-pools.ts';
import { contextOf, flash } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { formText, parseForm } from '../../forms.ts';
import { noteAudit } from '../../middleware/guard.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { render } from '../../views.ts';
import { itemId } from '../item-id.ts';
import { chosenPools, connectionForm, settingsForm, uriForm } from './forms.ts';
import { renderHost, type Complaints, type Text } from './page.ts';

export function showHost(deps: WebDeps): Route['handler'] {
  return async (req, res) => renderHost(deps, req, res, await selectHost(deps.db, itemId(req)));
}

export function changeHostSettings(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const host = await selectHost(deps.db, itemId(req));
    noteAudit(req, { target: host.name });
    const form = parseForm(settingsForm, req.body);
    if (!form.ok) return renderHost(deps, req, res, host, { values: form.text, fields: form.fields });
    if (!(await updateHost(deps.db, host.id, form.value))) return renderHost(deps, req, res, host, { values: formText(req.body), fields: { name: say('hosts.name-taken', { name: form.value.name }) } });
    noteAudit(req, { detail: JSON.stringify(form.value) });
    flash(req, 'success', say('common.saved'));
    res.redirect(303, paths.adminItem('hosts', host.id));
  };
}

/** Looks at the host now, at this URI, and offers its networks and pools. */
export function checkKnownHost(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const host = await selectHost(deps.db, itemId(req));
    noteAudit(req, { target: host.name });
    const form = parseForm(uriForm, req.body);
    if (!form.ok) return renderHost(deps, req, res, host, { values: form.text, fields: form.fields });
    const pools = await selectPoolsByHost(deps.db, host.id);
    const check = await checkHost(deps.operations, form.value.uri, { hostId: host.id, virtTypeWish: host.virtTypeWish, migrationUri: host.migrationUri, choices: { network: host.network, pools } });
    if (!check.ok) {
      noteAudit(req, { detail: check.problem.kind });
      return renderHost(deps, req, res, host, { values: formText(req.body), fields: { [check.problem.field]: check.problem.sentence }, problem: check.problem });
    }
    await renderConnection(req, res, host, check.report, { uri: form.value.uri, network: host.network, migrationUri: host.migrationUri ?? '', ...ticksOf(pools) }, {}, undefined, 200);
  };
}

export function changeConnection(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const host = await selectHost(deps.db, itemId(req));
    const values = formText(req.body);
    noteAudit(req, { target: host.name });
    const form = parseForm(connectionForm, req.body);
    if (!form.ok) return renderHost(deps, req, res, host, { values, fields: form.fields });
    try {
      await changeHost(deps.operations, host, { ...form.value, migrationUri: form.value.migrationUri === '' ? null : form.value.migrationUri, name: host.name, virtTypeWish: host.virtTypeWish, pools: chosenPools(req.body) });
    } catch (error) {
      if (!(error instanceof HostProblemError)) throw error;
      noteAudit(req, { detail: error.problem.kind });
      const check = error.problem.field === 'uri' ? undefined : await checkHost(deps.operations, form.value.uri, { hostId: host.id, virtTypeWish: host.virtTypeWish });
      if (check?.ok !== true) return renderHost(deps, req, res, host, { values, fields: error.fields, problem: error.problem });
      return renderConnection(req, res, host, check.report, values, error.fields, error.problem, 422);
    }
    await syncFleet(deps.operations);
    flash(req, 'success', say('common.saved'));
    res.redirect(303, paths.adminItem('hosts', host.id));
  };
}

export function setHostWish(deps: WebDeps, wish: 'enabled' | 'disabled', done: (name: string) => Sentence): Route['handler'] {
  return async (req, res) => {
    const host = await selectHost(deps.db, itemId(req));
    noteAudit(req, { target: host.name });
    const event = { id: randomUUID(), hostId: host.id, at: deps.clock.now(), kind: 'wish', userId: contextOf(req).user?.id ?? null, sentence: say(`hosts.event.${wish}`) } as const;
    await deps.db.transaction(async (tx) => {
      await updateHost(tx, host.id, { wish });
      if (host.wish !== wish) await insertHostEvent(tx, event);
    });
    flash(req, 'success', done(host.name));
    res.redirect(303, paths.adminItem('hosts', host.id));
  };
}

export function removeHost(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const host = await selectHost(deps.db, itemId(req));
    noteAudit(req, { target: host.name });
    const pools = await selectPoolsByHost(deps.db, host.id);
    if (!(await deleteHostIfEmpty(deps.db, host.id))) throw new AppError('conflict', say('hosts.not-empty', { name: host.name }));
    for (const pool of pools) await deletePoolIfUnused(deps.db, pool.id);
    await syncFleet(deps.operations);
    flash(req, 'success', say('hosts.removed', { name: host.name }));
    res.redirect(303, paths.adminPage('hosts'));
  };
}

function ticksOf(pools: readonly StoragePool[]): Record<string, string> {
  return Object.fromEntries(pools.flatMap((pool) => [[`pool:${pool.name}`, 'on'], ...(pool.shared ? [[`shared:${pool.name}`, 'on']] : [])]));
}

async function renderConnection(
  req: Request, res: Response, host: Host, report: HostReport, values: Text, fields: Complaints, problem: HostProblem | undefined, status: number,
): Promise<void> {
  await render(req, res, 'admin/hosts/connection', { title: `${contextOf(req).t('hosts.one-title')}: ${host.name}`, host, report, values, fields, problem: problem ?? null }, status);
}
