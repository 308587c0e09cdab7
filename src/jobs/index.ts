// The table of jobs: what runs by itself, how often, and where.
import type { Config } from '../config.ts';
import { deliverDue, type NotifyDeps } from '../notify/deliver.ts';
import type { OperationDeps } from '../operations/deps.ts';
import { syncFleet } from '../operations/fleet-sync.ts';
import type { PortalIdentity } from '../store/portals.ts';
import { balance } from './balance.ts';
import { checkInHosts } from './check-in-hosts.ts';
import { createCheckHosts } from './check-hosts.ts';
import { createCollectMetrics } from './collect-metrics.ts';
import { createEvaluateAlerts } from './evaluate-alerts.ts';
import { evaluateGate } from './evaluate-gate.ts';
import { createInspectHosts } from './inspect-hosts.ts';
import { lookAtDatabase } from './look-at-database.ts';
import { createHeartbeat, heartbeatMs } from './heartbeat.ts';
import { createMeasurePortal } from './measure-portal.ts';
import { purgeExpired } from './purge-expired.ts';
import { createRecoverHosts } from './recover-hosts.ts';
import { reconcileHosts, reconcilePools } from './reconcile-hosts.ts';
import { rollUpSamples } from './roll-up-samples.ts';
import { reconcileUsage } from './reconcile-usage.ts';
import { createSchedule, type Job, type Schedule } from './schedule.ts';
import { sendDigest } from './send-digest.ts';
import { createWatchHosts, defaultWatch } from './watch-hosts.ts';

export type JobDeps = OperationDeps & { readonly config: Pick<Config, 'pollIntervalMs' | 'detailIntervalMs' | 'databaseEngine'>; readonly notify: NotifyDeps };

/** What runs by the wall clock runs once an hour. */
const cronMs = 3_600_000;

export function createJobs(deps: JobDeps, portal: PortalIdentity): Schedule {
  const everyPoll = deps.config.pollIntervalMs;
  const collectMetrics = createCollectMetrics(deps, deps.config);
  const jobPeriods = new Map<string, number>();
  const alerting = { ...deps, pollIntervalMs: everyPoll, mailEnabled: deps.notify.mailer.enabled, jobPeriods };
  const jobs: readonly Job[] = [
    { name: 'heartbeat', every: heartbeatMs, everywhere: true, run: createHeartbeat(deps, portal) },
    { name: 'watch-hosts', every: defaultWatch.everyMs, ...createWatchHosts(deps) },
    { name: 'check-in-hosts', every: 2000, run: (signal) => checkInHosts(deps, signal) },
    { name: 'recover-hosts', every: 2000, run: createRecoverHosts(deps) },
    { name: 'sync-fleet', every: everyPoll, everywhere: true, run: () => syncFleet(deps) },
    {
      name: 'collect-metrics',
      every: everyPoll,
      run: async (signal) => {
        await collectMetrics(signal);
        await evaluateGate(deps);
      },
    },
    { name: 'measure-portal', every: everyPoll, everywhere: true, run: createMeasurePortal(deps, portal) },
    { name: 'check-hosts', every: everyPoll, run: createCheckHosts(deps) },
    { name: 'inspect-hosts', every: 30_000, run: createInspectHosts(deps) },
    { name: 'reconcile-hosts', every: 30_000, run: (signal) => reconcileHosts(deps, signal) },
    { name: 'reconcile-pools', every: 900_000, run: (signal) => reconcilePools(deps, signal) },
    { name: 'reconcile-usage', every: 600_000, run: (signal) => reconcileUsage(deps, signal) },
    { name: 'balance', every: 60_000, run: () => balance(deps, deps.config) },
    { name: 'roll-up-samples', every: 60_000, run: (signal) => rollUpSamples(deps, signal) },
    { name: 'evaluate-alerts', every: 30_000, run: createEvaluateAlerts(alerting) },
    // each delivery has a lease of its own
    { name: 'deliver-notifications', every: 5000, everywhere: true, run: async (signal) => void (await deliverDue(deps.notify, portal.leaseOwner, signal)) },
    { name: 'send-digest', every: 60_000, run: () => sendDigest(alerting) },
    { name: 'look-at-database', every: 60_000, run: (signal) => lookAtDatabase(deps, deps.config.databaseEngine, signal) },
    { name: 'purge-expired', every: { cron: '23 * * * *' }, run: (signal) => purgeExpired(deps, signal) },
  ];
  for (const { name, every, everywhere } of jobs) if (everywhere !== true) jobPeriods.set(name, typeof every === 'number' ? every : cronMs);
  const schedule = createSchedule(deps, jobs, portal.leaseOwner);
  return {
    ...schedule,
    start() {
      // the first tick of the other jobs should find their connections
      syncFleet(deps).catch((error: unknown) => deps.log.warn({ err: error }, 'hosts not connected yet')).finally(() => schedule.start());
    },
  };
}
