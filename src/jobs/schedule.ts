// Runs jobs: each in its rhythm, never twice at a time, and of several portals on one database only in one. A job has no
// input and no retries of its own: what a run could not do, the next one does.
import { setMaxListeners } from 'node:events';
import { performance } from 'node:perf_hooks';
import { schedule as scheduleCron } from 'node-cron';
import type { Clock } from '../clock.ts';
import { linkSignals } from '../libvirt/link-signals.ts';
import type { Log } from '../log.ts';
import type { Database } from '../store/db.ts';
import { claimJob, updateJobEnded, type JobRow } from '../store/jobs.ts';
import { jobLeaseMs, JobLeases } from './job-leases.ts';

export interface Job {
  readonly name: string;
  /** milliseconds between two starts, or the wall clock's times as cron writes them */
  readonly every: number | { readonly cron: string };
  /** in this portal, whatever the others do; such a job keeps no lease */
  readonly everywhere?: boolean;
  /** must end soon after the signal aborts */
  run(signal: AbortSignal): Promise<void>;
  /** instead of a run where another portal has the job: what this one has to know should that one die */
  standBy?(signal: AbortSignal): Promise<void>;
}

export interface Schedule {
  start(): void;
  /** Ends what runs and gives up the leases. */
  stop(): Promise<void>;
}

export interface ScheduleDeps { readonly db: Database; readonly clock: Clock; readonly log: Log }

/** From this period on a portal that starts, or takes over, does not run again what has run in the same period. Below it a run costs less than one left out. */
const longPeriodMs = 60_000;

export function createSchedule(deps: ScheduleDeps, jobs: readonly Job[], ownerId: string, { leaseMs = jobLeaseMs }: { readonly leaseMs?: number } = {}): Schedule {
  const stopping = new AbortController();
  setMaxListeners(0, stopping.signal);
  const timers = new Map<string, () => void>();
  const running = new Map<string, Promise<void>>();
  /** when this portal wished to run it last and another held it; by performance.now() */
  const refusedAt = new Map<string, number>();
  const leased = jobs.filter((job) => job.everywhere !== true);
  const leases = new JobLeases(deps, { ownerId, leaseMs, names: new Set(leased.map(({ name }) => name)) });

  // a run that is still going keeps the next one away
  const attempt = (job: Job): Promise<void> => {
    const current = running.get(job.name);
    if (current !== undefined || stopping.signal.aborted) return current ?? Promise.resolve();
    const run = runOnce({ ...deps, ownerId, leaseMs, leases }, job, stopping.signal)
      .then((end) => { if (end === 'refused') refusedAt.set(job.name, performance.now()); })
      .finally(() => running.delete(job.name));
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

  /** What came from a portal that died is run now: what it was at, and what was due while it still seemed to live. */
  const takeOver = (rows: readonly JobRow[]): void => {
    for (const { name, startedAt, endedAt } of rows) {
      const job = leased.find((each) => each.name === name);
      if (job === undefined) continue;
      const isUnfinished = startedAt !== null && (endedAt === null || endedAt < startedAt);
      const wasDue = performance.now() - (refusedAt.get(name) ?? Number.NEGATIVE_INFINITY) < 2 * leaseMs;
      if (typeof job.every === 'number' || isUnfinished || wasDue) void attempt(job);
    }
  };

  return {
    start() {
      if (stopping.signal.aborted) return;
      leases.start(takeOver);
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
      await leases.stop();
    },
  };
}

type RunDeps = ScheduleDeps & { readonly ownerId: string; readonly leaseMs: number; readonly leases: JobLeases };

/** One run, if this portal holds or wins the lease. Never rejects: a job that fails waits for its next turn. */
async function runOnce(deps: RunDeps, job: Job, stopping: AbortSignal): Promise<'ran' | 'refused'> {
  const { db, clock, log, ownerId, leaseMs, leases } = deps;
  const startedAt = performance.now();
  // linked and released again: `stopping` lives as long as the portal
  const lost = job.everywhere === true ? undefined : leases.begin(job.name);
  const linked = linkSignals([stopping, lost]);
  let failure: string | null = null;
  try {
    if (lost !== undefined && !(await claimJob(db, job.name, ownerId, { now: clock.now(), leaseMs, notWithinMs: longPeriodOf(job) / 2 }))) {
      await job.standBy?.(linked.signal);
      return 'refused';
    }
    // a claim that was answered after its lease is none: another portal may have begun
    if (linked.signal.aborted) return 'refused';
    // every call of every host listens to it
    setMaxListeners(0, linked.signal);
    await job.run(linked.signal);
  } catch (error) {
    if (stopping.aborted) return 'ran';
    failure = error instanceof Error ? error.message : String(error);
    log.error({ job: job.name, err: error }, 'job failed');
  } finally {
    linked.release();
    leases.end(job.name);
  }
  log.debug({ job: job.name, elapsedMs: Math.round(performance.now() - startedAt) }, 'job ran');
  // cut short by losing it: whoever has it now should see that it did not end
  if (lost?.aborted === false) await updateJobEnded(db, job.name, ownerId, clock.now(), failure).catch(() => undefined);
  return 'ran';
}

function longPeriodOf(job: Job): number {
  const everyMs = typeof job.every === 'number' ? job.every : longPeriodMs;
  return everyMs < longPeriodMs ? 0 : everyMs;
}
