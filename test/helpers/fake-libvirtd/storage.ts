// Directories with disk files, and one host's view of them as libvirt pools. Two hosts may share a directory; each knows
// a file only after it made it, or after a refresh of its own pool, as with real libvirt.
import { randomUUID } from 'node:crypto';
import { create } from 'xmlbuilder2';
import { readXml, find, textAt } from '../../../src/libvirt/xml-reader.ts';
import { refuse } from './errors.ts';

export interface FakeFile {
  readonly name: string;
  readonly format: string;
  capacityBytes: number;
  allocationBytes: number;
  readonly backingPath: string | null;
  readonly backingFormat: string | null;
  /** what was uploaded */
  data: Buffer;
  /** uuid of the domain that has it open for writing, with the host it runs on */
  writer: string | null;
}

/** bytes of a fresh qcow2 file */
const qcow2HeaderBytes = 200_704;

export class FakeDirectory {
  readonly files = new Map<string, FakeFile>();
  constructor(readonly path: string, readonly capacityBytes: number = 800 * 2 ** 30, public otherUseBytes = 0) {}

  get allocationBytes(): number {
    let sum = this.otherUseBytes;
    for (const file of this.files.values()) sum += file.allocationBytes;
    return sum;
  }

  add(file: { readonly name: string; readonly capacityBytes: number } & Partial<FakeFile>): FakeFile {
    const whole: FakeFile = {
      format: 'qcow2', allocationBytes: qcow2HeaderBytes, backingPath: null, backingFormat: null, data: Buffer.alloc(0), writer: null, ...file,
    };
    this.files.set(whole.name, whole);
    return whole;
  }

  fileAt(path: string): FakeFile | undefined {
    return path.startsWith(`${this.path}/`) ? this.files.get(path.slice(this.path.length + 1)) : undefined;
  }
}

export interface FakePoolOptions {
  readonly name: string;
  readonly uuid?: string;
  readonly kind?: 'dir' | 'netfs';
  readonly path?: string;
  readonly capacityBytes?: number;
  /** of another host, to share its files */
  readonly directory?: FakeDirectory;
  readonly active?: boolean;
  /** what lies in the directory from the start */
  readonly files?: Readonly<Record<string, { readonly capacityBytes: number } & Partial<FakeFile>>>;
}

export class FakePool {
  readonly name: string;
  readonly uuid: string;
  readonly kind: string;
  readonly directory: FakeDirectory;
  active: boolean;
  autostart = true;
  /** names this host has heard of */
  private readonly known = new Set<string>();

  constructor(options: FakePoolOptions) {
    this.name = options.name;
    this.uuid = options.uuid ?? randomUUID();
    this.kind = options.kind ?? 'dir';
    this.directory = options.directory ?? new FakeDirectory(options.path ?? `/srv/${options.name}`, options.capacityBytes);
    this.active = options.active ?? true;
    for (const [name, file] of Object.entries(options.files ?? {})) this.directory.add({ ...file, name });
    this.refresh();
  }

  get path(): string {
    return this.directory.path;
  }

  refresh(): void {
    this.known.clear();
    for (const name of this.directory.files.keys()) this.known.add(name);
  }

  volumes(): FakeFile[] {
    this.assertActive();
    return [...this.known].map((name) => this.directory.files.get(name)).filter((file) => file !== undefined);
  }

  volume(name: string): FakeFile {
    this.assertActive();
    const file = this.known.has(name) ? this.directory.files.get(name) : undefined;
    if (file === undefined) throw refuse.noVolume(name);
    return file;
  }

  /** Puts a file there as if somebody had copied it in, and knows it. */
  addFile(file: { readonly name: string; readonly capacityBytes: number } & Partial<FakeFile>): FakeFile {
    this.known.add(file.name);
    return this.directory.add(file);
  }

