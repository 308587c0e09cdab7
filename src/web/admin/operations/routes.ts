// Operations, for admins.
import type { WebDeps } from '../../deps.ts';
import type { Route } from '../../routes.ts';
import { cancelOperation, listOperations, retryOperation, showOperation } from './operations.ts';

export function adminOperationRoutes(deps: WebDeps): Route[] {
  return [
    { method: 'get', path: '/admin/operations', access: 'admin', handler: listOperations(deps) },
    { method: 'get', path: '/admin/operations/:id', access: 'admin', handler: showOperation(deps) },
    { method: 'post', path: '/admin/operations/:id/cancel', access: 'admin', audit: 'operation.cancel', handler: cancelOperation(deps) },
    { method: 'post', path: '/admin/operations/:id/retry', access: 'admin', audit: 'operation.retry', handler: retryOperation(deps) },
  ];
}
