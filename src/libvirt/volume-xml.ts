// Volume and pool XML that we create (https://libvirt.org/formatstorage.html).
import { create } from 'xmlbuilder2';

export interface VolumeSpec {
  readonly name: string;
  readonly capacityBytes: number;
  readonly format: 'qcow2' | 'raw';
  /** linked clone: the new volume holds only what differs from this one, which must not change any more */
  readonly backing?: { readonly path: string; readonly format: 'qcow2' | 'raw' };
}

export function buildVolumeXml(spec: VolumeSpec): string {
  const root = create().ele('volume', { type: 'file' });
  root.ele('name').txt(spec.name);
  // Without it a raw volume is written out in full at once, also where there is no room.
  root.ele('allocation').txt('0');
  root.ele('capacity', { unit: 'bytes' }).txt(String(spec.capacityBytes));
  const target = root.ele('target');
  target.ele('format', { type: spec.format });
  // libvirt's default is still 0.10, which lacks what fast clones and discards need.
  if (spec.format === 'qcow2') target.ele('compat').txt('1.1');
  if (spec.backing !== undefined) {
    const backing = root.ele('backingStore');
    backing.ele('path').txt(spec.backing.path);
    backing.ele('format', { type: spec.backing.format });
  }
  return root.end({ prettyPrint: true, headless: true });
}

export type PoolSpec =
  | { readonly kind: 'dir'; readonly name: string; readonly path: string; readonly uuid?: string }
  | { readonly kind: 'netfs'; readonly name: string; readonly path: string; readonly uuid?: string; readonly server: string; readonly exportPath: string };

export function buildPoolXml(spec: PoolSpec): string {
  const root = create().ele('pool', { type: spec.kind });
  root.ele('name').txt(spec.name);
  if (spec.uuid !== undefined) root.ele('uuid').txt(spec.uuid);
  if (spec.kind === 'netfs') {
    const source = root.ele('source');
    source.ele('host', { name: spec.server });
    source.ele('dir', { path: spec.exportPath });
    source.ele('format', { type: 'nfs' });
  }
  root.ele('target').ele('path').txt(spec.path);
  return root.end({ prettyPrint: true, headless: true });
}
