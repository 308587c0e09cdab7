// What administrators want to be told of: a condition, on which hosts, machines or pools, and for how long. A rule on a
// measured value has two limits: it holds past `limit`, and ends only at `clear`, so that a value on the edge does not ring
// every minute.
import { say, type Sentence } from '../errors.ts';
import type { MetricName } from './metric.ts';

export const severities = ['critical', 'warning', 'info'] as const;
export type Severity = (typeof severities)[number];

export const subjectKinds = ['host', 'instance', 'pool', 'portal', 'job', 'operation', 'cluster'] as const;
export type AlertSubjectKind = (typeof subjectKinds)[number];
export type Unit = 'percent' | 'mib' | 'bytes-per-second' | 'per-second';

interface Measured { readonly subject: 'host' | 'instance' | 'pool'; readonly unit: Unit; /** the tiers' metrics that it is made of: the second is the whole of which the first is a part */ readonly metrics: readonly MetricName[] }

/** Conditions on measured values. Memory and pools are shares of what there is: nobody knows the MiB of every host by heart. */
export const measures = {
  'host.cpu': { subject: 'host', unit: 'percent', metrics: ['host.cpu'] },
  'host.memory': { subject: 'host', unit: 'percent', metrics: ['host.memory-used', 'host.memory-total'] },
  'host.cpu-iowait': { subject: 'host', unit: 'percent', metrics: ['host.cpu-iowait'] },
  'host.cpu-steal': { subject: 'host', unit: 'percent', metrics: ['host.cpu-steal'] },
  'host.swap-used': { subject: 'host', unit: 'mib', metrics: ['host.swap-used'] },
  'pool.used': { subject: 'pool', unit: 'percent', metrics: ['pool.used', 'pool.capacity'] },
  'instance.cpu': { subject: 'instance', unit: 'percent', metrics: ['instance.cpu'] },
  'instance.memory-used': { subject: 'instance', unit: 'mib', metrics: ['instance.memory-used'] },
  'instance.disk-read': { subject: 'instance', unit: 'bytes-per-second', metrics: ['instance.disk-read'] },
  'instance.disk-write': { subject: 'instance', unit: 'bytes-per-second', metrics: ['instance.disk-write'] },
  'instance.network-receive': { subject: 'instance', unit: 'bytes-per-second', metrics: ['instance.network-receive'] },
  'instance.network-transmit': { subject: 'instance', unit: 'bytes-per-second', metrics: ['instance.network-transmit'] },
  'instance.network-drops': { subject: 'instance', unit: 'per-second', metrics: ['instance.network-drops'] },
} as const satisfies Record<string, Measured>;
export type Measure = keyof typeof measures;

/** Conditions on what the portal knows: they hold or they do not. */
export const stateConditions = {
  'host.unreachable': 'host',
  /** of its TLS connection one ends soon, or has ended */
  'host.certificate': 'host',
  'instance.failed': 'instance',
  'instance.lost': 'instance',
  /** runs on a host that answers, and yet nothing is measured of it */
  'instance.unmeasured': 'instance',
  /** neither stopped in good order nor seen: it died, or is cut off from the database */
  'portal.away': 'portal',
  'job.late': 'job',
  'operation.stuck': 'operation',
  'cluster.n-minus-1': 'cluster',
  'cluster.gate': 'cluster',
  'cluster.discrepancies': 'cluster',
} as const satisfies Record<string, AlertSubjectKind>;
export type StateCondition = keyof typeof stateConditions;

export type Condition = Measure | StateCondition;
export const conditions = [...Object.keys(stateConditions), ...Object.keys(measures)] as unknown as readonly [Condition, ...Condition[]];

export function isMeasure(condition: string): condition is Measure {
  return condition in measures;
}

export function subjectOf(condition: Condition): AlertSubjectKind {
  return isMeasure(condition) ? measures[condition].subject : stateConditions[condition];
}

/** May be narrowed to chosen ones. */
export function hasScope(condition: Condition): boolean {
  return ['host', 'instance', 'pool'].includes(subjectOf(condition));
}

