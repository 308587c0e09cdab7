// Cancelling an operation whose definition is at hand: also operations that ask for others cancel those, and they are
// themselves in the table of definitions.
import { AppError, say } from '../errors.ts';
import type { Operation } from '../model/operation.ts';
import { cancelQueuedOperation, requestOperationCancel, selectOperation } from '../store/operations.ts';
import type { OperationDeps } from './deps.ts';
import type { Definition } from './step.ts';

/** What has been done by then is taken back by the runner. Throws conflict when it is too late. */
export async function cancelOperation(deps: OperationDeps, operation: Operation, definition: Pick<Definition, 'onFailed'>): Promise<void> {
  const now = deps.clock.now();
  const ended = await deps.db.transaction(async (tx) => {
    if (!(await cancelQueuedOperation(tx, operation.id, now))) return false;
    await definition.onFailed(tx, { operation, context: {}, now }, null);
    return true;
  });
  if (!ended && !(await requestOperationCancel(deps.db, operation.id))) {
    // asked twice, or the answer to the first asking was lost
    const { state, cancelRequested } = await selectOperation(deps.db, operation.id);
    if (state !== 'cancelled' && !cancelRequested) throw new AppError('conflict', say('operations.cancel.too-late'));
  }
  deps.wake();
}
