// The database says what should be, the host says what is. Here both are compared: what changed behind our back is
// corrected in our record; what nobody may decide alone is reported. Nothing on a host is ever touched but two things: a
// machine that provably runs twice is powered off where it does not belong, before the two spoil their one disk; and one
// that is highly available is started again where it ran when its host lost its power.
import { randomUUID } from 'node:crypto';
import { say } from '../errors.ts';
import { instanceNamespace } from '../libvirt/domain-xml.ts';
import { isNoDomain, isOperationInvalid } from '../libvirt/errors.ts';
import type { CallOptions, DomainRef, DomainState, Hypervisor, TypedParams } from '../libvirt/hypervisor.ts';
import type { Host, StoragePool } from '../model/host.ts';
import type { Instance, InstanceState } from '../model/instance.ts';
import { selectOpenBurnInIds } from '../store/burn-ins.ts';
import { deleteDiscrepanciesNotSeen, upsertDiscrepancy } from '../store/discrepancies.ts';
import { insertHostEvent } from '../store/host-events.ts';
import { selectHostPools, selectOptionalHost } from '../store/hosts.ts';
import { insertInstanceEvent } from '../store/instance-events.ts';
import { selectInstancesByHost, selectInstancesByIds, selectOptionalInstance, updateObservedInstance } from '../store/instances.ts';
import { updateOperationPoked } from '../store/operations.ts';
import { selectSettings } from '../store/settings.ts';
import { selectPoolsByHost } from '../store/storage-pools.ts';
import type { OperationDeps } from './deps.ts';
import { instanceStateOf, isOffSinceBoot, observeDomain } from './domain.ts';
import { insertStart, observedChange } from './instance-power.ts';
import { domainsElsewhere } from './other-hosts.ts';
import { volumeOwner } from './volumes.ts';

/** unknown: somebody else's · leftover: carries our metadata, but no instance is there · misplaced: its instance lives elsewhere */
const domainKinds = ['unknown-domain', 'leftover-domain', 'misplaced-domain', 'domain-missing'] as const;
const volumeKinds = ['leftover-volume'] as const;
export type DiscrepancyKind = (typeof domainKinds)[number] | (typeof volumeKinds)[number];

/** virDomainState by number, as bulk statistics give it */
const domainStates: readonly DomainState[] = ['no-state', 'running', 'blocked', 'paused', 'shutdown', 'shutoff', 'crashed', 'pm-suspended'];

export function domainStateOf(params: TypedParams): InstanceState {
  return instanceStateOf[domainStates[Number(params['state.state'])] ?? 'no-state'];
}

/** Compares one host's domains with our records. One bulk call, and one call for each domain that is not in them. */
export async function reconcileHost(deps: OperationDeps, host: Host, options: CallOptions = {}): Promise<void> {
  const since = deps.clock.now();
  const hypervisor = deps.hosts.host(host.id);
  // our records first: what is created or deleted while the host answers must not look wrong
  const instances = await selectInstancesByHost(deps.db, host.id);
  const stats = await hypervisor.domain.getAllStats(['state'], options);
  const params = new Map(stats.map((one) => [one.domain.uuid, one.params]));
  const restarting = await toBeRestarted(deps, host, instances.filter((instance) => isOff(params.get(instance.id))), options);
  // the important ones are started first
  for (const instance of [...instances].sort((a, b) => b.haPriority - a.haPriority)) {
    const found = params.get(instance.id);
    const state = found === undefined ? 'lost' : domainStateOf(found);
    await recordObserved(deps, instance, { state, consolePort: null, withHost: restarting.has(instance.id) ? 'restarts' : isOff(found) ? 'off' : null });
    if (state === 'lost' && instance.operationId === null) await report(deps, host, 'domain-missing', { uuid: instance.id, name: instance.name }, instance.id);
  }
  const known = new Set(instances.map((instance) => instance.id));
  const strangers = stats.map(({ domain }) => domain).filter((domain) => !known.has(domain.uuid));
  await reportStrangers(deps, host, hypervisor, strangers, options);
  await deleteDiscrepanciesNotSeen(deps.db, host.id, domainKinds, since);
}

function isOff(params: TypedParams | undefined): boolean {
  return params !== undefined && isOffSinceBoot({ state: domainStates[Number(params['state.state'])], reason: Number(params['state.reason']) });
}

