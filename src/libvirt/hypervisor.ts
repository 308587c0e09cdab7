// What the product asks of one libvirt host, and nothing else. Names are libvirt's C names without `vir`.
// Values are plain: there is nothing to free, and a DomainRef stays good across reconnects.
// Every call rejects with a LibvirtError (the daemon said no), a HostUnavailableError (no answer: connection lost,
// deadline, keepalive) or an AbortError. On HostUnavailableError the outcome of a change is unknown: ask again, never assume.

import type { Duplex, Readable } from 'node:stream';
import type { CertificateEnd } from '../model/host-check.ts';

export interface CallOptions {
  /** milliseconds until the call rejects with HostUnavailableError; default 15,000. The late reply is dropped. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** sent at once, past slow calls that hold all places of the connection: only for calls that a daemon answers in no time */
  readonly urgent?: boolean;
}

/** `id` is -1 while the domain is not running. `uuid` is the usual 36-character text. */
export interface DomainRef { readonly name: string; readonly uuid: string; readonly id: number }
export interface PoolRef { readonly name: string; readonly uuid: string }
/** `key` is the path for directory and NFS pools. */
export interface VolumeRef { readonly pool: string; readonly name: string; readonly key: string }
export interface NetworkRef { readonly name: string; readonly uuid: string }

/** virDomainState */
export type DomainState = 'no-state' | 'running' | 'blocked' | 'paused' | 'shutdown' | 'shutoff' | 'crashed' | 'pm-suspended';

/** Typed parameters as libvirt sends them. Integers past 2^53 are bigint. */
export type TypedParams = Readonly<Record<string, number | bigint | string | boolean>>;
/** Typed parameters to send, each with its wire type. */
export type TypedParamInput =
  | { readonly type: 'int' | 'uint' | 'double'; readonly value: number }
  | { readonly type: 'llong' | 'ullong'; readonly value: number | bigint }
  | { readonly type: 'boolean'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string };

/** Groups of virConnectGetAllDomainStats. Measured: state/cpu-total/interface ≈ 1 ms a domain in the daemon, balloon and block ≈ 5 ms. */
export type StatsGroup = 'state' | 'cpu-total' | 'balloon' | 'vcpu' | 'interface' | 'block' | 'dirtyrate';
export interface DomainStats { readonly domain: DomainRef; readonly params: TypedParams }

export interface NodeInfo {
  readonly cpuModel: string;
  /** KiB; on lazily initialised NUMA machines this is too small: prefer NodeMemoryStats.totalKib */
  readonly memoryKib: number;
  readonly cpus: number;
  readonly mhz: number;
  readonly nodes: number; readonly sockets: number; readonly cores: number; readonly threads: number;
}
/** Cumulative nanoseconds over all CPUs (virNodeGetCPUStats, cpuNum -1). */
export interface NodeCpuStats { readonly userNs: number; readonly kernelNs: number; readonly idleNs: number; readonly iowaitNs: number; readonly intrNs: number }
/** KiB (virNodeGetMemoryStats). libvirt 9.0 has no "available": free + buffers + cached stands for it. */
export interface NodeMemoryStats { readonly totalKib: number; readonly freeKib: number; readonly buffersKib: number; readonly cachedKib: number }

export interface PoolInfo {
  readonly state: 'inactive' | 'building' | 'running' | 'degraded' | 'inaccessible';
  readonly capacityBytes: number; readonly allocationBytes: number; readonly availableBytes: number;
}
export interface VolumeInfo { readonly type: number; readonly capacityBytes: number; readonly allocationBytes: number }
/** virDomainGetInterfaceAddresses / virNetworkGetDHCPLeases */
export interface InterfaceAddress { readonly name: string; readonly mac: string; readonly addresses: readonly { readonly type: 'ipv4' | 'ipv6'; readonly address: string; readonly prefix: number }[] }
export interface DhcpLease { readonly iface: string; readonly expiresAt: number; readonly mac: string; readonly address: string; readonly prefix: number; readonly hostname: string | null }
/** virDomainGetJobStats: `type` 0 none, 1 bounded, 2 unbounded, 3 completed, 4 failed, 5 cancelled */
export interface JobStats { readonly type: number; readonly params: TypedParams }

