// A lost host: ask once more · prove that it runs nothing · start its instances elsewhere, as far as they fit. Without
// proof nothing is started, ever: it waits, and looks meanwhile whether the host comes back by itself.
import { randomUUID } from 'node:crypto';
import { AppError, say } from '../errors.ts';
import type { CallOptions, Hypervisor } from '../libvirt/hypervisor.ts';
import type { FenceProof, Host } from '../model/host.ts';
import type { Operation } from '../model/operation.ts';
import { emptyReport, suspectsOwnNetwork, type Recovery } from '../model/recovery.ts';
import type { User } from '../model/user.ts';
import type { Db } from '../store/db.ts';
import { selectRunningDrill } from '../store/drills.ts';
import { insertHostEvent } from '../store/host-events.ts';
import { claimHostFenced, selectHosts, selectOptionalHost } from '../store/hosts.ts';
import { insertInstanceEvent } from '../store/instance-events.ts';
import { selectInstancesByIds, updateObservedInstance } from '../store/instances.ts';
import { insertOperation, selectNamedOperation, updateOperationReady } from '../store/operations.ts';
import {
  claimHostRecovery, claimHostStillUnreachable, claimRecoveryAlert, claimRecoveryConfirmed, selectHostRecoveryId, selectOptionalRecovery, selectRunningInstanceIds,
  updateHostOwesNothing, updateInstancesOwed, updateRecovery, updateRecoveryEnded, updateRecoveryForced, type RecoveryChange,
} from '../store/recoveries.ts';
import { selectSettings } from '../store/settings.ts';
import type { OperationDeps } from './deps.ts';
import { loadFenceTarget } from './fence.ts';
import { restartInstances, tryOneRestart } from './host-restarts.ts';
import { recordMessage } from './incidents.ts';
import type { Definition, OperationEnd, RunAgain, Step, StepRun } from './step.ts';

/** How long a host gets to answer when it is asked once more. Longer: every recovery waits for it. Shorter: a busy daemon counts as gone. */
const askMs = 5000;
/** Between two attempts of a fence agent that failed; boards that are restarting take about a minute. */
const fenceAgainMs = 15_000;
/** Between two looks while it waits: for a person, for the host, for room. What changes wakes it sooner. */
const lookAgainMs = 1000;

const confirmStep: Step = { name: 'confirm', run: confirm };
const proveStep: Step = { name: 'prove', run: prove };
const restartStep: Step = { name: 'restart', run: restart };

export const hostRecover: Definition = { kind: 'host-recover', steps: [confirmStep, proveStep, restartStep], onDone: ended, onFailed: failed };

interface RecoverInput { readonly hostId: string }

export interface RecoverOptions {
  /** null: the system */
  readonly actor: Pick<User, 'id'> | null;
  /** an admin says that it is the host, not our network */
  readonly forced?: boolean;
  /** the actor says that it has no power */
  readonly confirmed?: boolean;
}

/**
 * Begins its recovery, or finds the one that goes on. The operation has no host of its own: behind those that wait for
 * the lost host it would never have its turn.
 */
export async function submitHostRecover(deps: OperationDeps, host: Host, { actor, forced = false, confirmed = false }: RecoverOptions): Promise<Operation> {
  const id = randomUUID();
  const createdAt = deps.clock.now();
  const drill = (await selectRunningDrill(deps.db))?.hostId === host.id;
  const current = await deps.db.transaction(async (tx) => {
    const won = await claimHostRecovery(tx, {
      id, hostId: host.id, hostName: host.name, drill, userId: actor?.id ?? null, forced, confirmedBy: confirmed ? (actor?.id ?? null) : null,
      seenAt: host.seenAt, noticedAt: host.stateSince, report: emptyReport,
    });
    if (!won) return (await selectHostRecoveryId(tx, host.id)) ?? id;
    const input: RecoverInput = { hostId: host.id };
    await insertOperation(tx, { id, kind: 'host-recover', instanceId: null, hostId: null, userId: actor?.id ?? null, input, stepNames: hostRecover.steps.map((step) => step.name), createdAt });
    return id;
  });
  if (current !== id) {
    if (forced) await updateRecoveryForced(deps.db, current);
    if (confirmed && actor !== null) await claimRecoveryConfirmed(deps.db, current, actor.id);
    await updateOperationReady(deps.db, current);
  }
  deps.wake();
  return selectNamedOperation(deps.db, current);
}

/** An admin has switched it off. Throws conflict when it answers, or was proven gone before. */
export async function confirmPoweredOff(deps: OperationDeps, host: Host, actor: Pick<User, 'id'>): Promise<Operation> {
  if (host.state === 'up') throw new AppError('conflict', say('recovery.refused.answers', { host: host.name }));
  if (host.state === 'unknown') throw new AppError('conflict', say('recovery.refused.not-lost', { host: host.name }));
  if (host.state === 'fenced' && host.fenceProof !== 'lock') throw new AppError('conflict', say('recovery.refused.proven', { host: host.name }));
  if (await answers(deps, host)) throw new AppError('conflict', say('recovery.refused.answers', { host: host.name }));
  return submitHostRecover(deps, host, { actor, forced: true, confirmed: true });
}

