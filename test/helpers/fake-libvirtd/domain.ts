// One domain of the fake host: its definition, its life, its statistics.
import { randomUUID } from 'node:crypto';
import { create } from 'xmlbuilder2';
import type { TypedParamInput } from '../../../src/libvirt/hypervisor.ts';
import { find, findAll, readXml, textAt, type XmlElement } from '../../../src/libvirt/xml-reader.ts';
import { Counter, type Clock, type GuestLoad } from './counters.ts';
import { refuse } from './errors.ts';

/** VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK */
const waitForEver = -2;

export const state = { running: 1, paused: 3, shutdown: 4, shutoff: 5, crashed: 6 } as const;

/** What a definition says, as far as anybody asks. */
export interface Definition {
  readonly xml: string;
  readonly name: string;
  readonly uuid: string;
  readonly virtType: string;
  readonly vcpus: number;
  readonly memoryKib: number;
  readonly disks: readonly { readonly path: string; readonly target: string; readonly readonly: boolean }[];
  readonly interfaces: readonly { readonly mac: string; readonly network: string | null }[];
  readonly metadata: readonly XmlElement[];
}

const kibOf: Readonly<Record<string, number>> = { b: 1 / 1024, bytes: 1 / 1024, KiB: 1, k: 1, MiB: 1024, M: 1024, GiB: 2 ** 20, G: 2 ** 20 };

export function readDefinition(xml: string): Definition {
  let root: XmlElement;
  try {
    root = readXml(xml);
  } catch (error) {
    throw refuse.notWellFormed((error as Error).message);
  }
  const name = textAt(root, 'name');
  const memory = find(root, 'memory');
  if (root.name !== 'domain' || name === null || name === '' || memory === undefined) throw refuse.invalidXml('Element domain failed to validate content');
  const devices = find(root, 'devices');
  return {
    xml, name, uuid: textAt(root, 'uuid') ?? randomUUID(), virtType: root.attributes['type'] ?? 'qemu',
    vcpus: Number(textAt(root, 'vcpu') ?? 1),
    memoryKib: Math.round(Number(memory.text) * (kibOf[memory.attributes['unit'] ?? 'KiB'] ?? 1)),
    disks: findAll(devices, 'disk').map((disk) => ({
      path: find(disk, 'source')?.attributes['file'] ?? '', target: find(disk, 'target')?.attributes['dev'] ?? '', readonly: find(disk, 'readonly') !== undefined,
    })),
    interfaces: findAll(devices, 'interface').map((element) => ({
      mac: find(element, 'mac')?.attributes['address'] ?? '', network: find(element, 'source')?.attributes['network'] ?? null,
    })),
    metadata: find(root, 'metadata')?.children ?? [],
  };
}

export interface FakeVnc { port: number; password: string | null; passwordValidTo: string | null }
export interface FakeJob {
  readonly startedAt: number;
  readonly durationMs: number;
  readonly memoryBytes: number;
  /** of the disks that are copied along */
  readonly diskBytes: number;
  /** pages a second */
  readonly dirtyRate: number;
  canceled: boolean;
  postCopy: boolean;
}

export class FakeDomain {
  /** what runs; equal to `defined` unless it was defined again meanwhile */
  live: Definition;
  /** null: transient */
  defined: Definition | null;
  id = -1;
  state: number = state.shutoff;
  reason = 0;
  autostart = false;
  vnc: FakeVnc | undefined;
  job: FakeJob | undefined;
  /** it waits for what it is sent */
  incoming = false;
  /** statistics of the last migration, for the one who asks for completed jobs */
  completedJob: Record<string, TypedParamInput> | undefined;
  readonly snapshots = new Map<string, string>();
  /** the guest does not react to the power button */
  ignoresAcpi = false;
  /** its agent answers the greeting and nothing more */
  agentIsSilent = false;
  /** seconds that an answer of the agent is waited for; -2: without limit */
  agentTimeoutSeconds: number = waitForEver;
  /** milliseconds from the power button to off */
  acpiDelayMs: number;
  readonly load: GuestLoad;
  private readonly counters;

  constructor(definition: Definition, private readonly clock: Clock, options: { readonly acpiDelayMs: number }) {
    this.live = definition;
    this.defined = definition;
    this.acpiDelayMs = options.acpiDelayMs;
    this.load = {
      cpuPercent: 5, memoryUsedMib: Math.round(definition.memoryKib / 2048), netReceivedBytes: 10_000, netSentBytes: 5_000, diskReadBytes: 20_000, diskWrittenBytes: 10_000,
    };
    const rate = (read: () => number) => new Counter(clock, () => (this.state === state.running ? read() : 0));
    this.counters = {
      cpuNs: rate(() => (this.load.cpuPercent / 100) * this.live.vcpus * 1e9),
      received: rate(() => this.load.netReceivedBytes),
      sent: rate(() => this.load.netSentBytes),
      read: rate(() => this.load.diskReadBytes),
      written: rate(() => this.load.diskWrittenBytes),
    };
  }

