// Several moves as one piece of work: emptying a host, bringing its instances back. A few at a time are asked for, so that
// an instance whose turn has not come stays in its owner's hands: it can be started, stopped and deleted meanwhile.
import { AppError, say, type Sentence } from '../errors.ts';
import type { Instance } from '../model/instance.ts';
import { byTurn, isMovable, lastMoves, type MoveRefusal, type MoveTally } from '../model/maintenance.ts';
import type { Move, MoveTrigger } from '../model/move.ts';
import type { Operation } from '../model/operation.ts';
import type { Db } from '../store/db.ts';
import { selectOptionalInstance } from '../store/instances.ts';
import { selectLeftBehind, upsertLeftBehind } from '../store/left-behind.ts';
import { selectMovesByBatch, selectOpenMoves } from '../store/moves.ts';
import { selectOptionalNamedOperation } from '../store/operations.ts';
import { selectSettings } from '../store/settings.ts';
import { cancelOperation } from './cancel-operation.ts';
import { instanceMigrate, submitMove } from './instance-migrate.ts';
import { checkPlannedMove, loadMovePlanning, planMoves, type PlannedMove } from './move-plan.ts';
import type { RunAgain, StepRun } from './step.ts';

/** What the moves of one batch have in common. */
export interface MoveBatch {
  /** null: placement chooses */
  readonly toHostId: string | null;
  readonly trigger: MoveTrigger;
  readonly why: Sentence;
  /** what has yet to leave, whatever is being done with it now */
  candidates(db: Db): Promise<readonly Instance[]>;
  /** written to the instance when its move ends well */
  returnHostId(instance: Instance): string | null;
}

/** How many moves are open at once, for each that one host may have: fewer, and places stand empty; more, and owners wait. */
const aheadFactor = 3;
/** Ends of moves wake the batch; this finds what nobody tells of: an instance that its owner has finished with. */
const lookAgainMs = 3000;
/** How long an instance that something else is done with is waited for, once nothing moves any more. */
const busyMs = 180_000;
/** Where a move that failed is tried: once more, to another host. What does not converge would not anywhere. */
const maxTargets = 2;
/** For both hosts' answers to the check of one move. */
const checkMs = 10_000;

interface Standing {
  readonly open: number;
  /** not asked for yet */
  readonly todo: readonly Instance[];
}

/** Asks for moves until each candidate has been asked for, or left behind with its reasons. */
export async function submitMoves(run: StepRun, batch: MoveBatch): Promise<RunAgain | void> {
  const { open, todo } = await advance(run, batch);
  if (todo.length === 0) return;
  return waitOn(run, open, todo);
}

/** Until the last move has ended. Candidates that came meanwhile are moved too. */
export async function awaitMoves(run: StepRun, batch: MoveBatch): Promise<RunAgain | void> {
  const { open, todo } = await advance(run, batch);
  if (open === 0 && todo.length === 0) return;
  return waitOn(run, open, todo);
}

async function waitOn(run: StepRun, open: number, todo: readonly Instance[]): Promise<RunAgain | void> {
  const now = run.deps.clock.now();
  // also moves of others, which end by themselves
  const moving = new Set((await selectOpenMoves(run.deps.db)).map(({ instanceId }) => instanceId));
  if (open > 0 || todo.some(({ id }) => moving.has(id))) run.remember({ deadlineAt: 0 });
  else if (!run.context.deadlineAt) run.remember({ deadlineAt: now + busyMs });
  else if (now >= run.context.deadlineAt) {
    for (const instance of todo) await leave(run, instance, [{ hostName: null, reasons: [say('maintenance.left.busy')] }]);
    return;
  }
  const ended = (await selectMovesByBatch(run.deps.db, run.operation.id)).length - open;
  await run.progress((100 * ended) / (ended + open + todo.length));
  return { againAfterMs: lookAgainMs };
}

/** One round: as many new moves as may be open. */
async function advance(run: StepRun, batch: MoveBatch): Promise<Standing> {
  const { db } = run.deps;
  const [settings, moves, left] = await Promise.all([
    selectSettings(db), selectMovesByBatch(db, run.operation.id), selectLeftBehind(db, run.operation.id),
  ]);
  const failedTo = failedTargets(moves);
  const again = (move: Move): boolean => move.state === 'failed' && (failedTo.get(move.instanceId)?.size ?? 0) < maxTargets;
  const handled = new Set([...left, ...lastMoves(moves).filter((move) => !again(move))].map(({ instanceId }) => instanceId));
  const todo = async (): Promise<Instance[]> =>
    (await batch.candidates(db)).filter((instance) => !handled.has(instance.id) && (isMovable(instance) || instance.state === 'creating'));
  const idle = (await todo()).filter(({ operationId }) => operationId === null);
  // a host that has fallen silent is waited for, and not a reason against each of its instances
  if (idle.length > 0) await run.host();
  let open = moves.filter(isOpen).length;
  const places = settings.migration.perHost * aheadFactor;
  const planned = idle.length === 0 || open >= places ? [] : planMoves(await loadMovePlanning(run.deps), idle, batch.toHostId);
  for (const plan of planned.sort((a, b) => byTurn(a.instance, b.instance))) {
    if (open >= places) break;
    run.signal.throwIfAborted();
    const outcome = await submitPlanned(run, batch, elsewhere(plan, failedTo.get(plan.instance.id)));
    if (outcome === 'submitted') open++;
    if (outcome !== 'later') handled.add(plan.instance.id);
  }
  return { open, todo: await todo() };
}

