// Looking, opening and ending incidents, and writing what is to be told: everything in one transaction under the guard, so that
// of two portals that look at once one finds it done.
import { randomUUID, createHash } from 'node:crypto';
import type { Sentence } from '../errors.ts';
import { incidentWords, isQuiet, messageCondition, messageRuleId, severities, type AlertRule, type Severity } from '../model/alert-rule.ts';
import { step, type AlertState, type EndReason, type Reading, type StepLimits, type Subject, type Transition } from '../model/incident.ts';
import { fitting, groupsOf, localTime, wanted, type ToldGroup } from '../model/notification.ts';
import { suspectsOwnNetwork } from '../model/recovery.ts';
import type { Settings } from '../model/settings.ts';
import { selectAlertRules } from '../store/alert-rules.ts';
import type { Database, Db } from '../store/db.ts';
import { selectHosts } from '../store/hosts.ts';
import {
  deleteAlertStates, holdAlertGuard, insertIncidents, selectAlertStates, selectIncident, selectIncidentsToTell, selectOpenIncidentsOf, updateIncidentSentence, updateIncidentsEnded, updateIncidentsReopened,
  updateIncidentsResolved, updateIncidentsTold, upsertAlertStates, type ToTell,
} from '../store/incidents.ts';
import { countNotificationsSince, insertNotification, type Target } from '../store/notifications.ts';
import { selectOpenRecoveries } from '../store/recoveries.ts';
import { selectSettings } from '../store/settings.ts';
import { selectUsersPage } from '../store/users.ts';
import { selectWebhookTargets } from '../store/webhook-targets.ts';
import { clusterSubject, loadReadings, type ReadingDeps } from './alert-readings.ts';

/** Incidents of one rule at once; what is beyond is a number in the notification. */
const mostOpen = 500;
/** In one notification, before they are grouped; the rest is in the next. */
const mostTold = 2000;
/** More admins than any lab has */
const mostAdmins = 50;
const hourMs = 3_600_000;
/** A message of the portal that is not taken back by what it was about ends after this. */
const messageKeptMs = 24 * hourMs;

export interface TellDeps { readonly db: Database; /** is there a server for mail? */ readonly mailEnabled: boolean }
export interface EvaluateResult { readonly opened: number; readonly resolved: number; readonly told: boolean }

/** One look at everything. `readings` are older than the guard: whoever held it before has seen much the same. */
export async function evaluateAlerts(deps: ReadingDeps & TellDeps, now: number): Promise<EvaluateResult> {
  const { db } = deps;
  const [rules, before, settings] = await Promise.all([selectAlertRules(db), selectAlertStates(db), selectSettings(db)]);
  const readings = await loadReadings(deps, rules, before, now);
  const ended = await endedMessages(db, before.get(messageRuleId) ?? new Map(), now);
  const limits: StepLimits = { calmMs: settings.alerts.calmMinutes * 60_000, mostOpen };
  return db.transaction(async (tx) => {
    await holdAlertGuard(tx);
    const states = await selectAlertStates(tx);
    const overflow = new Map<string, number>();
    let [opened, resolved] = [0, 0];
    for (const rule of rules) {
      const stepped = step(rule, states.get(rule.id) ?? new Map(), readings.get(rule.id) ?? new Map(), now, limits);
      overflow.set(rule.id, stepped.overflow);
      await apply(tx, rule, stepped.transitions, now);
      opened += stepped.transitions.filter(({ to }) => to === 'open').length;
      resolved += stepped.transitions.filter(({ to }) => to === 'calm').length;
    }
    const known = new Set(rules.map(({ id }) => id));
    for (const [ruleId, left] of states) if (!known.has(ruleId)) resolved += await leave(tx, ruleId, left, ruleId === messageRuleId ? ended : undefined, now, limits);
    return { opened, resolved, told: await tell(tx, deps, { rules, settings, overflow, now }) };
  });
}

