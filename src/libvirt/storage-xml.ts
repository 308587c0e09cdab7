// Pools and volumes as libvirt describes them. Sizes are bytes.
import { find, readXml, textAt } from './xml-reader.ts';

export interface PoolDescription {
  /** 'dir', 'netfs', 'logical', … */
  readonly kind: string;
  readonly path: string;
}

export function readPoolXml(xml: string): PoolDescription {
  const root = readXml(xml);
  return { kind: root.attributes['type'] ?? '', path: textAt(root, 'target', 'path') ?? '' };
}

export interface VolumeDescription {
  readonly name: string;
  /** 'file', 'dir', 'block', 'network', … */
  readonly type: string;
  readonly path: string;
  /** as libvirt reads it from the file's first bytes: 'raw', 'qcow2', 'iso', … */
  readonly format: string;
  readonly capacityBytes: number;
  readonly allocationBytes: number;
  /** length of the file: what a download gives */
  readonly fileBytes: number;
  readonly backingPath: string | null;
  readonly encrypted: boolean;
  /** when the file was written last, by the clock of the machine that keeps it, ms UTC; null: not told */
  readonly modifiedAt: number | null;
}

export function readVolumeXml(xml: string): VolumeDescription {
  const root = readXml(xml);
  const backing = find(root, 'backingStore');
  return {
    name: textAt(root, 'name') ?? '',
    type: root.attributes['type'] ?? '',
    path: textAt(root, 'target', 'path') ?? '',
    format: find(root, 'target', 'format')?.attributes['type'] ?? '',
    capacityBytes: Number(textAt(root, 'capacity') ?? 0),
    allocationBytes: Number(textAt(root, 'allocation') ?? 0),
    fileBytes: Number(textAt(root, 'physical') ?? 0),
    backingPath: backing === undefined ? null : (textAt(backing, 'path') ?? ''),
    encrypted: find(root, 'target', 'encryption') !== undefined,
    modifiedAt: secondsToMs(textAt(root, 'target', 'timestamps', 'mtime')),
  };
}

/** "1341933637.273190990" → milliseconds */
function secondsToMs(text: string | null): number | null {
  const seconds = Number(text ?? NaN);
  return Number.isFinite(seconds) && seconds > 0 ? Math.round(seconds * 1000) : null;
}
