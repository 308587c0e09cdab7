// Can this instance move to that host? Names everything that stands against it, and changes nothing anywhere.
import { performance } from 'node:perf_hooks';
import { say, type Sentence } from '../errors.ts';
import { cpuXmlOf, parseDomainXml, type ParsedDomain } from '../libvirt/domain-xml.ts';
import { HostUnavailableError, isNoDomain, isNoNetwork, isNoStoragePool, LibvirtError } from '../libvirt/errors.ts';
import type { CallOptions, Hypervisor } from '../libvirt/hypervisor.ts';
import type { Fleet } from '../model/admission.ts';
import type { Host, StoragePool } from '../model/host.ts';
import { statesFor, type Instance } from '../model/instance.ts';
import { newDiskPool, poolAt, roomRefusals, type PlacementRequest } from '../model/placement.ts';
import type { Settings } from '../model/settings.ts';
import { memoryText } from '../model/size.ts';
import { selectSettings } from '../store/settings.ts';
import { loadFleet } from './admission.ts';
import type { OperationDeps } from './deps.ts';
import { domainName, instanceStateOf } from './domain.ts';
import { destinationUri, explainMigrateError, probeInput } from './migrate-domain.ts';
import { diskVolume } from './volumes.ts';

export const obstacleKinds = [
  'state', 'unreachable', 'cpu', 'machine', 'pool', 'space', 'capacity', 'memory', 'disk', 'media', 'network', 'name-taken', 'port',
] as const;
export type ObstacleKind = (typeof obstacleKinds)[number];

export interface Obstacle {
  readonly kind: ObstacleKind;
  readonly sentence: Sentence;
}

export interface MigrationCheck {
  /** empty: it can move */
  readonly obstacles: readonly Obstacle[];
  /** its disk would be copied along, because the pool is not shared with the target */
  readonly withDisk: boolean;
  /** it runs, and would go on running; false: it is powered off */
  readonly live: boolean;
}

export interface CheckOptions {
  /** room for it is reserved there already, and the admin's wish for the host was heeded then */
  readonly reserved?: boolean;
}

/** Of each call. A host that needs longer for one of these would not carry a move either. */
const callMs = 5000;
/** For the source to reach the target, whose firewall may swallow what it is sent. */
const probeMs = 4000;

/** What both hosts and the database say. Throws nothing that a host can cause: a silent one is an obstacle. */
export async function checkMove(deps: OperationDeps, instance: Instance, toHost: Host, options: CheckOptions = {}): Promise<MigrationCheck> {
  const settings = await selectSettings(deps.db);
  const fleet = await loadFleet(deps.db, settings, deps.clock.now());
  const source = fleet.hosts.find((host) => host.id === instance.hostId);
  const live = instance.state === 'running' || instance.state === 'paused';
  if (source === undefined || instance.poolId === null) return { obstacles: [{ kind: 'state', sentence: say('instances.refused.migrate') }], withDisk: false, live };
  const request: PlacementRequest = {
    vcpus: instance.vcpus, memoryMib: instance.memoryMib, diskGib: instance.diskGib, poolId: instance.poolId, from: source, live,
    withDisk: fleet.pools.find((pool) => pool.id === instance.poolId)?.shared === false,
  };
  const pool = poolAt(toHost.id, request, fleet);
  const withDisk = pool !== undefined && pool.id !== instance.poolId;
  const known = knownObstacles(instance, { source, target: toHost, pool, request, fleet, settings }, options);
  // a host that is not to be asked can tell nothing more
  if (known.some(({ kind }) => kind === 'state' || kind === 'unreachable')) return { obstacles: known, withDisk, live };
  return new HostsCheck(deps, instance, { source, target: toHost, fleet, pool, withDisk, settings }, options).run(known);
}

interface Known { readonly source: Host; readonly target: Host; readonly pool: StoragePool | undefined; readonly request: PlacementRequest; readonly fleet: Fleet; readonly settings: Settings }

/** Without asking anybody. */
function knownObstacles(instance: Instance, { source, target, pool, request, fleet, settings }: Known, { reserved = false }: CheckOptions): Obstacle[] {
  const obstacles: Obstacle[] = [];
  const add = (kind: ObstacleKind, sentence: Sentence): void => void obstacles.push({ kind, sentence });
  if (!statesFor('migrate').includes(instance.state)) add('state', say('instances.refused.migrate'));
  if (target.id === source.id) add('state', say('migration.refused.same-host', { host: target.name }));
  for (const host of [source, target]) {
    if (host.state === 'fenced') add('state', say('operations.failed.host-fenced', { host: host.name }));
    else if (host.state !== 'up') add('unreachable', say('migration.refused.silent', { host: host.name }));
  }
  if (!reserved && target.wish !== 'enabled') add('state', say(`migration.refused.${target.wish}`, { host: target.name }));
  if (pool === undefined) add('pool', say('migration.refused.no-pool', { host: target.name, pool: fleet.pools.find((each) => each.id === request.poolId)?.name ?? '?' }));
  const own = fleet.pools.find((each) => each.id === request.poolId);
  if (pool !== undefined && own !== undefined && pool.path !== own.path) add('pool', say('migration.refused.pool-path', { host: target.name, pool: pool.name, path: own.path }));
  if (!reserved) for (const sentence of roomRefusals(target, request, fleet, settings)) add(newDiskPool(target.id, request, fleet) !== undefined && sentence.key === 'placement.refused.disk' ? 'space' : 'capacity', sentence);
  if (destinationUri(target) === undefined) add('port', say('migration.refused.no-address', { to: target.name }));
  return obstacles;
}

