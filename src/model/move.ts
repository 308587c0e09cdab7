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
  /** the pools its disk is copied between; null: it stays in its pool */
  readonly fromPoolId: string | null;
  readonly toPoolId: string | null;
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
  /** when it got one of the places */
  readonly startedAt: number | null;
  /** when the hosts were told to begin; from then on both must be asked where the instance is */
  readonly begunAt: number | null;
  readonly endedAt: number | null;
}

/** What libvirt counted of a move that has arrived; null: it did not say. */
export interface MoveFigures {
  readonly downtimeMs: number | null;
  readonly transferredBytes: number | null;
  readonly iteration: number | null;
}

/** How many moves may go on at once: away from one host, into one host, and in all. */
export interface MoveLimits {
  readonly perHost: number;
  readonly total: number;
}

/**
 * Which of the queued moves may begin now. `open` are all that wait or go on, oldest first. One that finds its hosts
 * busy does not hold up younger ones between other hosts.
 */
export function movesToStart(open: readonly Pick<Move, 'id' | 'state' | 'fromHostId' | 'toHostId'>[], limits: MoveLimits): string[] {
  const moving = open.filter((move) => move.state === 'moving');
  const from = new Map<string, number>();
  const to = new Map<string, number>();
  const count = (counts: Map<string, number>, hostId: string): number => counts.get(hostId) ?? 0;
  const take = (move: Pick<Move, 'fromHostId' | 'toHostId'>): void => {
    from.set(move.fromHostId, count(from, move.fromHostId) + 1);
    to.set(move.toHostId, count(to, move.toHostId) + 1);
  };
  moving.forEach(take);
  const started: string[] = [];
  for (const move of open) {
    if (moving.length + started.length >= limits.total) break;
    if (move.state !== 'queued' || count(from, move.fromHostId) >= limits.perHost || count(to, move.toHostId) >= limits.perHost) continue;
    take(move);
    started.push(move.id);
  }
  return started;
}

/** What libvirt says of a job (virDomainGetJobStats); bytes, milliseconds, pages. */
export type JobFigures = Readonly<Record<string, number | bigint | string | boolean>>;

/**
 * Progress from the figures of a migration under way. The first pass sends all memory, so what remains is sure to end;
 * later ones race against the guest, and there is no time to tell when it writes as fast as is sent.
 */
export function moveProgress(figures: JobFigures, at: number, postCopy = false): MoveProgress {
  const number = (name: string): number | null => (name in figures ? Number(figures[name]) : null);
  const sum = (what: string): number | null => {
    const [memory, disk] = [number(`memory_${what}`), number(`disk_${what}`)];
    return memory === null && disk === null ? null : (memory ?? 0) + (disk ?? 0);
  };
  const pages = number('memory_dirty_rate');
  const dirtyBytesPerSecond = pages === null ? null : pages * (number('memory_page_size') ?? 4096);
  const iteration = number('memory_iteration');
  const remainingBytes = sum('remaining');
  const diskLeft = (number('disk_remaining') ?? 0) > 0;
  const memoryBegun = (number('memory_total') ?? 0) > 0;
  const bytesPerSecond = (diskLeft ? number('disk_bps') : number('memory_bps')) ?? 0;
  // in post-copy the guest runs on the other side: nothing is sent twice
  const gainPerSecond = bytesPerSecond - (diskLeft || postCopy ? 0 : (dirtyBytesPerSecond ?? 0));
  return {
    phase: postCopy ? 'post-copy' : diskLeft && !memoryBegun ? 'disk' : 'memory',
    transferredBytes: sum('processed'), remainingBytes, totalBytes: sum('total'), dirtyBytesPerSecond, iteration,
    etaMs: remainingBytes === null || gainPerSecond <= 0 ? null : Math.round((remainingBytes / gainPerSecond) * 1000),
    progressAt: at,
  };
}

/** 0–100 for a bar; null: not known. Memory that is sent again does not make it more than whole. */
export function movePercent({ totalBytes, remainingBytes }: Pick<MoveProgress, 'totalBytes' | 'remainingBytes'>): number | null {
  if (totalBytes === null || totalBytes === 0 || remainingBytes === null) return null;
  return Math.max(0, Math.min(100, 100 * (1 - remainingBytes / totalBytes)));
}
