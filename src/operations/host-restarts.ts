// The instances of a lost host, started elsewhere: by priority, within what fits. What does not fit waits for room, or for
// its host; and the trial start, by which the lock of a disk proves that the old copy is gone.
import { randomUUID } from 'node:crypto';
import { AppError, say } from '../errors.ts';
import type { Fleet } from '../model/admission.ts';
import { planFailover, type FailoverInput, type FailoverPlan } from '../model/failover.ts';
import type { Host } from '../model/host.ts';
import type { Instance } from '../model/instance.ts';
import type { Move } from '../model/move.ts';
import type { Recovery, RecoveryReport, Unfit } from '../model/recovery.ts';
import { claimInstance } from '../store/instances.ts';
import { selectMovesByBatch } from '../store/moves.ts';
import { insertOperation } from '../store/operations.ts';
import { selectOwedInstances, updateInstanceNotOwed, updateInstancesOwed, updateRecovery } from '../store/recoveries.ts';
import type { OperationDeps } from './deps.ts';
import { instanceStart } from './instance-power.ts';
import { recordMessage } from './incidents.ts';
import { diskInUse, loadFailover, submitInstanceRecover, type RestartGround } from './instance-recover.ts';
import { observeInstance } from './reconcile.ts';
import type { RunAgain, StepRun } from './step.ts';

interface Situation { readonly recovery: Recovery; readonly host: Host }

/** A host on which an instance did not start is not tried again with it for so long, milliseconds; one whose disk is in use, neither. */
const tryAgainMs = 30_000;
const diskInUseAgainMs = 5000;
/** Ends of restarts are looked for in this rhythm; what waits for room in the other one. */
const underWayMs = 300;
const waitingMs = 2000;
/** Names in a report */
const mostUnfit = 50;

// ── all of them ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** One round. It is over when nothing is owed any more: all run elsewhere, or at home again. */
export async function restartInstances(run: StepRun, situation: Situation): Promise<RunAgain | void> {
  const { db } = run.deps;
  const { host, recovery } = situation;
  const owed = await wanted(run, await selectOwedInstances(db, host.id));
  if (host.state === 'up') return startAtHome(run, situation, owed);
  const moves = await selectMovesByBatch(db, recovery.id);
  const plan = await planFor(run.deps, host, owed.filter((instance) => instance.operationId === null), moves);
  for (const place of plan.restarts) await submit(run, situation, place, host.state === 'fenced' ? 'fenced' : 'trial');
  const waiting = plan.unfit.length + plan.postponed.length;
  const underWay = owed.length - waiting;
  await record(run, situation, { owed, moves, plan, underWay });
  if (owed.length === 0) return;
  return { againAfterMs: underWay > 0 ? underWayMs : waitingMs };
}

/** Those whose owners have changed their minds meanwhile are left as they are. */
async function wanted(run: StepRun, owed: readonly Instance[]): Promise<Instance[]> {
  for (const { id } of owed.filter((instance) => !instance.ha)) await run.transaction((tx) => updateInstanceNotOwed(tx, id));
  return owed.filter((instance) => instance.ha);
}

interface RestartPlan extends FailoverPlan {
  /** a start has just failed: a little later again */
  readonly postponed: readonly Instance[];
}

async function planFor(deps: OperationDeps, host: Host, instances: readonly Instance[], moves: readonly Move[]): Promise<RestartPlan> {
  const now = deps.clock.now();
  const failedOf = (instance: Instance): Move[] => moves.filter((move) => move.instanceId === instance.id && move.state === 'failed' && move.endedAt !== null);
  const inUse = (move: Move): boolean => move.error?.key === diskInUse && now - (move.endedAt ?? 0) < diskInUseAgainMs;
  const postponed = instances.filter((instance) => failedOf(instance).some(inUse));
  const ready = new Set(instances.filter((instance) => !postponed.includes(instance)).map(({ id }) => id));
  if (ready.size === 0) return { restarts: [], unfit: [], postponed };
  const input = { ...(await loadFailover(deps)), deadHostIds: new Set([host.id]) };
  const refusing = new Map(instances.map((instance) => [instance.id, new Set(failedOf(instance).filter((move) => now - (move.endedAt ?? 0) < tryAgainMs && !inUse(move)).map((move) => move.toHostId))]));
  const troubled = (id: string): boolean => (refusing.get(id)?.size ?? 0) > 0;
  const plans = [
    planFailover({ ...input, which: ({ id }) => ready.has(id) && !troubled(id) }),
    ...[...ready].filter(troubled).map((id) => planFailover({ ...without(input, refusing.get(id) ?? new Set()), which: (each) => each.id === id })),
  ];
  return { restarts: plans.flatMap((plan) => plan.restarts), unfit: plans.flatMap((plan) => plan.unfit), postponed };
}

/** Hosts that have just failed to start it are no choice for it. */
function without<I extends Pick<FailoverInput, 'fleet'>>(input: I, hostIds: ReadonlySet<string>): I {
  const fleet: Fleet = { ...input.fleet, hosts: input.fleet.hosts.filter((host) => !hostIds.has(host.id)) };
  return { ...input, fleet };
}

