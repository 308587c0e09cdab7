// How every rule's condition stands now, from the database alone. What depends on something that is away is held, not judged:
// a dead host raises one incident, and none for each of its machines.
import { isMeasure, inScope, levelOf, subjectOf, type AlertRule, type Measure, type StateCondition } from '../model/alert-rule.ts';
import { certificateWarningMs, firstToEnd, lastDay } from '../model/host-check.ts';
import type { AlertState, Reading, Subject, Verdict } from '../model/incident.ts';
import type { Host, StoragePool } from '../model/host.ts';
import {
  selectInstancesInState, selectInstanceStandings, selectMeasuredHosts, selectMeasuredInstances, selectMeasuredInstancesByIds, selectMeasuredPools, selectOperationsOpenSince, selectUnmeasuredInstances,
  type InstanceStanding, type MeasuredSubject,
} from '../store/alert-readings.ts';
import type { Db } from '../store/db.ts';
import { selectDiscrepancies } from '../store/discrepancies.ts';
import { selectGate } from '../store/gate.ts';
import { selectCertificateEnds } from '../store/host-checks.ts';
import { selectHosts } from '../store/hosts.ts';
import { selectJobs } from '../store/jobs.ts';
import { selectPortals } from '../store/portals.ts';
import { selectPools } from '../store/storage-pools.ts';
import { loadNMinusOne } from './n-minus-1.ts';

/** Offenders of one rule that are looked at: one incident each up to StepLimits.mostOpen, the rest is a number. */
const mostOffenders = 5000;
/** A value is the mean of this long. Shorter: one busy sample rings; longer: "for 0 seconds" takes as long. */
const leastWindowMs = 60_000;
/** A portal counts as away after this without a sign of life. */
const portalAwayMs = 45_000;

export const clusterSubject: Subject = { kind: 'cluster', id: 'cluster', name: '' };

export interface ReadingDeps {
  readonly db: Db;
  readonly pollIntervalMs: number;
  /** how often each job is due, milliseconds; one that is not named cannot be late */
  readonly jobPeriods: ReadonlyMap<string, number>;
  /** instead of looking anew each time: with a thousand hosts that takes seconds of CPU */
  readonly nMinusOne?: typeof loadNMinusOne;
}

type Readings = Map<string, Reading>;
type States = ReadonlyMap<string, ReadonlyMap<string, AlertState>>;

/** ruleId → subjectId → reading; who is well and was so before is not in it. Only enabled rules are read. */
export async function loadReadings(deps: ReadingDeps, rules: readonly AlertRule[], states: States, now: number): Promise<Map<string, Readings>> {
  const enabled = rules.filter((rule) => rule.enabled);
  const [hosts, pools] = await Promise.all([selectHosts(deps.db), selectPools(deps.db)]);
  const situation: Situation = { ...deps, hosts, pools, states, now, from: now - Math.max(leastWindowMs, 1.5 * deps.pollIntervalMs) };
  const measured = await readMeasured(situation, enabled.filter((rule) => isMeasure(rule.condition)));
  const stateful = [...new Set(enabled.flatMap(({ condition }) => (isMeasure(condition) ? [] : [condition])))];
  const held = new Map(await Promise.all(stateful.map(async (condition) => [condition, await readState(situation, condition)] as const)));
  return new Map(enabled.map((rule) => [rule.id, isMeasure(rule.condition) ? (measured.get(rule.id) ?? new Map()) : chosen(rule, held.get(rule.condition) ?? [])]));
}

interface Situation extends ReadingDeps { readonly hosts: readonly Host[]; readonly pools: readonly StoragePool[]; readonly states: States; readonly now: number; readonly from: number }

function chosen(rule: AlertRule, readings: readonly Reading[]): Readings {
  return new Map(readings.filter(({ subject }) => inScope(rule, subject.id)).map((reading) => [reading.subject.id, reading]));
}

// ── measured values ─────────────────────────────────────────────────────────────────────────────────────────────────

async function readMeasured(situation: Situation, rules: readonly AlertRule[]): Promise<Map<string, Readings>> {
  const of = (kind: 'host' | 'pool' | 'instance'): AlertRule[] => rules.filter((rule) => subjectOf(rule.condition) === kind);
  const [hosts, pools, instances] = await Promise.all([
    readOwners(situation, of('host'), selectMeasuredHosts), readOwners(situation, of('pool'), selectMeasuredPools), readInstances(situation, of('instance')),
  ]);
  return new Map([...hosts, ...pools, ...instances]);
}

