// Domain XML: what we define, and what we read back (https://libvirt.org/formatdomain.html).
import { randomBytes } from 'node:crypto';
import { create } from 'xmlbuilder2';
import { find, findAll, readXml, textAt, type XmlElement } from './xml-reader.ts';

/** Namespace of our element in <metadata>; who finds it in a domain knows the domain is ours. */
export const instanceNamespace = 'urn:cloud-at-hpc:instance:1';

export interface DiskSpec {
  readonly device: 'disk' | 'cdrom';
  readonly path: string;
  readonly format: 'qcow2' | 'raw';
  /** vda, vdb, … on virtio; sda, … on sata */
  readonly target: string;
  readonly bus: 'virtio' | 'sata' | 'scsi';
  readonly readonly?: boolean;
}
export type InterfaceSpec =
  | { readonly kind: 'network'; readonly network: string; readonly mac: string }
  | { readonly kind: 'bridge'; readonly bridge: string; readonly mac: string }
  /** QEMU's own NAT; needs no network on the host, and nothing reaches the guest */
  | { readonly kind: 'user'; readonly mac: string };

export interface DomainSpec {
  readonly uuid: string;
  readonly name: string;
  readonly title?: string;
  readonly virtType: 'kvm' | 'qemu';
  readonly arch: 'x86_64';
  readonly vcpus: number;
  readonly memoryMib: number;
  /**
   * A named CPU model, or 'host-model' or 'host-passthrough'. One named baseline for all hosts is what lets machines
   * move between them. Default: qemu64 under TCG, host-model under KVM, which moves only to hosts that have all of it.
   */
  readonly cpuModel?: string;
  readonly disks: readonly DiskSpec[];
  readonly interface?: InterfaceSpec;
  readonly vnc?: {
    readonly listen: string;
    /** at most 8 characters; a random one when absent. It is expired from the start, so nobody gets in with it. */
    readonly password?: string;
  };
  /** serial console's log on the host; it follows the machine to other hosts when it lies on shared storage */
  readonly serialLogPath?: string;
  readonly instance: { readonly id: string; readonly owner: string };
}

/** A password whose time is over refuses every login (the way oVirt locks a console). */
const longAgo = '1970-01-01T00:00:01';
/** MiB of translated code QEMU keeps under TCG. Larger: memory grows past what was promised; smaller: it translates again. */
const tcgCacheMib = 32;
/** seconds between the guest's memory statistics */
const balloonStatsSeconds = 10;

type Builder = ReturnType<typeof create>;

export function buildDomainXml(spec: DomainSpec): string {
  const root = create().ele('domain', { type: spec.virtType });
  root.ele('name').txt(spec.name).up().ele('uuid').txt(spec.uuid);
  if (spec.title !== undefined) root.ele('title').txt(spec.title);
  root.ele('metadata').ele('chpc:instance', { 'xmlns:chpc': instanceNamespace, id: spec.instance.id, owner: spec.instance.owner });
  root.ele('memory', { unit: 'MiB' }).txt(String(spec.memoryMib));
  root.ele('currentMemory', { unit: 'MiB' }).txt(String(spec.memoryMib));
  root.ele('vcpu', { placement: 'static' }).txt(String(spec.vcpus));
  const os = root.ele('os');
  os.ele('type', { arch: spec.arch, machine: 'pc' }).txt('hvm');
  os.ele('boot', { dev: 'hd' });
  const features = root.ele('features');
  features.ele('acpi').up().ele('apic');
  if (spec.virtType === 'qemu') features.ele('tcg').ele('tb-cache', { unit: 'MiB' }).txt(String(tcgCacheMib));
  addCpu(root, spec);
  root.ele('clock', { offset: 'utc' });
  root.ele('on_poweroff').txt('destroy').up().ele('on_reboot').txt('restart').up().ele('on_crash').txt('destroy');
  addDevices(root.ele('devices'), spec);
  return root.end({ prettyPrint: true, headless: true });
}

