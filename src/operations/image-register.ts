// Images from files that lie in a pool: what could be one, and making one of it.
import { AppError, say } from '../errors.ts';
import { readVolumeXml } from '../libvirt/storage-xml.ts';
import type { CallOptions } from '../libvirt/hypervisor.ts';
import type { StoragePool } from '../model/host.ts';
import { volumeNameRefuses, type Image, type ImageFormat } from '../model/image.ts';
import type { Db } from '../store/db.ts';
import { insertImage, selectImage, selectImages, selectOptionalImageByVolume } from '../store/images.ts';
import { selectSettings } from '../store/settings.ts';
import { selectPools } from '../store/storage-pools.ts';
import type { OperationDeps } from './deps.ts';
import { checkImageFile, instanceDiskRefuses } from './image-check.ts';
import { withPool } from './pool-access.ts';

export type ImageDeps = Pick<OperationDeps, 'db' | 'hosts' | 'clock' | 'log'>;

export interface ImageInput {
  /** id of the pool, or its name where only one has it */
  readonly pool: string;
  readonly volume: string;
  readonly name: string;
  readonly description?: string;
  readonly minMemoryMib?: number;
  readonly cloudInit?: boolean;
  readonly format?: ImageFormat;
  readonly enabled?: boolean;
}

/** Below this hardly any guest boots. */
const defaultMinMemoryMib = 64;

/**
 * Checks the file and makes an image of it. A file that is an image already is given back as it is. Throws AppError invalid
 * (field: why), conflict (the name is taken), host-unavailable.
 */
export async function registerImage(deps: ImageDeps, input: ImageInput): Promise<{ readonly image: Image; readonly created: boolean }> {
  const pool = await findPool(deps.db, input.pool);
  const existing = await selectOptionalImageByVolume(deps.db, pool.id, input.volume);
  if (existing !== undefined) return { image: existing, created: false };
  const { caps } = await selectSettings(deps.db);
  const checked = await withPool(deps, pool, (access) => checkImageFile(access, pool, { volume: input.volume, format: input.format, capGib: caps.diskGib }));
  const id = crypto.randomUUID();
  await insertImage(deps.db, {
    id, poolId: pool.id, volume: input.volume, name: input.name, description: input.description ?? '',
    format: checked.format, virtualSizeBytes: checked.virtualSizeBytes, minMemoryMib: input.minMemoryMib ?? defaultMinMemoryMib,
    cloudInit: input.cloudInit ?? false, enabled: input.enabled ?? true, createdAt: deps.clock.now(),
  });
  deps.log.info({ imageId: id, poolId: pool.id, volume: input.volume, format: checked.format, qemuImg: checked.qemuImg }, 'image registered');
  return { image: await selectImage(deps.db, id), created: true };
}

async function findPool(db: Db, idOrName: string): Promise<StoragePool> {
  const pools = await selectPools(db);
  const found = pools.filter((pool) => pool.id === idOrName);
  const named = found.length > 0 ? found : pools.filter((pool) => pool.name === idOrName);
  if (named.length > 1) throw new AppError('conflict', say('images.pool-ambiguous', { pool: idOrName }));
  if (named[0] === undefined) throw new AppError('invalid', say('images.no-pool', { pool: idOrName }), { fields: { pool: say('images.no-pool', { pool: idOrName }) } });
  return named[0];
}

export interface ImageCandidate {
  readonly volume: string;
  /** libvirt's opinion */
  readonly format: string;
  readonly capacityBytes: number;
}

/** As long as an admin will look at a loading page. */
const listTimeoutMs = 5000;
/** Descriptions are asked for one by one: past this the admin types the name. */
const maxDescribed = 200;

/** Files of the pool that could become images: not images yet, not disks of instances, not clones of something. */
export async function listImageCandidates(deps: Pick<OperationDeps, 'db' | 'hosts'>, pool: StoragePool): Promise<ImageCandidate[]> {
  const registered = new Set((await selectImages(deps.db)).filter((image) => image.poolId === pool.id).map((image) => image.volume));
  return withPool(deps, pool, async ({ hypervisor }) => {
    const call: CallOptions = { timeoutMs: listTimeoutMs, signal: AbortSignal.timeout(listTimeoutMs) };
    await hypervisor.storagePool.refresh(pool.name, call);
    const names = (await hypervisor.storageVolume.listAll(pool.name, call)).map((volume) => volume.name)
      .filter((name) => !registered.has(name) && volumeNameRefuses(name) === undefined && instanceDiskRefuses(name) === undefined).sort();
    const candidates: ImageCandidate[] = [];
    for (const name of names.slice(0, maxDescribed)) {
      // a file may go while we look
      const volume = await hypervisor.storageVolume.getXMLDesc(pool.name, name, call).then(readVolumeXml, () => undefined);
      if (volume !== undefined && volume.type === 'file' && volume.backingPath === null) candidates.push({ volume: name, format: volume.format, capacityBytes: volume.capacityBytes });
    }
    return candidates;
  });
}
