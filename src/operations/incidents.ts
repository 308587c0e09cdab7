// Looking, opening and ending incidents, and writing what is to be told: everything in one transaction under the guard, so that
// of two portals that look at once one finds it done.
import { randomUUID, createHash } from 'node:crypto';
import type { Sentence } from '../errors.ts';
import { incidentWords, isQuiet, messageCondition, messageRuleId, severities, type AlertRule, type Severity } from '../model/alert-rule.ts';
import type { Host } from '../model/host.ts';
import { step, type AlertState, type EndReason, type Reading, type StepLimits, type Subject, type Transition } from '../model/incident.ts';
import { fitting, groupsOf, localTime, wants, type ToldGroup, type Untold, type Wish } from '../model/notification.ts';
import { suspectsOwnNetwork, type Recovery } from '../model/recovery.ts';
import type { Settings } from '../model/settings.ts';
import { selectAlertRules } from '../store/alert-rules.ts';
import type { Database, Db } from '../store/db.ts';
import { selectHosts } from '../store/hosts.ts';
import {
  deleteAlertStates, holdAlertGuard, insertIncidents, selectAlertState, selectAlertStates, selectIncident, selectIncidentsToTell, selectOpenIncidentsOf, updateIncidentSentence, updateIncidentsEnded, updateIncidentsReopened,
  updateIncidentsResolved, updateIncidentsTold, upsertAlertStates,
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
/** A message of the portal ends after this when nothing tells whether what it was about is over. */
const messageKeptMs = 24 * hourMs;

export interface TellDeps { readonly db: Database; /** is there a server for mail? */ readonly mailEnabled: boolean }
export interface EvaluateResult { readonly opened: number; readonly resolved: number; readonly told: boolean }

/** One look at everything. `readings` are older than the guard: whoever held it before has seen much the same. */
export async function evaluateAlerts(deps: ReadingDeps & TellDeps, now: number): Promise<EvaluateResult> {
  const { db } = deps;
  const [rules, before, settings] = await Promise.all([selectAlertRules(db), selectAlertStates(db, 'plain'), selectSettings(db)]);
  const readings = await loadReadings(deps, rules, before, now);
  const limits: StepLimits = { calmMs: settings.alerts.calmMinutes * 60_000, mostOpen };
  return db.transaction(async (tx) => {
    await holdAlertGuard(tx);
    const states = await selectAlertStates(tx, 'locked');
    const overflow = new Map<string, number>();
    let [opened, resolved] = [0, 0];
    for (const rule of rules) {
      const stepped = step(rule, states.get(rule.id) ?? new Map(), readings.get(rule.id) ?? new Map(), now, limits);
      overflow.set(rule.id, stepped.overflow);
      await apply(tx, rule, stepped.transitions, now);
      opened += stepped.transitions.filter(({ to }) => to === 'open').length;
      resolved += stepped.transitions.filter(({ to }) => to === 'calm').length;
    }
    // under the guard: one that was reported again a moment ago is not over
    const ended = await endedMessages(tx, states.get(messageRuleId) ?? new Map(), now);
    const known = new Set(rules.map(({ id }) => id));
    for (const [ruleId, left] of states) if (!known.has(ruleId)) resolved += await leave(tx, ruleId, left, ruleId === messageRuleId ? ended : undefined, now, limits);
    return { opened, resolved, told: await tell(tx, deps, { rules, settings, overflow, now, pastLimit: true }) };
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
 * A sentence for the admins as an incident, one for its key and the host that it is about. In the transaction of what it reports,
 * so that it is not lost with the portal: whichever looks next tells it. Nothing may be read in that before. An open one said again
 * in the same words stays as it is; in other words it is told again.
 */
export async function recordMessage(tx: Db, sentence: Sentence, now: number): Promise<void> {
  await holdAlertGuard(tx);
  const stateId = messageStateId(sentence);
  const state = await selectAlertState(tx, messageRuleId, stateId);
  const incidentId = state?.incidentId ?? randomUUID();
  if (state === undefined) {
    const subject = await messageSubject(tx, sentence);
    await insertIncidents(tx, [{ id: incidentId, ruleId: messageRuleId, condition: messageCondition, subject, severity: 'critical', sentence, openedAt: now }], now);
  } else if (state.phase === 'calm') {
    await updateIncidentsReopened(tx, [{ id: incidentId, sentence }], now);
    await updateIncidentSentence(tx, incidentId, sentence, now);
  } else if (JSON.stringify((await selectIncident(tx, incidentId)).sentence) !== JSON.stringify(sentence)) {
    await updateIncidentSentence(tx, incidentId, sentence, now);
  }
  await upsertAlertStates(tx, messageRuleId, [{ subjectId: stateId, phase: 'open', since: now, seenAt: now, incidentId }]);
}

/** Records it (OperationDeps.alert), and tells it at once as far as the limit of the hour allows; else the next look does. */
export async function tellMessage(deps: TellDeps, sentence: Sentence, now: number): Promise<void> {
  const [settings, rules] = await Promise.all([selectSettings(deps.db), selectAlertRules(deps.db)]);
  await deps.db.transaction(async (tx) => {
    await recordMessage(tx, sentence, now);
    await tell(tx, deps, { rules, settings, overflow: new Map(), now, pastLimit: false });
  });
}

async function messageSubject(db: Db, sentence: Sentence): Promise<Subject> {
  const host = sentence.params?.['host'];
  const named = (await selectHosts(db)).find((each) => each.name === host);
  return named === undefined ? { ...clusterSubject, name: typeof host === 'string' ? host : '' } : { kind: 'host', id: named.id, name: named.name };
}

/** The same key and host are the same trouble; the rest of the sentence may change. */
function messageStateId(sentence: Sentence): string {
  return createHash('sha256').update(`${sentence.key} ${String(sentence.params?.['host'] ?? '')}`).digest('hex');
}

/** Messages whose cause is over. */
async function endedMessages(db: Db, states: ReadonlyMap<string, AlertState>, now: number): Promise<Set<string>> {
  const ended = new Set<string>();
  if (states.size === 0) return ended;
  const [hosts, recoveries] = await Promise.all([selectHosts(db), selectOpenRecoveries(db)]);
  for (const state of states.values()) {
    if (state.incidentId === null) continue;
    const { sentence } = await selectIncident(db, state.incidentId);
    if (isOver(sentence, hosts, recoveries) ?? now - state.seenAt > messageKeptMs) ended.add(state.subjectId);
  }
  return ended;
}

/** The network is in doubt no more, or the recovery of that host waits for nothing. undefined: it cannot be told. */
function isOver({ key, params }: Sentence, hosts: readonly Host[], recoveries: readonly Recovery[]): boolean | undefined {
  if (key === 'recovery.alert.isolated') return !suspectsOwnNetwork(hosts);
  if (!key.startsWith('recovery.')) return undefined;
  const waitsFor = recoveries.find(({ hostName }) => hostName === params?.['host'])?.waitsFor?.key;
  return key === 'recovery.alert.disk-in-use' ? waitsFor !== 'recovery.waits.disks' : waitsFor === undefined;
}

// ── telling ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface IncidentsContent { readonly groups: readonly ToldGroup[] }

interface Tell { readonly rules: readonly AlertRule[]; readonly settings: Settings; readonly overflow: ReadonlyMap<string, number>; readonly now: number; /** the hour's */ readonly pastLimit: boolean }

/**
 * Everything that is still to be told goes into one notification. When enough were sent in the last hour it waits, but what is
 * critical and new does not wait where `pastLimit` says so: of that there is one for each look at most.
 */
async function tell(tx: Db, { mailEnabled }: Pick<TellDeps, 'mailEnabled'>, { rules, settings, overflow, now, pastLimit }: Tell): Promise<boolean> {
  const untold = await selectIncidentsToTell(tx, mostTold);
  if (untold.length === 0) return false;
  const byId = new Map(rules.map((rule) => [rule.id, rule]));
  const { minute } = localTime(now, settings.alerts.timeZone);
  const loud = untold.filter(({ incident }) => {
    const rule = byId.get(incident.ruleId);
    return rule === undefined || !isQuiet(rule, minute);
  });
  const due = await withoutLesser(tx, loud, rules);
  if (due.length === 0) return false;
  const urgent = pastLimit && due.some(isNewAndCritical);
  if (!urgent && (await countNotificationsSince(tx, 'incidents', now - hourMs)) >= settings.alerts.notificationsPerHour) return false;
  const receivers = await selectReceivers(tx, settings, mailEnabled);
  const gathered = groupsOf(due, byId, overflow);
  const heard = gathered.filter(({ group }) => receivers.some(({ wish }) => wants(wish, group)));
  const groups = fitting(heard.map(({ group }) => group));
  // what finds no room is still to be told
  await updateIncidentsTold(tx, heard.slice(0, groups.length).flatMap(({ members }) => members), now);
  await updateIncidentsTold(tx, gathered.filter((each) => !heard.includes(each)).flatMap(({ members }) => members), null);
  const targets = receivers.filter(({ wish }) => groups.some((group) => wants(wish, group))).map(({ target }) => target);
  const content: IncidentsContent = { groups };
  return targets.length > 0 && insertNotification(tx, { id: randomUUID(), kind: 'incidents', at: now, content }, targets);
}

function isNewAndCritical({ incident, what }: Untold): boolean {
  return what === 'opened' && incident.severity === 'critical' && incident.toldAt === null;
}

/** A pool that is 97 % full need not be told to be 85 % full as well: that waits until the worse is over. */
async function withoutLesser(tx: Db, untold: readonly Untold[], rules: readonly AlertRule[]): Promise<readonly Untold[]> {
  const rank = (severity: Severity): number => severities.indexOf(severity);
  const graded = rules.map(({ condition }) => condition).filter((condition) => new Set(rules.filter((rule) => rule.condition === condition).map(({ severity }) => severity)).size > 1);
  if (!untold.some(({ incident }) => graded.some((condition) => condition === incident.condition))) return untold;
  const open = await selectOpenIncidentsOf(tx, [...new Set(graded)]);
  const worst = new Map<string, number>();
  for (const { condition, subjectId, severity } of open) worst.set(`${condition} ${subjectId}`, Math.min(rank(severity), worst.get(`${condition} ${subjectId}`) ?? severities.length));
  return untold.filter(({ incident, what }) => what === 'resolved' || rank(incident.severity) <= (worst.get(`${incident.condition} ${incident.subject.id}`) ?? severities.length));
}

interface Receiver { readonly target: Target; readonly wish: Wish }

async function selectReceivers(tx: Db, { alerts: { mailSeverity, mailResolved } }: Settings, mailEnabled: boolean): Promise<Receiver[]> {
  const wish: Wish | undefined = !mailEnabled || mailSeverity === 'none' ? undefined : { minSeverity: mailSeverity, resolved: mailResolved };
  const [admins, webhooks] = await Promise.all([wish === undefined ? [] : adminTargets(tx), selectWebhookTargets(tx)]);
  return [
    ...(wish === undefined ? [] : admins.map((target) => ({ target, wish }))),
    ...webhooks.filter(({ enabled }) => enabled).map((webhook): Receiver => ({ target: { kind: 'webhook', id: webhook.id }, wish: webhook })),
  ];
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