/** Ids of those that ran when their host lost its power, and are to be there whatever happens to hosts. None that runs elsewhere. */
async function toBeRestarted(deps: OperationDeps, host: Host, off: readonly Instance[], options: CallOptions): Promise<Set<string>> {
  const { availability } = await selectSettings(deps.db);
  const wanted = off.filter(({ ha, state, operationId }) => availability.enabled && ha && state === 'running' && operationId === null);
  if (wanted.length === 0) return new Set();
  const elsewhere = await domainsElsewhere(deps, host.id, options);
  return new Set(wanted.filter(({ id }) => elsewhere.get(id)?.runs !== true).map(({ id }) => id));
}

interface Observed {
  readonly state: InstanceState;
  /** null: not looked at */
  readonly consolePort: number | null;
  /** its host has been off since it ran, and it is to be started there again or not; null: it went off otherwise, or did not */
  readonly withHost: 'restarts' | 'off' | null;
}

/**
 * Writes what was seen of a domain, unless an operation is working on it or the record has moved on; the diary says
 * what changed.
 */
async function recordObserved(deps: OperationDeps, instance: Instance, { state, consolePort, withHost }: Observed): Promise<void> {
  if (instance.operationId !== null || instance.state === state || instance.state === 'creating' || instance.state === 'failed') return;
  const now = deps.clock.now();
  const off = withHost === 'restarts' ? say('operations.diary.seen.off-restarts') : say('operations.diary.seen.off-with-host');
  const sentence = withHost === null ? say(`operations.diary.seen.${state}`) : off;
  const seen = await deps.db.transaction(async (tx) => {
    if (!(await updateObservedInstance(tx, instance, observedChange(state, consolePort), now))) return false;
    await insertInstanceEvent(tx, { instanceId: instance.id, at: now, userId: null, sentence });
    if (withHost === 'restarts' && instance.hostId !== null) await insertStart(tx, { instanceId: instance.id, hostId: instance.hostId, userId: null, createdAt: now });
    return true;
  });
  if (!seen) return;
  deps.log.info({ instance: instance.id, host: instance.hostId, from: instance.state, to: state, withHost }, 'instance changed behind our back');
  if (withHost === 'restarts') deps.wake();
}

async function reportStrangers(deps: OperationDeps, host: Host, hypervisor: Hypervisor, strangers: readonly DomainRef[], options: CallOptions): Promise<void> {
  const instances = new Map((await selectInstancesByIds(deps.db, strangers.map((domain) => domain.uuid))).map((one) => [one.id, one]));
  const burnIns = await selectOpenBurnInIds(deps.db, strangers.map((domain) => domain.uuid));
  for (const domain of strangers) {
    if (burnIns.has(domain.uuid)) continue;
    const instance = instances.get(domain.uuid);
    // made since we read our records, or just being taken back
    if (instance !== undefined && (instance.hostId === host.id || instance.operationId !== null)) continue;
    if (instance !== undefined && instance.hostId !== null) {
      await report(deps, host, 'misplaced-domain', domain, instance.id);
      await endSecondCopy(deps, host, domain, instance, options).catch((error: unknown) => {
        deps.log.warn({ hostId: host.id, host: host.name, instance: instance.id, home: instance.hostId, err: error }, 'misplaced domain left as it is');
      });
      continue;
    }
    try {
      const ours = (await hypervisor.domain.getMetadata(domain.uuid, instanceNamespace, options)) !== undefined;
      await report(deps, host, ours ? 'leftover-domain' : 'unknown-domain', domain, null);
    } catch (error) {
      // deleted since the host answered
      if (!isNoDomain(error)) throw error;
    }
  }
}

/**
 * Powers off a domain that runs here while its instance lives and runs elsewhere. Only when the other host says so itself;
 * where it does not run the instance, or cannot be asked, this may be the only copy.
 */
