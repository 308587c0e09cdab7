// May this file of a pool become an image? Looked at in three ways, the careful ones first: the name; libvirt's description;
// the file's own first bytes, fetched through libvirt; and, where the file is on this machine, qemu-img with the format given.
import type { Readable } from 'node:stream';
import { AppError, say, type Sentence } from '../errors.ts';
import type { CallOptions, Hypervisor } from '../libvirt/hypervisor.ts';
import { readVolumeXml, type VolumeDescription } from '../libvirt/storage-xml.ts';
import { diskHeaderBytes, formatOf, readQcow2Header } from '../model/disk-header.ts';
import type { StoragePool } from '../model/host.ts';
import { imageFormats, minDiskGib, volumeNameRefuses, type ImageFormat } from '../model/image.ts';
import type { PoolAccess } from './pool-access.ts';
import { qemuImgInfo } from './qemu-img.ts';
import { volumeOwner } from './volumes.ts';

/** All of it together. */
const checkTimeoutMs = 20_000;

export interface ImageFile {
  readonly volume: string;
  /** undefined: as the file's first bytes say */
  readonly format: ImageFormat | undefined;
  /** the largest disk anybody may ask for: a larger image could never be used */
  readonly capGib: number;
}

export interface CheckedImage {
  readonly format: ImageFormat;
  readonly virtualSizeBytes: number;
  /** qemu-img has seen it too */
  readonly qemuImg: boolean;
}

export function imageRefused(sentence: Sentence, field = 'volume', cause?: unknown): AppError {
  return new AppError('invalid', sentence, { fields: { [field]: sentence }, cause });
}

/** Throws AppError invalid with the reason beside its field; libvirt's errors as they come. */
export async function checkImageFile({ hypervisor, isLocal }: PoolAccess, pool: StoragePool, file: ImageFile): Promise<CheckedImage> {
  const badName = volumeNameRefuses(file.volume) ?? instanceDiskRefuses(file.volume);
  if (badName !== undefined) throw imageRefused(badName);
  const call: CallOptions = { timeoutMs: checkTimeoutMs, signal: AbortSignal.timeout(checkTimeoutMs) };
  const volume = await describeVolume(hypervisor, pool.name, file.volume, call);
  const head = await firstBytes(hypervisor, pool.name, file.volume, call);
  const found = judgeHead(head, volume, file.format);
  if (minDiskGib(found) > file.capGib) throw imageRefused(say('images.refused.too-large', { size: minDiskGib(found), cap: file.capGib }));
  return { ...found, qemuImg: isLocal && (await qemuImgAgrees(volume.path, found)) };
}

/** Files that the portal names by an instance's id are disks in use: an image made of one would change under its clones. */
export function instanceDiskRefuses(volume: string): Sentence | undefined {
  return volumeOwner(volume) !== undefined ? say('images.refused.instance-disk') : undefined;
}

async function describeVolume(hypervisor: Hypervisor, pool: string, name: string, call: CallOptions): Promise<VolumeDescription> {
  // a file that was just copied in is known after a refresh only
  if ((await hypervisor.storageVolume.lookupByName(pool, name, call)) === undefined) await hypervisor.storagePool.refresh(pool, call);
  if ((await hypervisor.storageVolume.lookupByName(pool, name, call)) === undefined) throw imageRefused(say('images.refused.no-file', { pool }));
  const volume = readVolumeXml(await hypervisor.storageVolume.getXMLDesc(pool, name, call));
  if (volume.type !== 'file') throw imageRefused(say('images.refused.not-a-file'));
  if (volume.backingPath !== null) throw imageRefused(say('images.refused.backing-file'));
  if (volume.encrypted) throw imageRefused(say('images.refused.encrypted'));
  return volume;
}

async function firstBytes(hypervisor: Hypervisor, pool: string, name: string, call: CallOptions): Promise<Uint8Array> {
  const stream: Readable = await hypervisor.storageVolume.download(pool, name, call);
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of stream) {
      chunks.push(chunk as Buffer);
      length += (chunk as Buffer).length;
      if (length >= diskHeaderBytes) break;
    }
  } finally {
    stream.destroy();
  }
  return Buffer.concat(chunks).subarray(0, diskHeaderBytes);
}

/** What the first bytes say, against what was asked for and what libvirt has read. */
export function judgeHead(
  head: Uint8Array, volume: Pick<VolumeDescription, 'format' | 'capacityBytes'>, wanted: ImageFormat | undefined,
): { readonly format: ImageFormat; readonly virtualSizeBytes: number } {
  if (head.length === 0) throw imageRefused(say('images.refused.empty'));
  const seen = formatOf(head);
  const format = imageFormats.find((each) => each === seen);
  if (format === undefined) throw imageRefused(say('images.refused.other-format', { format: seen }), 'format');
  if (wanted !== undefined && wanted !== format) throw imageRefused(say('images.refused.unexpected-format', { wanted, format }), 'format');
  // libvirt names what it does not know "raw", and would open by its own opinion where ours is not given
  if (volume.format !== format) throw imageRefused(say('images.refused.unexpected-format', { wanted: format, format: volume.format }), 'format');
  if (format === 'raw') return { format, virtualSizeBytes: volume.capacityBytes };
  const header = readQcow2Header(head);
  if (header === undefined || header.version < 2 || header.version > 3) throw imageRefused(say('images.refused.damaged'));
  if (header.hasBackingFile) throw imageRefused(say('images.refused.backing-file'));
  if (header.hasDataFile) throw imageRefused(say('images.refused.data-file'));
  if (header.isEncrypted) throw imageRefused(say('images.refused.encrypted'));
  if (header.isDirtyOrCorrupt || !Number.isSafeInteger(header.virtualSizeBytes) || header.virtualSizeBytes === 0) throw imageRefused(say('images.refused.damaged'));
  return { format, virtualSizeBytes: header.virtualSizeBytes };
}

/** true: QEMU reads the same. false: the file or qemu-img is not here. Throws when QEMU sees something else. */
async function qemuImgAgrees(path: string, found: { readonly format: ImageFormat; readonly virtualSizeBytes: number }): Promise<boolean> {
  let info: Awaited<ReturnType<typeof qemuImgInfo>>;
  try {
    info = await qemuImgInfo(path, found.format);
  } catch (error) {
    throw imageRefused(say('images.refused.qemu-img'), 'volume', error);
  }
  if (info === undefined) return false;
  if (info.format !== found.format) throw imageRefused(say('images.refused.unexpected-format', { wanted: found.format, format: info.format }), 'format');
  if (info.hasBackingFile) throw imageRefused(say('images.refused.backing-file'));
  if (info.hasDataFile) throw imageRefused(say('images.refused.data-file'));
  if (info.isEncrypted) throw imageRefused(say('images.refused.encrypted'));
  if (found.format === 'qcow2' && info.virtualSizeBytes !== found.virtualSizeBytes) throw imageRefused(say('images.refused.damaged'));
  return true;
}
