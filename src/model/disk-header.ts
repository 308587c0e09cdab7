// What a disk file is, from its own first bytes: before any program that would follow what those bytes name has seen it.
// A qcow2 file can name other files (backing file, data file) that a program then opens with its own rights, and a "raw"
// file whose first bytes are those of another format is taken for that format by whatever guesses.

/** Bytes of the beginning that are needed: the farthest mark (ISO 9660) ends at 32,774. */
export const diskHeaderBytes = 36_864;

export interface Qcow2Header {
  readonly version: number;
  readonly virtualSizeBytes: number;
  readonly hasBackingFile: boolean;
  readonly hasDataFile: boolean;
  readonly isEncrypted: boolean;
  /** left open by a crash, or marked as damaged */
  readonly isDirtyOrCorrupt: boolean;
}

interface Mark { readonly format: string; readonly at: number; readonly bytes: Uint8Array }

function mark(format: string, at: number, text: string): Mark {
  return { format, at, bytes: Uint8Array.from(text, (character) => character.charCodeAt(0)) };
}

// QEMU's block drivers' own marks (block/*.c, `*_probe`), and what people put into a pool by mistake.
const marks: readonly Mark[] = [
  mark('qcow2', 0, 'QFI\xfb'),
  mark('qed', 0, 'QED\0'),
  mark('vmdk', 0, 'KDMV'), mark('vmdk', 0, 'COWD'), mark('vmdk', 0, '# Disk DescriptorFile'),
  mark('vdi', 64, '\x7f\x10\xda\xbe'),
  mark('vpc', 0, 'conectix'), mark('vhdx', 0, 'vhdxfile'),
  mark('luks', 0, 'LUKS\xba\xbe'),
  mark('parallels', 0, 'WithoutFreeSpace'), mark('parallels', 0, 'WithouFreSpacExt'),
  mark('bochs', 0, 'Bochs Virtual HD Image'), mark('cloop', 0, '#!/bin/sh\n#V2.0 Format'),
  mark('iso', 32_769, 'CD001'),
  mark('gzip', 0, '\x1f\x8b'), mark('xz', 0, '\xfd7zXZ\0'), mark('bzip2', 0, 'BZh'), mark('zstd', 0, '\x28\xb5\x2f\xfd'),
  mark('zip', 0, 'PK\x03\x04'), mark('7z', 0, '7z\xbc\xaf\x27\x1c'), mark('tar', 257, 'ustar'),
];

// A VMDK descriptor is text: QEMU takes a file for one when nothing but comments and blank lines stand before its version.
const vmdkDescriptor = /^(?:[ \t]*\r?\n|#[^\n]*\n)*(?:# ?Disk ?DescriptorFile|version=\d)/i;

/** Name of the format whose mark stands there; 'raw' where there is none. */
export function formatOf(head: Uint8Array): string {
  const found = marks.find(({ at, bytes }) => bytes.every((byte, index) => head[at + index] === byte));
  if (found !== undefined) return found.format;
  return vmdkDescriptor.test(String.fromCharCode(...head.subarray(0, 4096))) ? 'vmdk' : 'raw';
}

const incompatible = { dirty: 1n, corrupt: 2n, dataFile: 4n };
/** header extension that names a data file */
const dataFileExtension = 0x44415441;
const backingFormatExtension = 0xe2792aca;

/** The fields of a qcow2 header (QEMU's docs/interop/qcow2.rst). undefined: it is none, or too short to be one. */
export function readQcow2Header(head: Uint8Array): Qcow2Header | undefined {
  if (formatOf(head) !== 'qcow2' || head.length < 104) return undefined;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const version = view.getUint32(4);
  const features = version >= 3 ? view.getBigUint64(72) : 0n;
  const extensions = extensionsOf(view, version >= 3 ? view.getUint32(100) : 72);
  return {
    version,
    virtualSizeBytes: Number(view.getBigUint64(24)),
    hasBackingFile: view.getBigUint64(8) !== 0n || view.getUint32(16) !== 0 || extensions.has(backingFormatExtension),
    hasDataFile: (features & incompatible.dataFile) !== 0n || extensions.has(dataFileExtension),
    isEncrypted: view.getUint32(32) !== 0,
    isDirtyOrCorrupt: (features & (incompatible.dirty | incompatible.corrupt)) !== 0n,
  };
}

function extensionsOf(view: DataView, start: number): Set<number> {
  const types = new Set<number>();
  for (let at = start; at + 8 <= view.byteLength; ) {
    const type = view.getUint32(at);
    if (type === 0) break;
    types.add(type);
    at += 8 + Math.ceil(view.getUint32(at + 4) / 8) * 8;
  }
  return types;
}
