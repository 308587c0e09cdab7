// Asking for something to be done with an instance that is there: start, shutdown, force off, reboot, delete.
import { randomUUID } from 'node:crypto';
import { AppError, say } from '../errors.ts';
import type { Host } from '../model/host.ts';
import { instanceRefuses, statesFor, type Instance, type InstanceAction } from '../model/instance.ts';
import { homeOf } from '../model/maintenance.ts';
import type { Operation } from '../model/operation.ts';
import type { User } from '../model/user.ts';
import type { Db } from '../store/db.ts';
import { selectHosts, selectOptionalHost } from '../store/hosts.ts';
import { claimInstance, selectOptionalInstance } from '../store/instances.ts';
import { insertOperation, selectOptionalNamedOperation, selectOptionalOperation } from '../store/operations.ts';
import type { OperationDeps } from './deps.ts';
import { definitions } from './index.ts';
import { submitMove } from './instance-migrate.ts';
import { restartElsewhere } from './instance-recover.ts';

export type PowerAction = Exclude<InstanceAction, 'console' | 'migrate'>;
export const powerActions = ['start', 'shutdown', 'force-off', 'reboot', 'delete'] as const satisfies readonly PowerAction[];

export interface ActionRequest {
  readonly action: PowerAction;
  /** as loaded for the person who asks: having it is the permission */
  readonly instance: Instance;
  /** null: the system */
  readonly actor: Pick<User, 'id'> | null;
  /** made by the caller, when asking twice (after a lost answer) must not do it twice */
  readonly operationId?: string;
}

/**
 * Takes the instance and queues the work. Throws conflict, in instanceRefuses' words, when it cannot be done now. One whose
 * host has failed for good is started on another. Deleting what is being deleted is that deletion.
 */
export async function submitInstanceAction(deps: OperationDeps, request: ActionRequest): Promise<Operation> {
  const { action, instance, actor } = request;
  const before = await askedBefore(deps.db, request);
  if (before !== undefined) return before;
  const refusal = instanceRefuses(action, instance);
  if (refusal !== undefined) throw new AppError('conflict', refusal);
  if (action === 'start' && instance.hostId !== null) {
    const host = await selectOptionalHost(deps.db, instance.hostId);
    if (host?.state === 'fenced') return restartElsewhere(deps, request);
    if (host?.wish === 'maintenance') return startElsewhere(deps, request, host);
  }
  const definition = definitions[`instance-${action}`];
  const operationId = request.operationId ?? randomUUID();
  const createdAt = deps.clock.now();
  const id = await deps.db.transaction(async (tx) => {
    const won = await claimInstance(tx, instance.id, { operationId, operationKind: definition.kind, states: statesFor(action) });
    if (!won) return winner(tx, action, instance.id, operationId);
    await insertOperation(tx, {
      id: operationId, kind: definition.kind, instanceId: instance.id, hostId: instance.hostId, userId: actor?.id ?? null, input: {},
      stepNames: definition.steps.map((step) => step.name), createdAt,
    });
    return operationId;
  });
  deps.wake();
  // ours, or the deletion that another one has just asked for
  const operation = await selectOptionalNamedOperation(deps.db, id);
  if (operation === undefined) throw new AppError('not-found', say('errors.not-found'));
  return operation;
}

async function askedBefore(db: Db, { action, instance, operationId }: ActionRequest): Promise<Operation | undefined> {
  const asked = operationId === undefined ? undefined : await selectOptionalOperation(db, operationId);
  const deletion = deletionOf(action, instance);
  return asked ?? (deletion === undefined ? undefined : selectOptionalNamedOperation(db, deletion));
}

function deletionOf(action: PowerAction, { operationId, operationKind }: Instance): string | undefined {
  return action === 'delete' && operationKind === 'instance-delete' ? (operationId ?? undefined) : undefined;
}

/** Its host is in maintenance: what is started there would hold that up. So it moves first, which takes a moment, and belongs there still. */
async function startElsewhere(deps: OperationDeps, { instance, actor, operationId }: ActionRequest, host: Host): Promise<Operation> {
  const closed = new Set((await selectHosts(deps.db)).filter(({ wish }) => wish === 'maintenance').map(({ id }) => id));
  try {
    const { operation } = await submitMove(deps, {
      instance, toHostId: null, trigger: 'maintenance', why: say('moves.why.start', { host: host.name }), actor, returnHostId: homeOf(instance, host.id, closed), thenStart: true,
      ...(operationId === undefined ? {} : { operationId }),
    });
    return operation;
  } catch (error) {
    if (!(error instanceof AppError) || error.kind !== 'no-capacity') throw error;
    throw new AppError('conflict', say('maintenance.refused.start', { host: host.name }));
  }
}

/** Another was faster, unless this is our own transaction again after its answer was lost, or the same is being done. */
async function winner(tx: Db, action: PowerAction, id: string, operationId: string): Promise<string> {
  const current = await selectOptionalInstance(tx, id);
  if (current === undefined) throw new AppError('not-found', say('errors.not-found'));
  if (current.operationId === operationId) return operationId;
  const deletion = deletionOf(action, current);
  if (deletion !== undefined) return deletion;
  throw new AppError('conflict', instanceRefuses(action, current) ?? say('instances.refused.busy'));
}
