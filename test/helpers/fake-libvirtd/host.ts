// The state of one fake host and what may happen to it; knows nothing of sockets.
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { readXml, textAt } from '../../../src/libvirt/xml-reader.ts';
import { Counter, type Clock } from './counters.ts';
import { FakeDomain, readDefinition, state, type Definition, type migrationStats } from './domain.ts';
import { Migrations } from './migration.ts';
import { plainDomainXml } from './plain-domain.ts';
import { refuse } from './errors.ts';
import { FakePool, type FakePoolOptions, type FakeFile } from './storage.ts';

export interface FakeNetwork { name: string; uuid: string; xml: string; active: boolean; autostart: boolean; leases: FakeLease[] }
export interface FakeLease { readonly mac: string; readonly address: string; readonly hostname: string | null }

export interface FakeHostOptions {
  readonly hostname?: string;
  readonly hostUuid?: string;
  readonly cpus?: number;
  readonly memoryMib?: number;
  /** 'kvm' too in the capabilities, with vmx in the CPU's features */
  readonly kvm?: boolean;
  readonly cpuModel?: string;
  readonly pools?: readonly FakePoolOptions[];
  /** `bridge`: of the host's own, which libvirt neither makes nor checks */
  readonly networks?: readonly { readonly name: string; readonly active?: boolean; readonly bridge?: string }[];
  /** milliseconds by which the host's clock is ahead */
  readonly clockAheadMs?: number;
  /** XML, or a number of ready-made domains that run */
  readonly domains?: readonly string[] | number;
  /** first VNC port; several fakes of one process should not share any */
  readonly vncBasePort?: number;
  /** milliseconds that starting a domain takes */
  readonly startDelayMs?: number;
  /** milliseconds from the power button to off, for new domains */
  readonly acpiDelayMs?: number;
  /** milliseconds of a live migration from here */
  readonly migrationMs?: number;
  /** milliseconds, always growing; default Date.now */
  readonly clock?: Clock;
}

/** virDomainEventType and details that the fake sends */
export const event = {
  definedAdded: [0, 0], definedUpdated: [0, 1], undefinedRemoved: [1, 0], startedBooted: [2, 0], startedMigrated: [2, 1], suspendedPaused: [3, 0], suspendedMigrated: [3, 1],
  resumedUnpaused: [4, 0], resumedMigrated: [4, 1], stoppedShutdown: [5, 0], stoppedDestroyed: [5, 1], stoppedCrashed: [5, 2], stoppedMigrated: [5, 3], stoppedFailed: [5, 5],
  shutdownGuest: [6, 1],
} as const;
/** virDomainShutoffReason, virDomainPausedReason, virDomainRunningReason */
export const reason = { unknown: 0, shutdown: 1, destroyed: 2, crashed: 3, migrated: 4, failed: 6, pausedByUser: 1, pausedForMigration: 2, unpaused: 5, runningMigrated: 2 } as const;

export type HostEvent =
  | { readonly type: 'lifecycle'; readonly domain: FakeDomain['ref']; readonly event: number; readonly detail: number }
  | { readonly type: 'reboot'; readonly domain: FakeDomain['ref'] }
  | { readonly type: 'migration-iteration'; readonly domain: FakeDomain['ref']; readonly iteration: number }
  | { readonly type: 'job-completed'; readonly domain: FakeDomain['ref']; readonly params: ReturnType<typeof migrationStats> };

export class FakeHost {
  readonly hostname: string;
  readonly hostUuid: string;
  readonly cpus: number;
  readonly memoryMib: number;
  readonly kvm: boolean;
  readonly cpuModel: string;
  readonly domains = new Map<string, FakeDomain>();
  readonly pools = new Map<string, FakePool>();
  readonly networks = new Map<string, FakeNetwork>();
  readonly clock: Clock;
  /** network interfaces of the host itself */
  readonly interfaces = new Set(['lo', 'virbr0']);
  clockAheadMs: number;
  startDelayMs: number;
  migrationMs: number;
  readonly migrations = new Migrations();
  /** how often it was switched off; whatever it was doing then has ended */
  lives = 0;
  off = false;
  /** load of the host itself, besides its guests */
  readonly load = { cpuPercent: 2, memoryUsedMib: 1024, cachedMib: 512, buffersMib: 64 };
  onEvent: (event: HostEvent) => void = () => undefined;
  private readonly busyNs: Counter;
  private readonly totalNs: Counter;
  readonly acpiDelayMs: number;
  private readonly vncBasePort: number;
  private lastId = 0;