// ── confirm ─────────────────────────────────────────────────────────────────────────────────────────────────────────

interface Situation { readonly recovery: Recovery; readonly host: Host }

/** undefined: there is nothing left to do for it. */
async function situationOf(run: StepRun): Promise<Situation | undefined> {
  const [recovery, host] = await Promise.all([selectOptionalRecovery(run.deps.db, run.operation.id), selectOptionalHost(run.deps.db, (run.input as RecoverInput).hostId)]);
  if (recovery === undefined || host === undefined || recovery.endedAt !== null || recovery.state === 'returned') return undefined;
  return { recovery, host };
}

async function confirm(run: StepRun): Promise<void> {
  const situation = await situationOf(run);
  if (situation === undefined) return;
  const { host } = situation;
  if (host.state === 'up' || (host.state !== 'fenced' && (await answers(run.deps, host, run.signal)))) return returned(run, situation);
  await change(run, { state: 'proving' });
}

/** Over a connection of its own: the one that we keep may be what is broken. */
async function answers(deps: Pick<OperationDeps, 'openHost'>, host: Host, signal?: AbortSignal): Promise<boolean> {
  const hypervisor = deps.openHost(host.uri, { connectTimeoutMs: askMs });
  const options = { timeoutMs: askMs, ...(signal === undefined ? {} : { signal }) };
  try {
    await firstAttempt(hypervisor, options);
    await hypervisor.node.getHostname(options);
    return true;
  } catch {
    return false;
  } finally {
    await hypervisor.close();
  }
}

/** Unlike `ready`, which goes on trying. */
function firstAttempt(hypervisor: Hypervisor, options: CallOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = hypervisor.onStatus(({ state, reason }) => {
      if (state === 'down') reject(new Error(reason ?? 'down'));
    });
    hypervisor.ready(options).then(resolve, reject).finally(stop);
  });
}

/** It was back before anything was done: nothing is done, and nothing will be. */
async function returned(run: StepRun, { host, recovery }: Situation): Promise<void> {
  const now = run.deps.clock.now();
  await run.transaction(async (tx) => {
    await updateHostOwesNothing(tx, host.id);
    await updateRecovery(tx, recovery.id, { state: 'returned', waitsFor: null });
    await insertHostEvent(tx, { id: recovery.id, hostId: host.id, at: now, kind: 'recovery', userId: null, sentence: say('recovery.event.returned') });
  });
}

async function change(run: StepRun, to: RecoveryChange): Promise<void> {
  await run.transaction((tx) => updateRecovery(tx, run.operation.id, to));
}

// ── prove ───────────────────────────────────────────────────────────────────────────────────────────────────────────

async function prove(run: StepRun): Promise<RunAgain | void> {
  const situation = await situationOf(run);
  if (situation === undefined) return;
  const { host, recovery } = situation;
  // fenced by an earlier recovery, or a trial start has won the disk's lock; a person's word proves more than that
  if (host.state === 'fenced' && (recovery.confirmedBy === null || host.fenceProof !== 'lock')) return proven(run, situation, host.fenceProof ?? 'admin');
  if (host.state === 'up') {
    // a trial that is under way ends by itself, one way or the other
    if ((await tryOneRestart(run, situation, { mayBegin: false })) === 'running') return { againAfterMs: lookAgainMs };
    return returned(run, situation);
  }
  const again = { againAfterMs: lookAgainMs };
  if (recovery.confirmedBy !== null) {
    if (host.state !== 'fenced' && (await answers(run.deps, host, run.signal))) return returned(run, situation);
    return proven(run, situation, 'admin');
  }
  if (!recovery.forced && suspectsOwnNetwork(await selectHosts(run.deps.db))) {
    await waitFor(run, situation, 'isolated');
    return again;
  }
  const fenced = await fence(run, situation);
  if (fenced === 'off') return proven(run, situation, 'agent');
  if (fenced === 'answers') return returned(run, situation);
  const { availability } = await selectSettings(run.deps.db);
  if (availability.proof === 'fencing-or-lock') {
    const trial = await tryOneRestart(run, situation, { mayBegin: true });
    if (trial === 'no-candidates') await waitFor(run, situation, fenced === 'none' ? 'proof' : 'agent');
    else if (trial === 'locked') await waitFor(run, situation, 'lock');
    return again;
  }
  await waitFor(run, situation, fenced === 'none' ? 'proof' : 'agent');
  return again;
}

/** none: it has no agent · off: proven · answers: it is back · failed: now or a moment ago */
async function fence(run: StepRun, { host, recovery }: Situation): Promise<'none' | 'off' | 'answers' | 'failed'> {
  const { deps, signal } = run;
  if (host.fenceAgent === null) return 'none';
  const now = deps.clock.now();
  if (recovery.fenceTriedAt !== null && now - recovery.fenceTriedAt < fenceAgainMs) return 'failed';
  // it has waited for something since it was asked: asked again before something is done that cannot be taken back
  if (recovery.state !== 'proving' && (await answers(deps, host, signal))) return 'answers';
  await change(run, { fenceTriedAt: now });
  try {
    const target = await loadFenceTarget(deps, host.id);
    if (target === undefined) return 'none';
    await deps.fencing.powerOff(target, { signal });
    return 'off';
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof AppError)) throw error;
    deps.log.warn({ hostId: host.id, host: host.name, agent: host.fenceAgent, err: error }, 'fence agent failed');
    await insertHostEvent(deps.db, { hostId: host.id, at: deps.clock.now(), kind: 'fence', userId: null, sentence: say('recovery.event.fence-failed'), reason: error.sentence });
    return 'failed';
  }
}