interface Asked { readonly source: Host; readonly target: Host; readonly fleet: Fleet; readonly pool: StoragePool | undefined; readonly withDisk: boolean; readonly settings: Settings }

class HostsCheck {
  readonly #obstacles: Obstacle[] = [];
  readonly #call: CallOptions = { timeoutMs: callMs };

  constructor(private readonly deps: OperationDeps, private readonly instance: Instance, private readonly asked: Asked, private readonly options: CheckOptions) {}

  async run(known: readonly Obstacle[]): Promise<MigrationCheck> {
    const { source, target, withDisk } = this.asked;
    this.#obstacles.push(...known);
    const [domain] = await Promise.all([
      this.#from(source, (hypervisor) => this.#readSource(hypervisor)),
      this.#from(target, (hypervisor) => Promise.all([this.#checkNames(hypervisor), this.#checkPool(hypervisor)])),
    ]);
    const live = domain?.live ?? (this.instance.state !== 'stopped');
    const reaches = !this.#obstacles.some(({ kind }) => kind === 'unreachable' || kind === 'port');
    if (domain === undefined || !reaches) return { obstacles: this.#obstacles, withDisk, live };
    await Promise.all([
      this.#from(target, (hypervisor) => this.#askTarget(hypervisor, domain, live)),
      // a move that begins at once finds out by itself, unless its disk would be copied first
      this.options.reserved === true && !withDisk ? undefined : this.#from(source, (hypervisor) => this.#probe(hypervisor)),
    ]);
    return { obstacles: this.#obstacles, withDisk, live };
  }

  #add(kind: ObstacleKind, sentence: Sentence): void {
    this.#obstacles.push({ kind, sentence });
  }

  async #from<T>(host: Host, ask: (hypervisor: Hypervisor) => Promise<T>): Promise<T | undefined> {
    try {
      if (!this.deps.hosts.has(host.id)) throw new HostUnavailableError('no connection');
      const hypervisor = this.deps.hosts.host(host.id);
      await hypervisor.ready({ timeoutMs: 2000 });
      return await ask(hypervisor);
    } catch (error) {
      if (error instanceof HostUnavailableError) this.#add('unreachable', say('migration.refused.silent', { host: host.name }));
      else if (error instanceof LibvirtError) this.#add('state', say('migration.refused.check-failed', { host: host.name, reason: error.message }));
      else throw error;
      return undefined;
    }
  }

  // ── the source ──────────────────────────────────────────────────────────────────────────────────────────────────