  constructor(options: FakeHostOptions = {}) {
    this.hostname = options.hostname ?? 'fake';
    this.hostUuid = options.hostUuid ?? randomUUID();
    this.cpus = options.cpus ?? 8;
    this.memoryMib = options.memoryMib ?? 32_768;
    this.kvm = options.kvm ?? false;
    this.cpuModel = options.cpuModel ?? (this.kvm ? 'Skylake-Server' : 'qemu64');
    this.clock = options.clock ?? Date.now;
    this.clockAheadMs = options.clockAheadMs ?? 0;
    this.startDelayMs = options.startDelayMs ?? 0;
    this.acpiDelayMs = options.acpiDelayMs ?? 50;
    this.migrationMs = options.migrationMs ?? 200;
    this.vncBasePort = options.vncBasePort ?? 5900;
    this.busyNs = new Counter(this.clock, () => Math.min(1, this.cpuPercent / 100) * this.cpus * 1e9);
    this.totalNs = new Counter(this.clock, () => this.cpus * 1e9);
    for (const pool of options.pools ?? [{ name: 'default' }]) this.addPool(pool);
    for (const { name, active = true, bridge } of options.networks ?? [{ name: 'default' }]) this.addNetwork(name, active, bridge);
    this.addDomains(options.domains ?? []);
  }

  /** per cent of all CPUs that the guests and the host's own load use now */
  get cpuPercent(): number {
    let used = this.load.cpuPercent * this.cpus;
    for (const domain of this.domains.values()) if (domain.state === state.running) used += domain.load.cpuPercent * domain.live.vcpus;
    return used / this.cpus;
  }

  cpuStats(): { user: number; kernel: number; idle: number; iowait: number } {
    const total = this.totalNs.read();
    const busy = Math.min(total, this.busyNs.read());
    return { user: Math.floor(busy * 0.8), kernel: busy - Math.floor(busy * 0.8), idle: total - busy, iowait: 0 };
  }

  memoryStats(): { total: number; free: number; buffers: number; cached: number } {
    let usedMib = this.load.memoryUsedMib + this.load.cachedMib + this.load.buffersMib;
    for (const domain of this.domains.values()) if (domain.isActive) usedMib += domain.load.memoryUsedMib;
    return { total: this.memoryMib * 1024, free: Math.max(0, this.memoryMib - usedMib) * 1024, buffers: this.load.buffersMib * 1024, cached: this.load.cachedMib * 1024 };
  }

  // --- things that are there

  addPool(options: FakePoolOptions): FakePool {
    const pool = new FakePool(options);
    this.pools.set(pool.name, pool);
    return pool;
  }

  addNetwork(name: string, active = true, bridge?: string): FakeNetwork {
    const uuid = randomUUID();
    const xml = `<network><name>${name}</name><uuid>${uuid}</uuid><forward mode='${bridge === undefined ? 'nat' : 'bridge'}'/><bridge name='${bridge ?? 'virbr0'}'/></network>`;
    const network: FakeNetwork = { name, uuid, xml, active, autostart: true, leases: [] };
    this.networks.set(name, network);
    return network;
  }

  private addDomains(domains: readonly string[] | number): void {
    const list = typeof domains === 'number' ? Array.from({ length: domains }, (_, i) => plainDomainXml(`vm-${String(i).padStart(5, '0')}`)) : domains;
    for (const xml of list) {
      const domain = this.define(xml);
      if (typeof domains === 'number') this.run(domain);
    }
  }

  domain(uuid: string): FakeDomain {
    const found = this.domains.get(uuid);
    if (found === undefined) throw refuse.noDomain(uuid);
    return found;
  }

  domainNamed(name: string): FakeDomain | undefined {
    for (const domain of this.domains.values()) if (domain.name === name) return domain;
    return undefined;
  }

