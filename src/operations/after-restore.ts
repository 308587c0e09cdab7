// After the database was loaded from a backup: ends what was open in it, asks every host what it really has, and makes the
// records true. Nothing on any host is changed. No portal runs meanwhile; run again after a failure it does the same.
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { say, type Sentence } from '../errors.ts';
import { instanceNamespace, parseDomainXml, type ParsedDomain } from '../libvirt/domain-xml.ts';
import { isNoDomain } from '../libvirt/errors.ts';
import type { DomainRef, Hypervisor } from '../libvirt/hypervisor.ts';
import { readVolumeXml, type VolumeDescription } from '../libvirt/storage-xml.ts';
import type { Host, StoragePool } from '../model/host.ts';
import { instanceNamePattern, type Instance } from '../model/instance.ts';
import { restoredHome, type Sighting } from '../model/restored.ts';
import { selectOptionalBurnIn } from '../store/burn-ins.ts';
import { isDuplicateKey } from '../store/db.ts';
import { selectHosts } from '../store/hosts.ts';
import { selectOptionalImageByVolume } from '../store/images.ts';
import { insertInstanceEvent } from '../store/instance-events.ts';
import { insertInstance, releaseInstance, selectInstancesByIds, selectInstancesPage, selectOptionalInstance, selectOptionalInstanceByName, updateObservedInstance, type InstanceChange } from '../store/instances.ts';
import { deletePassing, deleteRestoredMark, endOpenWork, recountReservations, updateHostsAnswering, updateHostsOff } from '../store/restores.ts';
import { insertSampleSubject } from '../store/sample-subjects.ts';
import { selectSettings } from '../store/settings.ts';
import { selectPoolsByHost } from '../store/storage-pools.ts';
import { openUsagePeriod } from '../store/usage-periods.ts';
import { selectOptionalUser, selectOptionalUserByName } from '../store/users.ts';
import type { OperationDeps } from './deps.ts';
import { observedChange } from './instance-power.ts';
import { domainStateOf } from './reconcile.ts';
import { diskVolume } from './volumes.ts';

type RestoreDeps = Pick<OperationDeps, 'db' | 'hosts' | 'clock'>;

/** How long a host may take to name its domains, milliseconds. */
const callTimeoutMs = 30_000;
const options = { timeoutMs: callTimeoutMs };
const gib = 1024 ** 3;
const pageSize = 500;

/** What was done, each by the machine's name; `notes` have what is left for a person. */
export interface RestoreReport {
  /** operations that were open in the backup */
  readonly ended: number;
  /** on another host than the record said */
  readonly moved: readonly { readonly name: string; readonly from: string; readonly to: string }[];
  /** in another state */
  readonly changed: readonly { readonly name: string; readonly from: string; readonly to: string }[];
  /** on no host; `disk`: it is there still, null: nobody could tell */
  readonly lost: readonly { readonly name: string; readonly disk: boolean | null }[];
  /** made since the backup, and on record again */
  readonly adopted: readonly { readonly name: string; readonly owner: string; readonly host: string }[];
  readonly notes: readonly Sentence[];
  /** false: a person has to do something first. Nothing was changed, and no portal starts */
  readonly settled: boolean;
}

/** What the hosts have, by the domain's UUID. */
interface Found extends Sighting { readonly domain: DomainRef }

/** All hosts but those in `offHostIds` must answer: throws what the first one says that does not. */
export async function settleRestored(deps: RestoreDeps, { offHostIds }: { readonly offHostIds: ReadonlySet<string> }): Promise<RestoreReport> {
  const hosts = await selectHosts(deps.db);
  const asked = hosts.filter(({ id }) => !offHostIds.has(id));
  const seen = await lookAtHosts(deps, asked);
  const work = new Settlement(deps, hosts, offHostIds, seen);
  const several = await work.severalLives();
  if (several.length > 0) return { ...work.report(0), notes: several, settled: false };
  const now = deps.clock.now();
  const ended = await endOpenWork(deps.db, say('restore.ended'), now);
  await updateHostsAnswering(deps.db, asked.map(({ id }) => id), now);
  await updateHostsOff(deps.db, [...offHostIds], now);
  await work.settleAll();
  await work.adoptAll();
  await recountReservations(deps.db);
  await deletePassing(deps.db);
  await deleteRestoredMark(deps.db);
  return work.report(ended);
}

