// From what is seen now to incidents. One rule and one subject go through: pending (it holds, not long enough yet) → open →
// calm (it is over, not for long enough to believe it) → nothing. While it is calm a relapse re-opens the same incident and
// nobody is told again, so that a flapping host is one message and not fifty.
import type { Sentence } from '../errors.ts';
import type { AlertRule, AlertSubjectKind, Level } from './alert-rule.ts';

export const incidentStates = ['open', 'acknowledged', 'resolved'] as const;
export type IncidentState = (typeof incidentStates)[number];
/** good: it is over · off: the machine was switched off · gone: the subject is no more · rule: the rule was changed or switched off */
export const endReasons = ['good', 'off', 'gone', 'rule'] as const;
export type EndReason = (typeof endReasons)[number];

export interface Subject { readonly kind: AlertSubjectKind; readonly id: string; readonly name: string }

/**
 * missing: it should have been measured and was not · held: cannot be judged, because what it depends on is away (its host) ·
 * off: need not be measured · gone: is no more
 */
export type Verdict = Level | 'missing' | 'held' | 'off' | 'gone';

export interface Reading {
  readonly subject: Subject;
  readonly verdict: Verdict;
  readonly value: number | null;
  /** since when it holds, where that is known better than by looking */
  readonly since?: number;
  /** more for the sentence */
  readonly detail?: Readonly<Record<string, string | number>>;
}

export interface AlertState {
  readonly subjectId: string;
  readonly phase: 'pending' | 'open' | 'calm';
  /** of pending: since when it holds; of open: when it opened; of calm: when it was over */
  readonly since: number;
  /** when it was last seen to hold */
  readonly seenAt: number;
  readonly incidentId: string | null;
}

export type Transition =
  | { readonly to: 'pend'; readonly reading: Reading; readonly since: number }
  | { readonly to: 'see'; readonly state: AlertState }
  | { readonly to: 'open'; readonly reading: Reading; readonly since: number }
  | { readonly to: 'reopen'; readonly state: AlertState; readonly reading: Reading }
  | { readonly to: 'calm'; readonly state: AlertState; readonly reason: EndReason }
  /** its incident has been over for long enough: now others are told that it is */
  | { readonly to: 'end'; readonly state: AlertState }
  /** was never an incident */
  | { readonly to: 'drop'; readonly state: AlertState };

export interface StepLimits {
  /** for how long a relapse is the same incident */
  readonly calmMs: number;
  /** incidents of one rule that are kept at once: of 20,000 machines without samples nobody reads more */
  readonly mostOpen: number;
}

/** A condition that is pending outlives this much without samples. Shorter: one lost poll starts the count anew. */
const missingMs = 300_000;

export interface Step {
  readonly transitions: readonly Transition[];
  /** for which it holds and no more incidents are opened */
  readonly overflow: number;
}

/** One look at one rule. What is neither in `readings` nor in `states` is well; what is only in `states` is so again. */
export function step(rule: Pick<AlertRule, 'holdSeconds' | 'enabled'>, states: ReadonlyMap<string, AlertState>, readings: ReadonlyMap<string, Reading>, now: number, limits: StepLimits): Step {
  const transitions: Transition[] = [];
  for (const state of states.values()) {
    const transition = follow(rule, state, readings.get(state.subjectId), now, limits);
    if (transition !== undefined) transitions.push(transition);
  }
  let room = limits.mostOpen - states.size;
  let overflow = 0;
  for (const reading of rule.enabled ? readings.values() : []) {
    if (reading.verdict !== 'bad' || states.has(reading.subject.id)) continue;
    if (room <= 0) {
      overflow++;
      continue;
    }
    room--;
    const since = Math.min(reading.since ?? now, now);
    transitions.push({ to: now - since >= rule.holdSeconds * 1000 ? 'open' : 'pend', reading, since });
  }
  return { transitions, overflow };
}

function follow(rule: Pick<AlertRule, 'holdSeconds' | 'enabled'>, state: AlertState, reading: Reading | undefined, now: number, limits: StepLimits): Transition | undefined {
  const verdict = rule.enabled ? (reading?.verdict ?? 'good') : 'rule';
  if (state.phase === 'pending') {
    if (verdict === 'bad' && reading !== undefined) return now - state.since >= rule.holdSeconds * 1000 ? { to: 'open', reading, since: state.since } : { to: 'see', state };
    const waits = (verdict === 'missing' || verdict === 'held') && now - state.seenAt <= missingMs;
    return waits ? undefined : { to: 'drop', state };
  }
  if (state.phase === 'open') {
    if (verdict === 'good' || verdict === 'off' || verdict === 'gone' || verdict === 'rule') return { to: 'calm', state, reason: verdict };
    // what is not seen has not got better
    return undefined;
  }
  if (verdict === 'bad' && reading !== undefined) return { to: 'reopen', state, reading };
  return now - state.since >= limits.calmMs ? { to: 'end', state } : undefined;
}

export interface Incident {
  readonly id: string;
  readonly ruleId: string;
  /** a Condition, or `message` */
  readonly condition: string;
  readonly subject: Subject;
  readonly severity: AlertRule['severity'];
  readonly state: IncidentState;
  readonly sentence: Sentence;
  readonly openedAt: number;
  readonly resolvedAt: number | null;
  readonly endReason: EndReason | null;
  /** how often it came back */
  readonly reopened: number;
  readonly acknowledgedAt: number | null;
  readonly acknowledgedBy: string | null;
  readonly note: string | null;
  /** when people were told; null: not yet, or not at all */
  readonly toldAt: number | null;
}

export const incidentEventKinds = ['opened', 'again', 'reopened', 'acknowledged', 'resolved', 'told', 'told-resolved'] as const;
export interface IncidentEvent {
  readonly id: string;
  readonly at: number;
  readonly kind: (typeof incidentEventKinds)[number];
  readonly userId: string | null;
  readonly sentence: Sentence | null;
  readonly note: string | null;
}

export const noteLength = 500;

/** How often a rule would have fired on one subject: the same steps as in earnest, over what was measured. null: nothing was. */
export function countFirings(rule: Pick<AlertRule, 'holdSeconds'>, levels: readonly { readonly at: number; readonly level: Level | null }[], calmMs: number): number {
  const subject: Subject = { kind: 'cluster', id: 'one', name: '' };
  let state: AlertState | undefined;
  let fired = 0;
  for (const { at, level } of levels) {
    const reading: Reading = { subject, verdict: level ?? 'missing', value: null };
    const readings = new Map(level === 'good' ? [] : [[subject.id, reading]]);
    const [transition] = step({ ...rule, enabled: true }, new Map(state === undefined ? [] : [[subject.id, state]]), readings, at, { calmMs, mostOpen: 1 }).transitions;
    if (transition?.to === 'open') fired++;
    state = afterTransition(state, transition, at);
  }
  return fired;
}

function afterTransition(state: AlertState | undefined, transition: Transition | undefined, at: number): AlertState | undefined {
  switch (transition?.to) {
    case undefined: return state;
    case 'pend': return { subjectId: 'one', phase: 'pending', since: transition.since, seenAt: at, incidentId: null };
    case 'see': return { ...transition.state, seenAt: at };
    case 'open': return { subjectId: 'one', phase: 'open', since: at, seenAt: at, incidentId: null };
    case 'reopen': return { ...transition.state, phase: 'open', since: at, seenAt: at };
    case 'calm': return { ...transition.state, phase: 'calm', since: at };
    default: return undefined;
  }
}
