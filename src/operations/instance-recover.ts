// Starting an instance anew on another host because its own is gone: define there from our record · start · record. Only
// what is proven may be started: its host is fenced, or (as a trial) the disk's own lock says whether the old copy lives.
import { randomUUID } from 'node:crypto';
import { AppError, say, type Sentence } from '../errors.ts';
import { isImageLocked } from '../libvirt/errors.ts';
import type { HostScore } from '../model/admission.ts';
import { planFailover, type FailoverInput } from '../model/failover.ts';
import { instanceRefuses, type Instance, type InstanceState } from '../model/instance.ts';
import type { Move, MoveTrigger } from '../model/move.ts';
import type { Operation } from '../model/operation.ts';
import type { User } from '../model/user.ts';
import { claimApart } from '../store/anti-affinity.ts';
import type { Db } from '../store/db.ts';
import { insertHostEvent } from '../store/host-events.ts';
import { claimHostFenced, claimHostStillFenced, selectHost } from '../store/hosts.ts';
import { insertInstanceEvent } from '../store/instance-events.ts';
import { recordPlacement } from '../store/instance-placements.ts';
import { claimInstance, releaseInstance, selectOptionalInstance, selectPlacedInstances } from '../store/instances.ts';
import { insertMove, selectMove, updateMoveEnded } from '../store/moves.ts';
import { insertOperation, selectOperation } from '../store/operations.ts';
import { claimHostStillUnreachable, updateInstanceNotOwed } from '../store/recoveries.ts';
import { releaseHostCapacity, reserveHostCapacity } from '../store/reservations.ts';
import { selectSettings } from '../store/settings.ts';
import { selectPool } from '../store/storage-pools.ts';
import { loadFleet } from './admission.ts';
import { defineInstance } from './define-instance.ts';
import type { OperationDeps } from './deps.ts';
import { ensureOff, ensureStarted, ensureUndefined } from './domain.ts';
import { observedChange } from './instance-power.ts';
import { recordStep } from './record-step.ts';
import type { Definition, OperationEnd, StepRun } from './step.ts';

/** fenced: its host is proven to run nothing · trial: its host is only silent, and starting the instance is the proof */
export type RestartGround = 'fenced' | 'trial';

interface RecoverInput {
  readonly ground: RestartGround;
  readonly fromHostId: string;
  readonly fromHostName: string;
  readonly pool: string;
}

export interface RestartRequest {
  readonly instance: Instance;
  readonly toHostId: string;
  /** all hosts, as they were weighed for it */
  readonly considered: readonly HostScore[];
  readonly ground: RestartGround;
  readonly trigger: Extract<MoveTrigger, 'recovery' | 'drill'>;
  readonly batchId: string | null;
  /** null: the system */
  readonly actor: Pick<User, 'id'> | null;
  /** made by the caller, when asking twice (after a lost answer) must not restart it twice */
  readonly operationId?: string;
}

export const instanceRecover: Definition = {
  kind: 'instance-recover',
  steps: [
    { name: 'define', run: define, undo: async (run) => ensureUndefined((await run.host()).hypervisor, idOf(run.operation), run.signal) },
    { name: 'start', run: start, undo: async (run) => ensureOff((await run.host()).hypervisor, idOf(run.operation), run.signal) },
    { ...recordStep, patient: true },
  ],
  onDone: restarted,
  onFailed: notRestarted,
};

const statesOf: Readonly<Record<RestartGround, readonly InstanceState[]>> = { fenced: ['stopped', 'running', 'paused'], trial: ['running', 'paused'] };

/**
 * Takes the instance, reserves its room on the target and queues the work, while its host is still gone: coming back and
 * being restarted elsewhere exclude each other. Throws conflict and no-capacity.
 */
