// What the day was like, for the digest. Numbers only here: its words are made when it is mailed, in each reader's language.
import { say, type Sentence } from '../errors.ts';
import type { Severity } from '../model/alert-rule.ts';
import { forecastFull } from '../model/forecast.ts';
import type { StoragePool } from '../model/host.ts';
import { clusterOwnerId } from '../model/metric.ts';
import type { ToldIncident } from '../model/notification.ts';
import type { Size } from '../model/size.ts';
import { selectBackups } from '../store/backups.ts';
import type { Db } from '../store/db.ts';
import { countIncidentsByRule, selectIncidentsPage } from '../store/incidents.ts';
import { countFailedOperations } from '../store/operations.ts';
import { selectOptionalSampleSubject } from '../store/sample-subjects.ts';
import { selectSeries, selectSeriesOf, type Series } from '../store/series.ts';
import { loadResources } from './cluster.ts';

const dayMs = 86_400_000;
/** Open incidents that are named; the page has the rest. */
const listed = 20;
/** What the forecast is made from, and how far ahead it is worth a line. */
const forecastDays = 60;
const soonMs = 90 * dayMs;
/** An older backup is news. */
const backupOldMs = 2 * dayMs;

export interface DigestContent {
  readonly from: number;
  readonly to: number;
  readonly opened: readonly { readonly ruleId: string; readonly condition: string; readonly severity: Severity; readonly total: number }[];
  readonly stillOpen: number;
  readonly open: readonly ToldIncident[];
  readonly failedOperations: number;
  readonly hosts: { readonly up: number; readonly total: number };
  readonly instances: { readonly running: number; readonly total: number };
  readonly remaining: Size;
  /** what runs out when, and whatever else is known */
  readonly outlook: readonly Sentence[];
  /** null: none was noted */
  readonly lastBackupAt: number | null;
}

export async function loadDigest(db: Db, now: number): Promise<DigestContent> {
  const from = now - dayMs;
  const [{ hosts, instances, remaining, pools }, opened, { incidents, total }, failedOperations, [backup]] = await Promise.all([
    loadResources(db), countIncidentsByRule(db, from), selectIncidentsPage(db, { states: ['open', 'acknowledged'] }, listed, 0), countFailedOperations(db, from), selectBackups(db, 1),
  ]);
  return {
    from, to: now, opened: opened.slice(0, listed), stillOpen: total, failedOperations,
    open: incidents.map(({ id, subject, sentence, openedAt, resolvedAt }) => ({ id, subject, sentence, openedAt, resolvedAt })),
    hosts, instances: { running: instances.running, total: instances.total }, remaining, outlook: await loadOutlook(db, pools, now), lastBackupAt: backup?.endedAt ?? null,
  };
}

/** What is full, or will be within a quarter: memory of all hosts, and shared pools. */
async function loadOutlook(db: Db, pools: readonly StoragePool[], now: number): Promise<Sentence[]> {
  const to = Math.floor(now / dayMs) * dayMs;
  const range = { from: to - forecastDays * dayMs, to, points: forecastDays, now };
  const shared = pools.filter((pool) => pool.shared && pool.sampledAt !== null);
  const clusterId = await selectOptionalSampleSubject(db, clusterOwnerId);
  const [used, total, poolSeries] = await Promise.all([
    clusterId === undefined ? undefined : selectSeries(db, { ...range, subjectId: clusterId, metric: 'host.memory-used' }),
    clusterId === undefined ? undefined : selectSeries(db, { ...range, subjectId: clusterId, metric: 'host.memory-total' }),
    shared.length === 0 ? new Map<number, Series>() : selectSeriesOf(db, { ...range, subjectIds: shared.map((pool) => pool.subjectId), metric: 'pool.used' }),
  ]);
  const capacity = total?.avg.findLast((value) => value !== null) ?? null;
  return [
    ...(used === undefined || capacity === null ? [] : outlookOf('$forecast.of.memory', used, capacity, now)),
    ...shared.flatMap((pool) => outlookOf(pool.name, poolSeries.get(pool.subjectId), pool.capacityBytes / 1024 ** 2, now)),
  ];
}

function outlookOf(what: string, series: Series | undefined, capacity: number, now: number): Sentence[] {
  if (series === undefined || capacity <= 0) return [];
  const days = series.at.flatMap((at, index) => {
    const value = series.avg[index];
    return value === null || value === undefined ? [] : [{ at: at + series.stepMs / 2, value }];
  });
  const forecast = forecastFull(days, capacity, now);
  if (forecast.kind === 'full') return [say('alerts.digest.full', { what })];
  if (forecast.kind !== 'runs-out' || forecast.at > now + soonMs) return [];
  return [say('alerts.digest.runs-out', { what, at: dateOf(forecast.at), earliest: dateOf(forecast.earliest) })];
}

const dateOf = (at: number): string => new Date(at).toISOString().slice(0, 10);

/** Is there anything in it that somebody should do something about? */
export function hasNews({ opened, stillOpen, failedOperations, hosts, outlook, lastBackupAt, to }: DigestContent): boolean {
  return (lastBackupAt !== null && to - lastBackupAt > backupOldMs) || opened.length > 0 || stillOpen > 0 || failedOperations > 0 || hosts.up < hosts.total || outlook.length > 0;
}