/** Which hosts each was to go to when that failed. */
function failedTargets(moves: readonly Move[]): Map<string, Set<string>> {
  const targets = new Map<string, Set<string>>();
  for (const { state, instanceId, toHostId } of moves) if (state === 'failed') targets.set(instanceId, new Set(targets.get(instanceId)).add(toHostId));
  return targets;
}

function elsewhere(plan: PlannedMove, failedTo: ReadonlySet<string> | undefined): PlannedMove {
  return failedTo === undefined ? plan : { ...plan, candidates: plan.candidates.filter(({ id }) => !failedTo.has(id)) };
}

const isOpen = (move: Pick<Move, 'state'>): boolean => move.state === 'queued' || move.state === 'moving';

async function submitPlanned(run: StepRun, batch: MoveBatch, plan: PlannedMove): Promise<'submitted' | 'left' | 'later'> {
  const { instance } = plan;
  let { candidates, refusals } = plan;
  for (;;) {
    const { to, refusals: against } = await checkPlannedMove(run.deps, { instance, candidates, refusals }, checkMs);
    if (to === null) {
      await leave(run, instance, against);
      return 'left';
    }
    try {
      await submitMove(run.deps, {
        instance, toHostId: to.id, trigger: batch.trigger, why: batch.why, batchId: run.operation.id,
        actor: run.operation.userId === null ? null : { id: run.operation.userId }, returnHostId: batch.returnHostId(instance),
      });
      return 'submitted';
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      // its owner was faster: what it is then is seen in the next round
      if (await hasChanged(run.deps.db, instance)) return 'later';
      // the room was taken in between, or the host is not as it was: the next best one
      candidates = candidates.slice(candidates.indexOf(to) + 1);
      refusals = [{ hostName: to.name, reasons: [error.sentence] }, ...refusals];
    }
  }
}

async function hasChanged(db: Db, instance: Instance): Promise<boolean> {
  const now = await selectOptionalInstance(db, instance.id);
  return now === undefined || now.operationId !== null || now.state !== instance.state || now.hostId !== instance.hostId;
}

async function leave({ deps, operation }: StepRun, instance: Instance, refusals: readonly MoveRefusal[]): Promise<void> {
  await upsertLeftBehind(deps.db, { operationId: operation.id, instanceId: instance.id, instanceName: instance.name, at: deps.clock.now(), refusals });
}

/** Undo: what has not begun to move stays where it is. What moves now goes on: half of it has been sent already. */
export async function cancelQueuedMoves({ deps, operation }: StepRun): Promise<void> {
  for (const move of await selectMovesByBatch(deps.db, operation.id)) {
    if (move.state !== 'queued') continue;
    const own = await selectOptionalNamedOperation(deps.db, move.id);
    if (own === undefined) continue;
    await cancelOperation(deps, own, instanceMigrate).catch((error: unknown) => {
      // its turn came in this moment
      if (!(error instanceof AppError) || error.kind !== 'conflict') throw error;
    });
  }
}

/** Moves on their way to this host: what they bring has to leave again. */
export async function selectArrivals(db: Db, hostId: string): Promise<Move[]> {
  return (await selectOpenMoves(db)).filter((move) => move.toHostId === hostId);
}

/** Moves that began to empty this host and go on although that was cancelled: what they take away has to come back. */
export async function selectDepartures(db: Db, hostId: string): Promise<Move[]> {
  return (await selectOpenMoves(db)).filter((move) => move.fromHostId === hostId && move.trigger === 'maintenance');
}

export async function tallyMoves(db: Db, operation: Pick<Operation, 'id'>): Promise<MoveTally> {
  const [moves, left] = await Promise.all([selectMovesByBatch(db, operation.id), selectLeftBehind(db, operation.id)]);
  const last = lastMoves(moves);
  const moved = last.filter(({ state }) => state === 'done').length;
  const failed = new Set(last.filter(({ state }) => state === 'failed').map(({ instanceId }) => instanceId));
  const cancelled = last.filter(({ state }) => state === 'cancelled').length;
  // one that could not be tried elsewhere failed, and was left for that
  return { moved, failed: failed.size, left: cancelled + left.filter(({ instanceId }) => !failed.has(instanceId)).length };
}