export const directions = ['above', 'below'] as const;
export type Direction = (typeof directions)[number];

/** Minutes of the day; `from` after `until` goes over midnight. */
export interface QuietHours { readonly from: number; readonly until: number }

export interface AlertRule {
  readonly id: string;
  /** what its maker calls it; '' is the condition in the reader's language */
  readonly name: string;
  readonly condition: Condition;
  /** of measured values only, as are the limits */
  readonly direction: Direction;
  readonly limit: number;
  readonly clear: number;
  /** for how long it must hold before it is an incident */
  readonly holdSeconds: number;
  /** ids; empty: all */
  readonly scope: readonly string[];
  readonly severity: Severity;
  readonly enabled: boolean;
  /** incidents are kept, but nobody is told until these are over */
  readonly quiet: QuietHours | null;
  /** when it last changed: two admins do not overwrite each other */
  readonly updatedAt: number;
}

export const ruleBounds = {
  nameLength: [0, 80],
  limit: [0, 1_000_000_000_000],
  holdSeconds: [0, 86_400],
  /** more than that is "all", said the long way */
  scope: [0, 200],
} as const;

/** bad: past the limit · between: not past it, and not yet back · good */
export type Level = 'bad' | 'between' | 'good';

export function levelOf(rule: Pick<AlertRule, 'direction' | 'limit' | 'clear'>, value: number): Level {
  const sign = rule.direction === 'above' ? 1 : -1;
  if (sign * value > sign * rule.limit) return 'bad';
  return sign * value > sign * rule.clear ? 'between' : 'good';
}

/** Is the end of the incident on the safe side of its beginning? */
export function limitsAgree({ direction, limit, clear }: Pick<AlertRule, 'direction' | 'limit' | 'clear'>): boolean {
  return direction === 'above' ? clear <= limit : clear >= limit;
}

export function inScope(rule: Pick<AlertRule, 'scope'>, subjectId: string): boolean {
  return rule.scope.length === 0 || rule.scope.includes(subjectId);
}

/** `minute` of the day in the time zone of the settings. */
export function isQuiet(rule: Pick<AlertRule, 'quiet'>, minute: number): boolean {
  if (rule.quiet === null) return false;
  const { from, until } = rule.quiet;
  return from <= until ? minute >= from && minute < until : minute >= from || minute < until;
}

/** In the same words for every language. */
export function valueText(unit: Unit, value: number): string {
  if (unit === 'percent') return `${rounded(value)} %`;
  if (unit === 'per-second') return `${rounded(value)} /s`;
  const bytes = unit === 'mib' ? value * 1024 ** 2 : value;
  const power = Math.min(4, Math.max(0, Math.floor(Math.log2(Math.max(1, Math.abs(bytes))) / 10)));
  return `${rounded(bytes / 1024 ** power)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][power]}${unit === 'mib' ? '' : '/s'}`;
}

function rounded(value: number): number {
  return Math.abs(value) < 10 ? Math.round(value * 10) / 10 : Math.round(value);
}

/** "CPU load above 90 %", "Host does not answer": what a rule without a name is called. */
export function ruleWords(rule: Pick<AlertRule, 'condition' | 'direction' | 'limit'>): Sentence {
  if (!isMeasure(rule.condition)) return say(`alerts.condition.${rule.condition}`);
  return say(`alerts.words.${rule.direction}`, { measure: `$alerts.condition.${rule.condition}`, limit: valueText(measures[rule.condition].unit, rule.limit) });
}

/** What is wrong with one of them, for its incident. `detail` stands for what the condition says besides. */
export function incidentWords(rule: Pick<AlertRule, 'condition' | 'direction' | 'limit'>, subject: string, value: number | null, detail: Readonly<Record<string, string | number>> = {}): Sentence {
  if (!isMeasure(rule.condition)) return say(`alerts.said.${rule.condition}`, { subject, ...detail });
  const { unit } = measures[rule.condition];
  return say(`alerts.said.${rule.direction}`, { measure: `$alerts.condition.${rule.condition}`, subject, value: value === null ? '–' : valueText(unit, value), limit: valueText(unit, rule.limit) });
}