async function lookAtHosts({ hosts: fleet }: RestoreDeps, hosts: readonly Host[]): Promise<Map<string, Found[]>> {
  const seen = new Map<string, Found[]>();
  await Promise.all(hosts.map(async ({ id: hostId }) => {
    for (const { domain, params } of await fleet.host(hostId).domain.getAllStats(['state'], options)) {
      const state = domainStateOf(params);
      if (state === 'running' || state === 'paused' || state === 'stopped') seen.set(domain.uuid, [...(seen.get(domain.uuid) ?? []), { hostId, state, domain }]);
    }
  }));
  return seen;
}

class Settlement {
  readonly #deps: RestoreDeps;
  readonly #hosts: ReadonlyMap<string, Host>;
  readonly #offHostIds: ReadonlySet<string>;
  readonly #seen: ReadonlyMap<string, readonly Found[]>;
  readonly #moved: RestoreReport['moved'][number][] = [];
  readonly #changed: RestoreReport['changed'][number][] = [];
  readonly #lost: RestoreReport['lost'][number][] = [];
  readonly #adopted: RestoreReport['adopted'][number][] = [];
  readonly #notes: Sentence[] = [];

  constructor(deps: RestoreDeps, hosts: readonly Host[], offHostIds: ReadonlySet<string>, seen: ReadonlyMap<string, readonly Found[]>) {
    this.#deps = deps;
    this.#hosts = new Map(hosts.map((host) => [host.id, host]));
    this.#offHostIds = offHostIds;
    this.#seen = seen;
  }

