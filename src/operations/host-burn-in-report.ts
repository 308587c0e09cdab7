// The end of a burn-in: its record with the times of its steps, the line in the host's history, and the room given back.
import { say, type Sentence } from '../errors.ts';
import { burnInSteps, type BurnIn, type BurnInStep, type BurnInStepName } from '../model/burn-in.ts';
import type { OperationStep } from '../model/operation.ts';
import { selectOptionalBurnIn, updateBurnInEnded } from '../store/burn-ins.ts';
import type { Db } from '../store/db.ts';
import { insertHostEvent } from '../store/host-events.ts';
import { selectOperationSteps } from '../store/operations.ts';
import { releaseHostCapacity, releasePoolSpace } from '../store/reservations.ts';
import type { BurnInProgress } from './host-burn-in.ts';
import type { OperationEnd } from './step.ts';

export async function burnInEnded(tx: Db, { operation, context, now }: OperationEnd, error: Sentence | null, state: 'passed' | 'failed' | 'cancelled'): Promise<void> {
  const burnIn = await selectOptionalBurnIn(tx, operation.id);
  if (burnIn === undefined || burnIn.state !== 'running') return;
  if (burnIn.reserved !== null) {
    for (const hostId of burnIn.reserved.hostIds) await releaseHostCapacity(tx, hostId, burnIn.reserved.size);
    await releasePoolSpace(tx, burnIn.reserved.poolId, burnIn.reserved.size);
  }
  const steps = stepsOf(await selectOperationSteps(tx, operation.id), context.burnIn ?? {});
  const failed = steps.find((step) => step.state === 'failed');
  await updateBurnInEnded(tx, { ...burnIn, state, endedAt: now, reserved: null, steps, error, fix: error === null ? null : fixOf(error, failed?.name) });
  const seconds = Math.round((now - burnIn.startedAt) / 1000);
  await insertHostEvent(tx, { id: operation.id, hostId: burnIn.hostId, at: now, kind: 'burn-in', userId: burnIn.userId, sentence: say(`burn-in.event.${state}`, { seconds }), reason: error });
}

/** A problem of our own words has a fix of the same name; for libvirt's, the step says where to look. */
function fixOf(error: Sentence, step: BurnInStepName | undefined): Sentence {
  const kind = /^burn-in\.problem\.(.+)$/.exec(error.key)?.[1];
  return kind === undefined ? say(`burn-in.fix-step.${step ?? 'place'}`) : { ...error, key: `burn-in.fix.${kind}` };
}

function stepsOf(rows: readonly OperationStep[], { notes, leftOut, finished }: BurnInProgress): BurnIn['steps'] {
  return burnInSteps.map((name): BurnInStep => {
    const row = rows.find((each) => each.name === name);
    // what was undone has its row's end then, so the end of the work itself is kept beside it
    const endedAt = finished?.[name] ?? null;
    const elapsedMs = row?.startedAt == null || endedAt === null ? null : endedAt - row.startedAt;
    return { name, state: stateOf(row, endedAt !== null, leftOut?.includes(name) === true), elapsedMs, note: notes?.[name] ?? null };
  });
}

function stateOf(row: OperationStep | undefined, isFinished: boolean, isLeftOut: boolean): BurnInStep['state'] {
  if (isLeftOut) return 'left-out';
  if (row?.error != null) return 'failed';
  return isFinished ? 'done' : 'not-reached';
}
