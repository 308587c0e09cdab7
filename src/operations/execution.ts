// Walks one operation that this portal holds: forward step by step, or back. Every move is one transaction that first
// checks the lease, so that of two portals that believe to hold it only one goes on.
import { AppError, say, type Sentence } from '../errors.ts';
import { HostUnavailableError } from '../libvirt/errors.ts';
import type { OperationStep } from '../model/operation.ts';
import type { Db } from '../store/db.ts';
import { selectOptionalHost } from '../store/hosts.ts';
import { selectOptionalInstance } from '../store/instances.ts';
import {
  selectOperationSteps, updateHeldOperation, updateOperationStep, type OperationChange, type OperationRecord,
} from '../store/operations.ts';
import type { OperationDeps } from './deps.ts';
import { failureSentence, HostFencedError, isBug, isWorthWaiting } from './failure.ts';
import { keepLease, type KeptLease } from './lease.ts';
import { TooLateToUndoError, type Definition, type OperationContext, type RunAgain, type Step, type StepRun } from './step.ts';

export interface ExecutionTimes {
  /** A dead portal's operations stand still for this long; shorter than a hiccup of the database, and work is done twice. */
  readonly leaseMs: number;
  /** How long a silent host is waited for before the work is undone. Shorter than a restart of libvirtd: needless failures. */
  readonly waitForHostMs: number;
  /** the longest pause between two attempts; the first is a tenth of it */
  readonly retryMs: number;
  /** for a connection that is just being made; a host that is down fails at once */
  readonly connectMs: number;
}

export const defaultTimes: ExecutionTimes = { leaseMs: 10_000, waitForHostMs: 60_000, retryMs: 10_000, connectMs: 2000 };

/** Called around every step, for tests that fail or kill at that point. */
export interface ExecutionHooks {
  beforeStep?(operationId: string, step: string, direction: 'run' | 'undo'): Promise<void>;
  afterStep?(operationId: string, step: string, direction: 'run' | 'undo'): Promise<void>;
}

/** Claims of one operation without a step finished, after which it is held to be what kills its portal. */
const maxAttempts = 8;

class LeaseLost extends Error {}

export class Execution {
  readonly id: string;
  readonly hostId: string | null;
  readonly #deps: OperationDeps;
  readonly #definition: Definition;
  readonly #record: OperationRecord<OperationContext>;
  readonly #ownerId: string;
  readonly #times: ExecutionTimes;
  readonly #hooks: ExecutionHooks;
  readonly #lease: KeptLease;
  #context: OperationContext;
  #error: Sentence | null;
  #waitingSince: number | null;
  #hostName = '';
  /** of the step that runs now */
  #abort = new AbortController();
  #cancellable = false;
  #stopping = false;
  #progressAt = 0;

  constructor(deps: OperationDeps, definition: Definition, record: OperationRecord<OperationContext>, options: {
    readonly ownerId: string; readonly times: ExecutionTimes; readonly hooks: ExecutionHooks; readonly claimedAt: number;
  }) {
    this.id = record.operation.id;
    this.hostId = record.operation.hostId;
    this.#deps = deps;
    this.#definition = definition;
    this.#record = record;
    this.#ownerId = options.ownerId;
    this.#times = options.times;
    this.#hooks = options.hooks;
    this.#context = record.context;
    this.#error = record.operation.error;
    this.#waitingSince = record.waitingSince;
    this.#lease = keepLease(deps, this.id, { ownerId: options.ownerId, leaseMs: options.times.leaseMs, claimedAt: options.claimedAt });
  }