  pool(name: string): FakePool {
    const found = this.pools.get(name);
    if (found === undefined) throw refuse.noPool(name);
    return found;
  }

  network(name: string): FakeNetwork {
    const found = this.networks.get(name);
    if (found === undefined) throw refuse.noNetwork(name);
    return found;
  }

  /** Power failure: every process ends, what was written stays. */
  powerOff(): void {
    this.lives += 1;
    this.off = true;
    this.settle();
    for (const domain of [...this.domains.values()]) {
      this.closeDisks(domain);
      // who starts anew after it has seen nothing of them
      domain.stopped(reason.unknown);
      if (domain.defined === null) this.domains.delete(domain.uuid);
    }
  }

  file(path: string): FakeFile {
    const found = this.fileAt(path);
    if (found === undefined) throw refuse.noDiskFile(path);
    return found;
  }

  private fileAt(path: string): FakeFile | undefined {
    for (const pool of this.pools.values()) {
      const file = pool.directory.fileAt(path);
      if (file !== undefined) return file;
    }
    return undefined;
  }

  private inAnyPool(path: string): boolean {
    return [...this.pools.values()].some((pool) => path.startsWith(`${pool.path}/`));
  }

  // --- the life of domains

  define(xml: string): FakeDomain {
    const definition = readDefinition(xml);
    const existing = this.assertNoOther(definition);
    if (existing === undefined) {
      const domain = new FakeDomain(definition, this.clock, { acpiDelayMs: this.acpiDelayMs });
      this.domains.set(definition.uuid, domain);
      this.tell(domain, event.definedAdded);
      return domain;
    }
    existing.defined = definition;
    if (!existing.isActive) existing.live = definition;
    this.tell(existing, event.definedUpdated);
    return existing;
  }

  assertNoOther(definition: Definition): FakeDomain | undefined {
    const existing = this.domains.get(definition.uuid);
    if (existing !== undefined && existing.name !== definition.name) throw refuse.uuidTaken(existing.name, existing.uuid);
    const named = this.domainNamed(definition.name);
    if (named !== undefined && named !== existing) throw refuse.nameTaken(named.name, named.uuid);
    return existing;
  }

  async create(uuid: string, paused: boolean): Promise<FakeDomain> {
    const domain = this.domain(uuid);
    if (domain.isActive) throw refuse.alreadyRunning();
    if (this.startDelayMs > 0) await delay(this.startDelayMs);
    if (domain.isActive) throw refuse.alreadyRunning();
    this.run(domain);
    if (!paused) {
      this.tell(domain, event.resumedUnpaused);
      this.tell(domain, event.startedBooted);
    } else {
      domain.setState(state.paused, reason.pausedByUser);
      this.tell(domain, event.startedBooted);
      this.tell(domain, event.suspendedPaused);
    }
    return domain;
  }

  /** The process begins; checks what QEMU checks. */
  run(domain: FakeDomain): void {
    const definition = domain.defined ?? domain.live;
    for (const { network } of definition.interfaces) {
      if (network !== null && !this.network(network).active) throw refuse.networkInactive(network);
    }
    this.openDisks(domain, definition);
    this.settle();
    domain.started(++this.lastId, domain.wantsVnc ? this.freeVncPort() : null);
  }

  /** QEMU waits for what it is sent; it has no disk open for writing yet. */
  beginIncoming(domain: FakeDomain): void {
    this.settle();
    const { live, defined } = domain;
    domain.started(++this.lastId, domain.wantsVnc ? this.freeVncPort() : null);
    domain.live = live;
    domain.defined = defined;
    domain.setState(state.paused, reason.pausedForMigration);
    domain.incoming = true;
  }

  dropIncoming(domain: FakeDomain): void {
    this.stop(domain, reason.failed, event.stoppedFailed);
  }

  /** What QEMU needs to open is there. */
  assertDisks(definition: Definition): void {
    for (const { path } of definition.disks) if (path !== '' && this.inAnyPool(path)) this.file(path);
  }