async function apply(tx: Db, rule: AlertRule, transitions: readonly Transition[], now: number): Promise<void> {
  const states: AlertState[] = [];
  const opened: (Transition & { to: 'open' } & { incidentId: string })[] = [];
  const gone: string[] = [];
  for (const each of transitions) {
    if (each.to === 'pend') states.push({ subjectId: each.reading.subject.id, phase: 'pending', since: each.since, seenAt: now, incidentId: null });
    else if (each.to === 'see') states.push({ ...each.state, seenAt: now });
    else if (each.to === 'open') {
      const incidentId = randomUUID();
      opened.push({ ...each, incidentId });
      states.push({ subjectId: each.reading.subject.id, phase: 'open', since: now, seenAt: now, incidentId });
    } else if (each.to === 'reopen') states.push({ ...each.state, phase: 'open', since: now, seenAt: now });
    else if (each.to === 'calm') states.push({ ...each.state, phase: 'calm', since: now });
    else gone.push(each.state.subjectId);
  }
  await upsertAlertStates(tx, rule.id, states);
  await deleteAlertStates(tx, rule.id, gone);
  const wordsOf = ({ subject, value, detail }: (Transition & { to: 'open' | 'reopen' })['reading']): Sentence => incidentWords(rule, subject.name, value, detail);
  await insertIncidents(tx, opened.map(({ incidentId, reading }) => ({
    id: incidentId, ruleId: rule.id, condition: rule.condition, subject: reading.subject, severity: rule.severity, sentence: wordsOf(reading), openedAt: now,
  })), now);
  await updateIncidentsReopened(tx, transitions.flatMap((each) => (each.to === 'reopen' && each.state.incidentId !== null ? [{ id: each.state.incidentId, sentence: wordsOf(each.reading) }] : [])), now);
  await settle(tx, transitions, now);
}

/** Ends, by their reason. */
async function settle(tx: Db, transitions: readonly Transition[], now: number): Promise<void> {
  const calm = new Map<EndReason, string[]>();
  for (const each of transitions) if (each.to === 'calm' && each.state.incidentId !== null) calm.set(each.reason, [...(calm.get(each.reason) ?? []), each.state.incidentId]);
  for (const [reason, ids] of calm) await updateIncidentsResolved(tx, ids, reason, now);
  await updateIncidentsEnded(tx, transitions.flatMap((each) => (each.to === 'end' && each.state.incidentId !== null ? [each.state.incidentId] : [])));
}

/** Rules that are deleted, and messages: nothing reads their condition, so `ended` says what is over (undefined: all). */
async function leave(tx: Db, ruleId: string, states: ReadonlyMap<string, AlertState>, ended: ReadonlySet<string> | undefined, now: number, limits: StepLimits): Promise<number> {
  const held = [...states.keys()].filter((id) => ended !== undefined && !ended.has(id))
    .map((id): [string, Reading] => [id, { subject: { ...clusterSubject, id }, verdict: 'held', value: null }]);
  const { transitions } = step({ holdSeconds: 0, enabled: ended !== undefined }, states, new Map(held), now, limits);
  await upsertAlertStates(tx, ruleId, transitions.flatMap((each) => (each.to === 'calm' ? [{ ...each.state, phase: 'calm' as const, since: now }] : [])));
  await deleteAlertStates(tx, ruleId, transitions.flatMap((each) => (each.to === 'end' || each.to === 'drop' ? [each.state.subjectId] : [])));
  await settle(tx, transitions, now);
  return transitions.filter(({ to }) => to === 'calm').length;
}

// ── what the portal reports itself ──────────────────────────────────────────────────────────────────────────────────

/**
 * A sentence for the admins (OperationDeps.alert): opens an incident, or gives an open one its new words; told at once as far
 * as the limit of the hour allows. One incident for a sentence and the host that it is about.
 */
export async function recordMessage(deps: TellDeps, sentence: Sentence, now: number): Promise<void> {
  const host = sentence.params?.['host'];
  const hosts = await selectHosts(deps.db);
  const named = hosts.find((each) => each.name === host);
  const subject: Subject = named === undefined ? { ...clusterSubject, name: typeof host === 'string' ? host : '' } : { kind: 'host', id: named.id, name: named.name };
  const settings = await selectSettings(deps.db);
  const rules = await selectAlertRules(deps.db);
  await deps.db.transaction(async (tx) => {
    await holdAlertGuard(tx);
    const stateId = messageStateId(sentence);
    const state = (await selectAlertStates(tx)).get(messageRuleId)?.get(stateId);
    const incidentId = state?.incidentId ?? randomUUID();
    if (state === undefined) {
      await insertIncidents(tx, [{ id: incidentId, ruleId: messageRuleId, condition: messageCondition, subject, severity: 'critical', sentence, openedAt: now }], now);
    } else {
      if (state.phase === 'calm') await updateIncidentsReopened(tx, [{ id: incidentId, sentence }], now);
      await updateIncidentSentence(tx, incidentId, sentence, now);
    }
    await upsertAlertStates(tx, messageRuleId, [{ subjectId: stateId, phase: 'open', since: now, seenAt: now, incidentId }]);
    await tell(tx, deps, { rules, settings, overflow: new Map(), now });
  });
}

/** The same key and host are the same trouble; the rest of the sentence may change. */
function messageStateId(sentence: Sentence): string {
  return createHash('sha256').update(`${sentence.key} ${String(sentence.params?.['host'] ?? '')}`).digest('hex');
}

