// Moving an instance to another host: wait-turn · check · prepare-target · migrate · record-host · release-source. The
// migration's success is the point of no return; until both hosts have said where the instance is, nothing is given back.
import { AppError, say, type Sentence } from '../errors.ts';
import { AbortError, HostUnavailableError, isNoStoragePool, LibvirtError } from '../libvirt/errors.ts';
import type { Fleet, Hypervisor } from '../libvirt/hypervisor.ts';
import type { Instance } from '../model/instance.ts';
import { movePercent, type Move, type MoveProgress } from '../model/move.ts';
import type { Db } from '../store/db.ts';
import { selectOptionalHost } from '../store/hosts.ts';
import { insertInstanceEvent } from '../store/instance-events.ts';
import { releaseInstance, selectOptionalInstance, updateHeldInstance, type InstanceChange } from '../store/instances.ts';
import { claimMovePlace, grantMovePlaces, holdMoveGuard, selectMove, selectOptionalMove, updateMoveBegun, updateMoveEnded, updateMoveProgress } from '../store/moves.ts';
import { updateOperationPoked } from '../store/operations.ts';
import { releaseHostCapacity, releasePoolSpace } from '../store/reservations.ts';
import { selectSettings } from '../store/settings.ts';
import { selectPool } from '../store/storage-pools.ts';
import { ensureOff, ensureUndefined, isOffSinceBoot, observeDomain } from './domain.ts';
import { isWorthWaiting } from './failure.ts';
import { insertStart, observedChange } from './instance-power.ts';
import { recordMessage } from './incidents.ts';
import { abandonMigration, migrateDomain, MoveCancelledError, naming, NeedsPersonError, type DomainMove, type MoveSide } from './migrate-domain.ts';
import { checkMove } from './migration-check.ts';
import { copyDisks, dropCopies } from './move-disks.ts';
import { TooLateToUndoError, type OperationEnd, type RunAgain, type Step, type StepRun } from './step.ts';
import { removeVolumes } from './volumes.ts';

/** What the request for a move says beyond its row. */
export interface MigrateInput {
  /** where it goes back to when that host's maintenance ends; null: nowhere; absent: as before */
  readonly returnHostId?: string | null;
  /** its owner has asked for it to be started */
  readonly thenStart?: boolean;
}

/** A look at the queue by oneself, milliseconds: who gives a place away wakes its owner, so this only mends lost wakes. */
const queueLookMs = 5000;
/** How long a source that fell silent after the instance had left is waited for, milliseconds. What it keeps is reported later. */
const releaseMs = 30_000;
/** Milliseconds for a connection that is just being made. */
const connectMs = 2000;

export const migrateSteps: readonly Step[] = [
  { name: 'wait-turn', cancellable: true, run: waitTurn },
  { name: 'check', cancellable: true, run: check },
  { name: 'prepare-target', cancellable: true, run: prepareTarget, undo: clearTarget },
  { name: 'migrate', cancellable: true, patient: true, run: migrate, undo: abandon },
  { name: 'record-host', patient: true, run: recordHost },
  { name: 'release-source', patient: true, run: releaseSource },
];

// ── what the steps work on ──────────────────────────────────────────────────────────────────────────────────────────

const moveOf = (run: StepRun): Promise<Move> => selectMove(run.deps.db, run.operation.id);

async function instanceOf(run: StepRun): Promise<Instance> {
  const instance = await run.instance();
  if (instance === undefined) throw new Error(`operation ${run.operation.id}: its instance is gone`);
  return instance;
}

/** A host as it is now, and its connection once that is up. A fenced one has none: nothing runs there. */
async function sideOf(run: StepRun, hostId: string): Promise<MoveSide> {
  const { db, hosts } = run.deps;
  const host = await selectOptionalHost(db, hostId);
  if (host === undefined) throw new Error(`move ${run.operation.id}: host ${hostId} is gone`);
  if (host.state === 'fenced') return { host, hypervisor: null };
  return { host, hypervisor: await naming(host, connected(hosts, host.id)) };
}

async function connected(hosts: Fleet, hostId: string): Promise<Hypervisor> {
  if (!hosts.has(hostId)) throw new HostUnavailableError('no connection yet');
  const hypervisor = hosts.host(hostId);
  await hypervisor.ready({ timeoutMs: connectMs });
  return hypervisor;
}

