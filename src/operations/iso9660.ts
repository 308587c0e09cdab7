// A small ISO 9660 writer with Joliet names: a few files in one directory, which is what a NoCloud seed is. ECMA-119
// (sections in brackets) says where each byte stands; Joliet repeats the directory with names in UCS-2, because the plain
// names may hold neither "-" nor small letters.

const sector = 2048;
/** The system area, which is not ours to use [6.2.1]. */
const systemSectors = 16;

export interface IsoFile {
  /** as the guest sees it; at most 64 characters */
  readonly name: string;
  readonly contents: Buffer;
}

/** The image, whole. `label` is what the guest finds the disk by; at most 16 characters. `at`: ms UTC, written as its date. */
export function buildIso9660(label: string, files: readonly IsoFile[], at: number): Buffer {
  const layout = layOut(files);
  const image = Buffer.alloc(layout.sectors * sector);
  writeVolume(image, layout, plainNames, label, at);
  writeVolume(image, layout, jolietNames, label, at);
  image.write('\xffCD001\x01', layout.terminator * sector, 'latin1');
  for (const { file, extent } of layout.files) file.contents.copy(image, extent * sector);
  return image;
}

interface Layout {
  readonly terminator: number;
  readonly plain: Tree;
  readonly joliet: Tree;
  readonly files: readonly { readonly file: IsoFile; readonly extent: number }[];
  readonly sectors: number;
}
/** sector numbers of one set of names */
interface Tree { readonly descriptor: number; readonly littlePath: number; readonly bigPath: number; readonly root: number }

function layOut(files: readonly IsoFile[]): Layout {
  const terminator = systemSectors + 2;
  const plain = { descriptor: systemSectors, littlePath: terminator + 1, bigPath: terminator + 2, root: terminator + 3 };
  const joliet = { descriptor: systemSectors + 1, littlePath: terminator + 4, bigPath: terminator + 5, root: terminator + 6 };
  let next = joliet.root + 1;
  const placed = files.map((file) => {
    const extent = next;
    next += Math.ceil(file.contents.length / sector);
    return { file, extent };
  });
  return { terminator, plain, joliet, files: placed, sectors: next };
}

interface Names {
  readonly type: number;
  readonly tree: (layout: Layout) => Tree;
  readonly encode: (text: string) => Buffer;
  /** names of files, in the order of the directory */
  readonly fileName: (name: string, index: number) => Buffer;
  /** which UCS-2 level the names are in [8.5.6] */
  readonly escape: string;
}

const plainNames: Names = {
  type: 1,
  tree: (layout) => layout.plain,
  encode: (text) => Buffer.from(text, 'latin1'),
  // nobody who reads Joliet sees these
  fileName: (_name, index) => Buffer.from(`FILE${index}.;1`, 'latin1'),
  escape: '',
};
const jolietNames: Names = {
  type: 2,
  tree: (layout) => layout.joliet,
  encode: (text) => Buffer.from(text, 'utf16le').swap16(),
  fileName: (name) => Buffer.from(name, 'utf16le').swap16(),
  escape: '%/E',
};

function writeVolume(image: Buffer, layout: Layout, names: Names, label: string, at: number): void {
  const tree = names.tree(layout);
  writeDescriptor(image.subarray(tree.descriptor * sector), layout, names, label, at);
  writePathTable(image.subarray(tree.littlePath * sector), tree, 'LE');
  writePathTable(image.subarray(tree.bigPath * sector), tree, 'BE');
  const root = image.subarray(tree.root * sector, (tree.root + 1) * sector);
  let offset = 0;
  const add = (name: Buffer, extent: number, length: number, directory: boolean): void => {
    offset += writeRecord(root.subarray(offset), name, extent, length, directory, at);
  };
  add(Buffer.from([0]), tree.root, sector, true);
  add(Buffer.from([1]), tree.root, sector, true);
  // directories are sorted by name [9.3]
  const entries = layout.files.map(({ file, extent }, index) => ({ name: names.fileName(file.name, index), extent, length: file.contents.length }));
  for (const entry of entries.sort((a, b) => Buffer.compare(a.name, b.name))) add(entry.name, entry.extent, entry.length, false);
}

/** Primary and supplementary volume descriptor [8.4, 8.5]. */
function writeDescriptor(block: Buffer, layout: Layout, names: Names, label: string, at: number): void {
  const tree = names.tree(layout);
  const text = (start: number, length: number, value: string): void => {
    const filler = names.encode(' ');
    for (let i = 0; i + filler.length <= length; i += filler.length) filler.copy(block, start + i);
    names.encode(value).copy(block, start, 0, length);
  };
  block.writeUInt8(names.type, 0);
  block.write('CD001\x01', 1, 'latin1');
  text(8, 32, '');
  text(40, 32, label);
  both32(block, 80, layout.sectors);
  block.write(names.escape, 88, 'latin1');
  both16(block, 120, 1);
  both16(block, 124, 1);
  both16(block, 128, sector);
  both32(block, 132, pathTableBytes);
  block.writeUInt32LE(tree.littlePath, 140);
  block.writeUInt32BE(tree.bigPath, 148);
  writeRecord(block.subarray(156), Buffer.from([0]), tree.root, sector, true, at);
  text(190, 623, '');
  const date = new Date(at).toISOString().replace(/\D/g, '').slice(0, 16);
  block.write(date, 813, 'latin1');
  block.write(date, 830, 'latin1');
  block.write('0'.repeat(16), 847, 'latin1');
  block.write('0'.repeat(16), 864, 'latin1');
  block.writeUInt8(1, 881);
}

const pathTableBytes = 10;

/** The root is its only entry [9.4]. */
function writePathTable(block: Buffer, tree: Tree, order: 'LE' | 'BE'): void {
  block.writeUInt8(1, 0);
  if (order === 'LE') block.writeUInt32LE(tree.root, 2);
  else block.writeUInt32BE(tree.root, 2);
  if (order === 'LE') block.writeUInt16LE(1, 6);
  else block.writeUInt16BE(1, 6);
}

/** A directory record [9.1]; returns its length, which is even. */
function writeRecord(block: Buffer, name: Buffer, extent: number, length: number, directory: boolean, at: number): number {
  const bytes = 33 + name.length + (name.length % 2 === 0 ? 1 : 0);
  const date = new Date(at);
  block.writeUInt8(bytes, 0);
  both32(block, 2, extent);
  both32(block, 10, length);
  block.set([date.getUTCFullYear() - 1900, date.getUTCMonth() + 1, date.getUTCDate(), date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds(), 0], 18);
  block.writeUInt8(directory ? 2 : 0, 25);
  both16(block, 28, 1);
  block.writeUInt8(name.length, 32);
  name.copy(block, 33);
  return bytes;
}

/** Numbers stand in both byte orders [7.2.3, 7.3.3]. */
function both16(block: Buffer, offset: number, value: number): void {
  block.writeUInt16LE(value, offset);
  block.writeUInt16BE(value, offset + 2);
}

function both32(block: Buffer, offset: number, value: number): void {
  block.writeUInt32LE(value, offset);
  block.writeUInt32BE(value, offset + 4);
}
