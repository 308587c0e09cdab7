// The fence agent of a host: which one, its parameters, its password; and whether it answers.
import type { Request, Response } from 'express';
import { AppError, say, type Sentence } from '../../../errors.ts';
import type { Host } from '../../../model/host.ts';
import { describeFenceAgents, fenceSecretNames, setFence, testFence } from '../../../operations/fence.ts';
import { selectOptionalFence, updateFence } from '../../../store/fences.ts';
import { selectHost } from '../../../store/hosts.ts';
import { contextOf, flash } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { formText } from '../../forms.ts';
import { noteAudit } from '../../middleware/guard.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { render } from '../../views.ts';
import { itemId } from '../item-id.ts';
import { fieldOf, parseFenceForm } from './fence-form.ts';
import { withRefusal } from './recover.ts';

const pathOf = (host: Host): string => `${paths.adminItem('hosts', host.id)}/fencing`;

export function showFence(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { agent } = req.query;
    await page(deps, req, res, await selectHost(deps.db, itemId(req)), typeof agent === 'string' ? agent : undefined);
  };
}

export function saveFence(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const host = await selectHost(deps.db, itemId(req));
    const typed = formText(req.body);
    const agent = typed['agent'] ?? '';
    noteAudit(req, { target: host.name, detail: agent.slice(0, 64) });
    const { description } = await describeFenceAgents(deps.operations, agent);
    if (description === undefined) throw new AppError('invalid', say('fencing.no-agent', { agent: agent.slice(0, 64) }));
    const [kept, before] = await Promise.all([fenceSecretNames(deps.operations, host.id, agent), selectOptionalFence(deps.db, host.id)]);
    const form = parseFenceForm(description, typed, { parameters: before?.parameters ?? {}, secretNames: kept.names });
    if (!form.ok) return page(deps, req, res, host, agent, { typed, fields: form.fields });
    await setFence(deps.operations, host, { agent, parameters: form.parameters, secrets: form.secrets });
    flash(req, 'success', say('fencing.saved', { host: host.name }));
    res.redirect(303, pathOf(host));
  };
}

export function tryFence(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const host = await selectHost(deps.db, itemId(req));
    noteAudit(req, { target: host.name });
    await withRefusal(req, async () => {
      const power = await testFence(deps.operations, host);
      flash(req, 'success', say(`fencing.test.${power}`, { host: host.name }));
    });
    res.redirect(303, pathOf(host));
  };
}

export function removeFence(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const host = await selectHost(deps.db, itemId(req));
    noteAudit(req, { target: host.name });
    await updateFence(deps.db, host.id, null);
    flash(req, 'success', say('fencing.removed', { host: host.name }));
    res.redirect(303, pathOf(host));
  };
}

interface Refused { readonly typed: Readonly<Record<string, string>>; readonly fields: Readonly<Record<string, Sentence>> }

async function page(deps: WebDeps, req: Request, res: Response, host: Host, wanted: string | undefined, refused?: Refused): Promise<void> {
  const fence = await selectOptionalFence(deps.db, host.id);
  const agent = wanted ?? fence?.agent;
  const [{ agents, description, problem }, secrets] = await Promise.all([
    describeFenceAgents(deps.operations, agent), fenceSecretNames(deps.operations, host.id, agent ?? ''),
  ]);
  const stored = fence !== undefined && fence.agent === agent ? fence.parameters : {};
  const fields = (description?.parameters ?? []).map((parameter) => fieldOf(parameter, refused?.typed, stored, secrets.names));
  await render(req, res, 'admin/availability/fencing', {
    title: contextOf(req).t('fencing.title', { host: host.name }), host, here: pathOf(host), fence: fence ?? null, agent: agent ?? '', agents, description: description ?? null,
    problem: problem ?? secrets.problem ?? null, fields, errors: refused?.fields ?? {},
  }, refused === undefined ? 200 : 422);
}
