// Cancelling an operation: before it has begun, or before its point of no return.
import type { Operation } from '../model/operation.ts';
import { cancelOperation } from './cancel-operation.ts';
import type { OperationDeps } from './deps.ts';
import { definitions } from './index.ts';

/** What has been done by then is taken back by the runner. Throws conflict when it is too late. */
export async function requestCancel(deps: OperationDeps, operation: Operation): Promise<void> {
  await cancelOperation(deps, operation, definitions[operation.kind]);
}
