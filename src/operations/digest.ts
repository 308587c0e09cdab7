// What the day was like, for the digest. Numbers only here: its words are made when it is mailed, in each reader's language.
import { say, type Sentence } from '../errors.ts';
import type { Severity } from '../model/alert-rule.ts';
import { forecastRange, forecastSeries } from '../model/forecast.ts';
import type { StoragePool } from '../model/host.ts';
import { clusterOwnerId } from '../model/metric.ts';
import { fitsRow, type ToldIncident } from '../model/notification.ts';
import type { Size } from '../model/size.ts';
import { selectBackups } from '../store/backups.ts';
import { columnToSentence, sentenceToColumn } from '../store/columns.ts';
import type { Db } from '../store/db.ts';
import { countIncidentsByRule, selectIncidentsPage } from '../store/incidents.ts';
import { countFailedOperations } from '../store/operations.ts';
import { selectOptionalSampleSubject } from '../store/sample-subjects.ts';
import { selectSeries, selectSeriesOf, type Series } from '../store/series.ts';
import { loadResources } from './cluster.ts';

const dayMs = 86_400_000;
/** Lines of each list; the pages have the rest. */
const listed = 20;
/** Characters that the sentence of an open incident may have as JSON; its page has it in full. */
const lineLength = 300;
/** How far ahead a forecast is worth a line. */
const soonMs = 90 * dayMs;
/** An older backup is news. */
const backupOldMs = 2 * dayMs;

export interface DigestContent {
  readonly from: number;
  readonly to: number;
  readonly opened: readonly { readonly ruleId: string; readonly condition: string; readonly severity: Severity; readonly total: number }[];
  readonly stillOpen: number;
  /** the first of them */
  readonly open: readonly ToldIncident[];
  readonly failedOperations: number;
  readonly hosts: { readonly up: number; readonly total: number };
  readonly instances: { readonly running: number; readonly total: number };
  readonly remaining: Size;
  /** what is full or runs out, the soonest first */
  readonly outlook: readonly Sentence[];
  /** how many of these there are in all */
  readonly outlookTotal: number;
  /** null: none was noted */
  readonly lastBackupAt: number | null;
}

export async function loadDigest(db: Db, now: number): Promise<DigestContent> {
  const from = now - dayMs;
  const [{ hosts, instances, remaining, pools }, opened, { incidents, total }, failedOperations, [backup]] = await Promise.all([
    loadResources(db), countIncidentsByRule(db, from), selectIncidentsPage(db, { states: ['open', 'acknowledged'] }, listed, 0), countFailedOperations(db, from), selectBackups(db, 1),
  ]);
  const outlook = await loadOutlook(db, pools, now);
  return fittingDigest({
    from, to: now, opened: opened.slice(0, listed), stillOpen: total, failedOperations,
    open: incidents.map(({ id, subject, sentence, openedAt, resolvedAt }) => ({ id, subject, sentence, openedAt, resolvedAt })),
    hosts, instances: { running: instances.running, total: instances.total }, remaining, outlook, outlookTotal: outlook.length, lastBackupAt: backup?.endedAt ?? null,
  });
}

/** As much as a row of notifications holds: first the words grow shorter, then the lists. */
export function fittingDigest(digest: DigestContent): DigestContent {
  const open = digest.open.map((each) => ({ ...each, sentence: columnToSentence(sentenceToColumn(each.sentence, lineLength)) ?? each.sentence }));
  for (let kept = listed; ; kept = Math.floor(kept / 2)) {
    const shorter = { ...digest, open: open.slice(0, kept), outlook: digest.outlook.slice(0, kept) };
    if (kept <= 1 || fitsRow(shorter)) return shorter;
  }
}

/** What is full, or will be within a quarter, the soonest first: memory of all hosts, and shared pools. */
async function loadOutlook(db: Db, pools: readonly StoragePool[], now: number): Promise<Sentence[]> {
  const range = forecastRange(now);
  const shared = pools.filter((pool) => pool.shared && pool.sampledAt !== null);
  const clusterId = await selectOptionalSampleSubject(db, clusterOwnerId);
  const [used, total, poolSeries] = await Promise.all([
    clusterId === undefined ? undefined : selectSeries(db, { ...range, subjectId: clusterId, metric: 'host.memory-used' }),
    clusterId === undefined ? undefined : selectSeries(db, { ...range, subjectId: clusterId, metric: 'host.memory-total' }),
    shared.length === 0 ? new Map<number, Series>() : selectSeriesOf(db, { ...range, subjectIds: shared.map((pool) => pool.subjectId), metric: 'pool.used' }),
  ]);
  const capacity = total?.avg.findLast((value) => value !== null) ?? null;
  const lines = [
    ...(used === undefined || capacity === null ? [] : outlookOf('$forecast.of.memory', used, capacity, now)),
    ...shared.flatMap((pool) => outlookOf(pool.name, poolSeries.get(pool.subjectId), pool.capacityBytes / 1024 ** 2, now)),
  ];
  return lines.sort((a, b) => a.at - b.at).map(({ sentence }) => sentence);
}

function outlookOf(what: string, series: Series | undefined, capacity: number, now: number): { readonly at: number; readonly sentence: Sentence }[] {
  if (series === undefined || capacity <= 0) return [];
  const forecast = forecastSeries(series, capacity, now);
  if (forecast.kind === 'full') return [{ at: now, sentence: say('alerts.digest.full', { what }) }];
  if (forecast.kind !== 'runs-out' || forecast.at > now + soonMs) return [];
  return [{ at: forecast.at, sentence: say('alerts.digest.runs-out', { what, at: dateOf(forecast.at), earliest: dateOf(forecast.earliest) }) }];
}

const dateOf = (at: number): string => new Date(at).toISOString().slice(0, 10);

/** Is there anything in it that somebody should do something about? */
export function hasNews({ opened, stillOpen, failedOperations, hosts, outlook, lastBackupAt, to }: DigestContent): boolean {
  return (lastBackupAt !== null && to - lastBackupAt > backupOldMs) || opened.length > 0 || stillOpen > 0 || failedOperations > 0 || hosts.up < hosts.total || outlook.length > 0;
}