  createVolume(xml: string, copyOf?: FakeFile): FakeFile {
    this.assertActive();
    const root = readXml(xml);
    const name = textAt(root, 'name') ?? '';
    if (this.directory.files.has(name)) throw refuse.volumeExists(name);
    const backingPath = textAt(root, 'backingStore', 'path');
    if (backingPath !== null && backingPath.startsWith(`${this.path}/`) && this.directory.fileAt(backingPath) === undefined) throw refuse.noBacking(backingPath);
    const capacityBytes = scaled(root, 'capacity');
    const allocationBytes = Math.max(scaled(root, 'allocation'), copyOf?.allocationBytes ?? qcow2HeaderBytes);
    if (allocationBytes > this.directory.capacityBytes - this.directory.allocationBytes) throw refuse.poolFull(this.pathOf(name));
    return this.addFile({
      name, capacityBytes, allocationBytes, backingPath,
      format: find(root, 'target', 'format')?.attributes['type'] ?? 'raw',
      backingFormat: find(root, 'backingStore', 'format')?.attributes['type'] ?? null,
      data: copyOf?.data ?? Buffer.alloc(0),
    });
  }

  deleteVolume(name: string): void {
    this.volume(name);
    this.known.delete(name);
    this.directory.files.delete(name);
  }

  pathOf(name: string): string {
    return `${this.path}/${name}`;
  }

  assertActive(): void {
    if (!this.active) throw refuse.poolInactive(this.name);
  }

  info(): { state: number; capacity: number; allocation: number; available: number } {
    const { capacityBytes: capacity, allocationBytes: allocation } = this.directory;
    return this.active ? { state: 2, capacity, allocation, available: Math.max(0, capacity - allocation) } : { state: 0, capacity: 0, allocation: 0, available: 0 };
  }

  toXml(): string {
    const { capacity, allocation, available } = this.info();
    const root = create().ele('pool', { type: this.kind });
    root.ele('name').txt(this.name).up().ele('uuid').txt(this.uuid);
    root.ele('capacity', { unit: 'bytes' }).txt(String(capacity));
    root.ele('allocation', { unit: 'bytes' }).txt(String(allocation));
    root.ele('available', { unit: 'bytes' }).txt(String(available));
    root.ele('source');
    root.ele('target').ele('path').txt(this.path);
    return root.end({ prettyPrint: true, headless: true });
  }

  /** `writtenAt`: ms by the host's clock */
  volumeXml(name: string, writtenAt: number): string {
    const file = this.volume(name);
    const root = create().ele('volume', { type: 'file' });
    root.ele('name').txt(name).up().ele('key').txt(this.pathOf(name));
    root.ele('capacity', { unit: 'bytes' }).txt(String(file.capacityBytes));
    root.ele('allocation', { unit: 'bytes' }).txt(String(file.allocationBytes));
    root.ele('physical', { unit: 'bytes' }).txt(String(file.data.length));
    const target = root.ele('target');
    target.ele('path').txt(this.pathOf(name)).up().ele('format', { type: file.format });
    target.ele('timestamps').ele('mtime').txt((writtenAt / 1000).toFixed(9));
    if (file.format === 'qcow2') target.ele('compat').txt('1.1');
    if (file.backingPath !== null) {
      root.ele('backingStore').ele('path').txt(file.backingPath).up().ele('format', { type: file.backingFormat ?? 'raw' });
    }
    return root.end({ prettyPrint: true, headless: true });
  }
}

const units: Readonly<Record<string, number>> = {
  bytes: 1, b: 1, B: 1, k: 2 ** 10, K: 2 ** 10, KiB: 2 ** 10, M: 2 ** 20, MiB: 2 ** 20, G: 2 ** 30, GiB: 2 ** 30, T: 2 ** 40, TiB: 2 ** 40, KB: 1e3, MB: 1e6, GB: 1e9,
};

function scaled(root: ReturnType<typeof readXml>, name: string): number {
  const node = find(root, name);
  return Number(node?.text ?? 0) * (units[node?.attributes['unit'] ?? 'bytes'] ?? 1);
}