export async function submitInstanceRecover(deps: OperationDeps, request: RestartRequest): Promise<{ readonly operation: Operation; readonly move: Move }> {
  const { instance, toHostId, considered, ground, trigger, batchId, actor } = request;
  const fromHostId = instance.hostId;
  if (fromHostId === null || instance.poolId === null) throw new AppError('conflict', say('instances.refused.start'));
  const [from, to, pool, settings] = await Promise.all([
    selectHost(deps.db, fromHostId), selectHost(deps.db, toHostId), selectPool(deps.db, instance.poolId), selectSettings(deps.db),
  ]);
  if (!pool.shared) throw new AppError('conflict', say('recovery.refused.local-disk', { host: from.name }));
  const id = request.operationId ?? randomUUID();
  const createdAt = deps.clock.now();
  const input: RecoverInput = { ground, fromHostId, fromHostName: from.name, pool: pool.name };
  await deps.db.transaction(async (tx) => {
    // this very transaction, again after its answer was lost
    if ((await selectOptionalInstance(tx, instance.id))?.operationId === id) return;
    // the owner's row before any host's, as everybody locks them
    const apart = await claimApart(tx, instance, toHostId);
    const gone = ground === 'fenced' ? await claimHostStillFenced(tx, fromHostId) : await claimHostStillUnreachable(tx, fromHostId);
    if (!gone) throw new AppError('conflict', say('recovery.refused.back', { host: from.name }));
    await claimAtHome(tx, instance, { operationId: id, fromHostId, states: statesOf[ground] });
    if (!apart) throw new AppError('no-capacity', say('recovery.refused.group', { host: to.name }));
    if (!(await reserveHostCapacity(tx, toHostId, instance, settings.overcommit))) throw new AppError('no-capacity', say('recovery.refused.no-room', { host: to.name }));
    await insertMove(tx, {
      id, instanceId: instance.id, instanceName: instance.name, userId: instance.userId, kind: 'restart', withDisk: false,
      fromHostId, fromHostName: from.name, toHostId, toHostName: to.name, trigger, why: say('recovery.why', { host: from.name }), batchId, actorId: actor?.id ?? null, createdAt,
    });
    await recordPlacement(tx, { instanceId: instance.id, moveId: id }, { hostId: toHostId, hostName: to.name, considered }, createdAt);
    await insertOperation(tx, {
      id, kind: 'instance-recover', instanceId: instance.id, hostId: toHostId, userId: actor?.id ?? null, input,
      stepNames: instanceRecover.steps.map((step) => step.name), createdAt,
    });
  });
  deps.wake();
  return { operation: await selectOperation(deps.db, id), move: await selectMove(deps.db, id) };
}

async function claimAtHome(tx: Db, instance: Instance, claim: { readonly operationId: string; readonly fromHostId: string; readonly states: readonly InstanceState[] }): Promise<void> {
  const won = await claimInstance(tx, instance.id, { operationId: claim.operationId, operationKind: 'instance-recover', states: claim.states });
  const now = await selectOptionalInstance(tx, instance.id);
  if (now === undefined) throw new AppError('not-found', say('errors.not-found'));
  if (!won || now.hostId !== claim.fromHostId) throw new AppError('conflict', say('instances.refused.busy'));
}

/** The whole cluster, as planFailover sees it. */
export async function loadFailover({ db, clock }: OperationDeps): Promise<Pick<FailoverInput, 'fleet' | 'settings' | 'instances'>> {
  const settings = await selectSettings(db);
  const [fleet, instances] = await Promise.all([loadFleet(db, settings, clock.now()), selectPlacedInstances(db)]);
  return { fleet, settings, instances };
}

/** For its owner, who starts it while its host is fenced: on the host that placement finds. */
export async function restartElsewhere(deps: OperationDeps, { instance, actor, operationId }: Pick<RestartRequest, 'instance' | 'actor' | 'operationId'>): Promise<Operation> {
  const refusal = instanceRefuses('start', instance);
  if (refusal !== undefined) throw new AppError('conflict', refusal);
  const plan = planFailover({ ...(await loadFailover(deps)), deadHostIds: new Set(instance.hostId === null ? [] : [instance.hostId]), which: (each) => each.id === instance.id });
  const place = plan.restarts[0];
  if (place === undefined) throw new AppError('no-capacity', plan.unfit[0]?.reasons[0] ?? say('instances.refused.start'));
  return (await submitInstanceRecover(deps, {
    instance, toHostId: place.hostId, considered: place.considered, ground: 'fenced', trigger: 'recovery', batchId: null, actor,
    ...(operationId === undefined ? {} : { operationId }),
  })).operation;
}

