// One move of an instance from a host to another: what the diary keeps and what its page shows while it lasts.
import type { Sentence } from '../errors.ts';

/** live: it runs all the while · offline: it was powered off · restart: its host was gone, it was started anew elsewhere */
export const moveKinds = ['live', 'offline', 'restart'] as const;
export type MoveKind = (typeof moveKinds)[number];

/** What caused it. */
export const moveTriggers = ['admin', 'maintenance', 'return', 'balancing', 'recovery', 'drill'] as const;
export type MoveTrigger = (typeof moveTriggers)[number];

/** queued: waits for its turn · moving: has one of the places · then one of the ends */
export const moveStates = ['queued', 'moving', 'done', 'failed', 'cancelled'] as const;
export type MoveState = (typeof moveStates)[number];

/** checking → (disk →) memory → (post-copy →) finishing */
export const movePhases = ['checking', 'disk', 'memory', 'post-copy', 'finishing'] as const;
export type MovePhase = (typeof movePhases)[number];

export interface MoveProgress {
  readonly phase: MovePhase | null;
  /** bytes of memory and copied disks together; null: not known yet */
  readonly transferredBytes: number | null;
  readonly remainingBytes: number | null;
  readonly totalBytes: number | null;
  /** bytes a second at which the guest dirties its memory */
  readonly dirtyBytesPerSecond: number | null;
  /** passes over the guest's memory so far */
  readonly iteration: number | null;
  /** milliseconds that it will still take at the present rate; null: not converging or not known */
  readonly etaMs: number | null;
  /** when these were measured, ms UTC */
  readonly progressAt: number | null;
}

export interface Move extends MoveProgress {
  /** also the id of its operation */
  readonly id: string;
  readonly instanceId: string;
  /** as they were called then */
  readonly instanceName: string;
  readonly fromHostName: string;
  readonly toHostName: string;
  /** the instance's owner */
  readonly userId: string;
  readonly kind: MoveKind;
  /** its disk is copied along: the pool is not shared */
  readonly withDisk: boolean;
  readonly fromHostId: string;
  readonly toHostId: string;
  readonly trigger: MoveTrigger;
  readonly why: Sentence;
  /** the operation that asked for several moves at once */
  readonly batchId: string | null;
  /** who asked for it; null: the system */
  readonly actorId: string | null;
  readonly state: MoveState;
  /** how long the guest stood still, as libvirt measured it, milliseconds */
  readonly downtimeMs: number | null;
  readonly error: Sentence | null;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
}
