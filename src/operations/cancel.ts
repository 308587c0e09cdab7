// Cancelling an operation: before it has begun, or before its point of no return.
import { AppError, say } from '../errors.ts';
import type { Operation } from '../model/operation.ts';
import { cancelQueuedOperation, requestOperationCancel, selectOperation } from '../store/operations.ts';
import type { OperationDeps } from './deps.ts';
import { definitions } from './index.ts';

/** What has been done by then is taken back by the runner. Throws conflict when it is too late. */
export async function requestCancel(deps: OperationDeps, operation: Operation): Promise<void> {
  const now = deps.clock.now();
  const ended = await deps.db.transaction(async (tx) => {
    if (!(await cancelQueuedOperation(tx, operation.id, now))) return false;
    await definitions[operation.kind].onFailed(tx, { operation, context: {}, now }, null);
    return true;
  });
  if (!ended && !(await requestOperationCancel(deps.db, operation.id))) {
    // asked twice, or the answer to the first asking was lost
    const { state, cancelRequested } = await selectOperation(deps.db, operation.id);
    if (state !== 'cancelled' && !cancelRequested) throw new AppError('conflict', say('operations.cancel.too-late'));
  }
  deps.wake();
}