async function openSide(run: StepRun, hostId: string): Promise<{ readonly host: MoveSide['host']; readonly hypervisor: Hypervisor }> {
  const { host, hypervisor } = await sideOf(run, hostId);
  if (hypervisor === null) throw new AppError('conflict', say('operations.failed.host-fenced', { host: host.name }));
  return { host, hypervisor };
}

// ── before it moves ─────────────────────────────────────────────────────────────────────────────────────────────────

async function waitTurn(run: StepRun): Promise<RunAgain | void> {
  const { db, clock, wake } = run.deps;
  if ((await moveOf(run)).state === 'moving') return;
  const { migration } = await selectSettings(db);
  const mine = await db.transaction((tx) => claimMovePlace(tx, run.operation.id, migration, clock.now()));
  if (mine) return;
  // others may have been given one
  wake();
  return { againAfterMs: queueLookMs };
}

/** Again, because much may have changed since it was asked for. */
async function check(run: StepRun): Promise<void> {
  const move = await moveOf(run);
  const { host } = await openSide(run, move.toHostId);
  const { obstacles } = await checkMove(run.deps, await instanceOf(run), host, { reserved: true });
  const [first] = obstacles;
  if (first === undefined) return;
  // it may come back within a moment, as for any step that finds its host silent
  if (first.kind === 'unreachable') throw new AppError('host-unavailable', first.sentence);
  throw new AppError('conflict', first.sentence);
}

async function prepareTarget(run: StepRun): Promise<void> {
  const move = await moveOf(run);
  if (move.fromPoolId === null || move.toPoolId === null) return;
  const [source, target] = [await openSide(run, move.fromHostId), await openSide(run, move.toHostId)];
  const instance = await instanceOf(run);
  const [fromPool, toPool] = await Promise.all([selectPool(run.deps.db, move.fromPoolId), selectPool(run.deps.db, move.toPoolId)]);
  const { whole } = await copyDisks({
    instance, source: source.hypervisor, target: target.hypervisor, fromPool: fromPool.name, toPool: toPool.name, signal: run.signal,
    progress: (done, total) => report(run, {
      phase: 'disk', transferredBytes: done, remainingBytes: total - done, totalBytes: total, dirtyBytesPerSecond: null, iteration: null, etaMs: null,
      progressAt: run.deps.clock.now(),
    }),
  });
  run.remember({ diskCopied: whole });
}

async function clearTarget(run: StepRun): Promise<void> {
  const move = await moveOf(run);
  if (move.toPoolId === null || move.fromPoolId === null) return;
  const [toPool, fromPool] = await Promise.all([selectPool(run.deps.db, move.toPoolId), selectPool(run.deps.db, move.fromPoolId)]);
  const [source, target] = [await sideOf(run, move.fromHostId), await sideOf(run, move.toHostId)];
  if (source.hypervisor !== null) await dropCopies(source.hypervisor, fromPool.name, move.instanceId, run.signal);
  if (target.hypervisor === null) return;
  // asked once more before anything is deleted
  if ((await observeDomain(target.hypervisor, move.instanceId, { signal: run.signal })).state !== 'lost') {
    throw new NeedsPersonError('unclear', source.host.name, target.host.name);
  }
  await removeVolumes(target.hypervisor, toPool.name, move.instanceId, run.signal);
}

// ── the move ────────────────────────────────────────────────────────────────────────────────────────────────────────

async function domainMove(run: StepRun): Promise<DomainMove> {
  const move = await moveOf(run);
  const { migration } = await selectSettings(run.deps.db);
  return {
    uuid: move.instanceId, source: () => sideOf(run, move.fromHostId), target: () => sideOf(run, move.toHostId), settings: migration,
    copiedDisks: move.withDisk ? ['vda'] : [],
    begun: move.begunAt === null ? null : { at: move.begunAt, kind: move.kind === 'offline' ? 'offline' : 'live' },
    begins: (kind, at) => {
      // it was powered off after its empty disk was made there
      if (kind === 'offline' && move.withDisk && run.context.diskCopied !== true) throw new AppError('conflict', say('migration.failed.powered-off'));
      return run.transaction((tx) => updateMoveBegun(tx, move.id, kind, at));
    },
    progress: (progress) => report(run, progress),
    failure: run.context.moveFailure ?? null,
    failed: (moveFailure) => run.remember({ moveFailure }),
    signal: run.signal, clock: run.deps.clock, log: run.deps.log,
  };
}