  report(ended: number): RestoreReport {
    return { ended, moved: this.#moved, changed: this.#changed, lost: this.#lost, adopted: this.#adopted, notes: this.#notes, settled: true };
  }

  #hostName(id: string | null): string {
    return (id === null ? undefined : this.#hosts.get(id)?.name) ?? '–';
  }

  /** Before anything is written: what lives on two hosts, ours or not on record, and must not be recorded on either. */
  async severalLives(): Promise<Sentence[]> {
    const several = [...this.#seen.values()].filter((found) => found.filter(({ state }) => state !== 'stopped').length > 1);
    const ours = await Promise.all(several.map(async (found) => (await this.#isOurs(found)) ? [found] : []));
    return ours.flat().map((found) => say('restore.note.several', {
      domain: found[0]?.domain.name ?? '', hosts: found.filter(({ state }) => state !== 'stopped').map(({ hostId }) => this.#hostName(hostId)).join(', '),
    }));
  }

  /** It is on record, or says of itself that it is ours. */
  async #isOurs(found: readonly Found[]): Promise<boolean> {
    const [first] = found;
    if (first === undefined) return false;
    if ((await selectOptionalInstance(this.#deps.db, first.domain.uuid)) !== undefined) return true;
    return (await this.#hypervisor(first.hostId).domain.getMetadata(first.domain.uuid, instanceNamespace, options)) !== undefined;
  }

  #hypervisor(hostId: string): Hypervisor {
    return this.#deps.hosts.host(hostId);
  }

  // ── what is on record ─────────────────────────────────────────────────────────────────────────────────────────────

  async settleAll(): Promise<void> {
    const { db } = this.#deps;
    for (let page = 1; ; page++) {
      const { instances } = await selectInstancesPage(db, { page, pageSize });
      for (const instance of instances) await this.#settle(instance);
      if (instances.length < pageSize) return;
    }
  }

  async #settle(instance: Instance): Promise<void> {
    const sightings = this.#seen.get(instance.id) ?? [];
    const home = restoredHome(instance, sightings, this.#offHostIds);
    switch (home.kind) {
      case 'found': return this.#foundAt(instance, home.at);
      case 'nowhere': return this.#lose(instance);
      // it is proven to run nothing; a creation that was open there is not
      case 'on-a-host-that-is-off': return this.#write(instance, instance.state === 'creating' ? 'lost' : instance.state === 'lost' ? 'lost' : 'stopped', {}, null);
      case 'several':
      case 'unmade':
    }
  }

  async #foundAt(instance: Instance, { hostId, state }: Sighting): Promise<void> {
    if (hostId === instance.hostId) return this.#write(instance, state, {}, null);
    const disk = await this.#diskOf(hostId, instance.id);
    const poolId = disk?.pool.id ?? instance.poolId;
    if (poolId === null) return void this.#notes.push(say('restore.note.pool', { name: instance.name, host: this.#hostName(hostId) }));
    if (disk === undefined) this.#notes.push(say('restore.note.pool', { name: instance.name, host: this.#hostName(hostId) }));
    this.#moved.push({ name: instance.name, from: this.#hostName(instance.hostId), to: this.#hostName(hostId) });
    await this.#write(instance, state, { hostId, poolId, movedAt: this.#deps.clock.now() }, say('restore.diary.moved', { host: this.#hostName(hostId) }));
  }

  async #lose(instance: Instance): Promise<void> {
    this.#lost.push({ name: instance.name, disk: await this.#diskIsThere(instance) });
    await this.#write(instance, 'lost', {}, null);
  }

  /** Where the pool is asked about as soon as one of its hosts has been asked about domains. null: none has it. */
  async #diskIsThere({ id, poolId }: Instance): Promise<boolean | null> {
    for (const hostId of this.#hosts.keys()) {
      if (this.#offHostIds.has(hostId)) continue;
      const pool = (await selectPoolsByHost(this.#deps.db, hostId)).find((each) => each.id === poolId);
      if (pool === undefined) continue;
      return (await this.#volume(hostId, pool, diskVolume(id))) !== undefined;
    }
    return null;
  }

  async #write(instance: Instance, state: Instance['state'], change: InstanceChange, diary: Sentence | null): Promise<void> {
    const { db, clock } = this.#deps;
    const now = clock.now();
    const sentence = diary ?? (state === instance.state ? null : say(`operations.diary.seen.${state}`));
    if (sentence === null && instance.consolePort === null) return;
    if (state !== instance.state && diary === null && state !== 'lost') this.#changed.push({ name: instance.name, from: instance.state, to: state });
    await db.transaction(async (tx) => {
      // the port is another one by now: it is looked up by the next polls
      if (!(await updateObservedInstance(tx, instance, { ...observedChange(state), ...change }, now))) return;
      if (sentence !== null) await insertInstanceEvent(tx, { instanceId: instance.id, at: now, userId: null, sentence });
    });
  }

  // ── what is not ───────────────────────────────────────────────────────────────────────────────────────────────────

  async adoptAll(): Promise<void> {
    const ids = [...this.#seen.keys()];
    for (let start = 0; start < ids.length; start += pageSize) {
      const some = ids.slice(start, start + pageSize);
      const known = new Set((await selectInstancesByIds(this.#deps.db, some)).map(({ id }) => id));
      for (const id of some) if (!known.has(id)) await this.#adopt(id);
    }
  }

  /** One that nobody has on record: made since the backup, somebody else's, or the rest of a burn-in. */
  async #adopt(id: string): Promise<void> {
    const home = restoredHome({ hostId: null }, this.#seen.get(id) ?? [], this.#offHostIds);
    if (home.kind !== 'found') return;
    const { hostId, state } = home.at;
    const domain = await this.#parsed(hostId, id);
    if (domain?.instanceId !== id) return;
    const host = this.#hostName(hostId);
    if ((await selectOptionalBurnIn(this.#deps.db, id)) !== undefined) return void this.#notes.push(say('restore.note.burn-in', { domain: domain.name, host }));
    const owner = await this.#ownerOf(domain);
    if (owner === undefined) return void this.#notes.push(say('restore.note.owner', { domain: domain.name, host, owner: domain.owner ?? '' }));
    const disk = await this.#diskOf(hostId, id);
    if (disk === undefined) return void this.#notes.push(say('restore.note.pool', { name: domain.name, host }));
    const volume = path.basename(disk.volume.backingPath ?? '');
    const image = await selectOptionalImageByVolume(this.#deps.db, disk.pool.id, volume);
    if (image === undefined) return void this.#notes.push(say('restore.note.image', { domain: domain.name, host, volume, pool: disk.pool.name }));
    const mac = domain.interfaces.find((each) => each.mac !== null)?.mac ?? '';
    const name = await this.#freeName(owner.id, id, domain.name);
    try {
      await this.#record({ id, userId: owner.id, name, imageId: image.id, hostId, poolId: disk.pool.id, mac, vcpus: domain.vcpus, memoryMib: domain.memoryMib, diskGib: Math.max(1, Math.ceil(disk.volume.capacityBytes / gib)) }, state);
      this.#adopted.push({ name, owner: owner.name, host });
    } catch (error) {
      // another machine has its MAC address, which no two that this portal made have
      if (!isDuplicateKey(error)) throw error;
      this.#notes.push(say('restore.note.mac', { domain: domain.name, host, mac }));
    }
  }

  async #record(made: Pick<Instance, 'id' | 'userId' | 'name' | 'imageId' | 'mac' | 'vcpus' | 'memoryMib' | 'diskGib'> & { readonly hostId: string; readonly poolId: string }, state: Sighting['state']): Promise<void> {
    const { db, clock } = this.#deps;
    const now = clock.now();
    const operationId = randomUUID();
    const { availability } = await selectSettings(db);
    await db.transaction(async (tx) => {
      const subjectId = await insertSampleSubject(tx, made.id, now);
      await insertInstance(tx, { ...made, operationId, operationKind: 'instance-create', subjectId, createdAt: now, ha: availability.defaultHa });
      await releaseInstance(tx, made.id, operationId, observedChange(state), now);
      await openUsagePeriod(tx, { instanceId: made.id, instanceName: made.name, userId: made.userId, vcpus: made.vcpus, memoryMib: made.memoryMib, diskGib: made.diskGib, openedAt: now });
      await insertInstanceEvent(tx, { instanceId: made.id, at: now, userId: null, sentence: say('restore.diary.adopted', { host: this.#hostName(made.hostId) }) });
    });
  }

  /** By name; by id where the domain was defined when the account could not be read. */
  async #ownerOf({ owner = '' }: ParsedDomain): Promise<{ readonly id: string; readonly name: string } | undefined> {
    return (await selectOptionalUserByName(this.#deps.db, owner)) ?? selectOptionalUser(this.#deps.db, owner);
  }

  /** Its own; where one of the owner's that is gone by now has it still, the first part of its id stands behind it. */
  async #freeName(userId: string, id: string, domainName: string): Promise<string> {
    const own = domainName.replace(/^i-[0-9a-f]{8}-/, '');
    const name = instanceNamePattern.test(own) ? own : `vm-${id.slice(0, 8)}`;
    if ((await selectOptionalInstanceByName(this.#deps.db, userId, name)) === undefined) return name;
    return `${name.slice(0, 23).replace(/-+$/, '')}-${id.slice(0, 8)}`;
  }

  // ── what the hosts say of one ─────────────────────────────────────────────────────────────────────────────────────

  /** undefined: it has just gone, or it is none of ours. */
  async #parsed(hostId: string, id: string): Promise<ParsedDomain | undefined> {
    try {
      return parseDomainXml(await this.#hypervisor(hostId).domain.getXMLDesc(id, { inactive: true }, options));
    } catch (error) {
      if (isNoDomain(error)) return undefined;
      throw error;
    }
  }

  /** Its disk, in the pool of that host in which its file lies. undefined: in none that we manage. */
  async #diskOf(hostId: string, id: string): Promise<{ readonly pool: StoragePool; readonly volume: VolumeDescription } | undefined> {
    const domain = await this.#parsed(hostId, id);
    const file = domain?.disks.find(({ device, readonly }) => device === 'disk' && !readonly)?.path ?? '';
    const pool = (await selectPoolsByHost(this.#deps.db, hostId)).find((each) => each.path === path.dirname(file));
    const volume = pool === undefined ? undefined : await this.#volume(hostId, pool, path.basename(file));
    return pool === undefined || volume === undefined ? undefined : { pool, volume };
  }

  /** A pool's list is the daemon's memory: a file that came through another host is known after a refresh only. */
  async #volume(hostId: string, { name: pool }: StoragePool, name: string): Promise<VolumeDescription | undefined> {
    const { storagePool, storageVolume } = this.#hypervisor(hostId);
    if ((await storageVolume.lookupByName(pool, name, options)) === undefined) {
      await storagePool.refresh(pool, options);
      if ((await storageVolume.lookupByName(pool, name, options)) === undefined) return undefined;
    }
    return readVolumeXml(await storageVolume.getXMLDesc(pool, name, options));
  }
}