const measureOf = (rule: AlertRule): Measure => rule.condition as Measure;

async function readOwners(situation: Situation, rules: readonly AlertRule[], select: typeof selectMeasuredHosts): Promise<[string, Readings][]> {
  if (rules.length === 0) return [];
  const { db, hosts, pools, from, now } = situation;
  const found = await select(db, [...new Set(rules.map(measureOf))], from, now);
  const standing = (id: string): Verdict => {
    const host = hosts.find((each) => each.id === id);
    if (host !== undefined) return host.state === 'up' ? 'missing' : 'held';
    return pools.some((pool) => pool.id === id) ? 'missing' : 'gone';
  };
  return rules.map((rule) => [rule.id, judged(situation, rule, found, standing)]);
}

async function readInstances(situation: Situation, rules: readonly AlertRule[]): Promise<[string, Readings][]> {
  if (rules.length === 0) return [];
  const { db, hosts, states, from, now } = situation;
  const known = [...new Set(rules.flatMap((rule) => [...(states.get(rule.id)?.keys() ?? [])]))];
  const interests = rules.map((rule) => ({ measure: measureOf(rule), direction: rule.direction, edge: rule.limit }));
  const [past, again, standings] = await Promise.all([
    selectMeasuredInstances(db, interests, from, now, mostOffenders),
    selectMeasuredInstancesByIds(db, known, [...new Set(rules.map(measureOf))], from, now),
    selectInstanceStandings(db, known),
  ]);
  const found = [...new Map([...past, ...again].map((subject) => [subject.id, subject])).values()];
  const standingOf = new Map(standings.map((instance) => [instance.id, instance]));
  const up = new Set(hosts.filter((host) => host.state === 'up').map((host) => host.id));
  return rules.map((rule) => [rule.id, judged(situation, rule, found, (id) => verdictOf(standingOf.get(id), up), standingOf)]);
}

/** Of a machine without samples. */
function verdictOf(instance: InstanceStanding | undefined, up: ReadonlySet<string>): Verdict {
  if (instance === undefined) return 'gone';
  if (instance.hostId !== null && !up.has(instance.hostId)) return 'held';
  return instance.state === 'running' || instance.state === 'paused' ? 'missing' : 'off';
}

/** Those with values by their values; those that the rule knows already and that have none by where they stand. */
function judged({ states }: Situation, rule: AlertRule, found: readonly MeasuredSubject[], standing: (id: string) => Verdict, standings?: ReadonlyMap<string, InstanceStanding>): Readings {
  const kind = subjectOf(rule.condition);
  const readings: Readings = new Map();
  for (const { id, name, values } of found) {
    const value = values.get(measureOf(rule));
    if (value === undefined || !inScope(rule, id)) continue;
    // switched off a moment ago: its last samples are of a machine that ran
    const off = standings !== undefined && standings.has(id) && standing(id) === 'off';
    readings.set(id, { subject: { kind, id, name }, verdict: off ? 'off' : levelOf(rule, value), value });
  }
  for (const id of states.get(rule.id)?.keys() ?? []) {
    // what the rule is not about any more counts as well
    if (!readings.has(id) && inScope(rule, id)) readings.set(id, { subject: { kind, id, name: '' }, verdict: standing(id), value: null });
  }
  return readings;
}

