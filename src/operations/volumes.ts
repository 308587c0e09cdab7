// An instance's volumes: its disk, a linked clone of the image, and its seed.
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { AppError, say } from '../errors.ts';
import { isNoStorageVolume, LibvirtError } from '../libvirt/errors.ts';
import type { Hypervisor, VolumeRef } from '../libvirt/hypervisor.ts';
import { buildVolumeXml, type VolumeSpec } from '../libvirt/volume-xml.ts';
import type { Image } from '../model/image.ts';

export const diskVolume = (instanceId: string): string => `${instanceId}.qcow2`;
/** a disk without its image, made to be copied elsewhere */
export const copyVolume = (instanceId: string): string => `${instanceId}-copy.qcow2`;
export const seedVolume = (instanceId: string): string => `${instanceId}-seed.iso`;
/** The instance that a volume of such a name belongs to; undefined: not one of ours. */
export function volumeOwner(volume: string): string | undefined {
  return /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:(?:-copy)?\.qcow2|-seed\.iso)$/.exec(volume)?.[1];
}

const gib = 1024 ** 3;
/** How long a clone or an upload may take, milliseconds: on NFS under load these wait for the server. */
const slowCallMs = 120_000;

export interface DiskInput {
  readonly pool: string;
  readonly image: Pick<Image, 'volume' | 'format'>;
  readonly diskGib: number;
}

/** Creation takes the same time for every size: the clone holds only what differs from the image. */
export async function ensureDisk(hypervisor: Hypervisor, instanceId: string, input: DiskInput, signal: AbortSignal): Promise<void> {
  const image = await findVolume(hypervisor, input.pool, input.image.volume, signal);
  const gone = (cause?: unknown): AppError =>
    new AppError('conflict', say('operations.failed.image-gone', { volume: input.image.volume, pool: input.pool }), { cause });
  if (image === undefined) throw gone();
  try {
    await ensureVolume(hypervisor, input.pool, {
      name: diskVolume(instanceId), capacityBytes: input.diskGib * gib, format: 'qcow2', backing: { path: image.key, format: input.image.format },
    }, signal);
  } catch (error) {
    if (error instanceof LibvirtError && (await isFileGone(hypervisor, input.pool, input.image.volume, signal))) throw gone(error);
    throw error;
  }
}

/** How often and how soon a refresh is tried that a daemon refuses because it is making a volume in that pool. */
const refreshTries = 10;
const refreshAgainMs = 500;

/** The pool's list is the daemon's memory: a file that came through another host, or was copied there, is known after a refresh only. */
async function findVolume(hypervisor: Hypervisor, pool: string, name: string, signal: AbortSignal): Promise<VolumeRef | undefined> {
  const known = await hypervisor.storageVolume.lookupByName(pool, name, { signal });
  if (known !== undefined) return known;
  for (let tries = 1; ; tries++) {
    try {
      await hypervisor.storagePool.refresh(pool, { signal, timeoutMs: slowCallMs });
      return await hypervisor.storageVolume.lookupByName(pool, name, { signal });
    } catch (error) {
      if (!(error instanceof LibvirtError) || tries === refreshTries) throw error;
      await delay(refreshAgainMs, undefined, { signal });
    }
  }
}

/** The pool's list is the daemon's memory: it may name a file that is there no more. Its size is read from the file. */
async function isFileGone(hypervisor: Hypervisor, pool: string, volume: string, signal: AbortSignal): Promise<boolean> {
  try {
    await hypervisor.storageVolume.getInfo(pool, volume, { signal });
    return false;
  } catch (error) {
    return isNoStorageVolume(error);
  }
}

/** Writes the seed anew each time: a half written one looks like a whole one. */
export async function ensureSeed(hypervisor: Hypervisor, instanceId: string, pool: string, image: Buffer, signal: AbortSignal): Promise<void> {
  const name = seedVolume(instanceId);
  await ensureVolume(hypervisor, pool, { name, capacityBytes: image.length, format: 'raw' }, signal);
  await hypervisor.storageVolume.upload(pool, name, Readable.from([image]), image.length, { signal, timeoutMs: slowCallMs });
}

/** One of this name and size that is there already is ours: names are instance ids. */
async function ensureVolume(hypervisor: Hypervisor, pool: string, spec: VolumeSpec, signal: AbortSignal): Promise<void> {
  const { storageVolume } = hypervisor;
  if ((await storageVolume.lookupByName(pool, spec.name, { signal })) !== undefined) {
    if ((await storageVolume.getInfo(pool, spec.name, { signal })).capacityBytes === spec.capacityBytes) return;
    // what a host leaves that died while it created the volume
    await storageVolume.delete(pool, spec.name, { signal });
  }
  await storageVolume.createXML(pool, buildVolumeXml(spec), { signal, timeoutMs: slowCallMs });
}

/** Removes disk and seed. Done when the pool has neither. */
export async function removeVolumes(hypervisor: Hypervisor, pool: string, instanceId: string, signal: AbortSignal): Promise<void> {
  const disk = diskVolume(instanceId);
  // a pool's list is the daemon's memory: another host of a shared pool may have made the files
  if ((await hypervisor.storageVolume.lookupByName(pool, disk, { signal })) === undefined) {
    await hypervisor.storagePool.refresh(pool, { signal, timeoutMs: slowCallMs });
  }
  for (const name of [disk, seedVolume(instanceId)]) await removeVolume(hypervisor, pool, name, signal);
}

async function removeVolume(hypervisor: Hypervisor, pool: string, name: string, signal: AbortSignal): Promise<void> {
  if ((await hypervisor.storageVolume.lookupByName(pool, name, { signal })) === undefined) return;
  try {
    await hypervisor.storageVolume.delete(pool, name, { signal, timeoutMs: slowCallMs });
  } catch (error) {
    if (!isNoStorageVolume(error)) throw error;
  }
}
