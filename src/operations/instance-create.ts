// Asking for an instance: decide, reserve and record in one transaction. After that the runner does the work.
import { randomUUID } from 'node:crypto';
import { AppError, say } from '../errors.ts';
import { decideAdmission, type Placement } from '../model/admission.ts';
import type { Image } from '../model/image.ts';
import type { HaPriority, Instance } from '../model/instance.ts';
import type { Operation } from '../model/operation.ts';
import type { Settings } from '../model/settings.ts';
import type { Size } from '../model/size.ts';
import type { User } from '../model/user.ts';
import { claimApart } from '../store/anti-affinity.ts';
import { isDuplicateKey, type Db } from '../store/db.ts';
import { claimImage } from '../store/images.ts';
import { insertInstanceEvent } from '../store/instance-events.ts';
import { recordPlacement } from '../store/instance-placements.ts';
import { insertInstanceSeed, type InstanceSeed } from '../store/instance-seeds.ts';
import { countInstancesByState, insertInstance, selectOptionalInstance, selectOptionalInstanceByName } from '../store/instances.ts';
import { insertOperation, selectOptionalCreation } from '../store/operations.ts';
import { reserveHostCapacity, reservePoolSpace, reserveUserQuota } from '../store/reservations.ts';
import { insertSampleSubject } from '../store/sample-subjects.ts';
import { selectPool } from '../store/storage-pools.ts';
import { openUsagePeriod } from '../store/usage-periods.ts';
import { selectUser } from '../store/users.ts';
import { admissionError, loadAdmission, raceLost } from './admission.ts';
import { makeMac } from './define-instance.ts';
import type { OperationDeps } from './deps.ts';
import { definitions } from './index.ts';
import type { CreateInput } from './instance-create-steps.ts';

export interface InstanceRequest extends InstanceSeed {
  /** made by the caller, when asking twice (after a lost answer) must not make two */
  readonly instanceId?: string;
  readonly user: Pick<User, 'id'>;
  readonly name: string;
  readonly image: Image;
  readonly size: Size;
  /** started elsewhere when its host is gone; absent: as the settings say */
  readonly ha?: boolean;
  readonly haPriority?: HaPriority;
  /** group of the owner's instances that are kept apart */
  readonly antiAffinity?: string | null;
}

export interface SubmittedInstance {
  readonly instance: Instance;
  readonly operation: Operation;
}

/** Decisions made anew when another request took what was chosen. Each loss means that somebody else got it. */
const maxDecisions = 10;
/** Creations that failed count in no quota. More records of them than this help nobody, and a script could make them without end. */
export const maxFailedInstances = 100;

/**
 * Reserves and records. Throws invalid, quota-exceeded, no-capacity and conflict (name taken, gate closed), each with the
 * field it is about.
 */
export async function submitInstanceCreate(deps: OperationDeps, request: InstanceRequest): Promise<SubmittedInstance> {
  const id = request.instanceId ?? randomUUID();
  const before = await findSubmitted(deps.db, id, request.user.id);
  if (before !== undefined) return before;
  try {
    return await submitNew(deps, request, id);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    // what stands against it may be this very request, sent twice: it has the name now, or the last room
    const same = await findSubmitted(deps.db, id, request.user.id);
    if (same === undefined) throw error;
    return same;
  }
}

async function submitNew(deps: OperationDeps, request: InstanceRequest, id: string): Promise<SubmittedInstance> {
  if ((await selectOptionalInstanceByName(deps.db, request.user.id, request.name)) !== undefined) throw nameTaken();
  if ((await countInstancesByState(deps.db, request.user.id)).failed >= maxFailedInstances) throw new AppError('conflict', say('operations.create.too-many-failed', { max: maxFailedInstances }));
  const operationId = randomUUID();
  for (let decision = 1; decision <= maxDecisions; decision++) {
    const chosen = await decide(deps, request);
    try {
      if (await reserve(deps, request, { id, operationId, ...chosen })) {
        deps.wake();
        const made = await findSubmitted(deps.db, id, request.user.id);
        if (made === undefined) throw notFound();
        return made;
      }
    } catch (error) {
      if (!isDuplicateKey(error)) throw error;
      // the name, this very request, or (one in millions) the MAC address: the last is another one next time
      if ((await selectOptionalInstanceByName(deps.db, request.user.id, request.name)) !== undefined) throw nameTaken();
    }
  }
  throw raceLost();
}

