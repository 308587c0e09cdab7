// Emptying a host (drain) and bringing its instances back (return). The two exclude each other: the newer one cancels the
// older one and begins when that has ended.
import { randomUUID } from 'node:crypto';
import { AppError, say, type Sentence } from '../errors.ts';
import type { Host } from '../model/host.ts';
import type { Operation } from '../model/operation.ts';
import type { User } from '../model/user.ts';
import type { Db } from '../store/db.ts';
import { insertHostEvent } from '../store/host-events.ts';
import { updateHost } from '../store/hosts.ts';
import { insertOperation, selectOpenOperationsByHost, selectOperation, selectOptionalOperation } from '../store/operations.ts';
import { cancelOperation } from './cancel-operation.ts';
import type { OperationDeps } from './deps.ts';
import { tallyMoves } from './move-batch.ts';
import type { Definition, OperationEnd, RunAgain, Step, StepRun } from './step.ts';

export const maintenanceKinds = ['host-drain', 'host-return'] as const;
export type MaintenanceKind = (typeof maintenanceKinds)[number];

const wishOf = { 'host-drain': 'maintenance', 'host-return': 'enabled' } as const;
/** Between two looks at the operation that is to end first: it has only to cancel what has not begun. */
const lookAgainMs = 500;

/** What an emptying or a return is started with. */
export interface MaintenanceInput {
  /** it was not in maintenance before: what never came back from the last one lives elsewhere now */
  readonly anew: boolean;
}

/** Closes or opens the host at once and queues the work, once for an `id`. Throws conflict when it is under way already, or the host does not answer. */
export async function submitMaintenance(
  deps: OperationDeps, definition: Definition & { readonly kind: MaintenanceKind }, host: Host, actor: Pick<User, 'id'>, id: string = randomUUID(),
): Promise<Operation> {
  const { kind } = definition;
  const before = await selectOptionalOperation(deps.db, id);
  if (before !== undefined) return before;
  if (host.state !== 'up') throw new AppError('conflict', say(`maintenance.refused.${kind}.unreachable`, { host: host.name }));
  const createdAt = deps.clock.now();
  const anew = host.wish !== 'maintenance';
  const others = await deps.db.transaction(async (tx) => {
    // holds the host's row: of two at once the second one sees the first
    await updateHost(tx, host.id, { wish: wishOf[kind] });
    const open = await selectOpenOperationsByHost(tx, host.id, maintenanceKinds);
    if (open.some((other) => other.id === id)) return open;
    if (open.some((other) => other.kind === kind && !other.cancelRequested && other.state !== 'undoing')) throw new AppError('conflict', say(`maintenance.refused.${kind}.running`, { host: host.name }));
    const input: MaintenanceInput = { anew };
    await insertOperation(tx, { id, kind, instanceId: null, hostId: host.id, userId: actor.id, input, stepNames: definition.steps.map((step) => step.name), createdAt });
    await insertHostEvent(tx, { hostId: host.id, at: createdAt, kind: 'wish', userId: actor.id, sentence: say(`maintenance.event.${kind}.asked`) });
    return open;
  });
  for (const other of others) if (other.id !== id) await cancelOther(deps, other);
  deps.wake();
  return selectOperation(deps.db, id);
}

async function cancelOther(deps: OperationDeps, other: Operation): Promise<void> {
  await cancelOperation(deps, other, { onFailed: (tx, end, error) => ended(tx, end, error) }).catch((error: unknown) => {
    // it has just come to its end
    if (!(error instanceof AppError) || error.kind !== 'conflict') throw error;
  });
}

/** The first step of both: the other has ended, and the host answers. */
export function beginStep(name: string, begin: (run: StepRun, input: MaintenanceInput) => Promise<void>): Step {
  return {
    name,
    cancellable: true,
    async run(run): Promise<RunAgain | void> {
      const { operation, deps } = run;
      if (operation.hostId === null) throw new Error(`operation ${operation.id} has no host`);
      const others = await selectOpenOperationsByHost(deps.db, operation.hostId, maintenanceKinds);
      if (others.some((other) => other.id !== operation.id && other.createdAt <= operation.createdAt)) return { againAfterMs: lookAgainMs };
      await run.host();
      await begin(run, run.input as MaintenanceInput);
    },
  };
}

/** The last step: what came of it, for the host's history and the page. */
export const reportStep: Step = {
  name: 'report-moves',
  async run(run) {
    run.remember({ tally: await tallyMoves(run.deps.db, run.operation) });
  },
};

/** In the transaction that ends it, well or not. */
export async function ended(tx: Db, { operation, context, now }: OperationEnd, error: Sentence | null | 'done'): Promise<void> {
  if (operation.hostId === null) return;
  const tally = context.tally ?? (await tallyMoves(tx, operation));
  const how = error === 'done' ? 'done' : error === null ? 'cancelled' : 'failed';
  await insertHostEvent(tx, {
    hostId: operation.hostId, at: now, kind: 'wish', userId: operation.userId,
    sentence: say(`maintenance.event.${operation.kind}.${how}`, { ...tally }), ...(how === 'failed' ? { reason: error as Sentence } : {}),
  });
}

/** The emptying or return that is at work; of two, of which the older one is being cancelled, the newer. */
export async function selectMaintenanceUnderWay(db: Db, hostId: string): Promise<Operation | undefined> {
  return (await selectOpenOperationsByHost(db, hostId, maintenanceKinds)).at(-1);
}
