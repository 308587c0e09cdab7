// What a host has to offer and what may be wrong with it, beside the other hosts: networks and their bridges, pools and who
// else sees their files, its clock, how long its certificates last, its CPU against theirs. Leaves nothing behind there.
import { readCapabilities } from '../libvirt/capabilities-xml.ts';
import { AbortError, LibvirtError } from '../libvirt/errors.ts';
import type { CallOptions, Fleet, Hypervisor, OpenHypervisor } from '../libvirt/hypervisor.ts';
import { readNetworkXml } from '../libvirt/network-xml.ts';
import { readPoolXml } from '../libvirt/storage-xml.ts';
import type { Clock } from '../clock.ts';
import type { CertificateEnd, ClockReading, FoundNetwork } from '../model/host-check.ts';
import type { Host, StoragePool } from '../model/host.ts';
import type { Db } from '../store/db.ts';
import { selectHosts } from '../store/hosts.ts';
import { selectPoolsByHost } from '../store/storage-pools.ts';
import { compareCpus, type CpuPair, type CpuSide } from './host-cpu.ts';
import { runsIntoMarker, seesMarker, sweepMarkers, withMarker, type Marker } from './pool-marker.ts';

export interface InspectDeps {
  readonly db: Db;
  readonly openHost: OpenHypervisor;
  readonly clock: Clock;
  /** connections that are open already; without them (in a shell) some are opened for the moment */
  readonly hosts?: Fleet;
}

export interface FoundHostPool {
  readonly name: string;
  readonly kind: string;
  readonly path: string;
  readonly active: boolean;
  readonly capacityBytes: number;
  readonly availableBytes: number;
  /** managed hosts with a pool of the same name and path */
  readonly others: readonly PoolPeer[];
}

export interface PoolPeer {
  readonly hostName: string;
  /** are its files the same? null: it could not be asked */
  readonly sameFiles: boolean | null;
  /** as an admin has marked it there */
  readonly shared: boolean;
}

export interface HostInspection {
  readonly networks: readonly FoundNetwork[];
  readonly pools: readonly FoundHostPool[];
  /** null: it has no pool of its own to measure with */
  readonly clock: ClockReading | null;
  readonly certificates: readonly CertificateEnd[];
  readonly cpus: readonly CpuPair[];
  /** network of new instances on the other hosts */
  readonly otherNetworks: readonly { readonly hostName: string; readonly network: string }[];
}

interface Other { readonly host: Host; readonly hypervisor: Hypervisor; readonly pools: readonly StoragePool[]; readonly cpu: CpuSide | undefined }

/** `hostId`: of the host itself when it is managed already. Rejects like the calls of its hypervisor; the others may be silent. */
export async function inspectHost(deps: InspectDeps, hypervisor: Hypervisor, virtType: Host['virtType'], hostId: string | undefined, call: CallOptions): Promise<HostInspection> {
  const hosts = (await selectHosts(deps.db)).filter((host) => host.id !== hostId);
  const opened: Hypervisor[] = [];
  try {
    const others = (await Promise.all(hosts.map((host) => openOther(deps, host, opened, call)))).flatMap((other) => other ?? []);
    const [networks, pools, capabilities, certificates] = await Promise.all([
      listNetworks(hypervisor, call), listPools(hypervisor, call), hypervisor.node.getCapabilities(call), hypervisor.certificateEnds(call),
    ]);
    const own: CpuSide = { hypervisor, virtType, cpuXml: readCapabilities(capabilities).cpuXml };
    const [marked, cpus] = await Promise.all([markPools(deps, hypervisor, pools, others, call), comparePairs(own, others, call)]);
    return { networks, ...marked, certificates, cpus, otherNetworks: hosts.map(({ name, network }) => ({ hostName: name, network })) };
  } finally {
    await Promise.all(opened.map((each) => each.close()));
  }
}

/** undefined: it does not answer, and is left out. */
async function openOther(deps: InspectDeps, host: Host, opened: Hypervisor[], call: CallOptions): Promise<Other | undefined> {
  try {
    let hypervisor: Hypervisor;
    if (deps.hosts === undefined) opened.push(hypervisor = deps.openHost(host.uri, { connectTimeoutMs: 3000 }));
    else hypervisor = deps.hosts.host(host.id);
    await hypervisor.ready({ ...call, timeoutMs: Math.min(call.timeoutMs ?? otherTimeoutMs, otherTimeoutMs) });
    const short = { ...call, timeoutMs: otherTimeoutMs };
    const [pools, capabilities] = await Promise.all([selectPoolsByHost(deps.db, host.id), host.virtType === 'kvm' ? hypervisor.node.getCapabilities(short) : '<capabilities/>']);
    return { host, hypervisor, pools, cpu: { hypervisor, virtType: host.virtType, cpuXml: readCapabilities(capabilities).cpuXml } };
  } catch {
    return undefined;
  }
}

/** For hosts that are not the one looked at. Longer: one that hangs holds up the whole check. */
const otherTimeoutMs = 3000;

/** Only pools that are directories of files: that is what images and disks are. */
const poolKinds = new Set(['dir', 'fs', 'netfs', 'gluster']);

