// Asking for a move: where to, decided and reserved in one transaction with the instance. After that it waits for its turn.
import { randomUUID } from 'node:crypto';
import { AppError, say, type Sentence } from '../errors.ts';
import type { Fleet, Placement } from '../model/admission.ts';
import { instanceRefuses, statesFor, type Instance } from '../model/instance.ts';
import type { Move, MoveTrigger } from '../model/move.ts';
import type { Operation } from '../model/operation.ts';
import { placeInstance, poolAt, type PlacementRequest } from '../model/placement.ts';
import type { Settings } from '../model/settings.ts';
import type { User } from '../model/user.ts';
import type { Db } from '../store/db.ts';
import { claimApart, selectGroupHosts } from '../store/anti-affinity.ts';
import { recordPlacement } from '../store/instance-placements.ts';
import { claimInstance, selectOptionalInstance } from '../store/instances.ts';
import { grantMovePlaces, insertMove, selectMove } from '../store/moves.ts';
import { insertOperation, selectOperation, selectOptionalOperation } from '../store/operations.ts';
import { reserveHostCapacity, reservePoolSpace } from '../store/reservations.ts';
import { selectSettings } from '../store/settings.ts';
import { loadFleet, raceLost } from './admission.ts';
import type { OperationDeps } from './deps.ts';
import { migrateSteps, moved, notMoved, type MigrateInput } from './instance-migrate-steps.ts';
import type { Definition } from './step.ts';

export const instanceMigrate: Definition = { kind: 'instance-migrate', steps: migrateSteps, onDone: moved, onFailed: notMoved };

export interface MoveRequest {
  /** as loaded for the person who asks */
  readonly instance: Instance;
  /** null: placement chooses */
  readonly toHostId: string | null;
  readonly trigger: MoveTrigger;
  readonly why: Sentence;
  /** the operation that asks for several moves at once */
  readonly batchId?: string;
  /** null: the system */
  readonly actor: Pick<User, 'id'> | null;
  /** written to the instance when the move ends well */
  readonly returnHostId?: string | null;
  /** it is off, and is started when it has arrived */
  readonly thenStart?: boolean;
  /** made by the caller, when asking twice (after a lost answer) must not move it twice */
  readonly operationId?: string;
}

export interface SubmittedMove {
  readonly operation: Operation;
  readonly move: Move;
}

/** Decisions made anew when another request took what was chosen. Each loss means that somebody else got it. */
const maxDecisions = 10;

interface Target {
  readonly fromHostId: string;
  readonly fromHostName: string;
  readonly toHostId: string;
  readonly toHostName: string;
  /** null: its disk stays in its pool */
  readonly fromPoolId: string | null;
  readonly toPoolId: string | null;
  /** the hosts considered, also when one was named */
  readonly placement: Placement;
}

/**
 * Takes the instance, reserves the target's room and queues the move. Throws conflict (busy, wrong state, that host cannot
 * have it), no-capacity (no host has room) and not-found.
 */
export async function submitMove(deps: OperationDeps, request: MoveRequest): Promise<SubmittedMove> {
  const operationId = request.operationId ?? randomUUID();
  const before = request.operationId === undefined ? undefined : await selectOptionalOperation(deps.db, operationId);
  if (before !== undefined) return { operation: before, move: await selectMove(deps.db, operationId) };
  for (let decision = 1; decision <= maxDecisions; decision++) {
    const instance = await selectOptionalInstance(deps.db, request.instance.id);
    if (instance === undefined) throw new AppError('not-found', say('errors.not-found'));
    const refusal = instanceRefuses('migrate', instance);
    if (refusal !== undefined) throw new AppError('conflict', refusal);
    const settings = await selectSettings(deps.db);
    const target = await chooseTarget(deps, instance, request.toHostId, settings);
    if (!(await reserve(deps, request, instance, operationId, target, settings))) continue;
    deps.wake();
    return { operation: await selectOperation(deps.db, operationId), move: await selectMove(deps.db, operationId) };
  }
  throw raceLost();
}