export type DomainEvent =
  /** virConnectDomainEventLifecycleCallback: event and detail by name, e.g. 'started'/'booted', 'stopped'/'destroyed', 'undefined'/'removed' */
  | { readonly type: 'lifecycle'; readonly domain: DomainRef; readonly event: string; readonly detail: string }
  | { readonly type: 'reboot'; readonly domain: DomainRef }
  | { readonly type: 'job-completed'; readonly domain: DomainRef; readonly params: TypedParams }
  | { readonly type: 'migration-iteration'; readonly domain: DomainRef; readonly iteration: number }
  | { readonly type: 'agent-lifecycle'; readonly domain: DomainRef; readonly state: string; readonly reason: string }
  /** the connection was made anew: whatever happened in between is unknown, compare everything */
  | { readonly type: 'resync' };

export type ConnectionState = 'connecting' | 'up' | 'down' | 'closed';
export interface ConnectionStatus {
  readonly state: ConnectionState;
  /** milliseconds UTC of the last change of state */
  readonly since: number;
  /** why it is down, for the log and the admin: libvirt's or the system's own words */
  readonly reason: string | null;
}

export interface MigrateInput {
  readonly destinationUri: string;
  /** a list stands for several parameters of one name */
  readonly params: Readonly<Record<string, TypedParamInput | readonly TypedParamInput[]>>;
  /** VIR_MIGRATE_* as bits */
  readonly flags: number;
}

export interface DomainApi {
  listAll(options?: CallOptions): Promise<DomainRef[]>;
  /** undefined when there is no such domain */
  lookupByUUID(uuid: string, options?: CallOptions): Promise<DomainRef | undefined>;
  getState(uuid: string, options?: CallOptions): Promise<{ readonly state: DomainState; readonly reason: number }>;
  getXMLDesc(uuid: string, flags?: { readonly secure?: boolean; readonly inactive?: boolean }, options?: CallOptions): Promise<string>;
  /** virDomainDefineXMLFlags with VALIDATE; defining again with the same uuid and name replaces */
  defineXML(xml: string, options?: CallOptions): Promise<DomainRef>;
  create(uuid: string, flags?: { readonly paused?: boolean }, options?: CallOptions): Promise<DomainRef>;
  /** ACPI power button; returns when it was pressed, not when the guest is off */
  shutdown(uuid: string, options?: CallOptions): Promise<void>;
  /** ACPI power button too; when the guest is off, libvirt resets it */
  reboot(uuid: string, options?: CallOptions): Promise<void>;
  reset(uuid: string, options?: CallOptions): Promise<void>;
  suspend(uuid: string, options?: CallOptions): Promise<void>;
  resume(uuid: string, options?: CallOptions): Promise<void>;
  /** virDomainDestroyFlags: power off at once */
  destroy(uuid: string, flags?: { readonly graceful?: boolean }, options?: CallOptions): Promise<void>;
  /** with MANAGED_SAVE | SNAPSHOTS_METADATA | NVRAM | CHECKPOINTS_METADATA */
  undefine(uuid: string, options?: CallOptions): Promise<void>;
  setAutostart(uuid: string, on: boolean, options?: CallOptions): Promise<void>;
  /** virDomainUpdateDeviceFlags; used for VNC passwords, CD media, link state */
  updateDevice(uuid: string, xml: string, flags: { readonly live: boolean; readonly config: boolean }, options?: CallOptions): Promise<void>;
  attachDevice(uuid: string, xml: string, flags: { readonly live: boolean; readonly config: boolean }, options?: CallOptions): Promise<void>;
  detachDevice(uuid: string, xml: string, flags: { readonly live: boolean; readonly config: boolean }, options?: CallOptions): Promise<void>;
  /** bytes */
  blockResize(uuid: string, disk: string, sizeBytes: number, options?: CallOptions): Promise<void>;
  getMetadata(uuid: string, namespace: string, options?: CallOptions): Promise<string | undefined>;
  /**
   * 'agent' asks a program in the guest, which its owner may have written: unless agentSetResponseTimeout limits it, libvirt
   * waits for it without end, and the call's place on the connection is taken as long.
   */
  getInterfaceAddresses(uuid: string, source: 'lease' | 'agent' | 'arp', options?: CallOptions): Promise<InterfaceAddress[]>;
  /**
   * Seconds that libvirt waits for each answer of the guest's agent, for whichever of its clients. This host's libvirt keeps it
   * over a restart of the guest (9.0), but it does not move along with it, and any client may change it. The call itself waits
   * for no agent. Refused by libvirt before 5.10 (VIR_ERR_RPC, unknown procedure).
   */
  agentSetResponseTimeout(uuid: string, timeoutSeconds: number, options?: CallOptions): Promise<void>;
  /** One bulk call, NOWAIT: a domain whose monitor is busy gives what is known without it. Decoded in slices. */
  getAllStats(groups: readonly StatsGroup[], options?: CallOptions): Promise<DomainStats[]>;
  /** The same of some domains; one that is gone is left out. */
  listGetStats(domains: readonly DomainRef[], groups: readonly StatsGroup[], options?: CallOptions): Promise<DomainStats[]>;
  getJobStats(uuid: string, flags?: { readonly completed?: boolean; readonly keepCompleted?: boolean }, options?: CallOptions): Promise<JobStats>;
  abortJob(uuid: string, options?: CallOptions): Promise<void>;
  /**
   * P2P; resolves when the domain runs on the destination. Runs on a connection of its own; no timeout unless given.
   * The daemons go on when the caller gives up or loses the connection: abortJob cancels.
   */
  migrate(uuid: string, input: MigrateInput, options?: CallOptions): Promise<void>;
  migrateSetMaxDowntime(uuid: string, downtimeMs: number, options?: CallOptions): Promise<void>;
  migrateSetMaxSpeed(uuid: string, mibPerSecond: number, options?: CallOptions): Promise<void>;
  migrateStartPostCopy(uuid: string, options?: CallOptions): Promise<void>;
  snapshotCreateXML(uuid: string, xml: string, flags?: number, options?: CallOptions): Promise<string>;
  listSnapshots(uuid: string, options?: CallOptions): Promise<string[]>;
  snapshotGetXMLDesc(uuid: string, name: string, options?: CallOptions): Promise<string>;
  revertToSnapshot(uuid: string, name: string, options?: CallOptions): Promise<void>;
  snapshotDelete(uuid: string, name: string, options?: CallOptions): Promise<void>;
  /** serial console, both ways, on a connection of its own; destroying the stream aborts */
  openConsole(uuid: string, device: string | null, options?: CallOptions): Promise<Duplex>;
  screenshot(uuid: string, screen: number, options?: CallOptions): Promise<{ readonly mimeType: string; readonly body: Readable }>;
}