  openDisks(domain: FakeDomain, definition: Definition): void {
    const writer = `${this.hostUuid} ${domain.uuid}`;
    const files = definition.disks.filter((disk) => disk.path !== '' && this.inAnyPool(disk.path)).map((disk) => {
      const file = this.fileAt(disk.path);
      if (file === undefined) throw refuse.noDiskFile(disk.path);
      if (!disk.readonly && file.writer !== null && file.writer !== writer) throw refuse.diskLocked(disk.path);
      return { file, disk };
    });
    for (const { file, disk } of files) if (!disk.readonly) file.writer = writer;
  }

  closeDisks(domain: FakeDomain): void {
    for (const { path } of domain.live.disks) {
      const file = this.fileAt(path);
      if (file?.writer === `${this.hostUuid} ${domain.uuid}`) file.writer = null;
    }
  }

  private freeVncPort(): number {
    const taken = new Set([...this.domains.values()].map((domain) => domain.vnc?.port));
    let port = this.vncBasePort;
    while (taken.has(port)) port += 1;
    return port;
  }

  /** The power button. The guest goes off later, or does not care. */
  shutdown(uuid: string): void {
    const domain = this.running(uuid);
    if (domain.ignoresAcpi) return;
    const { id } = domain;
    setTimeout(() => {
      if (domain.id !== id) return;
      this.tell(domain, event.shutdownGuest);
      this.stop(domain, reason.shutdown, event.stoppedShutdown);
    }, domain.acpiDelayMs).unref();
  }

  /** The guest powers itself off. */
  powerOffFromInside(uuid: string): void {
    const domain = this.running(uuid);
    this.tell(domain, event.shutdownGuest);
    this.stop(domain, reason.shutdown, event.stoppedShutdown);
  }

  /** QEMU dies. */
  crash(uuid: string): void {
    this.stop(this.running(uuid), reason.crashed, event.stoppedFailed);
  }

  destroy(uuid: string): void {
    this.stop(this.running(uuid), reason.destroyed, event.stoppedDestroyed);
  }

  suspend(uuid: string): void {
    const domain = this.running(uuid);
    this.settle();
    domain.setState(state.paused, reason.pausedByUser);
    this.tell(domain, event.suspendedPaused);
  }

  resume(uuid: string): void {
    const domain = this.running(uuid);
    this.settle();
    domain.setState(state.running, reason.unpaused);
    this.tell(domain, event.resumedUnpaused);
  }

  reboot(uuid: string): void {
    const domain = this.running(uuid);
    this.onEvent({ type: 'reboot', domain: domain.ref });
  }

  undefine(uuid: string): void {
    const domain = this.domain(uuid);
    if (domain.defined === null) throw refuse.transient();
    domain.defined = null;
    if (!domain.isActive) this.domains.delete(uuid);
    this.tell(domain, event.undefinedRemoved);
  }

  running(uuid: string): FakeDomain {
    const domain = this.domain(uuid);
    if (!domain.isActive) throw refuse.notRunning();
    return domain;
  }

  private stop(domain: FakeDomain, why: number, what: readonly [number, number]): void {
    this.settle();
    this.closeDisks(domain);
    domain.stopped(why);
    if (domain.defined === null) this.domains.delete(domain.uuid);
    this.tell(domain, what);
  }

  /** Every change of load begins by counting what was. */
  settle(): void {
    this.busyNs.read();
    this.totalNs.read();
    for (const domain of this.domains.values()) domain.settle();
  }

  tell(domain: FakeDomain, [what, detail]: readonly [number, number]): void {
    this.onEvent({ type: 'lifecycle', domain: domain.ref, event: what, detail });
  }

  // --- networks

  defineNetwork(xml: string): FakeNetwork {
    const root = readXml(xml);
    const name = textAt(root, 'name') ?? '';
    const existing = this.networks.get(name);
    const network: FakeNetwork = existing ?? { name, uuid: textAt(root, 'uuid') ?? randomUUID(), xml, active: false, autostart: false, leases: [] };
    network.xml = textAt(root, 'uuid') === null ? xml.replace('</name>', `</name><uuid>${network.uuid}</uuid>`) : xml;
    this.networks.set(name, network);
    return network;
  }
}