function addCpu(root: Builder, spec: DomainSpec): void {
  const model = spec.cpuModel ?? (spec.virtType === 'qemu' ? 'qemu64' : 'host-model');
  if (model === 'host-model' || model === 'host-passthrough') {
    root.ele('cpu', { mode: model });
    return;
  }
  // TCG offers a little less than any model has, and says so only by its own log: "exact" would refuse to start.
  const check = spec.virtType === 'qemu' ? 'none' : 'partial';
  root.ele('cpu', { mode: 'custom', match: 'exact', check }).ele('model', { fallback: 'forbid' }).txt(model);
}

function addDevices(devices: Builder, spec: DomainSpec): void {
  for (const disk of spec.disks) addDisk(devices, disk);
  if (spec.interface !== undefined) addInterface(devices, spec.interface);
  const serial = devices.ele('serial', { type: 'pty' });
  if (spec.serialLogPath !== undefined) serial.ele('log', { file: spec.serialLogPath, append: 'on' });
  serial.ele('target', { port: '0' });
  devices.ele('console', { type: 'pty' }).ele('target', { type: 'serial', port: '0' });
  devices.ele('channel', { type: 'unix' }).ele('target', { type: 'virtio', name: 'org.qemu.guest_agent.0' });
  devices.ele('controller', { type: 'usb', model: 'none' });
  devices.ele('video').ele('model', { type: 'vga', vram: '16384', heads: '1', primary: 'yes' });
  if (spec.vnc !== undefined) {
    addVnc(devices, spec.vnc.listen, spec.vnc.password ?? randomPassword());
  }
  devices.ele('memballoon', { model: 'virtio' }).ele('stats', { period: String(balloonStatsSeconds) });
  devices.ele('rng', { model: 'virtio' }).ele('backend', { model: 'random' }).txt('/dev/urandom');
}

function addDisk(devices: Builder, spec: DiskSpec): void {
  const disk = devices.ele('disk', { type: 'file', device: spec.device });
  disk.ele('driver', spec.device === 'disk' ? { name: 'qemu', type: spec.format, cache: 'none', discard: 'unmap' } : { name: 'qemu', type: spec.format });
  disk.ele('source', { file: spec.path });
  disk.ele('target', { dev: spec.target, bus: spec.bus });
  if (spec.readonly === true || spec.device === 'cdrom') disk.ele('readonly');
}

function addInterface(devices: Builder, spec: InterfaceSpec): void {
  const element = devices.ele('interface', { type: spec.kind });
  element.ele('mac', { address: spec.mac });
  if (spec.kind === 'network') element.ele('source', { network: spec.network });
  if (spec.kind === 'bridge') element.ele('source', { bridge: spec.bridge });
  element.ele('model', { type: 'virtio' });
  // No network boot: a guest without a system should say so at once.
  element.ele('rom', { enabled: 'no' });
}

function addVnc(devices: Builder, listen: string, password: string): void {
  devices.ele('graphics', { type: 'vnc', port: '-1', autoport: 'yes', passwd: password, passwdValidTo: longAgo })
    .ele('listen', { type: 'address', address: listen });
}

const randomPassword = (): string => randomBytes(6).toString('base64url');

export interface ParsedDisk { readonly device: string; readonly path: string | null; readonly format: string | null; readonly target: string; readonly bus: string | null; readonly readonly: boolean }
export interface ParsedInterface { readonly kind: string; readonly source: string | null; readonly mac: string | null; readonly device: string | null }
export interface ParsedDomain {
  readonly uuid: string;
  readonly name: string;
  readonly virtType: string;
  /** our instance, when the domain carries our metadata */
  readonly instanceId?: string;
  readonly owner?: string;
  /** `port` is -1 while the domain does not run; `address` is what VNC listens on */
  readonly vnc?: { readonly address: string; readonly port: number };
  readonly disks: readonly ParsedDisk[];
  readonly interfaces: readonly ParsedInterface[];
  readonly vcpus: number;
  readonly memoryMib: number;
  /** e.g. pc-i440fx-7.2, as libvirt made it of "pc"; null: none said */
  readonly machine: string | null;
}