export interface NodeApi {
  getInfo(options?: CallOptions): Promise<NodeInfo>;
  getHostname(options?: CallOptions): Promise<string>;
  /** e.g. 9000000 for 9.0.0 */
  getLibVersion(options?: CallOptions): Promise<number>;
  /** the hypervisor's, e.g. 7002022 for QEMU 7.2.22 */
  getVersion(options?: CallOptions): Promise<number>;
  getCapabilities(options?: CallOptions): Promise<string>;
  getDomainCapabilities(query: { readonly virtType: 'kvm' | 'qemu'; readonly arch?: string; readonly machine?: string }, options?: CallOptions): Promise<string>;
  /** virConnectBaselineHypervisorCPU / virConnectBaselineCPU with EXPAND_FEATURES, of the given CPU XMLs */
  baselineCPU(cpuXmls: readonly string[], options?: CallOptions): Promise<string>;
  compareCPU(cpuXml: string, options?: CallOptions): Promise<'incompatible' | 'identical' | 'superset'>;
  getCPUStats(options?: CallOptions): Promise<NodeCpuStats>;
  getMemoryStats(options?: CallOptions): Promise<NodeMemoryStats>;
  /** does the host have a network interface (a bridge, say) of that name? undefined: its libvirt cannot tell */
  hasInterface(name: string, options?: CallOptions): Promise<boolean | undefined>;
}

export interface StoragePoolApi {
  listAll(options?: CallOptions): Promise<PoolRef[]>;
  getInfo(pool: string, options?: CallOptions): Promise<PoolInfo>;
  getXMLDesc(pool: string, options?: CallOptions): Promise<string>;
  refresh(pool: string, options?: CallOptions): Promise<void>;
  defineXML(xml: string, options?: CallOptions): Promise<PoolRef>;
  build(pool: string, options?: CallOptions): Promise<void>;
  create(pool: string, options?: CallOptions): Promise<void>;
  destroy(pool: string, options?: CallOptions): Promise<void>;
  undefine(pool: string, options?: CallOptions): Promise<void>;
  setAutostart(pool: string, on: boolean, options?: CallOptions): Promise<void>;
}

