// The disks of an instance whose pool the target does not share. A running one's disk is sent by the migration itself and
// only needs an empty volume there; one that is off is copied whole. The seed is small and never changes: it is copied in
// both cases, and images are not: what a disk has of its image is written into the copy.
import { Transform } from 'node:stream';
import { AppError, say } from '../errors.ts';
import type { Hypervisor } from '../libvirt/hypervisor.ts';
import { readVolumeXml } from '../libvirt/storage-xml.ts';
import { buildVolumeXml } from '../libvirt/volume-xml.ts';
import type { Instance } from '../model/instance.ts';
import { observeDomain } from './domain.ts';
import { copyVolume, diskVolume, seedVolume } from './volumes.ts';

const gib = 1024 ** 3;
/** Writing a disk's image into a copy takes as long as its data is large, milliseconds. */
const copyMs = 6 * 3_600_000;

export interface DiskCopy {
  readonly instance: Pick<Instance, 'id' | 'diskGib'>;
  readonly source: Hypervisor;
  readonly target: Hypervisor;
  /** names of the pools */
  readonly fromPool: string;
  readonly toPool: string;
  readonly signal: AbortSignal;
  /** bytes */
  progress(done: number, total: number): Promise<void>;
}

/** Done: the target has what the migration needs. Resolves with whether it has the whole disk. */
export async function copyDisks(copy: DiskCopy): Promise<{ readonly whole: boolean }> {
  const { instance, source, target, fromPool, toPool, signal } = copy;
  const { state } = await observeDomain(source, instance.id, { signal });
  if ((await source.storageVolume.lookupByName(fromPool, diskVolume(instance.id), { signal })) === undefined) await source.storagePool.refresh(fromPool, { signal });
  if ((await source.storageVolume.lookupByName(fromPool, seedVolume(instance.id), { signal })) !== undefined) {
    await sendVolume(copy, seedVolume(instance.id), seedVolume(instance.id), () => Promise.resolve());
  }
  const running = state === 'running' || state === 'paused';
  if (running) {
    await dropVolume(target, toPool, diskVolume(instance.id), signal);
    await target.storageVolume.createXML(toPool, buildVolumeXml({ name: diskVolume(instance.id), capacityBytes: instance.diskGib * gib, format: 'qcow2' }), { signal, timeoutMs: 120_000 });
  } else {
    await sendDisk(copy);
  }
  return { whole: !running };
}

async function sendDisk(copy: DiskCopy): Promise<void> {
  const { instance, source, fromPool, signal } = copy;
  const disk = diskVolume(instance.id);
  const { backingPath } = readVolumeXml(await source.storageVolume.getXMLDesc(fromPool, disk, { signal }));
  if (backingPath === null) return sendVolume(copy, disk, disk, copy.progress);
  await dropCopies(source, fromPool, instance.id, signal);
  const whole = copyVolume(instance.id);
  const xml = buildVolumeXml({ name: whole, capacityBytes: instance.diskGib * gib, format: 'qcow2' });
  await source.storageVolume.createXMLFrom(fromPool, xml, { pool: fromPool, name: disk }, { signal, timeoutMs: copyMs });
  await sendVolume(copy, whole, disk, copy.progress);
  await dropCopies(source, fromPool, instance.id, signal);
}

/** Byte by byte through the portal: the hosts need not trust each other with their pools. */
async function sendVolume(copy: DiskCopy, from: string, to: string, progress: DiskCopy['progress']): Promise<void> {
  const { source, target, fromPool, toPool, signal } = copy;
  const { fileBytes } = readVolumeXml(await source.storageVolume.getXMLDesc(fromPool, from, { signal }));
  await dropVolume(target, toPool, to, signal);
  await target.storageVolume.createXML(toPool, buildVolumeXml({ name: to, capacityBytes: fileBytes, format: 'raw' }), { signal, timeoutMs: 120_000 });
  const body = await source.storageVolume.download(fromPool, from, { signal });
  let done = 0;
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, next) {
      done += chunk.length;
      void progress(done, fileBytes);
      next(null, chunk);
    },
  });
  body.once('error', (error) => counted.destroy(error));
  await target.storageVolume.upload(toPool, to, body.pipe(counted), fileBytes, { signal, timeoutMs: copyMs });
  if (done !== fileBytes) throw new AppError('conflict', say('migration.failed.disk-changed', { volume: from, pool: fromPool }));
  // what it is now, a disk with its own format, is read from the file
  await target.storagePool.refresh(toPool, { signal, timeoutMs: 120_000 });
}

/** Removes what was made on the source only to be copied. */
export async function dropCopies(source: Hypervisor, pool: string, instanceId: string, signal: AbortSignal): Promise<void> {
  await dropVolume(source, pool, copyVolume(instanceId), signal);
}

async function dropVolume({ storageVolume }: Hypervisor, pool: string, name: string, signal: AbortSignal): Promise<void> {
  if ((await storageVolume.lookupByName(pool, name, { signal })) !== undefined) await storageVolume.delete(pool, name, { signal, timeoutMs: 120_000 });
}