/** Messages whose cause is over: the network is in doubt no more, or nothing is left to recover on that host. */
async function endedMessages(db: Db, states: ReadonlyMap<string, AlertState>, now: number): Promise<Set<string>> {
  const ended = new Set<string>();
  if (states.size === 0) return ended;
  const [hosts, recoveries] = await Promise.all([selectHosts(db), selectOpenRecoveries(db)]);
  for (const state of states.values()) {
    if (state.incidentId === null) continue;
    const { sentence } = await selectIncident(db, state.incidentId);
    const host = sentence.params?.['host'];
    const recovery = recoveries.find((each) => each.hostName === host);
    const over = sentence.key === 'recovery.alert.isolated' ? !suspectsOwnNetwork(hosts) : sentence.key.startsWith('recovery.') ? recovery === undefined || recovery.waitsFor === null : false;
    if (over || now - state.seenAt > messageKeptMs) ended.add(state.subjectId);
  }
  return ended;
}

// ── telling ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface IncidentsContent { readonly groups: readonly ToldGroup[] }

interface Tell { readonly rules: readonly AlertRule[]; readonly settings: Settings; readonly overflow: ReadonlyMap<string, number>; readonly now: number }

/** Everything that is still to be told goes into one notification, unless enough were sent in the last hour. */
async function tell(tx: Db, { mailEnabled }: Pick<TellDeps, 'mailEnabled'>, { rules, settings, overflow, now }: Tell): Promise<boolean> {
  const untold = await selectIncidentsToTell(tx, mostTold);
  if (untold.length === 0) return false;
  const byId = new Map(rules.map((rule) => [rule.id, rule]));
  const { minute } = localTime(now, settings.alerts.timeZone);
  const loud = untold.filter(({ incident }) => {
    const rule = byId.get(incident.ruleId);
    return rule === undefined || !isQuiet(rule, minute);
  });
  const due = await withoutLesser(tx, loud, rules);
  if (due.length === 0 || (await countNotificationsSince(tx, 'incidents', now - hourMs)) >= settings.alerts.notificationsPerHour) return false;
  const groups = fitting(groupsOf(due, byId, overflow));
  const targets = await targetsFor(tx, groups, settings, mailEnabled);
  await updateIncidentsTold(tx, due, targets.length > 0 ? now : null);
  const content: IncidentsContent = { groups };
  return targets.length > 0 && insertNotification(tx, { id: randomUUID(), kind: 'incidents', at: now, content }, targets);
}

/** A pool that is 97 % full need not be told to be 85 % full as well: that waits until the worse is over. */
async function withoutLesser(tx: Db, untold: readonly ToTell[], rules: readonly AlertRule[]): Promise<readonly ToTell[]> {
  const rank = (severity: Severity): number => severities.indexOf(severity);
  const graded = rules.map(({ condition }) => condition).filter((condition) => new Set(rules.filter((rule) => rule.condition === condition).map(({ severity }) => severity)).size > 1);
  if (!untold.some(({ incident }) => graded.some((condition) => condition === incident.condition))) return untold;
  const open = await selectOpenIncidentsOf(tx, [...new Set(graded)]);
  const worst = new Map<string, number>();
  for (const { condition, subjectId, severity } of open) worst.set(`${condition} ${subjectId}`, Math.min(rank(severity), worst.get(`${condition} ${subjectId}`) ?? severities.length));
  return untold.filter(({ incident, what }) => what === 'resolved' || rank(incident.severity) <= (worst.get(`${incident.condition} ${incident.subject.id}`) ?? severities.length));
}

async function targetsFor(tx: Db, groups: readonly ToldGroup[], settings: Settings, mailEnabled: boolean): Promise<Target[]> {
  const { mailSeverity, mailResolved } = settings.alerts;
  const mailed = mailEnabled && mailSeverity !== 'none' && wanted(groups, { minSeverity: mailSeverity, resolved: mailResolved }).length > 0;
  const [admins, webhooks] = await Promise.all([mailed ? adminTargets(tx) : [], selectWebhookTargets(tx)]);
  return [...admins, ...webhooks.filter((target) => target.enabled && wanted(groups, target).length > 0).map((target): Target => ({ kind: 'webhook', id: target.id }))];
}

/** Every active admin. */
export async function adminTargets(db: Db): Promise<Target[]> {
  const { users } = await selectUsersPage(db, { role: 'admin', state: 'active' }, mostAdmins, 0);
  return users.map((user) => ({ kind: 'mail', id: user.id }));
}

/** The most urgent of them. */
export function severityOf(groups: readonly ToldGroup[]): Severity {
  return severities.find((severity) => groups.some((group) => group.severity === severity && group.what === 'opened')) ?? 'info';
}
