// The diary as its owner reads it: what happened, and between it the moves that have ended, with what they cost.
import type { Sentence } from '../../errors.ts';
import type { InstanceEvent } from '../../model/instance.ts';
import type { Move } from '../../model/move.ts';

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
const toldByMove = /^operations\.diary\.instance-(?:migrate|recover)\.(?:done|failed|cancelled)$/;

/** Newest first. */
export function diaryOf(events: readonly InstanceEvent[], moves: readonly Move[]): DiaryLine[] {
  const ended = moves.filter((move) => move.endedAt !== null);
  const oldest = ended.at(-1)?.endedAt ?? Number.POSITIVE_INFINITY;
  return [
    // moves are kept for a shorter time than the diary: an older one has its event alone
    ...events.filter((event) => !(toldByMove.test(event.sentence.key) && event.at >= oldest)).map(({ at, userId, sentence, reason }) => ({ at, userId, sentence, reason, move: null })),
    ...ended.map((move) => ({ at: move.endedAt ?? 0, userId: move.actorId, sentence: null, reason: move.error, move })),
  ].sort((a, b) => b.at - a.at);
}
