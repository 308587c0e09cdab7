// A burn-in: the smallest instance is made on a host, booted, looked at, moved away and back, and removed. Kept with its times.
import type { Sentence } from '../errors.ts';
import type { Size } from './size.ts';

export const burnInSteps = ['place', 'create-volume', 'define', 'start', 'boot', 'console', 'network', 'move-away', 'move-back', 'remove'] as const;
export type BurnInStepName = (typeof burnInSteps)[number];

export const burnInStates = ['running', 'passed', 'failed', 'cancelled'] as const;
export type BurnInState = (typeof burnInStates)[number];

/** left-out: it could not be tried, and its note says why */
export const burnInStepStates = ['done', 'left-out', 'failed', 'not-reached'] as const;
export type BurnInStepState = (typeof burnInStepStates)[number];

export interface BurnInStep {
  readonly name: BurnInStepName;
  readonly state: BurnInStepState;
  readonly elapsedMs: number | null;
  /** what was seen */
  readonly note: Sentence | null;
}

export interface BurnIn {
  /** also the id of its operation and of its domain */
  readonly id: string;
  readonly hostId: string;
  /** who asked for it; null: the system */
  readonly userId: string | null;
  readonly state: BurnInState;
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly imageName: string;
  /** where the instance was moved and came back from; null: nowhere */
  readonly targetName: string | null;
  /** room that it holds on hosts and in a pool; null: given back */
  readonly reserved: { readonly hostIds: readonly string[]; readonly poolId: string; readonly size: Size } | null;
  /** empty until it has ended */
  readonly steps: readonly BurnInStep[];
  /** what went wrong, and what to do about it */
  readonly error: Sentence | null;
  readonly fix: Sentence | null;
}

/** A burn-in that left nothing out: the host can do all that users and administrators will ask of it. */
export function isComplete(burnIn: Pick<BurnIn, 'state' | 'steps'>): boolean {
  return burnIn.state === 'passed' && burnIn.steps.every((step) => step.state === 'done');
}
