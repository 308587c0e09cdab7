// Whether the holder of a lease is gone, told without comparing the clocks of two portals: who lives renews, so a lease that
// stands unchanged for as long as it was given is nobody's. Watched by this process's own steady clock.
import { performance } from 'node:perf_hooks';

export interface Lease {
  readonly ownerId: string;
  /** by the holder's clock, ms UTC */
  readonly until: number;
}

/** How far two portals' clocks may differ: an expiry that another one wrote is believed this much later. */
export const clockMarginMs = 5000;

interface Watched { readonly lease: Lease; readonly since: number }

export class LeaseWatch {
  readonly #leaseMs: number;
  #watched: ReadonlyMap<string, Watched> = new Map();

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs;
  }

  /**
   * Takes in the leases of others as just read, by key, and gives those whose holder is gone. `askedAt` (performance.now())
   * is from before the question: an answer that took long must not make a lease look older than it is.
   */
  observe(leases: ReadonlyMap<string, Lease>, askedAt: number): Map<string, Lease> {
    const now = performance.now();
    const next = new Map<string, Watched>();
    const stale = new Map<string, Lease>();
    for (const [key, lease] of leases) {
      const before = this.#watched.get(key);
      const isSame = before !== undefined && before.lease.ownerId === lease.ownerId && before.lease.until === lease.until;
      next.set(key, isSame ? before : { lease, since: now });
      if (isSame && askedAt - before.since >= this.#leaseMs) stale.set(key, lease);
    }
    this.#watched = next;
    return stale;
  }
}
