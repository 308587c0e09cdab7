// Every procedure of libvirt's remote program that we call, as one table: number, what is sent, what comes back.
// Source: src/remote/remote_protocol.x of libvirt 9.0 (unchanged, apart from additions, from 7.0 to 11.3); libvirt's
// support statement calls it a long-term stable ABI (https://libvirt.org/support.html#rpc-protocol).
// Sizes are bytes and times nanoseconds unless a line says otherwise. `flags` are the C API's flags of the same call.
import { array, bool, charArray, int, nothing, opaque, optional, signedSize, size, string, struct, uint, uuid, type AnyCodec, type In, type Out } from './codec.ts';
import { domain, domainStats, listMax, namedValues, network, pool, snapshot, typedParams, volume } from './wire-types.ts';

export interface Procedure<A extends AnyCodec = AnyCodec, R extends AnyCodec = AnyCodec> {
  readonly number: number;
  readonly args: A;
  readonly reply: R;
}
export type Args<P> = P extends Procedure<infer A, infer _R> ? In<A> : never;
export type Reply<P> = P extends Procedure<infer _A, infer R> ? Out<R> : never;

export function procedure<A extends AnyCodec, R extends AnyCodec>(number: number, args: A, reply: R): Procedure<A, R> {
  return { number, args, reply };
}

const flags = uint;
const xml = string;
/** `int need_results` of every listing: 0 asks only for the number */
const needResults = int;
const count = uint;

const onDomain = struct({ dom: domain });
const onDomainWithFlags = struct({ dom: domain, flags });
const onDevice = struct({ dom: domain, xml, flags });
const onPool = struct({ pool });
const onPoolWithFlags = struct({ pool, flags });
const onVolumeWithFlags = struct({ vol: volume, flags });
const onVolumeRange = struct({ vol: volume, offset: size, length: size, flags });
const onNetwork = struct({ net: network });
const onSnapshotWithFlags = struct({ snap: snapshot, flags });

const gaveDomain = struct({ dom: domain });
const gavePool = struct({ pool });
const gaveVolume = struct({ vol: volume });
const gaveNetwork = struct({ net: network });
const gaveXml = struct({ xml });

/** remote_network_dhcp_lease: expiry in seconds since 1970, `type` 0 IPv4, 1 IPv6 */
const dhcpLease = struct({
  iface: string, expiryTime: signedSize, type: int, mac: optional(string), iaid: optional(string),
  ipaddr: string, prefix: uint, hostname: optional(string), clientid: optional(string),
});
const domainInterface = struct({
  name: string, hwaddr: optional(string), addrs: array(struct({ type: int, addr: string, prefix: uint }), 2048),
});

