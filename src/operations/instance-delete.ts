// Deleting: power-off · undefine · delete-volumes · release. Nothing of it can be taken back, so once the power is cut a
// silent host is waited for without end: the reservation goes only when domain and volumes are proven gone. A fenced host
// is proven to run nothing: there it goes on, and what lies there goes when the host checks in.
import { AppError, say, type Sentence } from '../errors.ts';
import { isNoStoragePool } from '../libvirt/errors.ts';
import type { Instance } from '../model/instance.ts';
import type { Db } from '../store/db.ts';
import { deleteInstanceEvents, insertInstanceEvent } from '../store/instance-events.ts';
import { deleteInstancePlacement } from '../store/instance-placements.ts';
import { deleteInstanceSeed } from '../store/instance-seeds.ts';
import { deleteInstance, releaseInstance, selectOptionalInstance } from '../store/instances.ts';
import { releaseReservation } from '../store/reservations.ts';
import { selectOptionalPool } from '../store/storage-pools.ts';
import { closeUsagePeriod } from '../store/usage-periods.ts';
import { ensureOff, ensureUndefined } from './domain.ts';
import { HostFencedError } from './failure.ts';
import { observedChange } from './instance-power.ts';
import { domainsElsewhere } from './other-hosts.ts';
import { hypervisorForPool } from './pool-access.ts';
import type { Definition, OperationEnd, StepRun } from './step.ts';
import { removeVolumes } from './volumes.ts';

export const instanceDelete: Definition = {
  kind: 'instance-delete',
  steps: [
    { name: 'power-off', run: powerOff },
    { name: 'undefine', patient: true, run: undefine },
    { name: 'delete-volumes', patient: true, run: deleteVolumes },
    { name: 'release', patient: true, run: release },
  ],
  onDone: () => Promise.resolve(),
  onFailed: notDeleted,
};

/** undefined: there is nothing on any host, either because creation failed or because this ran before. */
async function placed(run: StepRun): Promise<(Instance & { readonly hostId: string; readonly poolId: string }) | undefined> {
  const instance = await run.instance();
  if (instance === undefined || instance.hostId === null || instance.poolId === null) return undefined;
  return { ...instance, hostId: instance.hostId, poolId: instance.poolId };
}

async function powerOff(run: StepRun): Promise<void> {
  const instance = await placed(run);
  if (instance === undefined) return;
  const other = instance.state === 'lost' ? (await domainsElsewhere(run.deps, instance.hostId, run)).get(instance.id) : undefined;
  if (other !== undefined) throw new AppError('conflict', say('operations.failed.lives-elsewhere', { host: other.host.name }));
  await unlessFenced(async () => ensureOff((await run.host()).hypervisor, instance.id, run.signal));
  run.remember({ observed: 'stopped' });
}

async function undefine(run: StepRun): Promise<void> {
  const instance = await placed(run);
  if (instance === undefined) return;
  await unlessFenced(async () => ensureUndefined((await run.host()).hypervisor, instance.id, run.signal));
  run.remember({ observed: 'lost' });
}

async function unlessFenced(work: () => Promise<void>): Promise<void> {
  await work().catch((error: unknown) => {
    if (!(error instanceof HostFencedError)) throw error;
  });
}

async function deleteVolumes(run: StepRun): Promise<void> {
  const instance = await placed(run);
  if (instance === undefined) return;
  const pool = await selectOptionalPool(run.deps.db, instance.poolId);
  if (pool === undefined) return;
  const hypervisor = await hypervisorForPool(run, pool.id);
  if (hypervisor === undefined) return;
  try {
    await removeVolumes(hypervisor, pool.name, instance.id, run.signal);
  } catch (error) {
    // an admin has taken the pool from the host: its files are not within anybody's reach through it
    if (!isNoStoragePool(error)) throw error;
  }
}

async function release(run: StepRun): Promise<void> {
  const { operation } = run;
  const instance = await run.instance();
  if (instance === undefined) return;
  while ((await deleteInstanceEvents(run.deps.db, instance.id)) > 0);
  await run.transaction(async (tx) => {
    // read again: this may be the second attempt at a transaction whose result was lost
    const current = await selectOptionalInstance(tx, instance.id);
    if (current === undefined || current.operationId !== operation.id) return;
    const { hostId, poolId, userId } = current;
    // a failed one gave its reservation back when it failed
    if (hostId !== null && poolId !== null) await releaseReservation(tx, { userId, hostId, poolId, size: current });
    await closeUsagePeriod(tx, current, run.deps.clock.now());
    await deleteInstanceSeed(tx, current.id);
    await deleteInstancePlacement(tx, current.id);
    await deleteInstance(tx, current.id, operation.id);
  });
}

async function notDeleted(tx: Db, { operation, context, now }: OperationEnd, error: Sentence | null): Promise<void> {
  const id = operation.instanceId;
  if (id === null) return;
  const change = observedChange(context.observed);
  if (!(await releaseInstance(tx, id, operation.id, { ...change, ...(error === null ? {} : { problem: error }) }, now))) return;
  await insertInstanceEvent(tx, { instanceId: id, at: now, userId: operation.userId, sentence: say('operations.diary.instance-delete.failed'), reason: error });
}
