// What is told at once, to whom, and when it is tried again. A notification takes everything that is still to be told, in
// groups: twelve silent hosts are one line.
import type { Sentence } from '../errors.ts';
import { manyWords, severities, type AlertRule, type Severity } from './alert-rule.ts';
import type { Incident } from './incident.ts';

export const notificationKinds = ['incidents', 'digest', 'test'] as const;
export type NotificationKind = (typeof notificationKinds)[number];

export interface ToldIncident { readonly id: string; readonly subject: Incident['subject']; readonly sentence: Sentence; readonly openedAt: number; readonly resolvedAt: number | null }

/** One rule's part of a notification. */
export interface ToldGroup {
  readonly what: 'opened' | 'resolved';
  readonly ruleId: string;
  readonly ruleName: string;
  readonly condition: string;
  readonly severity: Severity;
  readonly total: number;
  readonly sentence: Sentence;
  /** the first of them */
  readonly incidents: readonly ToldIncident[];
}

/** In one group; the page has the rest. */
const listed = 8;
/** What a row of notifications holds, with room for its frame. */
const mostBytes = 15_000;

export interface Untold { readonly incident: Incident; readonly what: ToldGroup['what'] }
/** A group with all incidents that it tells of: more than it names. */
export interface Gathered { readonly group: ToldGroup; readonly members: readonly Untold[] }

/** kvm2 before kvm10 */
const byName = new Intl.Collator('en', { numeric: true });

/** By urgency, then size. `overflow`: ruleId → further subjects that have no incident of their own. */
export function groupsOf(untold: readonly Untold[], rules: ReadonlyMap<string, AlertRule>, overflow: ReadonlyMap<string, number>): Gathered[] {
  const byRule = new Map<string, Untold[]>();
  for (const each of untold) {
    // messages have a sentence of their own each
    const key = `${each.what} ${rules.has(each.incident.ruleId) ? each.incident.ruleId : each.incident.id}`;
    byRule.set(key, [...(byRule.get(key) ?? []), each]);
  }
  const gathered = [...byRule.values()].map((members) => ({ group: groupOf(members, rules, overflow), members }));
  return gathered.sort(({ group: a }, { group: b }) => rank(a) - rank(b) || b.total - a.total);
}

function rank(group: ToldGroup): number {
  return severities.indexOf(group.severity) + (group.what === 'resolved' ? severities.length : 0);
}

function groupOf(members: readonly Untold[], rules: ReadonlyMap<string, AlertRule>, overflow: ReadonlyMap<string, number>): ToldGroup {
  const [first] = members as [Untold, ...Untold[]];
  const rule = rules.get(first.incident.ruleId);
  const total = members.length + (first.what === 'opened' ? (overflow.get(first.incident.ruleId) ?? 0) : 0);
  return {
    what: first.what, ruleId: first.incident.ruleId, ruleName: rule?.name ?? '', condition: first.incident.condition, total,
    severity: severities[Math.min(...members.map(({ incident }) => severities.indexOf(incident.severity)))] ?? 'info',
    sentence: total === 1 || rule === undefined ? first.incident.sentence : manyWords(rule, total),
    incidents: members.toSorted((a, b) => byName.compare(a.incident.subject.name, b.incident.subject.name)).slice(0, listed).map(({ incident: { id, subject, sentence, openedAt, resolvedAt } }) => ({ id, subject, sentence, openedAt, resolvedAt })),
  };
}

/** As much as a row holds: first the lists grow shorter, then the last groups go. What is left are the first of `groups`, at least one. */
export function fitting(groups: readonly ToldGroup[]): ToldGroup[] {
  for (let kept = listed; ; kept = Math.floor(kept / 2)) {
    const shorter = groups.map((group) => ({ ...group, incidents: group.incidents.slice(0, kept) }));
    if (fitsRow(shorter)) return shorter;
    if (kept > 1) continue;
    // the brackets around all, and a comma for each
    let room = mostBytes - 1;
    const first = shorter.findIndex((group) => (room -= byteLength(group) + 1) < 0);
    return shorter.slice(0, Math.max(1, first));
  }
}

/** Does a row of notifications hold it? */
export function fitsRow(content: unknown): boolean {
  return byteLength(content) <= mostBytes;
}

function byteLength(value: unknown): number {
  return new TextEncoder().encode(JSON.stringify(value)).length;
}

/** What a receiver wants to hear of: nothing below its severity, and the ends of incidents only where asked for. */
export interface Wish { readonly minSeverity: Severity; readonly resolved: boolean }

export function wants({ minSeverity, resolved }: Wish, group: ToldGroup): boolean {
  return severities.indexOf(group.severity) <= severities.indexOf(minSeverity) && (resolved || group.what === 'opened');
}

export const deliveryStates = ['queued', 'sent', 'failed'] as const;
export type DeliveryState = (typeof deliveryStates)[number];

/** Milliseconds before the next attempt, after so many; undefined: it is given up, about a day after the first. */
export function retryAfterMs(attempts: number): number | undefined {
  const minutes = [0.25, 1, 2, 5, 10, 20, 40, 60, 120, 180, 240, 360, 480][attempts - 1];
  return minutes === undefined ? undefined : minutes * 60_000;
}

/** Minute of the day, and the day, on a wall clock there. */
export function localTime(now: number, timeZone: string): { readonly day: string; readonly minute: number; readonly text: string } {
  const parts = Object.fromEntries(
    new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
      .formatToParts(now).map(({ type, value }) => [type, value]),
  );
  const day = `${parts['year']}-${parts['month']}-${parts['day']}`;
  return { day, minute: Number(parts['hour']) * 60 + Number(parts['minute']), text: `${day} ${parts['hour']}:${parts['minute']}` };
}

export function isTimeZone(text: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: text }).format(0) !== '';
  } catch {
    return false;
  }
}

/** '08:30' → 510; undefined: not a time of day. */
export function minuteOf(text: string): number | undefined {
  const match = /^([01]\d|2[0-3]):([0-5]\d)$/.exec(text);
  return match === null ? undefined : Number(match[1]) * 60 + Number(match[2]);
}

export function minuteText(minute: number): string {
  return `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`;
}
