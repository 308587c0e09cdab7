// What an operation is made of. A step may run more than once: its runner can die at any moment, and whoever takes the
// operation up begins the step again. So a step looks first whether its work is done already, and so does its undo.
import type { Sentence } from '../errors.ts';
import type { Host } from '../model/host.ts';
import type { Instance, InstanceState } from '../model/instance.ts';
import type { MoveTally } from '../model/maintenance.ts';
import type { MoveFigures } from '../model/move.ts';
import type { Operation, OperationKind } from '../model/operation.ts';
import type { Hypervisor } from '../libvirt/hypervisor.ts';
import type { Db } from '../store/db.ts';
import type { OperationDeps } from './deps.ts';
import type { BurnInProgress } from './host-burn-in.ts';

/** What steps tell later steps and the end of the operation; saved with each step, so that it outlives its runner. */
export interface OperationContext {
  /** what the host said of the domain last */
  readonly observed?: InstanceState;
  readonly consolePort?: number | null;
  /** when waiting for the guest ends, ms UTC */
  readonly deadlineAt?: number;
  /** when the guest's power button was pressed last, ms UTC */
  readonly pressedAt?: number;
  /** seconds that the guest was given, for the words at the end */
  readonly timeoutSeconds?: number;
  /** what libvirt counted of a move that has arrived */
  readonly figures?: MoveFigures;
  /** why a move failed, when the hosts could not both be asked where it is */
  readonly moveFailure?: Sentence;
  /** the target has the whole disk; absent: an empty one, which the migration fills */
  readonly diskCopied?: boolean;
  /** the admins were told that a move needs one of them */
  readonly alarmed?: true;
  /** until when a silent source is waited for after a move, ms UTC */
  readonly releaseUntil?: number;
  /** what a burn-in has seen */
  readonly burnIn?: BurnInProgress;
  /** a move has brought it where its owner's wish to start it can be met */
  readonly thenStart?: boolean;
  /** what came of a host's emptying or return */
  readonly tally?: MoveTally;
}

export interface StepRun {
  readonly deps: OperationDeps;
  readonly operation: Operation;
  readonly input: unknown;
  readonly context: OperationContext;
  /** when the guest was last reset, ms UTC; only an event tells */
  readonly eventAt: number | null;
  /** aborts when the lease is lost, the portal stops, or somebody cancels a step that may be cancelled */
  readonly signal: AbortSignal;
  /** the instance as it stands in the database now; undefined: its record is gone */
  instance(): Promise<Instance | undefined>;
  /** the operation's host and its connection, once that is up. Throws HostUnavailableError, which is waited for, and HostFencedError. */
  host(): Promise<{ readonly host: Host; readonly hypervisor: Hypervisor }>;
  /** saved with the step */
  remember(context: Partial<OperationContext>): void;
  /** percent of this step, shown on the page */
  progress(percent: number): Promise<void>;
  /** a transaction that fails, changing nothing, when the operation is not this runner's any more; what is remembered is saved with it */
  transaction<T>(work: (tx: Db) => Promise<T>): Promise<T>;
}

/** The step is not finished but has nothing to do for now: it runs again after this time, or when its instance gives a sign. */
export interface RunAgain {
  readonly againAfterMs: number;
}

/** Thrown by an undo that finds its step past the point of no return: the operation goes on forward, cancelled or not. */
export class TooLateToUndoError extends Error {}

export interface Step {
  readonly name: string;
  run(run: StepRun): Promise<RunAgain | void>;
  /** Takes back what `run` may have done, wholly, partly or not at all. Absent: nothing remains of it. */
  undo?(run: StepRun): Promise<void>;
  /** may be cancelled before and while it runs. The first step without it is the point of no return. */
  readonly cancellable?: boolean;
  /** a silent host is waited for without end: giving up would leave the work half done */
  readonly patient?: boolean;
}

export interface Definition {
  readonly kind: OperationKind;
  readonly steps: readonly Step[];
  /** In the transaction that ends it well. */
  onDone(tx: Db, end: OperationEnd): Promise<void>;
  /** In the transaction that ends it after everything was undone; `error` null: it was cancelled. */
  onFailed(tx: Db, end: OperationEnd, error: Sentence | null): Promise<void>;
}

export interface OperationEnd {
  readonly operation: Operation;
  readonly context: OperationContext;
  readonly now: number;
}
