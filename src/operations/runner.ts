// Finds operations that nobody works on and works on them: those just submitted at once (wake), those of a dead portal
// when their lease has ended, those that wait for a host when their time has come.
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { OperationKind } from '../model/operation.ts';
import { LeaseWatch, type Lease } from '../store/lease-watch.ts';
import { claimOperation, selectCancelRequests, selectClaimableOperations, selectOperationLeases } from '../store/operations.ts';
import type { OperationDeps } from './deps.ts';
import { defaultTimes, Execution, type ExecutionHooks, type ExecutionTimes } from './execution.ts';
import { definitions as allDefinitions } from './index.ts';
import type { Definition, OperationContext } from './step.ts';

export interface RunnerOptions {
  /** of this process; another one's leases are never taken for ours */
  readonly ownerId: string;
  readonly definitions?: Partial<Record<OperationKind, Definition>>;
  readonly times?: Partial<ExecutionTimes>;
  readonly limits?: Partial<RunnerLimits>;
  readonly hooks?: ExecutionHooks;
}

export interface RunnerLimits {
  /** at a time in this process */
  readonly operations: number;
  /** of those, on one host: one that hangs must not take every place. libvirt serves about that many at once. */
  readonly perHost: number;
  /** milliseconds between two looks; also how late a cancellation is noticed */
  readonly pollMs: number;
  /** milliseconds that steps in progress get to finish when the portal stops */
  readonly stopMs: number;
}

const defaultLimits: RunnerLimits = { operations: 16, perHost: 4, pollMs: 1000, stopMs: 5000 };

export interface Runner {
  start(): void;
  /** Lets steps in progress finish for a while, then gives the leases back. Nothing is undone. */
  stop(): Promise<void>;
  /** There is work now. */
  wake(): void;
}

export function createRunner(deps: OperationDeps, options: RunnerOptions): Runner {
  const limits = { ...defaultLimits, ...options.limits };
  const execute = { ownerId: options.ownerId, times: { ...defaultTimes, ...options.times }, hooks: options.hooks ?? {} };
  const definitions = options.definitions ?? allDefinitions;
  // a newer portal's kinds are left to it
  const kinds = Object.keys(definitions) as OperationKind[];
  const watch = new LeaseWatch(execute.times.leaseMs);
  const running = new Map<string, { readonly execution: Execution; readonly ended: Promise<void> }>();
  let state: 'new' | 'started' | 'stopping' = 'new';
  let woken = false;
  let sleeper = new AbortController();
  let loop: Promise<void> = Promise.resolve();

  const wake = (): void => {
    woken = true;
    sleeper.abort();
  };

  const busyHosts = (): string[] => {
    const counts = new Map<string, number>();
    for (const { execution } of running.values()) if (execution.hostId !== null) counts.set(execution.hostId, (counts.get(execution.hostId) ?? 0) + 1);
    return [...counts].filter(([, count]) => count >= limits.perHost).map(([hostId]) => hostId);
  };

  /** Takes one if it can still be had. */
  const take = async (id: string, stale?: Lease): Promise<void> => {
    const now = deps.clock.now();
    const claimedAt = performance.now();
    const record = await claimOperation<OperationContext>(deps.db, id, { ownerId: options.ownerId, until: now + execute.times.leaseMs }, now, stale);
    if (record === undefined) return;
    const definition = definitions[record.operation.kind];
    if (definition === undefined) return;
    if (stale !== undefined) deps.log.info({ operation: id, kind: record.operation.kind }, 'operation of a portal that is gone taken over');
    const execution = new Execution(deps, definition, record, { ...execute, claimedAt });
    const ended = execution.run().finally(() => {
      running.delete(id);
      wake();
    });
    running.set(id, { execution, ended });
  };

  const look = async (): Promise<void> => {
    const cancelled = await selectCancelRequests(deps.db, [...running.keys()]);
    for (const id of cancelled) running.get(id)?.execution.cancel();
    const free = limits.operations - running.size;
    if (free <= 0) return;
    const askedAt = performance.now();
    const held = await selectOperationLeases(deps.db, options.ownerId, kinds);
    const stale = watch.observe(new Map(held.map(({ id, lease }) => [id, lease])), askedAt);
    const query = { now: deps.clock.now(), limit: free, kinds, ownerId: options.ownerId, exceptIds: [...running.keys()], exceptHostIds: busyHosts() };
    const found = [...held.filter(({ id }) => stale.has(id)).slice(0, free), ...(await selectClaimableOperations(deps.db, query))].slice(0, free);
    for (const { id, hostId } of found) {
      // the ones taken a moment ago count too; what is left out now is found by the look that their end causes
      if (state === 'stopping' || (hostId !== null && busyHosts().includes(hostId))) continue;
      await take(id, stale.get(id));
    }
  };

  const run = async (): Promise<void> => {
    while (state === 'started') {
      woken = false;
      sleeper = new AbortController();
      try {
        await look();
      } catch (error) {
        deps.log.error({ err: error }, 'looking for operations failed');
      }
      if (!woken) await delay(limits.pollMs, undefined, { signal: sleeper.signal }).catch(() => undefined);
    }
  };

  return {
    wake,
    start() {
      if (state !== 'new') return;
      state = 'started';
      loop = run();
    },
    async stop() {
      state = 'stopping';
      wake();
      await loop;
      for (const { execution } of running.values()) execution.stop();
      const interrupt = setTimeout(() => {
        for (const { execution } of running.values()) execution.interrupt();
      }, limits.stopMs);
      await Promise.all([...running.values()].map(({ ended }) => ended));
      clearTimeout(interrupt);
    },
  };
}