async function chooseTarget(deps: OperationDeps, instance: Instance, toHostId: string | null, settings: Settings): Promise<Target> {
  const fleet = await loadFleet(deps.db, settings, deps.clock.now());
  const from = fleet.hosts.find((host) => host.id === instance.hostId);
  if (from === undefined || instance.poolId === null) throw new AppError('conflict', say('instances.refused.migrate'));
  if (toHostId === from.id) throw new AppError('conflict', say('migration.refused.same-host', { host: from.name }));
  const asked = await placementRequest(deps.db, instance, fleet);
  // who names the host knows how busy it is; the others are considered all the same, for the record
  const { placement, considered } = placeInstance({ ...asked, despiteLoad: toHostId !== null }, fleet, settings);
  const chosen = toHostId === null ? placement : considered.find((host) => host.hostId === toHostId);
  if (chosen === null || chosen === undefined) throw new AppError('no-capacity', say('migration.refused.no-host'));
  if ('score' in chosen && chosen.score === null) throw new AppError('conflict', chosen.reasons[0] ?? say('migration.refused.no-host'));
  const pool = poolAt(chosen.hostId, asked, fleet);
  const copies = pool !== undefined && pool.id !== instance.poolId;
  return {
    fromHostId: from.id, fromHostName: from.name, toHostId: chosen.hostId, toHostName: chosen.hostName,
    fromPoolId: copies ? instance.poolId : null, toPoolId: copies ? pool.id : null, placement: { hostId: chosen.hostId, hostName: chosen.hostName, considered },
  };
}

async function placementRequest(db: Db, instance: Instance, fleet: Fleet): Promise<PlacementRequest> {
  const { vcpus, memoryMib, diskGib, hostId, poolId } = instance;
  const from = fleet.hosts.find((host) => host.id === hostId);
  if (from === undefined || poolId === null) throw new AppError('conflict', say('instances.refused.migrate'));
  return {
    vcpus, memoryMib, diskGib, poolId, from, live: instance.state !== 'stopped',
    except: new Map([[from.id, say('placement.refused.here')]]),
    withDisk: fleet.pools.find((pool) => pool.id === poolId)?.shared === false,
    antiAffinityHosts: await selectGroupHosts(db, instance),
  };
}

/** All of it or nothing. false: the instance or the room is not as it was when that was decided. */
async function reserve(deps: OperationDeps, request: MoveRequest, instance: Instance, operationId: string, target: Target, settings: Settings): Promise<boolean> {
  const { overcommit, migration } = settings;
  const createdAt = deps.clock.now();
  const input: MigrateInput = {
    ...(request.returnHostId === undefined ? {} : { returnHostId: request.returnHostId }), ...(request.thenStart === true ? { thenStart: true } : {}),
  };
  class Lost extends Error {}
  try {
    await deps.db.transaction(async (tx) => {
      // the owner's row before the instance's and the host's, as everybody locks them
      const apart = await claimApart(tx, instance, target.toHostId);
      const won = await claimInstance(tx, instance.id, { operationId, operationKind: 'instance-migrate', states: statesFor('migrate') });
      const current = await selectOptionalInstance(tx, instance.id);
      // our own transaction again, after its answer was lost
      if (!won && current?.operationId === operationId) return;
      if (!won || !apart || current?.hostId !== instance.hostId || current.poolId !== instance.poolId) throw new Lost();
      if (!(await reserveHostCapacity(tx, target.toHostId, instance, overcommit))) throw new Lost();
      if (target.toPoolId !== null && !(await reservePoolSpace(tx, target.toPoolId, instance, overcommit))) throw new Lost();
      await insertOperation(tx, {
        id: operationId, kind: 'instance-migrate', instanceId: instance.id, hostId: target.fromHostId, userId: request.actor?.id ?? null, input,
        stepNames: migrateSteps.map((step) => step.name), createdAt,
      });
      await insertMove(tx, {
        id: operationId, instanceId: instance.id, instanceName: instance.name, userId: instance.userId, kind: instance.state === 'stopped' ? 'offline' : 'live',
        withDisk: target.toPoolId !== null, ...target, trigger: request.trigger, why: request.why, batchId: request.batchId ?? null,
        actorId: request.actor?.id ?? null, createdAt,
      });
      await recordPlacement(tx, { instanceId: instance.id, moveId: operationId }, target.placement, createdAt);
      await grantMovePlaces(tx, migration, createdAt);
    });
    return true;
  } catch (error) {
    if (error instanceof Lost) return false;
    throw error;
  }
}
