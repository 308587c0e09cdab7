// Emptying a host and bringing its instances back: which go first, and where an instance belongs afterwards.
import type { Sentence } from '../errors.ts';
import { statesFor, type Instance } from './instance.ts';
import type { Move } from './move.ts';

/** Why one host does not take an instance; without a name: what stands against moving it at all. */
export interface MoveRefusal {
  readonly hostName: string | null;
  readonly reasons: readonly Sentence[];
}

/** An instance that an emptying or a return could not move. It waits for the administrator. */
export interface LeftBehind {
  readonly operationId: string;
  readonly instanceId: string;
  /** as it was called then */
  readonly instanceName: string;
  readonly at: number;
  readonly refusals: readonly MoveRefusal[];
}

/** What came of an emptying or a return. */
export interface MoveTally {
  readonly moved: number;
  readonly failed: number;
  readonly left: number;
}

/** Of one batch, the newest move of each instance: one that failed may have been tried again. In the order of `moves`. */
export function lastMoves(moves: readonly Move[]): Move[] {
  const last = new Map<string, Move>();
  for (const move of moves) last.set(move.instanceId, move);
  return [...last.values()];
}

/** Has something on its host that can be moved at all: one that failed or was lost has not. */
export function isMovable(instance: Pick<Instance, 'state'>): boolean {
  return statesFor('migrate').includes(instance.state);
}

/** What is powered off leaves first: it takes a moment, and its owner may want to start it. For a sort that keeps the plan's order else. */
export function byTurn(a: Pick<Instance, 'state'>, b: Pick<Instance, 'state'>): number {
  return Number(b.state === 'stopped') - Number(a.state === 'stopped');
}

/**
 * Where it goes back to after it has left `hostId` for a maintenance. One that only stays there while its own host is in
 * maintenance still belongs to that one.
 */
export function homeOf(instance: Pick<Instance, 'returnHostId'>, hostId: string, hostsInMaintenance: ReadonlySet<string>): string {
  const { returnHostId } = instance;
  return returnHostId !== null && hostsInMaintenance.has(returnHostId) ? returnHostId : hostId;
}