export interface StorageVolumeApi {
  listAll(pool: string, options?: CallOptions): Promise<VolumeRef[]>;
  /** undefined when there is none of that name */
  lookupByName(pool: string, name: string, options?: CallOptions): Promise<VolumeRef | undefined>;
  getInfo(pool: string, name: string, options?: CallOptions): Promise<VolumeInfo>;
  getXMLDesc(pool: string, name: string, options?: CallOptions): Promise<string>;
  createXML(pool: string, xml: string, options?: CallOptions): Promise<VolumeRef>;
  createXMLFrom(pool: string, xml: string, source: { readonly pool: string; readonly name: string }, options?: CallOptions): Promise<VolumeRef>;
  delete(pool: string, name: string, options?: CallOptions): Promise<void>;
  resize(pool: string, name: string, capacityBytes: number, options?: CallOptions): Promise<void>;
  /** on a connection of its own; resolves when the daemon has accepted every byte */
  upload(pool: string, name: string, body: Readable, lengthBytes: number, options?: CallOptions): Promise<void>;
  download(pool: string, name: string, options?: CallOptions): Promise<Readable>;
}

export interface NetworkApi {
  listAll(options?: CallOptions): Promise<NetworkRef[]>;
  isActive(network: string, options?: CallOptions): Promise<boolean>;
  getXMLDesc(network: string, options?: CallOptions): Promise<string>;
  defineXML(xml: string, options?: CallOptions): Promise<NetworkRef>;
  create(network: string, options?: CallOptions): Promise<void>;
  destroy(network: string, options?: CallOptions): Promise<void>;
  undefine(network: string, options?: CallOptions): Promise<void>;
  setAutostart(network: string, on: boolean, options?: CallOptions): Promise<void>;
  getDHCPLeases(network: string, options?: CallOptions): Promise<DhcpLease[]>;
}

/** One host. Connects by itself, reconnects with jittered back-off, and fails calls at once while it is down. */
export interface Hypervisor {
  readonly uri: string;
  readonly status: ConnectionStatus;
  /** resolves when up; rejects with HostUnavailableError (its message says why) after timeoutMs */
  ready(options?: CallOptions): Promise<void>;
  onStatus(listener: (status: ConnectionStatus) => void): () => void;
  /**
   * lifecycle, reboot, job-completed, migration-iteration, agent-lifecycle and resync; ends when closed or the signal aborts.
   * 'resync' comes every time events begin to flow, so also once at the start: list after it and nothing is missed.
   */
  events(options?: { readonly signal?: AbortSignal }): AsyncIterable<DomainEvent>;
  readonly domain: DomainApi;
  readonly node: NodeApi;
  readonly storagePool: StoragePoolApi;
  readonly storageVolume: StorageVolumeApi;
  readonly network: NetworkApi;
  /** Of a connection made now. Empty where certificates are not what protects it (a socket of this machine, TCP, ssh). */
  certificateEnds(options?: CallOptions): Promise<CertificateEnd[]>;
  close(): Promise<void>;
}

/** Opens one host; the connection is made in the background. Throws InvalidUriError for a URI it cannot speak. */
export type OpenHypervisor = (uri: string, options?: HypervisorOptions) => Hypervisor;
export interface HypervisorOptions {
  readonly keepalive?: { readonly intervalSeconds: number; readonly count: number };
  /** milliseconds for dialling, TLS, authentication and CONNECT_OPEN together; default 10,000 */
  readonly connectTimeoutMs?: number;
  /** milliseconds before connecting again: the first wait, doubling up to the longest; default 250 and 15,000, jittered */
  readonly backoff?: { readonly firstMs: number; readonly maxMs: number };
  /** the machine that must answer there, as its capabilities name it; null: any. Another one counts as no connection. */
  readonly hostUuid?: () => string | null;
  /** directory with cacert.pem, clientcert.pem, clientkey.pem when the URI has no pkipath */
  readonly pkiPath?: string;
  readonly log?: { debug(o: object, m: string): void; warn(o: object, m: string): void };
}

/** The hosts we manage, by our host id. `host(id)` throws AppError not-found for an unknown id. */
export interface Fleet {
  host(hostId: string): Hypervisor;
  has(hostId: string): boolean;
  /** makes the open connections equal to this list: opens new ones, closes those gone, reopens those whose URI changed */
  sync(hosts: readonly { readonly id: string; readonly uri: string; readonly hostUuid?: string | null }[]): void;
  close(): Promise<void>;
}
