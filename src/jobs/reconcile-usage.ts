// Usage periods against the instances that hold a reservation. Both are written in one transaction, so there is nothing to
// find, except after an upgrade: for instances from before periods were kept, and for what a portal of the release before
// makes and deletes while it runs beside this one.
import type { OperationDeps } from '../operations/deps.ts';
import { closeOrphanPeriods, openMissingPeriods } from '../store/usage-periods.ts';
import { batchRows, inBatches } from './in-batches.ts';

/** Rows of one transaction become visible one after the other on MySQL Cluster: what is younger is left alone. */
const graceMs = 60_000;

export async function reconcileUsage({ db, clock, log }: Pick<OperationDeps, 'db' | 'clock' | 'log'>, signal: AbortSignal): Promise<void> {
  const now = clock.now();
  const counts = {
    opened: await inBatches(signal, () => openMissingPeriods(db, now - graceMs, batchRows)),
    closed: await inBatches(signal, () => closeOrphanPeriods(db, now - graceMs, now, batchRows)),
  };
  if (counts.opened + counts.closed > 0) log.info(counts, 'usage periods made equal to the instances that there are');
}
