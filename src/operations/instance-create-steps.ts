// Creating: place · create-volume · define · start · record. Until it has started anybody may cancel it, and whatever
// goes wrong is taken back: nothing stays on the host, and the reservation goes with the last write.
import { AppError, say, type Sentence } from '../errors.ts';
import { HostUnavailableError, isNoNetwork, isNoStoragePool } from '../libvirt/errors.ts';
import type { Image } from '../model/image.ts';
import type { Instance } from '../model/instance.ts';
import type { Db } from '../store/db.ts';
import { selectOptionalHost } from '../store/hosts.ts';
import { insertInstanceEvent } from '../store/instance-events.ts';
import { selectOptionalInstanceSeed } from '../store/instance-seeds.ts';
import { releaseInstance, selectOptionalInstance } from '../store/instances.ts';
import { releaseReservation } from '../store/reservations.ts';
import { deleteUsagePeriod } from '../store/usage-periods.ts';
import { defineInstance } from './define-instance.ts';
import { ensureOff, ensureStarted, ensureUndefined, expectDomain } from './domain.ts';
import { domainsElsewhere } from './other-hosts.ts';
import { hypervisorForPool } from './pool-access.ts';
import { buildSeedImage } from './seed.ts';
import type { Definition, OperationEnd, StepRun } from './step.ts';
import { ensureDisk, ensureSeed, removeVolumes } from './volumes.ts';

/** What creation was asked for, as it was then: an admin may change the image's record meanwhile. */
export interface CreateInput {
  readonly pool: string;
  readonly image: Pick<Image, 'volume' | 'format' | 'cloudInit'>;
}

export const instanceCreate: Definition = {
  kind: 'instance-create',
  steps: [
    { name: 'place', cancellable: true, run: checkPlace },
    { name: 'create-volume', cancellable: true, run: createVolume, undo: removeVolume },
    { name: 'define', cancellable: true, run: define, undo: async (run) => ensureUndefined((await run.host()).hypervisor, idOf(run), run.signal) },
    { name: 'start', run: start, undo: async (run) => ensureOff((await run.host()).hypervisor, idOf(run), run.signal) },
    // it runs by now: when its host falls silent in this moment, waiting is kinder than taking it down
    { name: 'record', patient: true, run: record },
  ],
  onDone: created,
  onFailed: notCreated,
};

function idOf(run: StepRun): string {
  return instanceIdOf(run.operation);
}

function instanceIdOf({ id, instanceId }: OperationEnd['operation']): string {
  if (instanceId === null) throw new Error(`operation ${id} has no instance`);
  return instanceId;
}

async function instanceOf(run: StepRun): Promise<Instance> {
  const instance = await run.instance();
  if (instance === undefined) throw new Error(`operation ${run.operation.id}: its instance is gone`);
  return instance;
}

/** The host was chosen and reserved when creation was asked for; here it shows that it can do it. */
async function checkPlace(run: StepRun): Promise<void> {
  const { host, hypervisor } = await run.host();
  const { pool } = run.input as CreateInput;
  try {
    const info = await hypervisor.storagePool.getInfo(pool, { signal: run.signal });
    if (info.state !== 'running') throw new AppError('conflict', say('operations.failed.pool-inactive', { pool, host: host.name }));
    if (await hypervisor.network.isActive(host.network, { signal: run.signal })) return;
  } catch (error) {
    if (isNoStoragePool(error)) throw new AppError('conflict', say('operations.failed.pool-inactive', { pool, host: host.name }), { cause: error });
    if (!isNoNetwork(error)) throw error;
  }
  throw new AppError('conflict', say('operations.failed.network-inactive', { network: host.network, host: host.name }));
}

async function createVolume(run: StepRun): Promise<void> {
  const { hypervisor } = await run.host();
  const { pool, image } = run.input as CreateInput;
  const instance = await instanceOf(run);
  await ensureDisk(hypervisor, instance.id, { pool, image, diskGib: instance.diskGib }, run.signal);
  if (!image.cloudInit) return;
  const seed = (await selectOptionalInstanceSeed(run.deps.db, instance.id)) ?? { sshKey: '', userData: '' };
  await ensureSeed(hypervisor, instance.id, pool, buildSeedImage(instance, seed), run.signal);
}

async function removeVolume(run: StepRun): Promise<void> {
  const { id, hostId, poolId } = await instanceOf(run);
  const hypervisor = poolId === null ? undefined : await hypervisorForPool(run, poolId);
  if (hypervisor === undefined) return;
  const other = (await domainsElsewhere(run.deps, hostId, run)).get(id);
  if (other !== undefined) return run.deps.log.error({ instance: id, host: other.host.name }, 'a creation is undone whose machine another host has: its disk is left');
  await removeVolumes(hypervisor, (run.input as CreateInput).pool, idOf(run), run.signal);
}

/** Defining again with the same UUID and name replaces, so there is nothing to look for first. */
async function define(run: StepRun): Promise<void> {
  const { host, hypervisor } = await run.host();
  const { pool, image } = run.input as CreateInput;
  await defineInstance(run.deps.db, { host, hypervisor }, await instanceOf(run), { pool, seed: image.cloudInit }, run.signal);
}

async function start(run: StepRun): Promise<void> {
  await ensureStarted((await run.host()).hypervisor, idOf(run), run.signal);
}

/** A host that was fenced meanwhile checks in without it: then it was not created. */
async function record(run: StepRun): Promise<void> {
  const { host, hypervisor } = await run.host();
  const { state, consolePort } = await expectDomain(hypervisor, idOf(run), host.name, { signal: run.signal });
  // fenced, or checked in, while it was asked: what was seen there may be gone
  if ((await selectOptionalHost(run.deps.db, host.id))?.stateSince !== host.stateSince) throw new HostUnavailableError(`the state of ${host.name} changed while it was asked`);
  run.remember({ observed: state, consolePort });
}

async function created(tx: Db, { operation, context, now }: OperationEnd): Promise<void> {
  const id = instanceIdOf(operation);
  await releaseInstance(tx, id, operation.id, { state: context.observed ?? 'running', consolePort: context.consolePort ?? null, problem: null }, now);
  await insertInstanceEvent(tx, { instanceId: id, at: now, userId: operation.userId, sentence: say('operations.diary.instance-create.done') });
}

async function notCreated(tx: Db, { operation, now }: OperationEnd, error: Sentence | null): Promise<void> {
  const id = instanceIdOf(operation);
  const instance = await selectOptionalInstance(tx, id);
  if (instance === undefined || instance.operationId !== operation.id || instance.hostId === null || instance.poolId === null) return;
  await releaseReservation(tx, { userId: instance.userId, hostId: instance.hostId, poolId: instance.poolId, size: instance });
  await deleteUsagePeriod(tx, instance);
  const problem = error ?? say('operations.create.cancelled');
  await releaseInstance(tx, id, operation.id, { state: 'failed', hostId: null, poolId: null, problem }, now);
  const sentence = error === null ? say('operations.diary.instance-create.cancelled') : say('operations.diary.instance-create.failed');
  await insertInstanceEvent(tx, { instanceId: id, at: now, userId: operation.userId, sentence, reason: error });
}
