// A user's own usage and what it costs, by day and by month.
import type { Usage } from '../../model/usage.ts';
import { effectiveQuota } from '../../model/user.ts';
import { selectSettings } from '../../store/settings.ts';
import { selectPeriodsSince } from '../../store/usage-periods.ts';
import { contextOf, currentUser } from '../context.ts';
import { fileName } from '../csv.ts';
import type { WebDeps } from '../deps.ts';
import { loadLevels, quotaForecasts } from '../forecast/quota.ts';
import { forecastWords } from '../forecast/words.ts';
import { paths } from '../paths.ts';
import type { Route } from '../routes.ts';
import { render } from '../views.ts';
import { sendCsv, usageCsv, type CsvRow } from './csv.ts';
import { dearestFirst, loadUsage, sumOf, type LoadedUsage } from './load.ts';
import { usageRange, type UsageRange } from './range.ts';

/** More machines than this in one month are a script's; the file has them all. */
export const maxMachines = 200;

export function usageRoutes(deps: WebDeps): Route[] {
  return [
    { method: 'get', path: paths.accountUsage, access: 'user', handler: showUsage(deps) },
    { method: 'get', path: `${paths.accountUsage}.csv`, access: 'user', handler: sendUsage(deps) },
  ];
}

function showUsage({ db, clock }: WebDeps): Route['handler'] {
  return async (req, res) => {
    const now = clock.now();
    const user = currentUser(req);
    const range = usageRange(req.query, now);
    const usage = await loadUsage(db, range, now, user.id);
    const { quota } = await selectSettings(db);
    await render(req, res, 'usage/account', {
      title: contextOf(req).t('usage.title'), base: paths.accountUsage, range, usage, machines: machinesOf(usage), maxMachines, since: await selectPeriodsSince(db),
      ownForecasts: quotaForecasts(await loadLevels(db, now, user.id), user.id, effectiveQuota(user.quota, quota), now), words: forecastWords,
    });
  };
}

export interface MachineUsage {
  readonly id: string;
  readonly name: string;
  readonly openedAt: number;
  readonly closedAt: number | null;
  readonly vcpus: number;
  readonly memoryMib: number;
  readonly diskGib: number;
  readonly usage: Usage;
}

/** The dearest first. */
export function machinesOf(usage: LoadedUsage): MachineUsage[] {
  const byInstance = usage.by(({ instanceId }) => instanceId);
  const dearest = dearestFirst(usage.currencies);
  return usage.periods
    .map(({ instanceId, instanceName, openedAt, closedAt, vcpus, memoryMib, diskGib }) => ({
      id: instanceId, name: instanceName, openedAt, closedAt, vcpus, memoryMib, diskGib, usage: sumOf(byInstance.get(instanceId) ?? []),
    }))
    .sort((a, b) => dearest(a.usage, b.usage));
}

function sendUsage({ db, clock }: WebDeps): Route['handler'] {
  return async (req, res) => {
    const now = clock.now();
    const user = currentUser(req);
    const range = usageRange(req.query, now);
    const usage = await loadUsage(db, range, now, user.id);
    sendCsv(res, fileName('usage', user.name, range.name), usageCsv([range.by, 'instance', 'instance_id'], machineRows(range, usage), usage.currencies));
  };
}

/** One for each machine and bucket in which it was there. */
export function machineRows(range: UsageRange, usage: LoadedUsage): CsvRow[] {
  const byInstance = usage.by(({ instanceId }) => instanceId);
  const names = new Map(usage.periods.map(({ instanceId, instanceName }) => [instanceId, instanceName]));
  return range.buckets.flatMap((bucket, i) => [...names].flatMap(([id, name]): CsvRow[] => {
    const own = byInstance.get(id)?.[i];
    return own === undefined || own.instanceMs === 0 ? [] : [{ names: [bucket.name, name, id], usage: own }];
  }));
}