async function endSecondCopy(deps: OperationDeps, host: Host, stray: DomainRef, instance: Instance, options: CallOptions): Promise<void> {
  const { hostId: homeId } = instance;
  if (stray.id < 0 || homeId === null || !deps.hosts.has(homeId)) return;
  const home = await selectOptionalHost(deps.db, homeId);
  if (home === undefined || home.state === 'fenced') return;
  // one machine with two names answers twice for its only copy
  if (home.hostUuid === null || host.hostUuid === null || home.hostUuid === host.hostUuid) return;
  const runs = async (hypervisor: Hypervisor): Promise<boolean> => (await hypervisor.domain.getState(instance.id, options)).state === 'running';
  const { domain } = deps.hosts.host(host.id);
  try {
    if (!(await runs(deps.hosts.host(homeId))) || !(await runs(deps.hosts.host(host.id)))) return;
    // asked last: a move may have begun or ended since, and an arriving machine has another number
    const now = await selectOptionalInstance(deps.db, instance.id);
    if (now === undefined || now.operationId !== null || now.hostId !== homeId || now.stateAt !== instance.stateAt) return;
    if ((await domain.lookupByUUID(instance.id, options))?.id !== stray.id) return;
    await domain.destroy(instance.id, {}, options);
  } catch (error) {
    // it went away by itself
    if (isNoDomain(error) || isOperationInvalid(error)) return;
    throw error;
  }
  const at = deps.clock.now();
  deps.log.error({ hostId: host.id, host: host.name, instance: instance.id, home: home.name }, 'instance ran on two hosts; powered off where it does not live');
  await insertHostEvent(deps.db, { hostId: host.id, at, kind: 'connection', userId: null, sentence: say('hosts.event.stray-off', { name: instance.name, host: home.name }) });
  await insertInstanceEvent(deps.db, { instanceId: instance.id, at, userId: null, sentence: say('operations.diary.second-copy-off', { host: host.name }) });
}

/** Reports volumes with the name of an instance that is not there. Slow where a pool is large: not for every tick. */
export async function reconcileVolumes(deps: OperationDeps, host: Host, options: CallOptions = {}): Promise<void> {
  const since = deps.clock.now();
  const { storageVolume } = deps.hosts.host(host.id);
  for (const pool of await poolsToReport(deps, host)) {
    const volumes = (await storageVolume.listAll(pool.name, options)).flatMap((volume) => {
      const owner = volumeOwner(volume.name);
      return owner === undefined ? [] : [{ owner, name: volume.name }];
    });
    for (let start = 0; start < volumes.length; start += 500) {
      const some = volumes.slice(start, start + 500);
      const owners = [...new Set(some.map(({ owner }) => owner))];
      const known = new Set([...(await selectInstancesByIds(deps.db, owners)).map((instance) => instance.id), ...(await selectOpenBurnInIds(deps.db, owners))]);
      for (const { owner, name } of some) {
        if (known.has(owner)) continue;
        // deleted since the list was made?
        if ((await storageVolume.lookupByName(pool.name, name, options)) === undefined) continue;
        await report(deps, host, 'leftover-volume', { uuid: owner, name: `${pool.name}/${name}` }, null);
      }
    }
  }
  await deleteDiscrepanciesNotSeen(deps.db, host.id, volumeKinds, since);
}

/** A shared pool is looked at through one of its hosts only. */
async function poolsToReport(deps: OperationDeps, host: Host): Promise<StoragePool[]> {
  const [pools, hostPools] = await Promise.all([selectPoolsByHost(deps.db, host.id), selectHostPools(deps.db)]);
  const first = (pool: StoragePool): string | undefined => [...hostPools].filter(([, ids]) => ids.has(pool.id)).map(([id]) => id).sort()[0];
  return pools.filter((pool) => !pool.shared || first(pool) === host.id);
}

async function report(deps: OperationDeps, host: Host, kind: DiscrepancyKind, domain: { readonly uuid: string; readonly name: string }, instanceId: string | null): Promise<void> {
  await upsertDiscrepancy(deps.db, { id: randomUUID(), kind, hostId: host.id, instanceId, domainUuid: domain.uuid, domainName: domain.name }, deps.clock.now());
}

/** One domain gave a sign of change: look at it now. An operation that works on it is told instead. */
export async function observeInstance(deps: OperationDeps, hostId: string, instanceId: string, options: CallOptions = {}): Promise<void> {
  const instance = await selectOptionalInstance(deps.db, instanceId);
  if (instance === undefined || instance.hostId !== hostId) return;
  if (instance.operationId !== null) {
    await updateOperationPoked(deps.db, instance.operationId);
    deps.wake();
    return;
  }
  const { state, consolePort } = await observeDomain(deps.hosts.host(hostId), instanceId, options);
  await recordObserved(deps, instance, { state, consolePort, withHost: null });
}