  /** Goes as far as it can. Never rejects: what cannot be saved is taken up again when the lease has ended. */
  async run(): Promise<void> {
    const { log } = this.#deps;
    const ids = { operation: this.id, kind: this.#definition.kind, instance: this.#record.operation.instanceId, host: this.hostId };
    try {
      await this.#nameHost();
      const end = this.#record.operation.state === 'undoing' ? await this.#back() : await this.#forward();
      log.info({ ...ids, end }, 'operation left');
    } catch (error) {
      if (error instanceof LeaseLost) log.warn(ids, 'operation lost to another portal');
      else log.error({ ...ids, err: error }, 'operation abandoned until its lease ends');
    } finally {
      this.#lease.end();
    }
  }

  /** Somebody cancelled it: a step that may be cancelled ends now, any other finishes first. */
  cancel(): void {
    if (this.#cancellable) this.#abort.abort('cancelled');
  }

  /** The portal stops: the step in progress may finish, the next one is left to others. */
  stop(): void {
    this.#stopping = true;
  }

  /** The portal cannot wait any longer for the step in progress. */
  interrupt(): void {
    this.#stopping = true;
    this.#abort.abort('stopping');
  }

  // ── forward ─────────────────────────────────────────────────────────────────────────────────────────────────────

  async #forward(): Promise<string> {
    const { steps } = this.#definition;
    const rows = await selectOperationSteps(this.#deps.db, this.id);
    const first = rows.filter((row) => row.state === 'done').length;
    if (this.#record.attempts > maxAttempts) return this.#turnBack(say('operations.failed.crashing'), first);
    for (let position = first; position < steps.length; position++) {
      const step = steps[position] as Step;
      const finished = position > first ? position - 1 : undefined;
      if (this.#stopping) return this.#park(finished);
      if (!(await this.#begin(step, position, finished))) return this.#turnBack(null);
      let again: RunAgain | void;
      try {
        again = await this.#perform(step, 'run');
      } catch (error) {
        return this.#failed(step, position, error);
      }
      this.#waitingSince = null;
      if (again !== undefined) return this.#pause(again.againAfterMs);
    }
    return this.#done();
  }

  /** Marks the step as begun and the one before it as done. false: somebody cancelled before the point of no return. */
  async #begin(step: Step, position: number, finished: number | undefined): Promise<boolean> {
    this.#cancellable = step.cancellable === true && this.#definition.steps.slice(0, position).every((each) => each.cancellable);
    const change: OperationChange = {
      cancellable: this.#cancellable, context: this.#context, progressPercent: null,
      ...(finished === undefined ? {} : { attempts: 0, waitingSince: null, note: null }),
    };
    return this.#deps.db.transaction(async (tx) => {
      if (!(await updateHeldOperation(tx, { id: this.id, ownerId: this.#ownerId, unlessCancelled: true }, change))) {
        await this.#change(tx, {});
        return false;
      }
      const now = this.#deps.clock.now();
      if (finished !== undefined) await updateOperationStep(tx, this.id, finished, { state: 'done', endedAt: now });
      await updateOperationStep(tx, this.id, position, { state: 'running', startedAt: now });
      return true;
    });
  }

  async #done(): Promise<string> {
    const now = this.#deps.clock.now();
    await this.#deps.db.transaction(async (tx) => {
      await this.#change(tx, { state: 'done', context: this.#context, endedAt: now, note: null, progressPercent: null, cancellable: false, waitingSince: null, release: true });
      await updateOperationStep(tx, this.id, this.#definition.steps.length - 1, { state: 'done', endedAt: now });
      await this.#definition.onDone(tx, { operation: this.#record.operation, context: this.#context, now });
    });
    return 'done';
  }

  async #failed(step: Step, position: number, error: unknown): Promise<string> {
    if (this.#lease.lost.aborted) throw new LeaseLost();
    if (this.#abort.signal.aborted) return this.#abort.signal.reason === 'cancelled' ? this.#turnBack(null) : this.#park(undefined);
    const now = this.#deps.clock.now();
    if (isWorthWaiting(error)) {
      this.#waitingSince ??= now;
      if (step.patient === true || now - this.#waitingSince < this.#times.waitForHostMs) return this.#wait(now, error);
    }
    this.#report(step, 'run', error);
    return this.#turnBack(failureSentence(error, this.#hostName), position);
  }

  // ── back ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** From here on everything that may have been done is taken back. `error` null: cancelled. */
  async #turnBack(error: Sentence | null, failedPosition?: number): Promise<string> {
    this.#error = error;
    this.#waitingSince = null;
    await this.#deps.db.transaction(async (tx) => {
      await this.#change(tx, {
        state: 'undoing', error, context: this.#context, cancellable: false, note: null, progressPercent: null, waitingSince: null, attempts: 0, runAfter: 0,
      });
      if (failedPosition !== undefined && error !== null) {
        await updateOperationStep(tx, this.id, failedPosition, { state: 'failed', endedAt: this.#deps.clock.now(), error });
      }
    });
    return this.#back();
  }

  /** What was to be undone has passed its point of no return: the cancellation came too late, or the failure was none. */
  async #turnForward(): Promise<string> {
    await this.#change(this.#deps.db, {
      state: 'running', error: null, cancelRequested: false, context: this.#context, note: null, waitingSince: null, attempts: 0,
      runAfter: Math.ceil(this.#deps.clock.now() + this.#times.retryMs / 10), release: true,
    });
    return 'turned';
  }

  /** Newest first, from the last step that may have begun. */
  async #back(): Promise<string> {
    this.#cancellable = false;
    const rows = await selectOperationSteps(this.#deps.db, this.id);
    for (const row of rows.filter(mayHaveBegun).reverse()) {
      const step = this.#definition.steps[row.position];
      if (step?.undo === undefined) {
        // nothing of it remains, but on its page it must not look as if it went on
        if (row.state === 'running') await this.#mark(row.position, 'undone');
        continue;
      }
      if (this.#stopping) return this.#park(undefined);
      await this.#mark(row.position, 'undoing');
      try {
        await this.#perform(step, 'undo');
      } catch (error) {
        if (this.#lease.lost.aborted) throw new LeaseLost();
        if (this.#abort.signal.aborted) return this.#park(undefined);
        if (error instanceof TooLateToUndoError) return this.#turnForward();
        this.#report(step, 'undo', error);
        // nothing of it runs there; what lies there is looked through when the host checks in
        if (!(error instanceof HostFencedError)) {
          this.#waitingSince ??= this.#deps.clock.now();
          return this.#wait(this.#deps.clock.now(), error);
        }
      }
      this.#waitingSince = null;
      await this.#mark(row.position, 'undone');
    }
    return this.#ended();
  }

  async #mark(position: number, state: 'undoing' | 'undone'): Promise<void> {
    await this.#deps.db.transaction(async (tx) => {
      await this.#change(tx, { context: this.#context, ...(state === 'undone' ? { note: null, waitingSince: null, attempts: 0 } : {}) });
      await updateOperationStep(tx, this.id, position, { state, ...(state === 'undone' ? { endedAt: this.#deps.clock.now() } : {}) });
    });
  }

  async #ended(): Promise<string> {
    const now = this.#deps.clock.now();
    const state = this.#error === null ? 'cancelled' : 'failed';
    await this.#deps.db.transaction(async (tx) => {
      await this.#change(tx, { state, endedAt: now, note: null, progressPercent: null, waitingSince: null, release: true });
      await this.#definition.onFailed(tx, { operation: this.#record.operation, context: this.#context, now }, this.#error);
    });
    return state;
  }

  // ── giving the lease back in between ────────────────────────────────────────────────────────────────────────────

  /** The host is silent: later again. The place in the runner is free for others meanwhile. */
  async #wait(now: number, error: unknown): Promise<string> {
    const elapsedMs = now - (this.#waitingSince ?? now);
    const pauseMs = Math.min(this.#times.retryMs, Math.max(this.#times.retryMs / 10, elapsedMs / 2)) * (0.75 + Math.random() / 2);
    const note = waitingNote(error, this.#hostName);
    await this.#change(this.#deps.db, {
      context: this.#context, waitingSince: this.#waitingSince, note, runAfter: Math.ceil(now + pauseMs), attempts: 0, release: true,
    });
    return 'waiting';
  }

  async #pause(againAfterMs: number): Promise<string> {
    await this.#change(this.#deps.db, {
      context: this.#context, waitingSince: null, note: null, runAfter: this.#deps.clock.now() + againAfterMs, attempts: 0, release: true,
    });
    return 'paused';
  }

  /** The portal stops: another goes on from here. */
  async #park(finished: number | undefined): Promise<string> {
    await this.#deps.db.transaction(async (tx) => {
      await this.#change(tx, { context: this.#context, attempts: 0, runAfter: 0, release: true });
      if (finished !== undefined) await updateOperationStep(tx, this.id, finished, { state: 'done', endedAt: this.#deps.clock.now() });
    });
    return 'parked';
  }

  // ── one step ────────────────────────────────────────────────────────────────────────────────────────────────────

  async #perform(step: Step, direction: 'run' | 'undo'): Promise<RunAgain | void> {
    this.#abort = new AbortController();
    if (this.#lease.lost.aborted) throw new LeaseLost();
    await this.#hooks.beforeStep?.(this.id, step.name, direction);
    const run = this.#stepRun(AbortSignal.any([this.#lease.lost, this.#abort.signal]));
    const result = direction === 'run' ? await step.run(run) : await step.undo?.(run);
    await this.#hooks.afterStep?.(this.id, step.name, direction);
    return result;
  }

  #stepRun(signal: AbortSignal): StepRun {
    const { db } = this.#deps;
    const { operation, input, eventAt } = this.#record;
    const context = (): OperationContext => this.#context;
    return {
      deps: this.#deps, operation, input, eventAt, signal,
      get context() {
        return context();
      },
      instance: async () => (operation.instanceId === null ? undefined : selectOptionalInstance(db, operation.instanceId)),
      host: () => this.#host(signal),
      remember: (more) => {
        this.#context = { ...this.#context, ...more };
      },
      progress: (percent) => this.#progress(percent),
      transaction: (work) => db.transaction(async (tx) => {
        await this.#change(tx, { context: this.#context });
        return work(tx);
      }),
    };
  }

  async #host(signal: AbortSignal): ReturnType<StepRun['host']> {
    const { db, hosts } = this.#deps;
    const host = this.hostId === null ? undefined : await selectOptionalHost(db, this.hostId);
    if (host === undefined) throw new Error(`operation ${this.id} has no host`);
    if (host.state === 'fenced') throw new HostFencedError(host.name);
    // a portal that has just started, or an admin who has just changed the address
    if (!hosts.has(host.id)) throw new HostUnavailableError(`no connection to ${host.name} yet`);
    const hypervisor = hosts.host(host.id);
    await hypervisor.ready({ timeoutMs: this.#times.connectMs, signal });
    return { host, hypervisor };
  }

  /** At most twice a second: it is for people's eyes. */
  async #progress(percent: number): Promise<void> {
    const now = this.#deps.clock.now();
    if (now - this.#progressAt < 500) return;
    this.#progressAt = now;
    await this.#change(this.#deps.db, { progressPercent: Math.max(0, Math.min(100, Math.floor(percent))) });
  }

  /** The write that every move contains: throws when the operation is not ours. */
  async #change(db: Db, change: OperationChange): Promise<void> {
    if (!(await updateHeldOperation(db, { id: this.id, ownerId: this.#ownerId }, change))) throw new LeaseLost();
  }

  async #nameHost(): Promise<void> {
    if (this.hostId !== null) this.#hostName = (await selectOptionalHost(this.#deps.db, this.hostId))?.name ?? '';
  }

  #report(step: Step, direction: string, error: unknown): void {
    const line = { operation: this.id, kind: this.#definition.kind, step: step.name, direction, host: this.hostId, err: error };
    if (isBug(error)) this.#deps.log.error(line, 'operation step failed');
    else this.#deps.log.warn(line, 'operation step failed');
  }
}

/** What names its host, or what else it waits for, says so better than the operation's own host does. */
function waitingNote(error: unknown, hostName: string): Sentence {
  if (error instanceof AppError && error.kind === 'host-unavailable') return error.sentence;
  return isWorthWaiting(error) ? say('operations.waiting.host', { host: hostName }) : say('operations.waiting.undo');
}

function mayHaveBegun(row: OperationStep): boolean {
  return row.state !== 'waiting' && row.state !== 'undone';
}
