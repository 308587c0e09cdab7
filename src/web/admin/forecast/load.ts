// What runs out when: memory and storage by what is measured, and what is promised against what may be.
import { setImmediate } from 'node:timers/promises';
import { hostLimit, poolLimitGib } from '../../../model/capacity.ts';
import { forecastFull, forecastRange, forecastSeries, type Forecast } from '../../../model/forecast.ts';
import type { StoragePool } from '../../../model/host.ts';
import { clusterOwnerId } from '../../../model/metric.ts';
import type { Level } from '../../../model/usage.ts';
import type { Db } from '../../../store/db.ts';
import { selectUserQuotas, type UserQuota } from '../../../store/figures.ts';
import { selectHostPlaces, selectHostPools, selectHostShares, selectReachablePoolIds } from '../../../store/hosts.ts';
import { selectOptionalSampleSubject } from '../../../store/sample-subjects.ts';
import { selectSeries, selectSeriesOf, type Series } from '../../../store/series.ts';
import { selectSettings } from '../../../store/settings.ts';
import { selectPools } from '../../../store/storage-pools.ts';
import type { WebDeps } from '../../deps.ts';
import { dayValues, loadLevels, quotaForecasts, resources, type Resource } from '../../forecast/quota.ts';

const mib = 2 ** 20;
/** Local pools that are looked at: the fullest. A thousand hosts have one each, and most are of no interest. */
export const maxLocalPools = 50;
const maxUsers = 50;

export interface ForecastRow {
  /** measured: what is in use · promised: what instances were given */
  readonly of: 'memory' | 'storage' | 'pool' | 'promised-vcpus' | 'promised-memory' | 'promised-disk';
  readonly name: string | null;
  readonly used: number | null;
  readonly capacity: number;
  readonly forecast: Forecast;
}

export interface Forecasts {
  readonly measured: readonly ForecastRow[];
  readonly promised: readonly (ForecastRow & { /** sum of the quotas of all users */ readonly quotas: number })[];
  /** whose quota is used up soonest first */
  readonly users: readonly { readonly name: string; readonly userId: string; readonly resource: Resource; readonly used: number; readonly quota: number; readonly forecast: Forecast & { readonly kind: 'runs-out' } }[];
  readonly localPools: number;
}

export async function loadForecasts({ db, clock }: WebDeps): Promise<Forecasts> {
  const now = clock.now();
  const settings = await selectSettings(db);
  const [hosts, pools, reachable, levels, quotas] = await Promise.all([selectHostShares(db), selectPools(db), selectReachablePoolIds(db), loadLevels(db, now), selectUserQuotas(db, settings.quota)]);
  const [cluster, poolRows] = await Promise.all([clusterRows(db, now), rowsOfPools(db, pools, now)]);
  const limits = hosts.filter((host) => host.wish === 'enabled' && host.state !== 'fenced').map((host) => hostLimit(host, settings.overcommit));
  const all = sumLevels([...levels.users.values()], levels.moments.length);
  const promised = ([
    ['promised-vcpus', 'vcpus', sum(limits.map((limit) => limit.vcpus))],
    ['promised-memory', 'memoryMib', sum(limits.map((limit) => limit.memoryMib))],
    ['promised-disk', 'diskGib', sum(pools.filter((pool) => reachable.has(pool.id)).map((pool) => poolLimitGib(pool, settings.overcommit)))],
  ] as const).map(([of, resource, capacity]) => ({
    of, name: null, capacity, used: all.at(-1)?.[resource] ?? 0, quotas: sum(quotas.map(({ quota }) => quota[resource])),
    forecast: forecastFull(dayValues(levels, all, resource), capacity, now),
  }));
  return { measured: [...cluster, ...poolRows], promised, users: await soonest(levels, quotas, now), localPools: pools.filter((pool) => !pool.shared).length };
}

type Levels = Awaited<ReturnType<typeof loadLevels>>;

