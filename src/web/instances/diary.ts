// The diary as its owner reads it: what happened, and between it the moves that have ended, with what they cost.
import type { Sentence } from '../../errors.ts';
import type { InstanceEvent } from '../../model/instance.ts';
import type { Move } from '../../model/move.ts';
import { diskInUse } from '../../operations/instance-recover.ts';

export interface DiaryLine {
  readonly at: number;
  /** who did it; null: the system */
  readonly userId: string | null;
  readonly sentence: Sentence | null;
  readonly reason: Sentence | null;
  /** instead of a sentence */
  readonly move: Move | null;
}

/** The end of a move is told by its own record, which knows more than the event written beside it. */
const toldByMove = /^(?:operations\.diary\.instance-migrate\.(?:done|failed|cancelled)|recovery\.diary\.(?:restarted|failed))$/;

/** Newest first. */
export function diaryOf(events: readonly InstanceEvent[], moves: readonly Move[]): DiaryLine[] {
  const ended = moves.filter((move) => move.endedAt !== null && isNews(move));
  const oldest = ended.at(-1)?.endedAt ?? Number.POSITIVE_INFINITY;
  return [
    // moves are kept for a shorter time than the diary: an older one has its event alone
    ...events.filter((event) => !(toldByMove.test(event.sentence.key) && event.at >= oldest)).map(({ at, userId, sentence, reason }) => ({ at, userId, sentence, reason, move: null })),
    ...ended.map((move) => ({ at: move.endedAt ?? 0, userId: move.actorId, sentence: null, reason: move.error, move })),
  ].sort((a, b) => b.at - a.at);
}

/** Not one that was taken out of the queue, nor the trial that found the machine alive on its silent host. */
function isNews({ kind, state, begunAt, error }: Move): boolean {
  return !(state === 'cancelled' && begunAt === null) && !(kind === 'restart' && error?.key === diskInUse);
}