/** For people's eyes: a database that is away for a moment must not end a move. */
async function report(run: StepRun, progress: MoveProgress): Promise<void> {
  try {
    await updateMoveProgress(run.deps.db, run.operation.id, progress);
    const percent = movePercent(progress);
    if (percent !== null) await run.progress(percent);
  } catch (error) {
    run.deps.log.warn({ operation: run.operation.id, err: error }, 'progress of a move not written');
  }
}

async function migrate(run: StepRun): Promise<void> {
  try {
    run.remember({ figures: await migrateDomain(await domainMove(run)) });
  } catch (error) {
    if (error instanceof NeedsPersonError) await raiseAlarm(run, error);
    if (!isWorthWaiting(error) && !(error instanceof AbortError)) await observeWhereItStays(run);
    // the cancellation is known to whoever runs this
    if (error instanceof MoveCancelledError && !run.signal.aborted) throw new Error('a move was cancelled by nobody', { cause: error });
    throw error;
  }
}

/** Takes back what may have begun. It cannot when the instance has arrived: then the operation goes on forward. */
async function abandon(run: StepRun): Promise<void> {
  const move = await moveOf(run);
  if (move.begunAt === null) return;
  try {
    if ((await abandonMigration(await domainMove(run))) === 'arrived') throw new TooLateToUndoError();
  } catch (error) {
    if (error instanceof NeedsPersonError) await raiseAlarm(run, error);
    throw error;
  }
  await observeWhereItStays(run);
}

async function observeWhereItStays(run: StepRun): Promise<void> {
  const move = await moveOf(run);
  const { hypervisor } = await sideOf(run, move.fromHostId);
  if (hypervisor === null) return run.remember({ observed: 'stopped', consolePort: null });
  const call = { signal: run.signal.aborted ? AbortSignal.timeout(15_000) : run.signal };
  const { state, consolePort } = await observeDomain(hypervisor, move.instanceId, call);
  // who compares hosts with records is to see that it ran when its host lost its power, and starts it again
  if (state === 'stopped' && isOffSinceBoot(await hypervisor.domain.getState(move.instanceId, call))) return;
  run.remember({ observed: state, consolePort });
}

/** Loud, and once: an administrator has to choose. Recorded before it is told, because this portal may end before that. */
async function raiseAlarm(run: StepRun, error: NeedsPersonError): Promise<void> {
  const { log, clock, alert } = run.deps;
  const { id, instanceId } = await moveOf(run);
  log.error({ operation: id, instance: instanceId, err: error }, 'a move needs a person');
  if (run.context.alarmed === true) return;
  await run.transaction(async (tx) => {
    await recordMessage(tx, error.sentence, clock.now());
    await insertInstanceEvent(tx, { id: `${id.slice(0, 35)}!`, instanceId, at: clock.now(), userId: null, sentence: error.sentence });
  });
  run.remember({ alarmed: true });
  alert(error.sentence);
}

// ── after it has moved ──────────────────────────────────────────────────────────────────────────────────────────────

async function recordHost(run: StepRun): Promise<void> {
  const move = await moveOf(run);
  const { hypervisor } = await sideOf(run, move.toHostId);
  // it arrived, and its new host is gone already: it can be started elsewhere from there
  const { state, consolePort } = hypervisor === null ? { state: 'stopped' as const, consolePort: null } : await observeDomain(hypervisor, move.instanceId, { signal: run.signal });
  run.remember({ observed: state, consolePort });
  const { returnHostId, thenStart = false } = run.input as MigrateInput;
  if (thenStart && state === 'stopped') run.remember({ thenStart });
  const now = run.deps.clock.now();
  const change: InstanceChange = {
    ...observedChange(state, consolePort), hostId: move.toHostId, movedAt: now,
    ...(move.toPoolId === null ? {} : { poolId: move.toPoolId }), ...(returnHostId === undefined ? {} : { returnHostId }),
  };
  await run.transaction((tx) => updateHeldInstance(tx, { id: move.instanceId, operationId: move.id, hostId: move.fromHostId }, change, now));
}

