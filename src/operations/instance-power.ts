// Start, shutdown, force off and reboot. None of them has anything to undo: when one fails, what the host says then is
// what is true.
import { randomUUID } from 'node:crypto';
import { AppError, say, type Sentence } from '../errors.ts';
import { isOperationInvalid } from '../libvirt/errors.ts';
import { statesFor } from '../model/instance.ts';
import type { OperationKind } from '../model/operation.ts';
import type { Db } from '../store/db.ts';
import { selectOptionalHost } from '../store/hosts.ts';
import { insertInstanceEvent } from '../store/instance-events.ts';
import { claimInstance, releaseInstance, type InstanceChange } from '../store/instances.ts';
import { insertOperation } from '../store/operations.ts';
import { selectSettings } from '../store/settings.ts';
import { ensureOff, ensureStarted, expectDomain, type ObservedDomain } from './domain.ts';
import { recordStep } from './record-step.ts';
import type { Definition, OperationEnd, RunAgain, Step, StepRun } from './step.ts';

/** Milliseconds between two presses of the power button: a guest that is still booting ignores the first ones. */
const pressAgainMs = 10_000;
/** Milliseconds between two looks at a guest that is asked to stop; its events end the wait sooner. */
const lookAgainMs = 1000;

export const instanceStart = power('instance-start', [
  { name: 'start', run: async (run) => ensureStarted((await expected(run)).hypervisor, idOf(run), run.signal) },
  recordStep,
]);

export const instanceForceOff = power('instance-force-off', [
  { name: 'force-off', run: async (run) => ensureOff((await expected(run)).hypervisor, idOf(run), run.signal) },
  recordStep,
]);

export const instanceShutdown = power('instance-shutdown', [
  { name: 'press-power-button', cancellable: true, run: (run) => press(run, 'shutdown') },
  { name: 'wait-for-guest', cancellable: true, run: waitForOff },
  recordStep,
]);

export const instanceReboot = power('instance-reboot', [
  { name: 'press-power-button', cancellable: true, run: (run) => press(run, 'reboot') },
  { name: 'wait-for-guest', cancellable: true, run: waitForReboot },
  recordStep,
]);

function idOf({ operation }: Pick<StepRun, 'operation'>): string {
  if (operation.instanceId === null) throw new Error(`operation ${operation.id} has no instance`);
  return operation.instanceId;
}

type Expected = Awaited<ReturnType<StepRun['host']>> & { readonly observed: ObservedDomain };

/** The host and what it says of the domain; remembered, so that also an operation that fails ends with what was seen. */
async function expected(run: StepRun): Promise<Expected> {
  const { host, hypervisor } = await run.host();
  const observed = await expectDomain(hypervisor, idOf(run), host.name, { signal: run.signal }).catch((error: unknown) => {
    if (error instanceof AppError && error.kind === 'not-found') run.remember({ observed: 'lost', consolePort: null });
    throw error;
  });
  run.remember({ observed: observed.state, consolePort: observed.consolePort });
  return { host, hypervisor, observed };
}

async function press(run: StepRun, button: 'shutdown' | 'reboot'): Promise<void> {
  const { hypervisor, observed } = await expected(run);
  const { power: settings } = await selectSettings(run.deps.db);
  const now = run.deps.clock.now();
  run.remember({ deadlineAt: now + settings.shutdownTimeoutSeconds * 1000, timeoutSeconds: settings.shutdownTimeoutSeconds, pressedAt: now });
  if (observed.state === 'stopped') return;
  try {
    await hypervisor.domain[button](idOf(run), { signal: run.signal });
  } catch (error) {
    // it went off in this moment: the next step sees it
    if (!isOperationInvalid(error)) throw error;
  }
}

async function waitForOff(run: StepRun): Promise<RunAgain | void> {
  const { hypervisor, observed } = await expected(run);
  if (observed.state === 'stopped') return;
  return waitOn(run, 'operations.failed.shutdown-ignored', () => hypervisor.domain.shutdown(idOf(run), { signal: run.signal }));
}

async function waitForReboot(run: StepRun): Promise<RunAgain | void> {
  // the reset that a reboot ends with is only seen as an event: the domain goes on running all the while
  if (run.eventAt !== null && run.eventAt >= (run.operation.startedAt ?? 0)) return;
  const { hypervisor, observed } = await expected(run);
  // it obeyed the button and stayed off: what was asked for is a machine that runs
  if (observed.state === 'stopped') return ensureStarted(hypervisor, idOf(run), run.signal);
  return waitOn(run, 'operations.failed.reboot-ignored', () => hypervisor.domain.reboot(idOf(run), { signal: run.signal }));
}

async function waitOn(run: StepRun, ignored: string, pressAgain: () => Promise<void>): Promise<RunAgain> {
  const now = run.deps.clock.now();
  const { deadlineAt = now, pressedAt = now, timeoutSeconds = 0 } = run.context;
  if (now >= deadlineAt) throw new AppError('conflict', say(ignored, { seconds: timeoutSeconds }));
  await run.progress(100 - ((deadlineAt - now) / 10 / timeoutSeconds));
  if (now - pressedAt >= pressAgainMs) {
    run.remember({ pressedAt: now });
    await pressAgain().catch((error: unknown) => {
      if (!isOperationInvalid(error)) throw error;
    });
  }
  return { againAfterMs: lookAgainMs };
}

/** Queues the start of one that is off and free, in the transaction that made it so. */
export async function insertStart(tx: Db, start: { readonly instanceId: string; readonly hostId: string; readonly userId: string | null; readonly createdAt: number }): Promise<void> {
  const id = randomUUID();
  const { kind, steps } = instanceStart;
  if (!(await claimInstance(tx, start.instanceId, { operationId: id, operationKind: kind, states: statesFor('start') }))) return;
  await insertOperation(tx, { ...start, id, kind, input: {}, stepNames: steps.map((step) => step.name) });
}

function power(kind: OperationKind, steps: readonly Step[]): Definition {
  return {
    kind, steps,
    onDone: (tx, end) => ended(tx, end, say(`operations.diary.${kind}.done`), null),
    onFailed: (tx, end, error) => ended(tx, end, error === null ? say(`operations.diary.${kind}.cancelled`) : say(`operations.diary.${kind}.failed`), error),
  };
}

async function ended(tx: Db, { operation, context, now }: OperationEnd, sentence: Sentence, reason: Sentence | null): Promise<void> {
  const id = idOf({ operation });
  const host = operation.hostId === null ? undefined : await selectOptionalHost(tx, operation.hostId);
  // whatever was seen there before it was fenced does not run any more
  const change = host?.state === 'fenced' ? observedChange('stopped') : observedChange(context.observed, context.consolePort);
  await releaseInstance(tx, id, operation.id, change, now);
  await insertInstanceEvent(tx, { instanceId: id, at: now, userId: operation.userId, sentence, reason });
}

/** What a domain's state, as the host told it, makes of the record. */
export function observedChange(state: InstanceChange['state'], consolePort: number | null = null): InstanceChange {
  if (state === undefined) return {};
  if (state === 'running' || state === 'paused') return { state, consolePort, problem: null };
  return { state, consolePort: null, consoleExpiresAt: null, problem: state === 'lost' ? say('operations.lost') : null };
}
