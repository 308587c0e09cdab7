// The leases of this portal's jobs: all renewed together, whatever the jobs' periods, so that a dead portal's jobs are others'
// within seconds. A run whose lease could not be renewed in time is told to stop before another portal may begin.
import { performance } from 'node:perf_hooks';
import { claimStaleJob, releaseJobs, renewJobs, selectJobs, type JobRow } from '../store/jobs.ts';
import { LeaseWatch, type Lease } from '../store/lease-watch.ts';
import type { ScheduleDeps } from './schedule.ts';

/** A dead portal's jobs stand still for this long at most. Shorter than a hiccup of the database: runs are cut short for nothing. */
export const jobLeaseMs = 10_000;

interface Run { readonly lost: AbortController; safeUntil: number }

export class JobLeases {
  readonly #deps: ScheduleDeps;
  readonly #ownerId: string;
  readonly #leaseMs: number;
  readonly #names: ReadonlySet<string>;
  readonly #watch: LeaseWatch;
  readonly #runs = new Map<string, Run>();
  #timers: readonly NodeJS.Timeout[] = [];
  #keeping: Promise<void> | undefined;
  #looking: Promise<void> | undefined;
  #takenOver: (jobs: readonly JobRow[]) => void = () => undefined;

  constructor(deps: ScheduleDeps, options: { readonly ownerId: string; readonly leaseMs: number; readonly names: ReadonlySet<string> }) {
    this.#deps = deps;
    this.#ownerId = options.ownerId;
    this.#leaseMs = options.leaseMs;
    this.#names = options.names;
    this.#watch = new LeaseWatch(options.leaseMs);
  }

  /** Renews and looks at the others' leases from now on; `takenOver` hears of what came from a portal that is gone. */
  start(takenOver: (jobs: readonly JobRow[]) => void): void {
    this.#takenOver = takenOver;
    const everyMs = this.#leaseMs / 4;
    const keep = (): void => {
      // a renewal may hang as long as the database does: whether time is up is asked beside it
      for (const run of this.#runs.values()) if (performance.now() > run.safeUntil - everyMs / 2) run.lost.abort();
      this.#keeping ??= this.#keep().finally(() => { this.#keeping = undefined; });
    };
    // more often, and not behind a renewal: when a machine hangs, its data node's sister may be read long before it can be written to
    const look = (): void => { this.#looking ??= this.#look().finally(() => { this.#looking = undefined; }); };
    this.#timers = [setInterval(keep, everyMs), setInterval(look, this.#leaseMs / 10)];
  }

  /** Before the claim of a run: aborts when the lease is another's, or may be. */
  begin(name: string): AbortSignal {
    const run = { lost: new AbortController(), safeUntil: performance.now() + this.#leaseMs };
    this.#runs.set(name, run);
    return run.lost.signal;
  }

  end(name: string): void {
    this.#runs.delete(name);
  }

  /** Gives up all of them. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await Promise.all([this.#keeping, this.#looking]);
    await releaseJobs(this.#deps.db, this.#ownerId).catch((error: unknown) => this.#deps.log.warn({ err: error }, 'job leases not released'));
  }

  async #keep(): Promise<void> {
    const { db, clock, log } = this.#deps;
    const askedAt = performance.now();
    const running = [...this.#runs];
    try {
      await renewJobs(db, { ownerId: this.#ownerId, until: clock.now() + this.#leaseMs });
      const held = new Set((await selectJobs(db)).filter((row) => row.leaseOwner === this.#ownerId).map(({ name }) => name));
      for (const [name, run] of running) {
        if (held.has(name)) run.safeUntil = askedAt + this.#leaseMs;
        // one that began a moment ago may not have claimed it yet
        else if (run.safeUntil < askedAt + this.#leaseMs * 0.75) run.lost.abort();
      }
    } catch (error) {
      log.warn({ err: error }, 'job leases not renewed');
    }
  }

  async #look(): Promise<void> {
    const { db, log } = this.#deps;
    const askedAt = performance.now();
    try {
      const rows = await selectJobs(db);
      const others = rows.flatMap((row): [string, Lease][] =>
        row.leaseOwner === null || row.leaseOwner === this.#ownerId || !this.#names.has(row.name) ? [] : [[row.name, { ownerId: row.leaseOwner, until: row.leaseUntil }]]);
      await this.#takeOver(rows, this.#watch.observe(new Map(others), askedAt));
    } catch (error) {
      log.warn({ err: error }, 'job leases of others not looked at');
    }
  }

  async #takeOver(rows: readonly JobRow[], stale: ReadonlyMap<string, Lease>): Promise<void> {
    const { db, clock } = this.#deps;
    const taken: JobRow[] = [];
    for (const row of rows) {
      const seen = stale.get(row.name);
      if (seen !== undefined && (await claimStaleJob(db, row.name, seen, { ownerId: this.#ownerId, until: clock.now() + this.#leaseMs }))) taken.push(row);
    }
    if (taken.length === 0) return;
    this.#deps.log.info({ jobs: taken.map(({ name }) => name) }, 'jobs of a portal that is gone taken over');
    this.#takenOver(taken);
  }
}