/** The <cpu> of a domain as XML of its own, for comparing it with a host; undefined: it has none. */
export function cpuXmlOf(domainXml: string): string | undefined {
  return create(domainXml).root().find((node) => node.node.nodeName === 'cpu', false, false)?.toString();
}

/** Throws for what is not XML. */
export function parseDomainXml(xml: string): ParsedDomain {
  const root = readXml(xml);
  const devices = find(root, 'devices');
  const instance = findInstance(find(root, 'metadata'));
  const vnc = findAll(devices, 'graphics').find((node) => node.attributes['type'] === 'vnc');
  return {
    uuid: textAt(root, 'uuid') ?? '',
    name: textAt(root, 'name') ?? '',
    virtType: root.attributes['type'] ?? '',
    ...(instance?.attributes['id'] === undefined ? {} : { instanceId: instance.attributes['id'] }),
    ...(instance?.attributes['owner'] === undefined ? {} : { owner: instance.attributes['owner'] }),
    ...(vnc === undefined ? {} : { vnc: parseVnc(vnc) }),
    disks: findAll(devices, 'disk').map(parseDisk),
    interfaces: findAll(devices, 'interface').map(parseInterface),
    vcpus: Number(textAt(root, 'vcpu') ?? 0),
    memoryMib: memoryMib(find(root, 'memory')),
    machine: find(root, 'os', 'type')?.attributes['machine'] ?? null,
  };
}

/** The prefix is the writer's to choose, so the element is found by its namespace. */
function findInstance(metadata: XmlElement | undefined): XmlElement | undefined {
  return metadata?.children.find((node) => {
    const [prefix, local] = node.name.includes(':') ? node.name.split(':') : ['', node.name];
    const declaration = prefix === '' ? 'xmlns' : `xmlns:${prefix}`;
    return local === 'instance' && (node.attributes[declaration] ?? metadata.attributes[declaration]) === instanceNamespace;
  });
}

function parseVnc(node: XmlElement): { readonly address: string; readonly port: number } {
  const listen = findAll(node, 'listen').find((child) => child.attributes['type'] === 'address')?.attributes['address'];
  return { address: listen ?? node.attributes['listen'] ?? '127.0.0.1', port: Number(node.attributes['port'] ?? -1) };
}

function parseDisk(node: XmlElement): ParsedDisk {
  const source = find(node, 'source')?.attributes ?? {};
  return {
    device: node.attributes['device'] ?? 'disk',
    path: source['file'] ?? source['dev'] ?? source['volume'] ?? null,
    format: find(node, 'driver')?.attributes['type'] ?? null,
    target: find(node, 'target')?.attributes['dev'] ?? '',
    bus: find(node, 'target')?.attributes['bus'] ?? null,
    readonly: find(node, 'readonly') !== undefined,
  };
}

function parseInterface(node: XmlElement): ParsedInterface {
  const source = find(node, 'source')?.attributes ?? {};
  return {
    kind: node.attributes['type'] ?? '',
    source: source['network'] ?? source['bridge'] ?? null,
    mac: find(node, 'mac')?.attributes['address'] ?? null,
    device: find(node, 'target')?.attributes['dev'] ?? null,
  };
}

const unitBytes: Readonly<Record<string, number>> = {
  b: 1, bytes: 1, KB: 1e3, k: 1024, KiB: 1024, MB: 1e6, M: 2 ** 20, MiB: 2 ** 20, GB: 1e9, G: 2 ** 30, GiB: 2 ** 30, TB: 1e12, T: 2 ** 40, TiB: 2 ** 40,
};

function memoryMib(node: XmlElement | undefined): number {
  const unit = unitBytes[node?.attributes['unit'] ?? 'KiB'] ?? 1024;
  return Math.round((Number(node?.text ?? 0) * unit) / 2 ** 20);
}
