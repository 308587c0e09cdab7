// Adding a host in two steps: look at it by its URI, then choose among what it has.
import type { Request, Response } from 'express';
import { say, type Sentence } from '../../../errors.ts';
import { addHost, HostProblemError } from '../../../operations/host-add.ts';
import { checkHost, type HostReport } from '../../../operations/host-check.ts';
import type { HostProblem } from '../../../operations/host-problem.ts';
import { syncFleet } from '../../../operations/fleet-sync.ts';
import { selectOptionalHostByName } from '../../../store/hosts.ts';
import { contextOf, flash } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { formText, parseForm } from '../../forms.ts';
import { noteAudit } from '../../middleware/guard.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { render } from '../../views.ts';
import { addForm, chosenPools, probeForm, proposedValues, virtTypeWishes } from './forms.ts';

type Text = Readonly<Record<string, string>>;
type Complaints = Readonly<Record<string, Sentence>>;

export const showNewHost: Route['handler'] = (req, res) => renderProbe(req, res, {}, {}, undefined, 200);

export function probeHost(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const form = parseForm(probeForm, req.body);
    if (!form.ok) return renderProbe(req, res, form.text, form.fields, undefined, 422);
    const { name, uri } = form.value;
    noteAudit(req, { target: name });
    if ((await selectOptionalHostByName(deps.db, name)) !== undefined) return renderProbe(req, res, formText(req.body), { name: say('hosts.name-taken', { name }) }, undefined, 422);
    const check = await checkHost(deps.operations, uri);
    if (!check.ok) {
      noteAudit(req, { detail: check.problem.kind });
      return renderProbe(req, res, formText(req.body), { [check.problem.field]: check.problem.sentence }, check.problem, 422);
    }
    const { report } = check;
    const values = { name, uri, consoleAddress: report.suggestedConsoleAddress, virtTypeWish: 'auto', migrationUri: '', ...proposedValues(report) };
    await renderChoice(req, res, report, values, {}, undefined, 200);
  };
}

export function createHost(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const values = formText(req.body);
    const form = parseForm(addForm, req.body);
    if (!form.ok) return again(deps, req, res, values, form.fields, undefined);
    noteAudit(req, { target: form.value.name });
    const taken = await selectOptionalHostByName(deps.db, form.value.name);
    if (taken !== undefined) return again(deps, req, res, values, { name: say('hosts.name-taken', { name: taken.name }) }, undefined);
    try {
      const { host } = await addHost(deps.operations, { ...form.value, migrationUri: form.value.migrationUri === '' ? null : form.value.migrationUri, pools: chosenPools(req.body) });
      await syncFleet(deps.operations);
      flash(req, 'success', say('hosts.added', { name: host.name }));
      res.redirect(303, paths.adminItem('hosts', host.id));
    } catch (error) {
      if (!(error instanceof HostProblemError)) throw error;
      noteAudit(req, { detail: error.problem.kind });
      await again(deps, req, res, values, error.fields, error.problem);
    }
  };
}

/** The second step once more, which needs the host's lists again; when it cannot be reached now, the first. */
async function again(deps: WebDeps, req: Request, res: Response, values: Text, fields: Complaints, problem: HostProblem | undefined): Promise<void> {
  const check = problem?.field === 'uri' ? undefined : await checkHost(deps.operations, values['uri'] ?? '');
  if (check?.ok === true) return renderChoice(req, res, check.report, values, fields, problem, 422);
  const worse = problem ?? (check?.ok === false ? check.problem : undefined);
  await renderProbe(req, res, values, worse === undefined ? fields : { ...fields, [worse.field]: worse.sentence }, worse, 422);
}

async function renderProbe(req: Request, res: Response, values: Text, fields: Complaints, problem: HostProblem | undefined, status: number): Promise<void> {
  await render(req, res, 'admin/hosts/new', { title: contextOf(req).t('hosts.new-title'), values, fields, problem: problem ?? null }, status);
}

async function renderChoice(req: Request, res: Response, report: HostReport, values: Text, fields: Complaints, problem: HostProblem | undefined, status: number): Promise<void> {
  await render(req, res, 'admin/hosts/choose', { title: contextOf(req).t('hosts.new-title'), report, values, fields, problem: problem ?? null, virtTypeWishes }, status);
}