  get name(): string { return this.live.name; }
  get uuid(): string { return this.live.uuid; }
  get isActive(): boolean { return this.id !== -1; }
  get ref(): { name: string; uuid: string; id: number } { return { name: this.name, uuid: this.uuid, id: this.id }; }

  /** Settles the counters at the present rate, before the rate changes. */
  settle(): void {
    for (const counter of Object.values(this.counters)) counter.read();
  }

  /** A new process counts from zero. */
  started(id: number, vncPort: number | null): void {
    this.id = id;
    this.state = state.running;
    this.reason = 1;
    if (this.defined !== null) this.live = this.defined;
    for (const counter of Object.values(this.counters)) counter.restart();
    const graphics = this.graphics();
    this.vnc = vncPort === null || graphics === undefined ? undefined
      : { port: vncPort, password: graphics.attributes['passwd'] ?? null, passwordValidTo: graphics.attributes['passwdValidTo'] ?? null };
  }

  stopped(reason: number): void {
    this.id = -1;
    this.state = state.shutoff;
    this.reason = reason;
    this.vnc = undefined;
    this.job = undefined;
    this.incoming = false;
    if (this.defined !== null) this.live = this.defined;
  }

  /** Resolves when its agent has answered. Throws what libvirt says when the time for it is over. */
  async awaitAgent(): Promise<void> {
    if (!this.agentIsSilent) return;
    const seconds = this.agentTimeoutSeconds;
    await new Promise<void>((resolve) => { if (seconds !== waitForEver) setTimeout(resolve, seconds * 1000).unref(); });
    throw refuse.agentTimeout();
  }

  setState(next: number, reason: number): void {
    this.settle();
    this.state = next;
    this.reason = reason;
  }

  get wantsVnc(): boolean {
    return (this.defined ?? this.live).xml.includes('<graphics');
  }

  private graphics(): XmlElement | undefined {
    return findAll(find(readXml(this.live.xml), 'devices'), 'graphics').find((element) => element.attributes['type'] === 'vnc');
  }

  /** As virDomainGetXMLDesc gives it: no passwords unless asked for, the id and the port while it runs. */
  toXml(flags: { readonly secure: boolean; readonly inactive: boolean }): string {
    const live = this.isActive && !flags.inactive;
    const root = create((flags.inactive ? (this.defined ?? this.live) : this.live).xml).root();
    if (live) root.att('id', String(this.id));
    if (!root.some((node) => node.node.nodeName === 'uuid', false, false)) root.ele('uuid').txt(this.uuid);
    root.each((node) => {
      if (node.node.nodeName !== 'graphics') return;
      node.att('port', String(live ? (this.vnc?.port ?? -1) : -1));
      if (live && this.vnc?.passwordValidTo != null) node.att('passwdValidTo', this.vnc.passwordValidTo);
      if (!flags.secure) node.removeAtt('passwd');
      else if (live && this.vnc?.password != null) node.att('passwd', this.vnc.password);
    }, false, true);
    return root.end({ prettyPrint: true, headless: true });
  }

  /** All that virConnectGetAllDomainStats tells, for the groups asked for (bits of VIR_DOMAIN_STATS_*; 0 is all). */
  stats(groups: number): Record<string, TypedParamInput> {
    const wants = (bit: number) => groups === 0 || (groups & bit) !== 0;
    return {
      ...(wants(1) ? { 'state.state': int(this.state), 'state.reason': int(this.reason) } : {}),
      ...(wants(2) && this.isActive ? this.cpuStats() : {}),
      ...(wants(4) ? this.balloonStats() : {}),
      ...(wants(8) ? this.vcpuStats() : {}),
      ...(wants(16) && this.isActive ? this.interfaceStats() : {}),
      ...(wants(32) ? this.blockStats() : {}),
      ...(wants(512) && this.isActive ? { 'dirtyrate.calc_status': int(0), 'dirtyrate.calc_start_time': llong(0), 'dirtyrate.calc_period': int(0) } : {}),
    };
  }

  private cpuStats(): Record<string, TypedParamInput> {
    const total = this.counters.cpuNs.read();
    return { 'cpu.time': ullong(total), 'cpu.user': ullong(Math.floor(total * 0.8)), 'cpu.system': ullong(Math.floor(total * 0.2)), 'cpu.cache.monitor.count': uint(0) };
  }

  private balloonStats(): Record<string, TypedParamInput> {
    const maximum = this.live.memoryKib;
    const fixed = { 'balloon.current': ullong(maximum), 'balloon.maximum': ullong(maximum) };
    if (!this.isActive) return fixed;
    const usedKib = Math.min(maximum, this.load.memoryUsedMib * 1024);
    return {
      ...fixed, 'balloon.swap_in': ullong(0), 'balloon.swap_out': ullong(0), 'balloon.major_fault': ullong(120), 'balloon.minor_fault': ullong(50_000),
      'balloon.unused': ullong(maximum - usedKib), 'balloon.available': ullong(maximum), 'balloon.usable': ullong(maximum - usedKib),
      'balloon.last-update': ullong(Math.floor(Date.now() / 1000)), 'balloon.disk_caches': ullong(10_000), 'balloon.rss': ullong(usedKib + 30_000),
    };
  }

