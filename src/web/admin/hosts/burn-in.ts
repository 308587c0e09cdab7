// Burn-ins of a host: begun by a button, followed while they last, and kept.
import { AppError, say } from '../../../errors.ts';
import { isComplete } from '../../../model/burn-in.ts';
import { isEnded, mayCancel } from '../../../model/operation.ts';
import { submitBurnIn } from '../../../operations/host-burn-in-submit.ts';
import { selectOptionalBurnIn } from '../../../store/burn-ins.ts';
import { selectHost } from '../../../store/hosts.ts';
import { selectOperationSteps, selectOptionalOperation } from '../../../store/operations.ts';
import { selectUserNames } from '../../../store/users.ts';
import { contextOf, currentUser, flash } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { formText } from '../../forms.ts';
import { noteAudit } from '../../middleware/guard.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { render } from '../../views.ts';
import { itemId } from '../item-id.ts';

const refreshSeconds = 3;

export function startBurnIn(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const host = await selectHost(deps.db, itemId(req));
    noteAudit(req, { target: host.name });
    const image = formText(req.body)['image'] ?? '';
    try {
      const operation = await submitBurnIn(deps.operations, host, { imageId: image === '' ? null : image, actor: currentUser(req) });
      flash(req, 'success', say('burn-in.started', { host: host.name }));
      res.redirect(303, paths.adminItem('burn-ins', operation.id));
    } catch (error) {
      if (!(error instanceof AppError) || error.kind === 'not-found') throw error;
      noteAudit(req, { detail: error.sentence.key });
      flash(req, 'error', error.sentence);
      res.redirect(303, paths.adminItem('hosts', host.id));
    }
  };
}

export function showBurnIn(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { t } = contextOf(req);
    const burnIn = await selectOptionalBurnIn(deps.db, itemId(req));
    if (burnIn === undefined) throw new AppError('not-found', say('errors.page-not-found'));
    const host = await selectHost(deps.db, burnIn.hostId);
    const operation = burnIn.state === 'running' ? await selectOptionalOperation(deps.db, burnIn.id) : undefined;
    const [steps, people] = await Promise.all([
      operation === undefined ? [] : selectOperationSteps(deps.db, burnIn.id), selectUserNames(deps.db, burnIn.userId === null ? [] : [burnIn.userId]),
    ]);
    await render(req, res, 'admin/hosts/burn-in', {
      title: t('burn-in.of', { host: host.name }), scripts: ['/js/operation.js'], refreshSeconds: operation === undefined || isEnded(operation.state) ? 0 : refreshSeconds,
      host, burnIn, people, operation: operation ?? null, steps, mayCancel, isComplete, nextPath: paths.adminItem('burn-ins', burnIn.id),
    });
  };
}
