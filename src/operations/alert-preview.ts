// What a rule would do, before it is saved: how many it holds for now, and how often it would have fired in the last day, by the
// same steps over what was measured.
import { isMeasure, levelOf, measures, type AlertRule, type Level } from '../model/alert-rule.ts';
import { countFirings } from '../model/incident.ts';
import type { MetricName } from '../model/metric.ts';
import type { Db } from '../store/db.ts';
import { selectAlertSubjects, type AlertSubject } from '../store/alert-readings.ts';
import { selectSeriesOf, type Series } from '../store/series.ts';
import { selectSettings } from '../store/settings.ts';
import { loadReadings } from './alert-readings.ts';

const dayMs = 86_400_000;
/** Subjects whose day is gone through. More: a page of 20,000 machines would take minutes. */
const mostLooked = 60;
const shown = 5;
/** Steps of a minute, as rules are looked at: a day has one more when it begins within a minute. */
const minutePoints = 1450;

export interface AlertPreview {
  /** null: cannot be told from here */
  readonly holdsNow: number | null;
  /** null: this condition leaves no samples behind */
  readonly fired: number | null;
  readonly looked: number;
  readonly subjects: number;
  /** those on which it fired most */
  readonly most: readonly { readonly name: string; readonly times: number }[];
}

export async function previewRule({ db, pollIntervalMs }: { readonly db: Db; readonly pollIntervalMs: number }, rule: AlertRule, now: number): Promise<AlertPreview> {
  const asked = { ...rule, enabled: true };
  const [holdsNow, day] = await Promise.all([countHolding(db, pollIntervalMs, asked, now), previewDay(db, asked, now)]);
  return { holdsNow, ...day };
}

async function countHolding(db: Db, pollIntervalMs: number, rule: AlertRule, now: number): Promise<number | null> {
  // how often jobs are due only those who run them know
  if (rule.condition === 'job.late') return null;
  const readings = await loadReadings({ db, pollIntervalMs, jobPeriods: new Map() }, [rule], new Map(), now);
  return [...(readings.get(rule.id)?.values() ?? [])].filter(({ verdict }) => verdict === 'bad').length;
}

async function previewDay(db: Db, rule: AlertRule, now: number): Promise<Omit<AlertPreview, 'holdsNow'>> {
  const kind = isMeasure(rule.condition) ? measures[rule.condition].subject : rule.condition === 'host.unreachable' ? 'host' : undefined;
  if (kind === undefined) return { fired: null, looked: 0, subjects: 0, most: [] };
  const [{ alerts }, { subjects, total }] = await Promise.all([selectSettings(db), selectAlertSubjects(db, kind, rule.scope, mostLooked)]);
  const levels = await loadLevels(db, rule, subjects, now);
  const counts = subjects.map(({ name, subjectId }) => ({ name, times: countFirings(rule, levels.get(subjectId) ?? [], alerts.calmMinutes * 60_000) }));
  return {
    fired: counts.reduce((sum, { times }) => sum + times, 0), looked: subjects.length, subjects: total,
    most: counts.filter(({ times }) => times > 0).sort((a, b) => b.times - a.times).slice(0, shown),
  };
}

type Levels = readonly { readonly at: number; readonly level: Level | null }[];

async function loadLevels(db: Db, rule: AlertRule, subjects: readonly AlertSubject[], now: number): Promise<Map<number, Levels>> {
  const read = (metric: MetricName): Promise<Map<number, Series>> =>
    selectSeriesOf(db, { subjectIds: subjects.map(({ subjectId }) => subjectId), metric, from: now - dayMs, to: now, points: minutePoints, now });
  const [part, whole] = isMeasure(rule.condition) ? measures[rule.condition].metrics as readonly [MetricName, MetricName?] : ['host.up' as const, undefined];
  const [parts, wholes] = await Promise.all([read(part), whole === undefined ? undefined : read(whole)]);
  return new Map(subjects.map(({ subjectId }) => {
    const series = parts.get(subjectId);
    const of = wholes?.get(subjectId);
    return [subjectId, (series?.at ?? []).map((at, index) => ({ at, level: levelAt(rule, series?.avg[index] ?? null, whole === undefined ? undefined : (of?.avg[index] ?? null)) }))];
  }));
}

function levelAt(rule: AlertRule, value: number | null, whole: number | null | undefined): Level | null {
  if (value === null || whole === null) return null;
  if (!isMeasure(rule.condition)) return value < 0.5 ? 'bad' : 'good';
  if (whole === undefined) return levelOf(rule, value);
  return whole > 0 ? levelOf(rule, (100 * value) / whole) : null;
}