/** What the source still has of it goes: a definition, disks. It can wait for its host, but not keep the instance from its owner. */
async function releaseSource(run: StepRun): Promise<RunAgain | void> {
  const move = await moveOf(run);
  const now = run.deps.clock.now();
  const { releaseUntil = now + releaseMs } = run.context;
  run.remember({ releaseUntil });
  try {
    const { host, hypervisor } = await sideOf(run, move.fromHostId);
    if (hypervisor === null) return;
    await clearSource(run, move, host.name, hypervisor);
  } catch (error) {
    // an instance that runs there too is nothing to be left behind
    if (error instanceof NeedsPersonError || !(isWorthWaiting(error) || error instanceof LibvirtError)) throw error;
    if (now < releaseUntil) return { againAfterMs: 1000 };
    run.deps.log.warn({ operation: move.id, instance: move.instanceId, host: move.fromHostId, err: error }, 'what a move left on its source stays there');
  }
}

async function clearSource(run: StepRun, move: Move, hostName: string, hypervisor: Hypervisor): Promise<void> {
  const call = { signal: run.signal };
  const left = await observeDomain(hypervisor, move.instanceId, call);
  // the half that was sent; it would run only if somebody resumed it
  if (left.state === 'paused') await ensureOff(hypervisor, move.instanceId, run.signal);
  if (left.state === 'running') {
    const error = new NeedsPersonError('both', hostName, move.toHostName);
    await raiseAlarm(run, error);
    throw error;
  }
  if (left.state !== 'lost') await ensureUndefined(hypervisor, move.instanceId, run.signal);
  if (move.fromPoolId === null) return;
  const pool = await selectPool(run.deps.db, move.fromPoolId);
  try {
    await removeVolumes(hypervisor, pool.name, move.instanceId, run.signal);
    await dropCopies(hypervisor, pool.name, move.instanceId, run.signal);
  } catch (error) {
    if (!isNoStoragePool(error)) throw error;
  }
}

// ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export async function moved(tx: Db, { operation, context, now }: OperationEnd): Promise<void> {
  const move = await selectMove(tx, operation.id);
  const instance = await selectOptionalInstance(tx, move.instanceId);
  if (instance === undefined || instance.operationId !== operation.id) return;
  await releaseHostCapacity(tx, move.fromHostId, instance);
  if (move.fromPoolId !== null) await releasePoolSpace(tx, move.fromPoolId, instance);
  await releaseInstance(tx, instance.id, operation.id, {}, now);
  if (context.thenStart === true) await insertStart(tx, { instanceId: instance.id, hostId: move.toHostId, userId: operation.userId, createdAt: now });
  const figures = context.figures;
  await holdMoveGuard(tx);
  await updateMoveEnded(tx, move.id, { state: 'done', at: now, error: null, ...figures });
  const seconds = Math.max(0, now - (move.begunAt ?? now)) / 1000;
  await insertInstanceEvent(tx, {
    instanceId: instance.id, at: now, userId: operation.userId, reason: move.why,
    sentence: say('operations.diary.instance-migrate.done', { from: move.fromHostName, to: move.toHostName, seconds: Math.round(seconds * 10) / 10 }),
  });
  await freePlaces(tx, move, now);
}

export async function notMoved(tx: Db, { operation, context, now }: OperationEnd, error: Sentence | null): Promise<void> {
  const move = await selectOptionalMove(tx, operation.id);
  if (move === undefined) return;
  const instance = await selectOptionalInstance(tx, move.instanceId);
  if (instance !== undefined && instance.operationId === operation.id) {
    await releaseHostCapacity(tx, move.toHostId, instance);
    if (move.toPoolId !== null) await releasePoolSpace(tx, move.toPoolId, instance);
    await releaseInstance(tx, instance.id, operation.id, observedChange(context.observed, context.consolePort), now);
    // a move that was taken out of the queue is no event in the life of the machine
    if (error !== null || move.begunAt !== null) {
      const sentence = say(error === null ? 'operations.diary.instance-migrate.cancelled' : 'operations.diary.instance-migrate.failed', { from: move.fromHostName, to: move.toHostName });
      await insertInstanceEvent(tx, { instanceId: instance.id, at: now, userId: operation.userId, sentence, reason: error });
    }
  }
  await holdMoveGuard(tx);
  await updateMoveEnded(tx, move.id, { state: error === null ? 'cancelled' : 'failed', at: now, error });
  await freePlaces(tx, move, now);
}

/** Whoever waits gets the place in the same moment; and who asked for several moves looks how far they are. */
async function freePlaces(tx: Db, { batchId }: Move, now: number): Promise<void> {
  if (batchId !== null) await updateOperationPoked(tx, batchId);
  const { migration } = await selectSettings(tx);
  await grantMovePlaces(tx, migration, now);
}