/** The same wrong with many: one sentence for all of them. */
export function manyWords(rule: Pick<AlertRule, 'condition' | 'direction' | 'limit'>, total: number): Sentence {
  if (!isMeasure(rule.condition)) return say(`alerts.many.${rule.condition}`, { total });
  return say(`alerts.many.${rule.direction}`, { total, measure: `$alerts.condition.${rule.condition}`, limit: valueText(measures[rule.condition].unit, rule.limit) });
}

/** What the portal itself reports of lost hosts (OperationDeps.alert): no row of the table, because nobody may switch it off. */
export const messageRuleId = '00000000-0000-0000-0000-0000000000a1';
export const messageCondition = 'message';

const shipped: Pick<AlertRule, 'name' | 'direction' | 'limit' | 'clear' | 'scope' | 'enabled' | 'quiet' | 'updatedAt'> = {
  name: '', direction: 'above', limit: 0, clear: 0, scope: [], enabled: true, quiet: null, updatedAt: 0,
};

/** What a new cloud starts with: what one would want to be woken for, and what can wait until the morning. */
export const defaultRules: readonly AlertRule[] = [
  { ...shipped, id: '5f2b7a1c-0000-4000-8000-000000000001', condition: 'host.unreachable', severity: 'critical', holdSeconds: 30 },
  { ...shipped, id: '5f2b7a1c-0000-4000-8000-000000000002', condition: 'pool.used', limit: 95, clear: 92, severity: 'critical', holdSeconds: 300 },
  { ...shipped, id: '5f2b7a1c-0000-4000-8000-000000000003', condition: 'pool.used', limit: 85, clear: 82, severity: 'warning', holdSeconds: 600 },
  { ...shipped, id: '5f2b7a1c-0000-4000-8000-000000000004', condition: 'host.memory', limit: 95, clear: 90, severity: 'warning', holdSeconds: 600 },
  { ...shipped, id: '5f2b7a1c-0000-4000-8000-000000000005', condition: 'host.cpu', limit: 95, clear: 85, severity: 'warning', holdSeconds: 1800 },
  { ...shipped, id: '5f2b7a1c-0000-4000-8000-000000000006', condition: 'instance.lost', severity: 'warning', holdSeconds: 60 },
  { ...shipped, id: '5f2b7a1c-0000-4000-8000-000000000007', condition: 'instance.failed', severity: 'info', holdSeconds: 0 },
  { ...shipped, id: '5f2b7a1c-0000-4000-8000-000000000008', condition: 'instance.unmeasured', severity: 'info', holdSeconds: 600 },
  { ...shipped, id: '5f2b7a1c-0000-4000-8000-00000000000d', condition: 'portal.away', severity: 'warning', holdSeconds: 60 },
  { ...shipped, id: '5f2b7a1c-0000-4000-8000-000000000009', condition: 'job.late', severity: 'warning', holdSeconds: 300 },
  { ...shipped, id: '5f2b7a1c-0000-4000-8000-00000000000a', condition: 'operation.stuck', severity: 'warning', holdSeconds: 3600 },
  { ...shipped, id: '5f2b7a1c-0000-4000-8000-00000000000b', condition: 'cluster.n-minus-1', severity: 'warning', holdSeconds: 600 },
  { ...shipped, id: '5f2b7a1c-0000-4000-8000-00000000000c', condition: 'cluster.discrepancies', severity: 'info', holdSeconds: 600 },
];

/** What later releases ship besides, by the mark that a cloud which has had it bears: an older one gets it once, too. */
export const laterRules: Readonly<Record<string, readonly AlertRule[]>> = {
  'seeded:alert-rules:certificates': [{ ...shipped, id: '5f2b7a1c-0000-4000-8000-00000000000e', condition: 'host.certificate', severity: 'warning', holdSeconds: 0 }],
};