/** Says what it waits for, and tells the admins once; the message is recorded with that, because this portal may end before it is sent. */
async function waitFor(run: StepRun, { host, recovery }: Situation, what: 'proof' | 'agent' | 'lock' | 'isolated'): Promise<void> {
  const { deps } = run;
  const sentence = say(`recovery.waits.${what}`, { host: host.name });
  if (recovery.state !== 'waiting' || recovery.waitsFor?.key !== sentence.key) await change(run, { state: 'waiting', waitsFor: sentence });
  if (recovery.alertedAt !== null) return;
  const claimed = await run.transaction(async (tx) => {
    const now = deps.clock.now();
    const won = await claimRecoveryAlert(tx, recovery.id, now);
    if (won) await recordMessage(tx, sentence, now);
    return won;
  });
  if (claimed) deps.alert(sentence);
}

/** From here on its instances may be started elsewhere. */
async function proven(run: StepRun, { host, recovery }: Situation, proof: FenceProof): Promise<RunAgain | void> {
  const now = run.deps.clock.now();
  const stopped = await run.transaction(async (tx) => {
    // a person was asked about a silent host; it may have come back while they answered
    if (proof === 'admin' && host.state !== 'fenced' && !(await claimHostStillUnreachable(tx, host.id))) return undefined;
    if (await claimHostFenced(tx, host.id, proof, now)) {
      await insertHostEvent(tx, { id: recovery.id, hostId: host.id, at: now, kind: 'fence', userId: recovery.confirmedBy, sentence: say(`recovery.event.fenced.${proof}`, { instance: '' }) });
    }
    await updateInstancesOwed(tx, host.id, recovery.id);
    const count = proof === 'lock' ? 0 : await powerGone(tx, host, now);
    const report = { ...recovery.report, stopped: recovery.report.stopped + count };
    await updateRecovery(tx, recovery.id, { state: 'restarting', provenAt: recovery.provenAt ?? now, proof, waitsFor: null, report });
    return count;
  });
  if (stopped === undefined) return { againAfterMs: 0 };
  run.deps.log.warn({ hostId: host.id, host: host.name, proof }, 'host is fenced');
}

/** What ran there does not any more; how many of it stay off. A lock tells only of one instance, so that the others stay as they were seen last. */
async function powerGone(tx: Db, host: Host, now: number): Promise<number> {
  const instances = await selectInstancesByIds(tx, await selectRunningInstanceIds(tx, host.id));
  for (const instance of instances) {
    const problem = say(instance.ha ? 'recovery.problem.restarting' : 'recovery.problem.host-gone', { host: host.name });
    if (!(await updateObservedInstance(tx, instance, { state: 'stopped', consolePort: null, consoleExpiresAt: null, problem }, now))) continue;
    await insertInstanceEvent(tx, { instanceId: instance.id, at: now, userId: null, sentence: say('recovery.diary.host-gone', { host: host.name }) });
  }
  return instances.filter((instance) => !instance.ha).length;
}

// ── restart ─────────────────────────────────────────────────────────────────────────────────────────────────────────

async function restart(run: StepRun): Promise<RunAgain | void> {
  const situation = await situationOf(run);
  if (situation === undefined) return;
  const { host, recovery } = situation;
  // proven by a lock alone, and now a person has switched it off: that counts for all that was there
  if (recovery.confirmedBy !== null && recovery.proof === 'lock' && host.state === 'fenced') await proven(run, situation, 'admin');
  return restartInstances(run, situation);
}

// ── ends ────────────────────────────────────────────────────────────────────────────────────────────────────────────

async function ended(tx: Db, { operation, now }: OperationEnd): Promise<void> {
  const recovery = await selectOptionalRecovery(tx, operation.id);
  if (recovery === undefined) return;
  const state = recovery.state === 'returned' ? 'returned' : 'done';
  await updateRecoveryEnded(tx, recovery.id, recovery.hostId, state, now);
  if (state === 'returned') return;
  const { restarted, owed } = recovery.report;
  // an id of its own that a repeated transaction makes again
  const id = `${recovery.id.slice(0, 35)}e`;
  await insertHostEvent(tx, { id, hostId: recovery.hostId, at: now, kind: 'recovery', userId: null, sentence: say('recovery.event.done', { restarted, owed }) });
}

async function failed(tx: Db, { operation, now }: OperationEnd): Promise<void> {
  const recovery = await selectOptionalRecovery(tx, operation.id);
  if (recovery !== undefined) await updateRecoveryEnded(tx, recovery.id, recovery.hostId, recovery.state === 'returned' ? 'returned' : 'failed', now);
}
