// All background work: what ran, what runs, what failed and why, in libvirt's own words.
import { z } from 'zod';
import { AppError, say } from '../../../errors.ts';
import { isEnded, operationKinds, operationStates } from '../../../model/operation.ts';
import { requestCancel } from '../../../operations/cancel.ts';
import { selectHosts, selectOptionalHost } from '../../../store/hosts.ts';
import { selectInstancesByIds, selectOptionalInstance } from '../../../store/instances.ts';
import { selectOperation, selectOperationsPage, selectOperationSteps, updateOperationReady } from '../../../store/operations.ts';
import { selectOptionalUser, selectUserNames } from '../../../store/users.ts';
import { contextOf, flash } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { noteAudit } from '../../middleware/guard.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { render } from '../../views.ts';
import { itemId } from '../item-id.ts';

const pageSize = 50;
/** Out of the URL: what cannot be used is left out, a list is never an error. */
const listQuery = z.object({
  state: z.enum(operationStates).optional().catch(undefined),
  kind: z.enum(operationKinds).optional().catch(undefined),
  host: z.uuid().optional().catch(undefined),
  instance: z.uuid().optional().catch(undefined),
  page: z.coerce.number().int().min(1).max(1_000_000).catch(1),
});

export function listOperations(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { state, kind, host, instance, page } = listQuery.parse(req.query);
    const [{ operations, total }, hosts] = await Promise.all([
      selectOperationsPage(deps.db, { page, pageSize, state, kind, hostId: host, instanceId: instance }), selectHosts(deps.db),
    ]);
    const known = operations.flatMap((operation) => (operation.instanceId === null ? [] : [operation.instanceId]));
    const asking = operations.flatMap((operation) => (operation.userId === null ? [] : [operation.userId]));
    const [instances, userNames] = await Promise.all([selectInstancesByIds(deps.db, known), selectUserNames(deps.db, asking)]);
    const hostNames = new Map(hosts.map((each) => [each.id, each.name]));
    const instanceNames = new Map(instances.map((each) => [each.id, each.name]));
    const query = new URLSearchParams(Object.entries({ state, kind, host, instance }).flatMap(([key, value]): [string, string][] => (value === undefined ? [] : [[key, value]]))).toString();
    await render(req, res, 'admin/operations/list', {
      title: contextOf(req).t('operations.admin.title'), operations, total, page, pageSize, base: `/admin/operations?${query}${query === '' ? '' : '&'}`,
      filter: { state: state ?? '', kind: kind ?? '', host: host ?? '', instance: instance ?? '' }, states: operationStates, kinds: operationKinds,
      hosts, hostNames, instanceNames, userNames,
    });
  };
}

export function showOperation(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const operation = await selectOperation(deps.db, itemId(req));
    const [steps, instance, host, asker] = await Promise.all([
      selectOperationSteps(deps.db, operation.id),
      operation.instanceId === null ? undefined : selectOptionalInstance(deps.db, operation.instanceId),
      operation.hostId === null ? undefined : selectOptionalHost(deps.db, operation.hostId),
      operation.userId === null ? undefined : selectOptionalUser(deps.db, operation.userId),
    ]);
    await render(req, res, 'admin/operations/operation', {
      title: contextOf(req).t(`operations.kind.${operation.kind}`), operation, steps, ended: isEnded(operation.state),
      instance: instance ?? null, host: host ?? null, asker: asker ?? null,
    });
  };
}

export function cancelOperation(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const operation = await selectOperation(deps.db, itemId(req));
    noteAudit(req, { target: operation.id, detail: operation.kind });
    await requestCancel(deps.operations, operation);
    flash(req, 'info', say('operations.admin.cancelling'));
    res.redirect(303, paths.adminItem('operations', operation.id));
  };
}

/** What waits for its host or for the next try runs now, also an undo. */
export function retryOperation(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const operation = await selectOperation(deps.db, itemId(req));
    noteAudit(req, { target: operation.id, detail: operation.kind });
    if (!(await updateOperationReady(deps.db, operation.id))) throw new AppError('conflict', say('operations.admin.has-ended'));
    deps.operations.wake();
    flash(req, 'info', say('operations.admin.retrying'));
    res.redirect(303, paths.adminItem('operations', operation.id));
  };
}