/** Of those who have half of a quota in use: whoever has less has time, and thousands of users are many forecasts. */
async function soonest(levels: Levels, quotas: readonly UserQuota[], now: number): Promise<Forecasts['users']> {
  const found: Forecasts['users'][number][] = [];
  for (const { userId, name, quota } of quotas) {
    const used = levels.users.get(userId)?.at(-1);
    if (used === undefined || resources.every((resource) => used[resource] * 2 < quota[resource])) continue;
    for (const { resource, forecast } of quotaForecasts(levels, userId, quota, now)) found.push({ userId, name, resource, used: used[resource], quota: quota[resource], forecast });
    await setImmediate();
  }
  return found.sort((a, b) => a.forecast.at - b.forecast.at).slice(0, maxUsers);
}

function sumLevels(users: readonly (readonly Level[])[], moments: number): Level[] {
  return Array.from({ length: moments }, (_, i) => {
    const at = (resource: Resource): number => sum(users.map((levels) => levels[i]?.[resource] ?? 0));
    return { instances: at('instances'), vcpus: at('vcpus'), memoryMib: at('memoryMib'), diskGib: at('diskGib') };
  });
}

/** Memory of all hosts and what all shared pools have. */
async function clusterRows(db: Db, now: number): Promise<ForecastRow[]> {
  const subjectId = await selectOptionalSampleSubject(db, clusterOwnerId);
  if (subjectId === undefined) return [];
  const range = { subjectId, ...forecastRange(now) };
  const [memory, memoryTotal, used, capacity] = await Promise.all([
    selectSeries(db, { ...range, metric: 'host.memory-used' }), selectSeries(db, { ...range, metric: 'host.memory-total' }),
    selectSeries(db, { ...range, metric: 'pool.used' }), selectSeries(db, { ...range, metric: 'pool.capacity' }),
  ]);
  return [rowOf('memory', null, memory, lastOf(memoryTotal), now), rowOf('storage', null, used, lastOf(capacity), now)].flatMap((row) => row ?? []);
}

async function rowsOfPools(db: Db, pools: readonly StoragePool[], now: number): Promise<ForecastRow[]> {
  const fullness = (pool: StoragePool): number => (pool.capacityBytes === 0 ? 0 : 1 - pool.availableBytes / pool.capacityBytes);
  const local = pools.filter((pool) => !pool.shared).sort((a, b) => fullness(b) - fullness(a)).slice(0, maxLocalPools);
  const shown = [...pools.filter((pool) => pool.shared), ...local].filter((pool) => pool.sampledAt !== null);
  if (shown.length === 0) return [];
  const [series, hostNames] = await Promise.all([
    selectSeriesOf(db, { subjectIds: shown.map((pool) => pool.subjectId), metric: 'pool.used', ...forecastRange(now) }), selectHostNamesByPool(db),
  ]);
  return shown.flatMap((pool) => {
    const own = series.get(pool.subjectId);
    const row = own && rowOf('pool', pool.shared ? pool.name : `${pool.name} (${hostNames.get(pool.id) ?? '–'})`, own, pool.capacityBytes / mib, now);
    return row === undefined ? [] : [{ ...row, used: (pool.capacityBytes - pool.availableBytes) / mib }];
  });
}

/** Local pools mostly have the same name on every host. */
async function selectHostNamesByPool(db: Db): Promise<Map<string, string>> {
  const [hostPools, places] = await Promise.all([selectHostPools(db), selectHostPlaces(db)]);
  return new Map([...hostPools].flatMap(([hostId, poolIds]) => [...poolIds].map((poolId): [string, string] => [poolId, places.get(hostId)?.name ?? '–'])));
}

function rowOf(of: ForecastRow['of'], name: string | null, series: Series, capacity: number | null, now: number): ForecastRow | undefined {
  if (capacity === null || capacity <= 0) return undefined;
  return { of, name, used: lastOf(series), capacity, forecast: forecastSeries(series, capacity, now) };
}

const lastOf = ({ avg }: Series): number | null => avg.findLast((value) => value !== null) ?? null;

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
