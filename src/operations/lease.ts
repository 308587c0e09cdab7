// Holding an operation while working on it. The lease is a row that its holder renews: what is not renewed for a lease's length
// is another portal's. One that was only slow, or frozen, notices before that, or before it does anything more, and stops.
import { performance } from 'node:perf_hooks';
import { renewOperationLease } from '../store/operations.ts';
import type { OperationDeps } from './deps.ts';

export interface KeptLease {
  /** aborts when another has the operation, or when the lease could not be renewed in time */
  readonly lost: AbortSignal;
  /** stops renewing; giving the lease back is a write of the operation */
  end(): void;
}

/** Renews four times in a lease's length. `claimedAt` (performance.now()) is from before the claim. */
export function keepLease(deps: OperationDeps, id: string, { ownerId, leaseMs, claimedAt }: { readonly ownerId: string; readonly leaseMs: number; readonly claimedAt: number }): KeptLease {
  const lost = new AbortController();
  const everyMs = leaseMs / 4;
  let safeUntil = claimedAt + leaseMs;

  const renew = async (): Promise<void> => {
    const began = performance.now();
    try {
      if (await renewOperationLease(deps.db, id, { ownerId, until: deps.clock.now() + leaseMs })) safeUntil = began + leaseMs;
      else lost.abort();
    } catch (error) {
      deps.log.warn({ operation: id, err: error }, 'operation lease not renewed');
    }
  };
  // a renewal may hang as long as the database does: whether time is up is asked beside it
  const timer = setInterval(() => {
    if (performance.now() > safeUntil - everyMs / 2) lost.abort();
    else void renew();
  }, everyMs);
  return { lost: lost.signal, end: () => clearInterval(timer) };
}