// ── states ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Those for which it holds, and those that cannot be judged. */
async function readState(situation: Situation, condition: StateCondition): Promise<Reading[]> {
  const { db, hosts, now, from } = situation;
  switch (condition) {
    case 'host.unreachable':
      // in maintenance somebody is working on it
      return hosts.filter((host) => (host.state === 'unreachable' || host.state === 'fenced') && host.wish !== 'maintenance')
        .map((host) => bad({ kind: 'host', id: host.id, name: host.name }, { since: host.stateSince, detail: { reason: host.reason ?? '–' } }));
    case 'host.certificate':
      return endingCertificates(situation);
    case 'instance.failed':
    case 'instance.lost': {
      const found = await selectInstancesInState(db, condition === 'instance.lost' ? 'lost' : 'failed', mostOffenders);
      return found.map((instance) => bad(asSubject(instance), { since: instance.stateAt }));
    }
    case 'instance.unmeasured':
      return (await selectUnmeasuredInstances(db, from, now, mostOffenders)).map((instance) => bad(asSubject(instance))).concat(await heldInstances(situation));
    case 'portal.away':
      return awayPortals(situation);
    case 'job.late':
      return lateJobs(situation);
    case 'operation.stuck': {
      const found = await selectOperationsOpenSince(db, from, mostOffenders);
      return found.map(({ id, kind, createdAt }) => bad({ kind: 'operation', id, name: kind }, { since: createdAt, detail: { kind: `$operations.kind.${kind}` } }));
    }
    case 'cluster.n-minus-1': {
      const { worst, verdict } = await (situation.nMinusOne ?? loadNMinusOne)(db, now);
      return verdict === 'at-risk' && worst !== null ? [bad(clusterSubject, { detail: { host: worst.host.name, total: worst.unfit.length } })] : [];
    }
    case 'cluster.gate': {
      const gate = await selectGate(db);
      return gate.closed ? [bad(clusterSubject, { since: gate.since })] : [];
    }
    case 'cluster.discrepancies': {
      const found = await selectDiscrepancies(db);
      return found.length > 0 ? [bad(clusterSubject, { detail: { total: found.length } })] : [];
    }
  }
}

function bad(subject: Subject, more: Pick<Reading, 'since' | 'detail'> = {}): Reading {
  return { subject, verdict: 'bad', value: null, ...more };
}

function asSubject(instance: InstanceStanding): Subject {
  return { kind: 'instance', id: instance.id, name: instance.name };
}

/** Machines that were without samples and whose host is away now: that is another incident. */
async function heldInstances({ db, hosts, states }: Situation): Promise<Reading[]> {
  const known = [...new Set([...states.values()].flatMap((each) => [...each.keys()]))];
  const up = new Set(hosts.filter((host) => host.state === 'up').map((host) => host.id));
  return (await selectInstanceStandings(db, known)).filter((instance) => verdictOf(instance, up) === 'held').map((instance) => ({ ...bad(asSubject(instance)), verdict: 'held' as const }));
}

/** As the last look found them: of a host that is away since, the last one before. */
async function endingCertificates({ db, hosts, now }: Situation): Promise<Reading[]> {
  const ends = await selectCertificateEnds(db);
  return hosts.flatMap((host) => {
    const first = firstToEnd(ends.get(host.id) ?? []);
    if (first === undefined || first.notAfter - now >= certificateWarningMs) return [];
    return [bad({ kind: 'host', id: host.id, name: host.name }, { detail: { whose: `$hosts.certificate.${first.of}`, date: lastDay(first) } })];
  });
}

async function awayPortals({ db, now }: Situation): Promise<Reading[]> {
  const portals = await selectPortals(db);
  // their times are the database's; the newest of them is about now there
  const newest = Math.max(...portals.map((portal) => portal.seenAt));
  return portals.filter((portal) => portal.stoppedAt === null && newest - portal.seenAt > portalAwayMs)
    .map((portal) => bad({ kind: 'portal', id: portal.id, name: portal.name }, { since: Math.min(now, now - (newest - portal.seenAt)) }));
}

/** Without a run in three of its periods while a portal ran, or failing: when all portals were down nothing ran, and what runs by the hour comes an hour after their start. */
async function lateJobs({ db, jobPeriods, now }: Situation): Promise<Reading[]> {
  const [jobs, portals] = await Promise.all([selectJobs(db), selectPortals(db)]);
  const newest = Math.max(...portals.map((portal) => portal.seenAt));
  const living = portals.filter((portal) => portal.stoppedAt === null && newest - portal.seenAt <= portalAwayMs);
  const upForMs = living.length === 0 ? Number.POSITIVE_INFINITY : newest - Math.min(...living.map((portal) => portal.startedAt));
  return jobs.flatMap(({ name, endedAt, startedAt, error }): Reading[] => {
    const periodMs = jobPeriods.get(name);
    if (periodMs === undefined) return [];
    const subject: Subject = { kind: 'job', id: name, name };
    const last = Math.max(endedAt ?? 0, startedAt ?? 0);
    if (last > 0 && Math.min(now - last, upForMs) > 3 * periodMs + leastWindowMs) return [bad(subject, { detail: { reason: '$alerts.job-silent' } })];
    return error === null ? [] : [bad(subject, { detail: { reason: error } })];
  });
}
