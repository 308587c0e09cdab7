// Runs jobs: each in its rhythm, never twice at a time, and of several portals on one database only in one. A job has no
// input and no retries of its own: what a run could not do, the next one does.
import { setMaxListeners } from 'node:events';
import { schedule as scheduleCron } from 'node-cron';
import type { Clock } from '../clock.ts';
import { linkSignals } from '../libvirt/link-signals.ts';
import type { Log } from '../log.ts';
import type { Database } from '../store/db.ts';
import { claimJob, releaseJobs, updateJobEnded } from '../store/jobs.ts';

export interface Job {
  readonly name: string;
  /** milliseconds between two starts, or the wall clock's times as cron writes them */
  readonly every: number | { readonly cron: string };
  /** in this portal, whatever the others do; such a job keeps no lease */
  readonly everywhere?: boolean;
  /** milliseconds that a dead portal keeps it; for what must not stand still for long */
  readonly leaseMs?: number;
  /** must end soon after the signal aborts */
  run(signal: AbortSignal): Promise<void>;
}

export interface Schedule {
  start(): void;
  /** Ends what runs and gives up the leases. */
  stop(): Promise<void>;
}

export interface ScheduleDeps { readonly db: Database; readonly clock: Clock; readonly log: Log }

/** A dead portal's jobs stand still for this long at most. Shorter than a hiccup of the database: two portals work at once. */
const leastLeaseMs = 30_000;

export function createSchedule(deps: ScheduleDeps, jobs: readonly Job[], ownerId: string): Schedule {
  const stopping = new AbortController();
  setMaxListeners(0, stopping.signal);
  const timers = new Map<string, () => void>();
  const running = new Map<string, Promise<void>>();

  // a run that is still going keeps the next one away
  const attempt = (job: Job): Promise<void> => {
    const current = running.get(job.name);
    if (current !== undefined || stopping.signal.aborted) return current ?? Promise.resolve();
    const run = runOnce(deps, job, ownerId, stopping.signal).finally(() => running.delete(job.name));
    running.set(job.name, run);
    return run;
  };

  const startTimer = (job: Job, everyMs: number): void => {
    // on whole multiples, so that samples of all hosts fall into the same slots whenever the portal was started
    const next = (): void => {
      if (stopping.signal.aborted) return;
      const timer = setTimeout(() => void attempt(job).then(next), everyMs - (Date.now() % everyMs));
      timers.set(job.name, () => clearTimeout(timer));
    };
    void attempt(job).then(next);
  };

  return {
    start() {
      if (stopping.signal.aborted) return;
      for (const job of jobs) {
        if (typeof job.every === 'number') startTimer(job, job.every);
        else {
          const task = scheduleCron(job.every.cron, () => attempt(job), { name: job.name });
          timers.set(job.name, () => void task.destroy());
        }
      }
    },
    async stop() {
      stopping.abort();
      for (const clear of timers.values()) clear();
      await Promise.all(running.values());
      await releaseJobs(deps.db, ownerId).catch((error: unknown) => deps.log.warn({ err: error }, 'job leases not released'));
    },
  };
}

/** One run, if this portal holds or wins the lease. Never rejects: a job that fails waits for its next turn. */
async function runOnce(deps: ScheduleDeps, job: Job, ownerId: string, stopping: AbortSignal): Promise<void> {
  const leased = job.everywhere !== true;
  const leaseMs = job.leaseMs ?? Math.max(leastLeaseMs, typeof job.every === 'number' ? 3 * job.every : 0);
  const lease = leased ? keepLease(deps, job.name, ownerId, leaseMs) : undefined;
  // linked and released again: `stopping` lives as long as the portal
  const linked = linkSignals([stopping, lease?.lost]);
  const startedAt = performance.now();
  let failure: string | null = null;
  try {
    if (lease !== undefined && !(await lease.claim())) return;
    // every call of every host listens to it
    setMaxListeners(0, linked.signal);
    await job.run(linked.signal);
  } catch (error) {
    if (stopping.aborted) return;
    failure = error instanceof Error ? error.message : String(error);
    deps.log.error({ job: job.name, err: error }, 'job failed');
  } finally {
    linked.release();
    lease?.stop();
  }
  deps.log.debug({ job: job.name, elapsedMs: Math.round(performance.now() - startedAt) }, 'job ran');
  if (leased) await updateJobEnded(deps.db, job.name, ownerId, deps.clock.now(), failure).catch(() => undefined);
}

/** Renews the lease while a long run goes on; `lost` aborts when another portal has taken it. */
function keepLease(deps: ScheduleDeps, name: string, ownerId: string, leaseMs: number): { claim(): Promise<boolean>; lost: AbortSignal; stop(): void } {
  const lost = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const claim = (): Promise<boolean> => claimJob(deps.db, name, ownerId, deps.clock.now(), leaseMs);
  return {
    lost: lost.signal,
    async claim() {
      if (!(await claim())) return false;
      timer = setInterval(() => {
        claim().then((held) => { if (!held) lost.abort(); }, (error: unknown) => deps.log.warn({ job: name, err: error }, 'job lease not renewed'));
      }, leaseMs / 3);
      return true;
    },
    stop: () => clearInterval(timer),
  };
}
