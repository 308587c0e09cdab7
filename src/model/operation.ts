// One piece of background work, with steps and progress.
import type { Sentence } from '../errors.ts';
import type { Role } from './access.ts';

export const operationStates = ['queued', 'running', 'undoing', 'done', 'failed', 'cancelled'] as const;
export type OperationState = (typeof operationStates)[number];

export const operationKinds = [
  'instance-create', 'instance-start', 'instance-shutdown', 'instance-force-off', 'instance-reboot', 'instance-delete', 'instance-migrate',
  'instance-recover', 'host-recover', 'host-drill', 'host-burn-in',
  'host-drain', 'host-return',
] as const;
export type OperationKind = (typeof operationKinds)[number];

export interface Operation {
  readonly id: string;
  readonly kind: OperationKind;
  readonly state: OperationState;
  readonly instanceId: string | null;
  readonly hostId: string | null;
  /** who asked for it; null: the system */
  readonly userId: string | null;
  /** of the step in progress, 0–100; null: unknown length */
  readonly progressPercent: number | null;
  readonly error: Sentence | null;
  /** what it is waiting for at the moment, e.g. a host that does not answer */
  readonly note: Sentence | null;
  /** may be cancelled now: it has not passed its point of no return */
  readonly cancellable: boolean;
  readonly cancelRequested: boolean;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
}

export const stepStates = ['waiting', 'running', 'done', 'failed', 'undoing', 'undone'] as const;
export type StepState = (typeof stepStates)[number];

export interface OperationStep {
  readonly position: number;
  readonly name: string;
  readonly state: StepState;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly error: Sentence | null;
}

/** An owner who could stop a move could stop a maintenance; and who is no admin any more stops nothing of what they did to hosts. */
export function mayCancel(role: Role, { kind }: Pick<Operation, 'kind'>): boolean {
  return role === 'admin' || !(kind === 'instance-migrate' || kind === 'instance-recover' || kind.startsWith('host-'));
}

export function isEnded(state: OperationState): boolean {
  return state === 'done' || state === 'failed' || state === 'cancelled';
}