function nameTaken(): AppError {
  const sentence = say('operations.create.name-taken');
  return new AppError('conflict', sentence, { fields: { name: sentence } });
}

interface Chosen { readonly settings: Settings; readonly placement: Placement }

async function decide(deps: OperationDeps, { user, image, size, antiAffinity = null }: InstanceRequest): Promise<Chosen> {
  // usage as it is now, not as it was when the session was read
  const input = await loadAdmission(deps.db, deps.clock, {
    user: await selectUser(deps.db, user.id), request: { ...size, image, antiAffinity }, config: { pollIntervalMs: 0 },
  });
  const verdict = decideAdmission(input);
  if (verdict.placement === null) throw admissionError(verdict);
  return { settings: input.settings, placement: verdict.placement };
}

/** All of it or nothing. false: what was chosen is not free any more. */
async function reserve(
  deps: OperationDeps, request: InstanceRequest, { id, operationId, settings, placement }: Chosen & { readonly id: string; readonly operationId: string },
): Promise<boolean> {
  const { user, name, image, size, antiAffinity = null } = request;
  const now = deps.clock.now();
  const { hostId } = placement;
  const pool = await selectPool(deps.db, image.poolId);
  const input: CreateInput = { pool: pool.name, image: { volume: image.volume, format: image.format, cloudInit: image.cloudInit } };
  const definition = definitions['instance-create'];
  class Lost extends Error {}
  try {
    await deps.db.transaction(async (tx) => {
      if ((await selectOptionalInstance(tx, id)) !== undefined) return;
      if (!(await reserveUserQuota(tx, user.id, size, settings.quota))) throw new Lost();
      if (!(await claimApart(tx, { id, userId: user.id, antiAffinity }, hostId))) throw new Lost();
      if (!(await reserveHostCapacity(tx, hostId, size, settings.overcommit))) throw new Lost();
      if (!(await reservePoolSpace(tx, pool.id, size, settings.overcommit))) throw new Lost();
      if (!(await claimImage(tx, image.id))) throw new AppError('conflict', say('operations.create.image-disabled'));
      await insertInstance(tx, {
        id, userId: user.id, name, ...size, imageId: image.id, hostId, poolId: pool.id, mac: makeMac(), operationId, operationKind: definition.kind,
        subjectId: await insertSampleSubject(tx, id, now), createdAt: now, ha: request.ha ?? settings.availability.defaultHa, haPriority: request.haPriority ?? 1, antiAffinity,
      });
      await openUsagePeriod(tx, { instanceId: id, instanceName: name, userId: user.id, ...size, openedAt: now });
      await insertInstanceSeed(tx, id, { sshKey: request.sshKey, userData: request.userData });
      await recordPlacement(tx, { instanceId: id, moveId: null }, placement, now);
      await insertOperation(tx, {
        id: operationId, kind: definition.kind, instanceId: id, hostId, userId: user.id, input,
        stepNames: definition.steps.map((step) => step.name), createdAt: now,
      });
      await insertInstanceEvent(tx, { instanceId: id, at: now, userId: user.id, sentence: say('operations.diary.instance-create.asked', { host: placement.hostName }) });
    });
    return true;
  } catch (error) {
    if (error instanceof Lost) return false;
    throw error;
  }
}

/** The same request, asked before. Somebody else's id is no secret and no right: not-found. */
async function findSubmitted(db: Db, id: string, userId: string): Promise<SubmittedInstance | undefined> {
  const instance = await selectOptionalInstance(db, id);
  if (instance === undefined) return undefined;
  if (instance.userId !== userId) throw notFound();
  const operation = await selectOptionalCreation(db, id);
  if (operation === undefined) throw notFound();
  return { instance, operation };
}

const notFound = (): AppError => new AppError('not-found', say('errors.not-found'));