/** What cannot be had now (its owner was faster, its room is gone, the host has checked in) is seen by the next round. */
async function submit(run: StepRun, { recovery }: Situation, { instance, hostId: toHostId, considered }: FailoverPlan['restarts'][number], ground: RestartGround): Promise<boolean> {
  try {
    await submitInstanceRecover(run.deps, { instance, toHostId, considered, ground, trigger: recovery.drill ? 'drill' : 'recovery', batchId: recovery.id, actor: null });
    return true;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    run.deps.log.info({ instance: instance.id, toHostId, err: error }, 'instance not restarted in this round');
    return false;
  }
}

// ── its host is back ────────────────────────────────────────────────────────────────────────────────────────────────

/** It has checked in: what found no room elsewhere runs at home again. */
async function startAtHome(run: StepRun, { host, recovery }: Situation, owed: readonly Instance[]): Promise<RunAgain | void> {
  if (owed.length === 0) return record(run, { host, recovery }, { owed, moves: await selectMovesByBatch(run.deps.db, recovery.id), plan: { restarts: [], unfit: [], postponed: [] }, underWay: 0 });
  for (const instance of owed.filter(({ operationId }) => operationId === null)) {
    await observeInstance(run.deps, host.id, instance.id, { timeoutMs: 5000, signal: run.signal });
    await run.transaction(async (tx) => {
      const operationId = randomUUID();
      if (await claimInstance(tx, instance.id, { operationId, operationKind: 'instance-start', states: ['stopped'] })) {
        await insertOperation(tx, {
          id: operationId, kind: 'instance-start', instanceId: instance.id, hostId: host.id, userId: null, input: {},
          stepNames: instanceStart.steps.map((step) => step.name), createdAt: run.deps.clock.now(),
        });
      }
      // started, or it runs already: whatever becomes of that is the owner's to see
      await updateInstanceNotOwed(tx, instance.id);
    });
  }
  run.deps.wake();
  return { againAfterMs: underWayMs };
}

// ── the report ──────────────────────────────────────────────────────────────────────────────────────────────────────

interface Round { readonly owed: readonly Instance[]; readonly moves: readonly Move[]; readonly plan: RestartPlan; readonly underWay: number }

async function record(run: StepRun, { host, recovery }: Situation, { owed, moves, plan, underWay }: Round): Promise<void> {
  const restarted = new Set(moves.filter((move) => move.state === 'done').map((move) => move.instanceId));
  // read one after the other: one that came to run in between is in both
  const inAll = new Set([...restarted, ...owed.map(({ id }) => id)]).size;
  const unfit: Unfit[] = plan.unfit.map(({ instance, reasons }) => ({ instanceId: instance.id, name: instance.name, reason: reasons[0] ?? say('recovery.unfit') }));
  const report: RecoveryReport = {
    ...recovery.report, owed: Math.max(recovery.report.owed, inAll), restarted: restarted.size, unfit: unfit.slice(0, mostUnfit), unfitInAll: unfit.length,
  };
  const waitedForDisks = recovery.waitsFor?.key === 'recovery.waits.disks';
  // while they are tried again nobody knows better: else it would be over, and told anew, with every attempt
  const tried = waitedForDisks && underWay > 0 ? recovery.waitsFor : null;
  const waitsFor = plan.postponed.length > 0 ? say('recovery.waits.disks', { total: plan.postponed.length }) : (tried ?? (unfit.length > 0 ? say('recovery.waits.room', { total: unfit.length }) : null));
  const settled = underWay === 0 && plan.postponed.length === 0;
  const restartedAt = settled && recovery.restartedAt === null ? Math.max(...moves.map((move) => move.endedAt ?? 0), recovery.provenAt ?? 0) : undefined;
  const same = JSON.stringify([report, waitsFor]) === JSON.stringify([recovery.report, recovery.waitsFor]) && restartedAt === undefined;
  if (same) return;
  const messages = [
    ...(unfit.length > recovery.report.unfitInAll ? [say('recovery.alert.unfit', { host: host.name, total: unfit.length })] : []),
    ...(plan.postponed.length > 0 && !waitedForDisks ? [say('recovery.alert.disk-in-use', { host: host.name })] : []),
  ];
  await run.transaction(async (tx) => {
    await updateRecovery(tx, recovery.id, { report, waitsFor, ...(restartedAt === undefined ? {} : { restartedAt }) });
    // with what they report: the next round does not find it new, and this portal may end before they are sent
    for (const message of messages) await recordMessage(tx, message, run.deps.clock.now());
  });
  for (const message of messages) run.deps.alert(message);
}

// ── the trial ───────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Starts one of the silent host's instances elsewhere: QEMU gets the disk's lock only when nobody else has it, and then
 * the host is fenced in the same write that says where the instance runs now. One at a time, the important ones first.
 */
export async function tryOneRestart(run: StepRun, situation: Situation, { mayBegin }: { readonly mayBegin: boolean }): Promise<'running' | 'locked' | 'no-candidates'> {
  const { db } = run.deps;
  const { host, recovery } = situation;
  const moves = await selectMovesByBatch(db, recovery.id);
  if (moves.some((move) => move.endedAt === null)) return 'running';
  if (!mayBegin) return 'no-candidates';
  await run.transaction((tx) => updateInstancesOwed(tx, host.id, recovery.id));
  const owed = (await wanted(run, await selectOwedInstances(db, host.id))).filter((instance) => instance.operationId === null);
  const plan = await planFor(run.deps, host, owed, moves);
  for (const place of plan.restarts) if (await submit(run, situation, place, 'trial')) return 'running';
  return moves.some((move) => move.error?.key === diskInUse) ? 'locked' : 'no-candidates';
}
