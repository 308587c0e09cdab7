// The table of jobs: what runs by itself, how often, and where.
import type { Config } from '../config.ts';
import type { OperationDeps } from '../operations/deps.ts';
import { syncFleet } from '../operations/fleet-sync.ts';
import { balance } from './balance.ts';
import { checkInHosts } from './check-in-hosts.ts';
import { createCheckHosts } from './check-hosts.ts';
import { createCollectMetrics } from './collect-metrics.ts';
import { evaluateGate } from './evaluate-gate.ts';
import { createInspectHosts } from './inspect-hosts.ts';
import { purgeExpired } from './purge-expired.ts';
import { createRecoverHosts } from './recover-hosts.ts';
import { reconcileHosts, reconcilePools } from './reconcile-hosts.ts';
import { reconcileUsage } from './reconcile-usage.ts';
import { createSchedule, type Job, type Schedule } from './schedule.ts';
import { createWatchHosts, defaultWatch } from './watch-hosts.ts';

export type JobDeps = OperationDeps & { readonly config: Pick<Config, 'pollIntervalMs'> };

export function createJobs(deps: JobDeps, { ownerId }: { readonly ownerId: string }): Schedule {
  const everyPoll = deps.config.pollIntervalMs;
  const collectMetrics = createCollectMetrics(deps, deps.config);
  const jobs: readonly Job[] = [
    // a short lease: while a dead portal keeps it nobody notices a dead host
    { name: 'watch-hosts', every: defaultWatch.everyMs, leaseMs: 10_000, run: createWatchHosts(deps) },
    { name: 'check-in-hosts', every: 2000, leaseMs: 10_000, run: (signal) => checkInHosts(deps, signal) },
    { name: 'recover-hosts', every: 2000, leaseMs: 10_000, run: createRecoverHosts(deps) },
    { name: 'sync-fleet', every: everyPoll, everywhere: true, run: () => syncFleet(deps) },
    {
      name: 'collect-metrics',
      every: everyPoll,
      run: async (signal) => {
        await collectMetrics(signal);
        await evaluateGate(deps);
      },
    },
    { name: 'check-hosts', every: everyPoll, run: createCheckHosts(deps) },
    { name: 'inspect-hosts', every: 30_000, run: createInspectHosts(deps) },
    { name: 'reconcile-hosts', every: 30_000, run: (signal) => reconcileHosts(deps, signal) },
    { name: 'reconcile-pools', every: 900_000, run: (signal) => reconcilePools(deps, signal) },
    { name: 'reconcile-usage', every: 600_000, run: (signal) => reconcileUsage(deps, signal) },
    { name: 'balance', every: 60_000, run: () => balance(deps, deps.config) },
    { name: 'purge-expired', every: { cron: '23 * * * *' }, run: (signal) => purgeExpired(deps, signal) },
  ];
  const schedule = createSchedule(deps, jobs, ownerId);
  return {
    ...schedule,
    start() {
      // the first tick of the other jobs should find their connections
      syncFleet(deps).catch((error: unknown) => deps.log.warn({ err: error }, 'hosts not connected yet')).finally(() => schedule.start());
    },
  };
}
