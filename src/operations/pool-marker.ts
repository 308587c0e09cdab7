// A file without content, made in a pool for a moment. Its time tells the host's clock; whether another host finds it tells
// whether both look at the same files. libvirt has no call for either.
import { randomUUID } from 'node:crypto';
import { isExists, isOperationInvalid, LibvirtError } from '../libvirt/errors.ts';
import type { CallOptions, Hypervisor } from '../libvirt/hypervisor.ts';
import { readVolumeXml } from '../libvirt/storage-xml.ts';
import { buildVolumeXml } from '../libvirt/volume-xml.ts';

export interface Marker {
  readonly name: string;
  /** by the clock of whoever keeps the file; null: the driver does not tell */
  readonly writtenAt: number | null;
  /** by this machine's clock: it was written in between */
  readonly askedAt: number;
  readonly answeredAt: number;
}

const prefix = 'chpc-check-';
/** Older ones were left by a portal that died in between. Shorter than a check may take: another portal's marker is taken away. */
const leftBehindMs = 600_000;

/** Makes the marker, hands it over and takes it away again, whatever happens. */
export async function withMarker<T>(hypervisor: Hypervisor, pool: string, now: () => number, call: CallOptions, work: (marker: Marker) => Promise<T>): Promise<T> {
  const askedAt = now();
  const name = `${prefix}${askedAt}-${randomUUID().slice(0, 8)}`;
  await hypervisor.storageVolume.createXML(pool, markerXml(name), call);
  const answeredAt = now();
  try {
    const { modifiedAt } = readVolumeXml(await hypervisor.storageVolume.getXMLDesc(pool, name, call));
    return await work({ name, writtenAt: modifiedAt, askedAt, answeredAt });
  } finally {
    // not with the caller's signal: giving up the check must not leave the file
    await removeMarker(hypervisor, pool, name);
  }
}

/** Does this host's list of the pool have it? A refresh is refused while a volume is being made there: then it has not. */
export async function seesMarker(hypervisor: Hypervisor, pool: string, name: string, call: CallOptions): Promise<boolean> {
  try {
    await hypervisor.storagePool.refresh(pool, call);
    return (await hypervisor.storageVolume.lookupByName(pool, name, call)) !== undefined;
  } catch (error) {
    if (error instanceof LibvirtError) return false;
    throw error;
  }
}

/**
 * For a host that does not see it: may it make a file of that name? NFS shows an old list for half a minute, but asks its
 * server before it makes a file. undefined: the host cannot say. One host after the other: one's attempt is a file that the next would find.
 */
export async function runsIntoMarker(hypervisor: Hypervisor, pool: string, name: string, call: CallOptions): Promise<boolean | undefined> {
  try {
    await hypervisor.storageVolume.createXML(pool, markerXml(name), call);
  } catch (error) {
    if (isExists(error) || (isOperationInvalid(error) && (error as Error).message.includes('already exists'))) return true;
    if (error instanceof LibvirtError) return undefined;
    throw error;
  }
  await removeMarker(hypervisor, pool, name);
  return false;
}

/** Takes away what a portal that died left in the pool. */
export async function sweepMarkers(hypervisor: Hypervisor, pool: string, now: number, call: CallOptions): Promise<void> {
  for (const { name } of await hypervisor.storageVolume.listAll(pool, call)) {
    const madeAt = name.startsWith(prefix) ? Number(name.slice(prefix.length).split('-')[0]) : NaN;
    if (madeAt < now - leftBehindMs) await removeMarker(hypervisor, pool, name);
  }
}

function markerXml(name: string): string {
  return buildVolumeXml({ name, capacityBytes: 4096, format: 'raw' });
}

async function removeMarker(hypervisor: Hypervisor, pool: string, name: string): Promise<void> {
  await hypervisor.storageVolume.delete(pool, name, { timeoutMs: 5000 }).catch(() => undefined);
}
