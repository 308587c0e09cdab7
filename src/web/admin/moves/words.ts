// One move in the words of one language. Pages and the event stream show the same because both get them here.
import { movePercent, type Move, type MoveState } from '../../../model/move.ts';
import type { Format } from '../../format.ts';
import type { Translate } from '../../locales/index.ts';

export interface MoveWords {
  readonly state: MoveState;
  /** what changes while it lasts */
  readonly cells: {
    readonly state: string;
    readonly sent: string;
    readonly remaining: string;
    readonly dirtyRate: string;
    readonly iteration: string;
    readonly eta: string;
    readonly took: string;
  };
  /** for the bar; null: not known */
  readonly values: Readonly<Record<'percent', number | null>>;
}

const dash = '–';

export function moveWords(move: Move, now: number, t: Translate, fmt: Format): MoveWords {
  const moving = move.state === 'moving';
  return {
    state: move.state,
    cells: {
      state: moving && move.phase !== null ? t(`moves.phase.${move.phase}`) : t(`moves.state.${move.state}`),
      sent: sentWord(move, fmt),
      remaining: fmt.bytes(move.remainingBytes),
      dirtyRate: fmt.bytesPerSecond(move.dirtyBytesPerSecond),
      iteration: move.iteration === null ? dash : fmt.number(move.iteration),
      eta: !moving ? dash : move.etaMs === null ? t('moves.page.eta-unknown') : secondsWord(move.etaMs, t, fmt),
      took: move.startedAt === null ? dash : secondsWord((move.endedAt ?? now) - move.startedAt, t, fmt),
    },
    values: { percent: move.state === 'done' ? 100 : movePercent(move) },
  };
}

function sentWord({ transferredBytes, totalBytes, state }: Move, fmt: Format): string {
  if (transferredBytes === null) return dash;
  return totalBytes === null || state !== 'moving' ? fmt.bytes(transferredBytes) : `${fmt.bytes(transferredBytes)} / ${fmt.bytes(totalBytes)}`;
}

/** To the tenth where that tells something. */
export function secondsWord(elapsedMs: number, t: Translate, fmt: Format): string {
  const seconds = Math.max(0, elapsedMs) / 1000;
  return seconds < 120 ? t('unit.seconds', { n: fmt.number(seconds, seconds < 20 ? 1 : 0) }) : fmt.duration(elapsedMs);
}