export const procedures = {
  // connection
  /** `name` is the URI the daemon's driver gets, such as qemu:///system */
  CONNECT_OPEN: procedure(1, struct({ name: optional(string), flags }), nothing),
  CONNECT_CLOSE: procedure(2, nothing, nothing),
  /** version of the hypervisor: major × 1,000,000 + minor × 1,000 + release */
  CONNECT_GET_VERSION: procedure(4, nothing, struct({ version: size })),
  CONNECT_GET_HOSTNAME: procedure(59, nothing, struct({ hostname: string })),
  /** VIR_DRV_FEATURE_*; 10 is the keepalive program */
  CONNECT_SUPPORTS_FEATURE: procedure(60, struct({ feature: int }), struct({ supported: int })),
  /** what the daemon wants: 0 none, 1 SASL, 2 polkit */
  AUTH_LIST: procedure(66, nothing, struct({ types: array(int, 20) })),
  AUTH_POLKIT: procedure(70, nothing, struct({ complete: int })),
  CONNECT_GET_LIB_VERSION: procedure(157, nothing, struct({ version: size })),

  // host
  /** memory in KiB */
  NODE_GET_INFO: procedure(6, nothing, struct({
    model: charArray(32), memory: size, cpus: int, mhz: int, nodes: int, sockets: int, cores: int, threads: int,
  })),
  CONNECT_GET_CAPABILITIES: procedure(7, nothing, struct({ capabilities: xml })),
  CONNECT_COMPARE_CPU: procedure(158, struct({ xml, flags }), struct({ result: int })),
  CONNECT_BASELINE_CPU: procedure(162, struct({ xmlCPUs: array(xml, 256), flags }), struct({ cpu: xml })),
  /** cpuNum -1: all together; nparams 0 asks how many there are. Cumulative nanoseconds */
  NODE_GET_CPU_STATS: procedure(227, struct({ cpuNum: int, nparams: int, flags }), struct({ params: namedValues, nparams: int })),
  /** cellNum -1: all together; nparams 0 asks how many there are. KiB */
  NODE_GET_MEMORY_STATS: procedure(228, struct({ nparams: int, cellNum: int, flags }), struct({ params: namedValues, nparams: int })),
  CONNECT_GET_DOMAIN_CAPABILITIES: procedure(342, struct({
    emulator: optional(string), arch: optional(string), machine: optional(string), virttype: optional(string), flags,
  }), struct({ capabilities: xml })),

  // domains: what there is
  DOMAIN_GET_XML_DESC: procedure(14, onDomainWithFlags, gaveXml),
  DOMAIN_LOOKUP_BY_UUID: procedure(24, struct({ uuid }), gaveDomain),
  DOMAIN_GET_STATE: procedure(212, onDomainWithFlags, struct({ state: int, reason: int })),
  DOMAIN_GET_METADATA: procedure(265, struct({ dom: domain, type: int, uri: optional(string), flags }), struct({ metadata: string })),
  CONNECT_LIST_ALL_DOMAINS: procedure(273, struct({ needResults, flags }), struct({ domains: array(domain, listMax), count })),
  /** no domains given: all of them. `stats` are bits of VIR_DOMAIN_STATS_* */
  CONNECT_GET_ALL_DOMAIN_STATS: procedure(344, struct({ doms: array(domain, listMax), stats: uint, flags }), struct({ records: array(domainStats, listMax) })),
  /** source 0 DHCP leases, 1 guest agent, 2 ARP table */
  DOMAIN_INTERFACE_ADDRESSES: procedure(353, struct({ dom: domain, source: uint, flags }), struct({ ifaces: array(domainInterface, 2048) })),
  /** seconds; -2 without limit (as long as nobody sets one), -1 libvirt's default (5), 0 not at all. Since libvirt 5.10 */
  DOMAIN_AGENT_SET_RESPONSE_TIMEOUT: procedure(420, struct({ dom: domain, timeout: int, flags }), struct({ result: int })),

  // domains: life
  DOMAIN_REBOOT: procedure(27, onDomainWithFlags, nothing),
  DOMAIN_RESUME: procedure(28, onDomain, nothing),
  DOMAIN_SET_AUTOSTART: procedure(29, struct({ dom: domain, autostart: bool }), nothing),
  DOMAIN_SUSPEND: procedure(34, onDomain, nothing),
  DOMAIN_CREATE_WITH_FLAGS: procedure(196, onDomainWithFlags, gaveDomain),
  DOMAIN_UNDEFINE_FLAGS: procedure(231, onDomainWithFlags, nothing),
  DOMAIN_DESTROY_FLAGS: procedure(234, onDomainWithFlags, nothing),
  DOMAIN_RESET: procedure(245, onDomainWithFlags, nothing),
  DOMAIN_SHUTDOWN_FLAGS: procedure(258, onDomainWithFlags, nothing),
  DOMAIN_DEFINE_XML_FLAGS: procedure(350, struct({ xml, flags }), gaveDomain),

  // domains: devices
  DOMAIN_ATTACH_DEVICE_FLAGS: procedure(160, onDevice, nothing),
  DOMAIN_DETACH_DEVICE_FLAGS: procedure(161, onDevice, nothing),
  DOMAIN_UPDATE_DEVICE_FLAGS: procedure(174, onDevice, nothing),
  /** with flag 1 the size is in bytes, without it in KiB */
  DOMAIN_BLOCK_RESIZE: procedure(251, struct({ dom: domain, disk: string, size, flags }), nothing),

  // domains: jobs and migration
  DOMAIN_ABORT_JOB: procedure(164, onDomain, nothing),
  /** milliseconds */
  DOMAIN_MIGRATE_SET_MAX_DOWNTIME: procedure(166, struct({ dom: domain, downtime: size, flags }), nothing),
  /** MiB a second */
  DOMAIN_MIGRATE_SET_MAX_SPEED: procedure(207, struct({ dom: domain, bandwidth: size, flags }), nothing),
  DOMAIN_GET_JOB_STATS: procedure(298, onDomainWithFlags, struct({ type: int, params: typedParams(64) })),
  /** the whole of a peer-to-peer migration; replies when it is over */
  DOMAIN_MIGRATE_PERFORM3_PARAMS: procedure(305, struct({
    dom: domain, dconnuri: optional(string), params: typedParams(64), cookieIn: opaque, flags,
  }), struct({ cookieOut: opaque })),
  DOMAIN_MIGRATE_START_POST_COPY: procedure(364, onDomainWithFlags, nothing),

  // domains: snapshots
  DOMAIN_SNAPSHOT_CREATE_XML: procedure(185, onDevice, struct({ snap: snapshot })),
  DOMAIN_SNAPSHOT_GET_XML_DESC: procedure(186, onSnapshotWithFlags, gaveXml),
  DOMAIN_REVERT_TO_SNAPSHOT: procedure(192, onSnapshotWithFlags, nothing),
  DOMAIN_SNAPSHOT_DELETE: procedure(193, onSnapshotWithFlags, nothing),
  DOMAIN_LIST_ALL_SNAPSHOTS: procedure(274, struct({ dom: domain, needResults, flags }), struct({ snapshots: array(snapshot, listMax), count: int })),

  // domains: streams
  DOMAIN_OPEN_CONSOLE: procedure(201, struct({ dom: domain, device: optional(string), flags }), nothing),
  DOMAIN_SCREENSHOT: procedure(211, struct({ dom: domain, screen: uint, flags }), struct({ mime: optional(string) })),

  // events; the messages that follow are in `events` below
  CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY: procedure(316, struct({ eventId: int, dom: optional(domain) }), struct({ callbackId: int })),

  // storage pools
  STORAGE_POOL_DEFINE_XML: procedure(77, struct({ xml, flags }), gavePool),
  STORAGE_POOL_CREATE: procedure(78, onPoolWithFlags, nothing),
  STORAGE_POOL_BUILD: procedure(79, onPoolWithFlags, nothing),
  STORAGE_POOL_DESTROY: procedure(80, onPool, nothing),
  STORAGE_POOL_UNDEFINE: procedure(82, onPool, nothing),
  STORAGE_POOL_REFRESH: procedure(83, onPoolWithFlags, nothing),
  STORAGE_POOL_LOOKUP_BY_NAME: procedure(84, struct({ name: string }), gavePool),
  /** the state is an unsigned char, which XDR widens to an int */
  STORAGE_POOL_GET_INFO: procedure(87, onPool, struct({ state: int, capacity: size, allocation: size, available: size })),
  STORAGE_POOL_GET_XML_DESC: procedure(88, onPoolWithFlags, gaveXml),
  STORAGE_POOL_SET_AUTOSTART: procedure(90, struct({ pool, autostart: bool }), nothing),
  CONNECT_LIST_ALL_STORAGE_POOLS: procedure(281, struct({ needResults, flags }), struct({ pools: array(pool, listMax), count })),
  STORAGE_POOL_LIST_ALL_VOLUMES: procedure(282, struct({ pool, needResults, flags }), struct({ vols: array(volume, listMax), count })),

  // volumes
  STORAGE_VOL_CREATE_XML: procedure(93, struct({ pool, xml, flags }), gaveVolume),
  STORAGE_VOL_DELETE: procedure(94, onVolumeWithFlags, nothing),
  STORAGE_VOL_LOOKUP_BY_NAME: procedure(95, struct({ pool, name: string }), gaveVolume),
  STORAGE_VOL_GET_INFO: procedure(98, struct({ vol: volume }), struct({ type: int, capacity: size, allocation: size })),
  STORAGE_VOL_GET_XML_DESC: procedure(99, onVolumeWithFlags, gaveXml),
  STORAGE_VOL_CREATE_XML_FROM: procedure(125, struct({ pool, xml, clonevol: volume, flags }), gaveVolume),
  STORAGE_VOL_UPLOAD: procedure(208, onVolumeRange, nothing),
  STORAGE_VOL_DOWNLOAD: procedure(209, onVolumeRange, nothing),
  STORAGE_VOL_RESIZE: procedure(260, struct({ vol: volume, capacity: size, flags }), nothing),

  // networks
  NETWORK_CREATE: procedure(39, onNetwork, nothing),
  NETWORK_DEFINE_XML: procedure(41, struct({ xml }), gaveNetwork),
  NETWORK_DESTROY: procedure(42, onNetwork, nothing),
  NETWORK_GET_XML_DESC: procedure(43, struct({ net: network, flags }), gaveXml),
  NETWORK_LOOKUP_BY_NAME: procedure(46, struct({ name: string }), gaveNetwork),
  NETWORK_SET_AUTOSTART: procedure(48, struct({ net: network, autostart: bool }), nothing),
  NETWORK_UNDEFINE: procedure(49, onNetwork, nothing),
  NETWORK_IS_ACTIVE: procedure(152, onNetwork, struct({ active: bool })),
  CONNECT_LIST_ALL_NETWORKS: procedure(283, struct({ needResults, flags }), struct({ nets: array(network, listMax), count })),
  /** a network interface of the host itself, such as a bridge */
  INTERFACE_LOOKUP_BY_NAME: procedure(128, struct({ name: string }), struct({ iface: struct({ name: string, mac: string }) })),
  NETWORK_GET_DHCP_LEASES: procedure(341, struct({ net: network, mac: optional(string), needResults, flags }), struct({ leases: array(dhcpLease, 65_536), count })),
} as const;

export type ProcedureName = keyof typeof procedures;

/**
 * Domain events: `eventId` is VIR_DOMAIN_EVENT_ID_*, `number` the procedure number of the messages that follow the
 * registration, `message` their body.
 */
export const domainEvents = {
  lifecycle: { eventId: 0, number: 318, message: struct({ callbackId: int, dom: domain, event: int, detail: int }) },
  reboot: { eventId: 1, number: 319, message: struct({ callbackId: int, dom: domain }) },
  agentLifecycle: { eventId: 18, number: 348, message: struct({ callbackId: int, dom: domain, state: int, reason: int }) },
  migrationIteration: { eventId: 20, number: 359, message: struct({ callbackId: int, dom: domain, iteration: int }) },
  jobCompleted: { eventId: 21, number: 363, message: struct({ callbackId: int, dom: domain, params: typedParams(64) }) },
} as const;
