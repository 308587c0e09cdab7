// Asking for a burn-in: what the smallest instance would be, where it can be moved to, and the room for it on both hosts,
// reserved in one transaction with the record.
import { randomUUID } from 'node:crypto';
import { AppError, say, type Sentence } from '../errors.ts';
import type { Host, StoragePool } from '../model/host.ts';
import { minDiskGib, type Image } from '../model/image.ts';
import type { Operation } from '../model/operation.ts';
import type { Size } from '../model/size.ts';
import type { User } from '../model/user.ts';
import { hasOpenBurnIn, insertBurnIn } from '../store/burn-ins.ts';
import type { Db } from '../store/db.ts';
import { selectHostPools, selectHosts } from '../store/hosts.ts';
import { selectImages } from '../store/images.ts';
import { insertOperation, selectOperation, selectOptionalOperation } from '../store/operations.ts';
import { reserveHostCapacity, reserveHostRoom, reservePoolSpace } from '../store/reservations.ts';
import { selectSettings } from '../store/settings.ts';
import { selectPoolsByHost } from '../store/storage-pools.ts';
import { makeMac } from './define-instance.ts';
import type { OperationDeps } from './deps.ts';
import { hostBurnIn } from './host-burn-in.ts';
import { destinationUri } from './migrate-domain.ts';

export interface BurnInInput {
  readonly image: Pick<Image, 'name' | 'volume' | 'format' | 'cloudInit'>;
  readonly pool: Pick<StoragePool, 'name'>;
  readonly size: Size;
  readonly mac: string;
  /** where it is moved to and comes back from; null: nowhere */
  readonly target: { readonly id: string; readonly name: string } | null;
  /** why nowhere */
  readonly stays: Sentence | null;
}

/** The image of the smallest instance that can be made on this host, cloud images first; undefined: there is none. */
export function smallestImage(images: readonly Image[], pools: readonly StoragePool[]): Image | undefined {
  const here = new Set(pools.map((pool) => pool.id));
  return images.filter((image) => image.enabled && here.has(image.poolId))
    .sort((a, b) => Number(b.cloudInit) - Number(a.cloudInit) || a.minMemoryMib - b.minMemoryMib || a.virtualSizeBytes - b.virtualSizeBytes || (a.id < b.id ? -1 : 1))[0];
}

export interface BurnInRequest {
  /** null: the smallest */
  readonly imageId: string | null;
  readonly actor: Pick<User, 'id'> | null;
  /** made by the caller, when asking twice must not do it twice */
  readonly id?: string;
}

/** Throws conflict (not up, one is in progress), invalid (no image) and no-capacity. */
export async function submitBurnIn(deps: OperationDeps, host: Host, { imageId, actor, id = randomUUID() }: BurnInRequest): Promise<Operation> {
  const before = await selectOptionalOperation(deps.db, id);
  if (before !== undefined) return before;
  if (host.state !== 'up') throw new AppError('conflict', say('burn-in.refused.not-up', { host: host.name }));
  const [images, pools, settings] = await Promise.all([selectImages(deps.db), selectPoolsByHost(deps.db, host.id), selectSettings(deps.db)]);
  const image = imageId === null ? smallestImage(images, pools) : images.find((each) => each.id === imageId && each.enabled);
  const pool = pools.find((each) => each.id === image?.poolId);
  if (image === undefined || pool === undefined) {
    const sentence = say('burn-in.refused.no-image', { host: host.name });
    throw new AppError('invalid', sentence, { fields: { image: sentence } });
  }
  const size: Size = { vcpus: 1, memoryMib: image.minMemoryMib, diskGib: minDiskGib(image) };
  const { targets, stays } = await chooseTargets(deps.db, host, pool);
  const now = deps.clock.now();
  await deps.db.transaction(async (tx) => {
    // the row of the host is locked from here on: of two that ask at once, the second sees the first one's record
    if (!(await reserveHostRoom(tx, host.id, size, settings.overcommit))) throw new AppError('no-capacity', say('burn-in.refused.no-room', { host: host.name }));
    if (await hasOpenBurnIn(tx, host.id)) throw new AppError('conflict', say('burn-in.refused.running', { host: host.name }));
    let target: Host | undefined;
    for (const each of targets) {
      if (target === undefined && (await reserveHostCapacity(tx, each.id, size, settings.overcommit))) target = each;
    }
    if (!(await reservePoolSpace(tx, pool.id, size, settings.overcommit))) throw new AppError('no-capacity', say('burn-in.refused.no-space', { pool: pool.name }));
    const input: BurnInInput = {
      image: { name: image.name, volume: image.volume, format: image.format, cloudInit: image.cloudInit }, pool: { name: pool.name }, size, mac: makeMac(),
      target: target === undefined ? null : { id: target.id, name: target.name }, stays: target === undefined ? (stays ?? say('burn-in.left-out.no-room')) : null,
    };
    await insertOperation(tx, {
      id, kind: hostBurnIn.kind, instanceId: null, hostId: host.id, userId: actor?.id ?? null, input, stepNames: hostBurnIn.steps.map((step) => step.name), createdAt: now,
    });
    await insertBurnIn(tx, {
      id, hostId: host.id, userId: actor?.id ?? null, state: 'running', startedAt: now, endedAt: null, imageName: image.name, targetName: input.target?.name ?? null,
      reserved: { hostIds: [host.id, ...(target === undefined ? [] : [target.id])], poolId: pool.id, size }, steps: [], error: null, fix: null,
    });
  });
  deps.wake();
  return selectOperation(deps.db, id);
}

/** Where the instance could be moved to, the emptiest first; none: why. What libvirt finds against it, the move itself tells. */
async function chooseTargets(db: Db, host: Host, pool: StoragePool): Promise<{ readonly targets: readonly Host[]; readonly stays: Sentence | null }> {
  const [hosts, hostPools] = await Promise.all([selectHosts(db), selectHostPools(db)]);
  const others = hosts.filter((other) => other.id !== host.id);
  const none = (stays: Sentence) => ({ targets: [], stays });
  if (others.length === 0) return none(say('burn-in.left-out.alone'));
  if (!pool.shared) return none(say('burn-in.left-out.pool', { pool: pool.name }));
  if (destinationUri(host) === undefined) return none(say('burn-in.left-out.address', { host: host.name }));
  const fitting = others.filter((other) => hostPools.get(other.id)?.has(pool.id) === true && other.virtType === host.virtType && other.arch === host.arch && other.network === host.network);
  if (fitting.length === 0) return none(say('burn-in.left-out.different'));
  const targets = fitting.filter((other) => other.state === 'up' && other.wish === 'enabled' && destinationUri(other) !== undefined);
  if (targets.length === 0) return none(say('burn-in.left-out.not-up', { others: fitting.map(({ name }) => name).slice(0, 10).join(', ') }));
  return { targets: targets.sort((a, b) => a.usedMemoryMib / a.memoryMib - b.usedMemoryMib / b.memoryMib), stays: null };
}