async function listPools(hypervisor: Hypervisor, call: CallOptions): Promise<FoundHostPool[]> {
  const names = (await hypervisor.storagePool.listAll(call)).map((pool) => pool.name).sort();
  const pools: FoundHostPool[] = [];
  // one after the other: a host answers five requests at a time, and a slow pool must not hold the rest
  for (const name of names) {
    const [xml, info] = await Promise.all([hypervisor.storagePool.getXMLDesc(name, call), hypervisor.storagePool.getInfo(name, call)]);
    const { kind, path } = readPoolXml(xml);
    if (!poolKinds.has(kind)) continue;
    pools.push({ name, kind, path, active: info.state === 'running', capacityBytes: info.capacityBytes, availableBytes: info.availableBytes, others: [] });
  }
  return pools;
}

async function listNetworks(hypervisor: Hypervisor, call: CallOptions): Promise<FoundNetwork[]> {
  const names = (await hypervisor.network.listAll(call)).map((network) => network.name).sort();
  const networks: FoundNetwork[] = [];
  for (const name of names) {
    const [active, xml] = await Promise.all([hypervisor.network.isActive(name, call), hypervisor.network.getXMLDesc(name, call)]);
    const { mode, bridge, bridgeOfHost } = readNetworkXml(xml);
    networks.push({ name, active, mode, bridge, bridgeMissing: bridgeOfHost && bridge !== null ? await isMissing(hypervisor, bridge, call) : false });
  }
  return networks;
}

async function isMissing(hypervisor: Hypervisor, bridge: string, call: CallOptions): Promise<boolean | null> {
  const has = await hypervisor.node.hasInterface(bridge, call);
  return has === undefined ? null : !has;
}

async function comparePairs(own: CpuSide, others: readonly Other[], call: CallOptions): Promise<CpuPair[]> {
  const pairs = await Promise.all(others.map(async ({ host, cpu }) => {
    if (cpu === undefined || host.virtType === null || own.virtType === null) return undefined;
    return compareCpus(own, cpu, host.name, { ...call, timeoutMs: otherTimeoutMs }).catch(() => undefined);
  }));
  return pairs.filter((pair) => pair !== undefined);
}

/**
 * One marker a pool. The clock is read from the host's own files alone: a file on a server has the server's time.
 * A pool that takes no file (full, read-only) is told as it is: nobody could be asked.
 */
async function markPools(deps: InspectDeps, hypervisor: Hypervisor, pools: readonly FoundHostPool[], others: readonly Other[], call: CallOptions): Promise<{ pools: FoundHostPool[]; clock: ClockReading | null }> {
  let clock: ClockReading | null = null;
  const marked: FoundHostPool[] = [];
  for (const pool of pools) {
    const peers = others.flatMap((other) => {
      const same = other.pools.find((each) => each.name === pool.name && each.path === pool.path);
      return same === undefined ? [] : [{ other, shared: same.shared }];
    });
    const unasked = peers.map(({ other, shared }): PoolPeer => ({ hostName: other.host.name, sameFiles: null, shared }));
    if (!pool.active) {
      marked.push({ ...pool, others: unasked });
      continue;
    }
    try {
      await sweepMarkers(hypervisor, pool.name, deps.clock.now(), call);
      const found = await withMarker(hypervisor, pool.name, () => deps.clock.now(), call, async (marker) => {
        const reading = clockReading(marker);
        return { reading, asked: await askPeers(peers, pool.name, marker.name, call) };
      });
      if (isOwnDisk(pool, found.asked)) clock ??= found.reading;
      marked.push({ ...pool, others: found.asked });
    } catch (error) {
      if (!(error instanceof LibvirtError)) throw error;
      marked.push({ ...pool, others: unasked });
    }
  }
  return { pools: marked, clock };
}

async function askPeers(peers: readonly { readonly other: Other; readonly shared: boolean }[], pool: string, marker: string, call: CallOptions): Promise<PoolPeer[]> {
  const short = { ...call, timeoutMs: otherTimeoutMs };
  const unlessAborted = (error: unknown): undefined => {
    if (error instanceof AbortError) throw error;
  };
  const seen = await Promise.all(peers.map(({ other }) => seesMarker(other.hypervisor, pool, marker, short).catch(unlessAborted)));
  const answers: PoolPeer[] = [];
  for (const [index, { other, shared }] of peers.entries()) {
    const found = seen[index] === false ? await runsIntoMarker(other.hypervisor, pool, marker, short).catch(unlessAborted) : seen[index];
    answers.push({ hostName: other.host.name, sameFiles: found ?? null, shared });
  }
  return answers;
}

function isOwnDisk(pool: FoundHostPool, peers: readonly PoolPeer[]): boolean {
  return (pool.kind === 'dir' || pool.kind === 'fs') && !peers.some(({ sameFiles, shared }) => sameFiles === true || shared);
}

function clockReading({ writtenAt, askedAt, answeredAt }: Marker): ClockReading | null {
  if (writtenAt === null) return null;
  return { aheadMs: Math.round(writtenAt - (askedAt + answeredAt) / 2), errorMs: Math.ceil((answeredAt - askedAt) / 2) };
}