  async #readSource({ domain }: Hypervisor): Promise<(ParsedDomain & { readonly live: boolean; readonly cpuXml: string | undefined }) | undefined> {
    const { id } = this.instance;
    try {
      const [{ state: domainState }, xml, snapshots] = await Promise.all([
        domain.getState(id, this.#call), domain.getXMLDesc(id, {}, this.#call),
        domain.listSnapshots(id, this.#call).catch((error: unknown) => {
          if (error instanceof LibvirtError) return [];
          throw error;
        }),
      ]);
      const state = instanceStateOf[domainState];
      const parsed = parseDomainXml(xml);
      this.#checkMedia(parsed);
      if (snapshots.length > 0) this.#add('state', say('migration.refused.snapshots', { count: snapshots.length }));
      return { ...parsed, live: state === 'running' || state === 'paused', cpuXml: cpuXmlOf(xml) };
    } catch (error) {
      if (!isNoDomain(error)) throw error;
      this.#add('state', say('operations.failed.domain-gone', { host: this.asked.source.name }));
      return undefined;
    }
  }

  /** Whatever is not in the instance's own pool must lie where both hosts have it. */
  #checkMedia({ disks }: ParsedDomain): void {
    const { fleet, source, target, withDisk } = this.asked;
    const has = (host: Host, pool: StoragePool): boolean => fleet.hostPools.get(host.id)?.has(pool.id) === true;
    const within = (path: string, pool: StoragePool): boolean => path.startsWith(`${pool.path}/`);
    for (const { path, device } of disks) {
      if (path === null) continue;
      const poolsOfPath = fleet.pools.filter((pool) => has(source, pool) && within(path, pool));
      if (poolsOfPath.some((pool) => has(target, pool))) continue;
      const own = poolsOfPath.some((pool) => pool.id === this.instance.poolId);
      if (own && device === 'disk' && (withDisk || this.asked.pool === undefined)) continue;
      this.#add('media', say(device === 'disk' ? 'migration.refused.other-disk' : 'migration.refused.media', { path, host: target.name }));
    }
  }

  // ── the target ──────────────────────────────────────────────────────────────────────────────────────────────────

  async #askTarget(hypervisor: Hypervisor, domain: ParsedDomain & { readonly cpuXml: string | undefined }, live: boolean): Promise<void> {
    await Promise.all([this.#checkNetworks(hypervisor, domain), this.#checkCpu(hypervisor, domain, live), live ? this.#checkMemory(hypervisor) : undefined]);
  }

  async #checkNames({ domain }: Hypervisor): Promise<void> {
    const name = domainName(this.instance);
    for (const found of await domain.listAll(this.#call)) {
      const same = found.uuid === this.instance.id;
      // what is left of it there, powered off and of the same name, is replaced
      if (same && found.id === -1 && found.name === name) continue;
      if (same || found.name === name) this.#add('name-taken', say('migration.refused.name-taken', { to: this.asked.target.name, name: found.name }));
    }
  }

  async #checkPool({ storagePool, storageVolume }: Hypervisor): Promise<void> {
    const { pool, target, withDisk } = this.asked;
    if (pool === undefined) return;
    try {
      const info = await storagePool.getInfo(pool.name, this.#call);
      if (info.state !== 'running') return this.#add('pool', say('operations.failed.pool-inactive', { pool: pool.name, host: target.name }));
      if (withDisk) return;
      const disk = diskVolume(this.instance.id);
      if ((await storageVolume.lookupByName(pool.name, disk, this.#call)) !== undefined) return;
      // the daemon's list is its memory; reading the directory anew changes nothing in it
      await storagePool.refresh(pool.name, this.#call);
      if ((await storageVolume.lookupByName(pool.name, disk, this.#call)) !== undefined) return;
      this.#add('disk', say('migration.refused.disk-unseen', { host: target.name, pool: pool.name, volume: disk }));
    } catch (error) {
      if (!isNoStoragePool(error)) throw error;
      this.#add('pool', say('migration.refused.no-pool', { pool: pool.name, host: target.name }));
    }
  }

  async #checkNetworks({ network }: Hypervisor, { interfaces }: ParsedDomain): Promise<void> {
    const names = new Set(interfaces.flatMap(({ kind, source }) => (kind === 'network' && source !== null ? [source] : [])));
    for (const name of names) {
      const active = await network.isActive(name, this.#call).catch((error: unknown) => {
        if (isNoNetwork(error)) return false;
        throw error;
      });
      if (!active) this.#add('network', say('operations.failed.network-inactive', { network: name, host: this.asked.target.name }));
    }
  }

  /** An emulated CPU is the same everywhere; a real one is compared by the target itself. */
  async #checkCpu({ node }: Hypervisor, { virtType, machine, cpuXml }: ParsedDomain & { readonly cpuXml: string | undefined }, live: boolean): Promise<void> {
    const { target } = this.asked;
    const type = virtType === 'kvm' ? 'kvm' : 'qemu';
    try {
      await node.getDomainCapabilities({ virtType: type, ...(machine === null ? {} : { machine }) }, this.#call);
    } catch (error) {
      if (!(error instanceof LibvirtError)) throw error;
      this.#add('machine', say('migration.refused.machine', { host: target.name, type, machine: machine ?? '–', reason: error.message }));
      return;
    }
    if (!live || type !== 'kvm' || cpuXml === undefined) return;
    try {
      if ((await node.compareCPU(cpuXml, this.#call)) === 'incompatible') this.#add('cpu', say('migration.refused.cpu', { host: target.name }));
    } catch (error) {
      // it names no model to compare (host-passthrough): the hosts' models were compared when the host was chosen
      if (!(error instanceof LibvirtError)) throw error;
    }
  }

  async #checkMemory({ node }: Hypervisor): Promise<void> {
    const { freeKib, buffersKib, cachedKib } = await node.getMemoryStats(this.#call);
    const freeMib = Math.floor((freeKib + buffersKib + cachedKib) / 1024);
    if (freeMib >= this.instance.memoryMib) return;
    this.#add('memory', say('migration.refused.memory', { host: this.asked.target.name, free: memoryText(freeMib), needed: memoryText(this.instance.memoryMib) }));
  }

  // ── between them ────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Whether the source reaches the target's libvirt, nobody but the source can tell. It is asked for a migration that names
   * a disk that no machine has: libvirt connects to the target, then refuses before it does anything.
   */
  async #probe({ domain }: Hypervisor): Promise<void> {
    const { source, target } = this.asked;
    const uri = destinationUri(target);
    if (uri === undefined) return;
    const began = performance.now();
    try {
      await domain.migrate(this.instance.id, { destinationUri: uri, ...probeInput }, { timeoutMs: probeMs });
    } catch (error) {
      if (error instanceof LibvirtError) {
        const sentence = explainMigrateError(error, source, target);
        if (sentence.key === 'migration.failed.unreachable' || sentence.key === 'migration.failed.tls') this.#add('port', sentence);
        return;
      }
      if (!(error instanceof HostUnavailableError) || performance.now() - began < probeMs) throw error;
      this.#add('port', say('migration.failed.unreachable', { from: source.name, to: target.name, address: uri, reason: `${probeMs / 1000} s` }));
    }
  }
}
