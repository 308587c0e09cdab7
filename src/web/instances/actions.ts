// Start, shut down, force off, reboot, delete. What loses something asks on a page of its own first.
import { AppError, say } from '../../errors.ts';
import { instanceRefuses } from '../../model/instance.ts';
import { powerActions, submitInstanceAction, type PowerAction } from '../../operations/instance-action.ts';
import { loadInstance } from '../../store/instances.ts';
import { contextOf, currentUser, flash } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { noteAudit } from '../middleware/guard.ts';
import { paths } from '../paths.ts';
import type { Route } from '../routes.ts';
import { render } from '../views.ts';

export const asking: readonly PowerAction[] = ['delete', 'force-off'];

function actionOf(name: unknown): PowerAction {
  const action = powerActions.find((each) => each === name);
  if (action === undefined) throw new AppError('not-found', say('errors.page-not-found'));
  return action;
}

/** GET: what will be lost, and the button that does it. */
export function confirmAction(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { t } = contextOf(req);
    const action = actionOf(req.params['action']);
    const instance = await loadInstance(deps.db, currentUser(req), String(req.params['id']));
    if (!asking.includes(action) || instanceRefuses(action, instance) !== undefined) return res.redirect(303, paths.instance(instance.id));
    await render(req, res, 'instances/confirm', { title: t(`instances.${action}.title`, { name: instance.name }), instance, action });
  };
}

export function runAction(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const user = currentUser(req);
    const action = actionOf(req.params['action']);
    const instance = await loadInstance(deps.db, user, String(req.params['id']));
    noteAudit(req, { target: instance.id, detail: `${action} ${instance.name}` });
    try {
      const operation = await submitInstanceAction(deps.operations, { action, instance, actor: user });
      // an instance that is deleted has no page for long
      res.redirect(303, action === 'delete' ? paths.operation(operation.id) : paths.instance(instance.id));
    } catch (error) {
      // pressed twice, or in another window: the page shows what is going on
      if (!(error instanceof AppError) || error.kind !== 'conflict') throw error;
      flash(req, 'error', error.sentence);
      res.redirect(303, paths.instance(instance.id));
    }
  };
}