// ── steps ───────────────────────────────────────────────────────────────────────────────────────────────────────────

function idOf({ id, instanceId }: Operation): string {
  if (instanceId === null) throw new Error(`operation ${id} has no instance`);
  return instanceId;
}

async function define(run: StepRun): Promise<void> {
  const { host, hypervisor } = await run.host();
  const { pool } = run.input as RecoverInput;
  const instance = await run.instance();
  if (instance === undefined) throw new Error(`operation ${run.operation.id}: its instance is gone`);
  // a pool's list is the daemon's memory: the files were made by another host
  await hypervisor.storagePool.refresh(pool, { signal: run.signal, timeoutMs: 60_000 });
  await defineInstance(run.deps.db, { host, hypervisor }, instance, { pool, seed: 'if-there' }, run.signal);
}

async function start(run: StepRun): Promise<void> {
  const { hypervisor } = await run.host();
  try {
    await ensureStarted(hypervisor, idOf(run.operation), run.signal);
  } catch (error) {
    if (!isImageLocked(error)) throw error;
    throw new AppError('conflict', say(diskInUse, { host: (run.input as RecoverInput).fromHostName }), { cause: error });
  }
}

/** Key of the failure that says: somebody, and that may be the old copy, has the disk open. */
export const diskInUse = 'recovery.failed.disk-in-use';

// ── ends ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async function restarted(tx: Db, { operation, context, now }: OperationEnd): Promise<void> {
  const id = idOf(operation);
  const move = await selectMove(tx, operation.id);
  const instance = await selectOptionalInstance(tx, id);
  if (instance === undefined || instance.operationId !== operation.id) return;
  await releaseInstance(tx, id, operation.id, {
    ...observedChange(context.observed ?? 'running', context.consolePort ?? null), hostId: move.toHostId, address: null, consoleExpiresAt: null, movedAt: now,
  }, now);
  await updateInstanceNotOwed(tx, id);
  await releaseHostCapacity(tx, move.fromHostId, instance);
  await updateMoveEnded(tx, move.id, { state: 'done', at: now, error: null });
  // what started here has lost its lock there: the host must show that it is clean before it is used again
  if (await claimHostFenced(tx, move.fromHostId, 'lock', now)) {
    await insertHostEvent(tx, { id: move.id, hostId: move.fromHostId, at: now, kind: 'fence', userId: null, sentence: say('recovery.event.fenced.lock', { instance: move.instanceName }) });
  }
  await insertInstanceEvent(tx, { instanceId: id, at: now, userId: operation.userId, sentence: say('recovery.diary.restarted', { from: move.fromHostName, to: move.toHostName }) });
}

async function notRestarted(tx: Db, { operation, now }: OperationEnd, error: Sentence | null): Promise<void> {
  const id = idOf(operation);
  const move = await selectMove(tx, operation.id);
  await updateMoveEnded(tx, move.id, { state: 'failed', at: now, error });
  const instance = await selectOptionalInstance(tx, id);
  if (instance === undefined || instance.operationId !== operation.id) return;
  await releaseHostCapacity(tx, move.toHostId, instance);
  await releaseInstance(tx, id, operation.id, { problem: error }, now);
  // a trial that found the disk in use is no news: it goes on where it is
  if (error?.key !== diskInUse) await insertInstanceEvent(tx, { instanceId: id, at: now, userId: operation.userId, sentence: say('recovery.diary.failed', { to: move.toHostName }), reason: error });
}