  private vcpuStats(): Record<string, TypedParamInput> {
    const { vcpus } = this.live;
    const stats: Record<string, TypedParamInput> = { 'vcpu.current': uint(vcpus), 'vcpu.maximum': uint(vcpus) };
    if (!this.isActive) return stats;
    const share = Math.floor(this.counters.cpuNs.read() / vcpus);
    for (let i = 0; i < vcpus; i++) {
      stats[`vcpu.${i}.state`] = int(1);
      stats[`vcpu.${i}.time`] = ullong(share);
      stats[`vcpu.${i}.wait`] = ullong(0);
      stats[`vcpu.${i}.delay`] = ullong(1000);
      stats[`vcpu.${i}.halted`] = { type: 'boolean', value: false };
    }
    return stats;
  }

  private interfaceStats(): Record<string, TypedParamInput> {
    const stats: Record<string, TypedParamInput> = { 'net.count': uint(this.live.interfaces.length) };
    this.live.interfaces.forEach((_, i) => {
      stats[`net.${i}.name`] = text(`vnet${this.id * 2 + i}`);
      for (const [way, counter] of [['rx', this.counters.received], ['tx', this.counters.sent]] as const) {
        const bytes = counter.read();
        stats[`net.${i}.${way}.bytes`] = ullong(bytes);
        stats[`net.${i}.${way}.pkts`] = ullong(Math.floor(bytes / 800));
        stats[`net.${i}.${way}.errs`] = ullong(0);
        stats[`net.${i}.${way}.drop`] = ullong(0);
      }
    });
    return stats;
  }

  private blockStats(): Record<string, TypedParamInput> {
    const stats: Record<string, TypedParamInput> = { 'block.count': uint(this.live.disks.length) };
    this.live.disks.forEach((disk, i) => {
      stats[`block.${i}.name`] = text(disk.target);
      if (disk.path !== '') stats[`block.${i}.path`] = text(disk.path);
      if (!this.isActive) return;
      for (const [way, counter] of [['rd', this.counters.read], ['wr', this.counters.written]] as const) {
        const bytes = counter.read();
        stats[`block.${i}.${way}.reqs`] = ullong(Math.floor(bytes / 4096));
        stats[`block.${i}.${way}.bytes`] = ullong(bytes);
        stats[`block.${i}.${way}.times`] = ullong(bytes * 20);
      }
      stats[`block.${i}.fl.reqs`] = ullong(10);
      stats[`block.${i}.fl.times`] = ullong(1000);
      stats[`block.${i}.allocation`] = ullong(qcow2Bytes);
      stats[`block.${i}.capacity`] = ullong(10 * 2 ** 30);
      stats[`block.${i}.physical`] = ullong(qcow2Bytes);
    });
    return stats;
  }

  /** virDomainGetJobStats of a migration that is under way */
  jobStats(): { type: number; params: Record<string, TypedParamInput> } {
    if (this.job === undefined) return { type: 0, params: {} };
    return { type: 2, params: migrationStats(this.job, this.clock() - this.job.startedAt) };
  }
}

const qcow2Bytes = 200_704;

export function migrationStats(job: FakeJob, elapsedMs: number): Record<string, TypedParamInput> {
  const done = Math.min(1, elapsedMs / Math.max(1, job.durationMs));
  const processed = Math.floor(job.memoryBytes * done);
  const remaining = job.memoryBytes - processed;
  return {
    operation: int(5), time_elapsed: ullong(Math.round(elapsedMs)), time_remaining: ullong(Math.round(job.durationMs * (1 - done))),
    data_total: ullong(job.memoryBytes), data_processed: ullong(processed), data_remaining: ullong(remaining),
    memory_total: ullong(job.memoryBytes), memory_processed: ullong(processed), memory_remaining: ullong(remaining),
    memory_bps: ullong(Math.round((job.memoryBytes * 1000) / Math.max(1, job.durationMs))), memory_dirty_rate: ullong(job.dirtyRate), memory_iteration: ullong(1 + Math.floor(done * 3)),
    memory_constant: ullong(0), memory_normal: ullong(Math.floor(processed / 4096)), memory_normal_bytes: ullong(processed), memory_page_size: ullong(4096),
    setup_time: ullong(5), disk_total: ullong(job.diskBytes), disk_processed: ullong(Math.floor(job.diskBytes * done)), disk_remaining: ullong(job.diskBytes - Math.floor(job.diskBytes * done)),
    disk_bps: ullong(0), auto_converge_throttle: int(0),
  };
}

export const int = (value: number): TypedParamInput => ({ type: 'int', value });
export const uint = (value: number): TypedParamInput => ({ type: 'uint', value });
export const llong = (value: number): TypedParamInput => ({ type: 'llong', value });
export const ullong = (value: number): TypedParamInput => ({ type: 'ullong', value });
export const text = (value: string): TypedParamInput => ({ type: 'string', value });
