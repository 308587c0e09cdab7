// One operation: its page, the same as JSON, its progress as a fragment, and the button that cancels it.
import type { Request } from 'express';
import { AppError, say } from '../../errors.ts';
import { isEnded, mayCancel, type Operation } from '../../model/operation.ts';
import { requestCancel } from '../../operations/cancel.ts';
import { selectOptionalInstance } from '../../store/instances.ts';
import { selectOptionalOperation, selectOperationSteps } from '../../store/operations.ts';
import { contextOf, currentUser, flash } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { noteAudit } from '../middleware/guard.ts';
import { paths } from '../paths.ts';
import type { Route } from '../routes.ts';
import { render, renderFragment } from '../views.ts';

const refreshSeconds = 2;

/** Whoever asked for it or owns its instance; admins see all. Not-found for missing and for another's. */
async function loadOperation({ db }: WebDeps, req: Request): Promise<Operation> {
  const user = currentUser(req);
  const operation = await selectOptionalOperation(db, String(req.params['id']));
  if (operation !== undefined) {
    if (operation.userId === user.id || user.role === 'admin') return operation;
    const instance = operation.instanceId === null ? undefined : await selectOptionalInstance(db, operation.instanceId);
    if (instance?.userId === user.id) return operation;
  }
  throw new AppError('not-found', say('errors.page-not-found'));
}

function showOperation(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { t } = contextOf(req);
    const operation = await loadOperation(deps, req);
    const [steps, instance] = await Promise.all([
      selectOperationSteps(deps.db, operation.id),
      operation.instanceId === null ? undefined : selectOptionalInstance(deps.db, operation.instanceId),
    ]);
    await render(req, res, 'operations/show', {
      title: t(`operations.kind.${operation.kind}`), scripts: ['/js/operation.js'], refreshSeconds: isEnded(operation.state) ? 0 : refreshSeconds, operation, steps, instance, mayCancel,
    });
  };
}

function showProgress(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const operation = await loadOperation(deps, req);
    await renderFragment(req, res, 'operations/progress', { operation, steps: await selectOperationSteps(deps.db, operation.id), mayCancel });
  };
}

function showOperationJson(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { say: inWords } = contextOf(req);
    const operation = await loadOperation(deps, req);
    const steps = await selectOperationSteps(deps.db, operation.id);
    const words = (sentence: Operation['error']): string | null => (sentence === null ? null : inWords(sentence));
    res.json({
      id: operation.id, kind: operation.kind, state: operation.state, ended: isEnded(operation.state), instanceId: operation.instanceId,
      progressPercent: operation.progressPercent, cancellable: operation.cancellable, cancelRequested: operation.cancelRequested,
      error: words(operation.error), note: words(operation.note),
      steps: steps.map(({ name, state, startedAt, endedAt, error }) => ({ name, state, startedAt, endedAt, error: words(error) })),
    });
  };
}

function cancelOperation(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const operation = await loadOperation(deps, req);
    noteAudit(req, { target: operation.instanceId ?? operation.id, detail: operation.kind });
    if (!mayCancel(currentUser(req).role, operation)) throw new AppError('forbidden', say('operations.cancel.admins-only'));
    await requestCancel(deps.operations, operation).catch((error: unknown) => {
      // too late: the page shows how it went
      if (!(error instanceof AppError) || error.kind !== 'conflict') throw error;
      flash(req, 'info', error.sentence);
    });
    const instance = operation.instanceId === null ? undefined : await selectOptionalInstance(deps.db, operation.instanceId);
    res.redirect(303, instance === undefined ? pathOf(operation) : paths.instance(instance.id));
  };
}

/** Where one follows an operation that is about no instance. */
function pathOf({ id, kind, hostId }: Operation): string {
  return hostId !== null && (kind === 'host-drain' || kind === 'host-return') ? paths.hostMaintenance(hostId) : paths.operation(id);
}

export function operationRoutes(deps: WebDeps): Route[] {
  return [
    { method: 'get', path: '/operations/:id.json', access: 'user', handler: showOperationJson(deps) },
    { method: 'get', path: '/operations/:id', access: 'user', handler: showOperation(deps) },
    { method: 'get', path: '/operations/:id/progress', access: 'user', handler: showProgress(deps) },
    { method: 'post', path: '/operations/:id/cancel', access: 'user', audit: 'operation.cancel', handler: cancelOperation(deps) },
  ];
}
