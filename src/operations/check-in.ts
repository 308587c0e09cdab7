// A fenced host that answers again. What was restarted elsewhere meanwhile may lie or even run there still, so it is not
// used before it is clean: the same machine, and none of our domains on it but those whose record says here, and those that
// nobody else may have.
import { randomUUID } from 'node:crypto';
import { say } from '../errors.ts';
import { readCapabilities } from '../libvirt/capabilities-xml.ts';
import type { CallOptions, DomainRef, Hypervisor } from '../libvirt/hypervisor.ts';
import type { Host } from '../model/host.ts';
import type { Instance } from '../model/instance.ts';
import { selectOptionalBurnIn } from '../store/burn-ins.ts';
import { insertHostEvent } from '../store/host-events.ts';
import { claimHostCheckedIn, selectHosts, selectOptionalHost, updateFencedReason } from '../store/hosts.ts';
import { insertInstanceEvent } from '../store/instance-events.ts';
import { selectInstancesByIds } from '../store/instances.ts';
import { selectOptionalMove } from '../store/moves.ts';
import { selectOperationsByInstance, updateOperationsOfHostReady } from '../store/operations.ts';
import type { OperationDeps } from './deps.ts';
import { ensureOff, ensureUndefined } from './domain.ts';
import { reconcileHost } from './reconcile.ts';

const callTimeoutMs = 15_000;

/** Checks the host in, or leaves it fenced with the reason written down; whoever calls tries again a little later. Never rejects. */
export async function checkInHost(deps: OperationDeps, host: Host, signal: AbortSignal): Promise<void> {
  const about = { hostId: host.id, host: host.name };
  try {
    const { kept, removed } = await clean(deps, host, signal);
    if (!(await enter(deps, host, kept, removed))) return await stayFenced(deps, host, 'its instances are just being restarted elsewhere');
    deps.log.warn({ ...about, removed }, 'host checked in');
  } catch (error) {
    if (signal.aborted) return;
    deps.log.warn({ ...about, err: error }, 'host could not check in');
    const reason = error instanceof Error ? error.message : String(error);
    // the database itself may be what failed
    return stayFenced(deps, host, reason).catch(() => undefined);
  }
  if ((await updateOperationsOfHostReady(deps.db, host.id)) > 0) deps.wake();
  // what runs there is learned now; when it fails the next comparison finds it
  const checkedIn = await selectOptionalHost(deps.db, host.id);
  if (checkedIn !== undefined) await reconcileHost(deps, checkedIn, { timeoutMs: callTimeoutMs, signal }).catch((error: unknown) => deps.log.warn({ ...about, err: error }, 'host not reconciled'));
}

interface Cleaned {
  /** ids of the instances whose domains may stay */
  readonly kept: readonly string[];
  /** names of the domains that were removed */
  readonly removed: readonly string[];
}

async function clean(deps: OperationDeps, host: Host, signal: AbortSignal): Promise<Cleaned> {
  const options: CallOptions = { timeoutMs: callTimeoutMs, signal };
  const hypervisor = deps.hosts.host(host.id);
  const { hostUuid } = readCapabilities(await hypervisor.node.getCapabilities(options));
  if (host.hostUuid !== null && hostUuid !== host.hostUuid) throw new Error(`another machine answers at this address: ${hostUuid ?? 'one without UUID'} instead of ${host.hostUuid}`);
  const twin = (await selectHosts(deps.db)).find((other) => other.id !== host.id && other.hostUuid !== null && other.hostUuid === hostUuid);
  // what lives there would be taken for what was left behind here
  if (twin !== undefined) throw new Error(`host ${twin.name} is the same machine`);
  // first the host, then our records: what is recorded here after the host answered is not taken for a stray
  const domains = await hypervisor.domain.listAll(options);
  const instances = new Map((await selectInstancesByIds(deps.db, domains.map((domain) => domain.uuid))).map((instance) => [instance.id, instance]));
  const kept: string[] = [];
  const removed: string[] = [];
  // those that run first: each moment counts in which two write to one disk
  for (const domain of [...domains].sort((a, b) => Number(b.id >= 0) - Number(a.id >= 0))) {
    const instance = instances.get(domain.uuid);
    if (instance !== undefined && mayStay(instance, host)) {
      kept.push(instance.id);
    } else if (instance === undefined ? await wasOurs(deps, domain.uuid) : !(await mayBeTheOnlyCopy(deps, instance, host))) {
      await remove(deps, host, hypervisor, domain, instance, signal);
      removed.push(domain.name);
    }
  }
  return { kept, removed };
}

/** Its creation or deletion has gone on without this host, and counts what is here as gone. */
function mayStay(instance: Instance, host: Host): boolean {
  return instance.hostId === host.id && instance.state !== 'creating' && instance.operationKind !== 'instance-delete';
}

/** Its move here has not ended, and asks both hosts itself; or its home does not know it any more. What is left of it is not ours to end. */
async function mayBeTheOnlyCopy({ db }: OperationDeps, { operationId, operationKind, state }: Instance, host: Host): Promise<boolean> {
  if (operationId === null) return state === 'lost';
  return operationKind === 'instance-migrate' && (await selectOptionalMove(db, operationId))?.toHostId === host.id;
}

/**
 * It was an instance of ours, and is gone. One that we have never heard of may be another portal's, or younger than the
 * backup that our records come from: it is reported, and nothing more.
 */
async function wasOurs({ db }: OperationDeps, uuid: string): Promise<boolean> {
  return (await selectOperationsByInstance(db, uuid, 1)).length > 0 || (await selectOptionalBurnIn(db, uuid)) !== undefined;
}

async function remove(deps: OperationDeps, host: Host, hypervisor: Hypervisor, domain: DomainRef, instance: Instance | undefined, signal: AbortSignal): Promise<void> {
  const ran = domain.id >= 0;
  await ensureOff(hypervisor, domain.uuid, signal);
  await ensureUndefined(hypervisor, domain.uuid, signal);
  const line = { hostId: host.id, host: host.name, domain: domain.uuid, name: domain.name, instance: instance?.id, home: instance?.hostId, ran };
  if (!ran) return deps.log.info(line, 'domain of another host removed from a fenced host');
  deps.log.error(line, 'domain of another host ran on a fenced host; powered off and removed');
  if (instance === undefined) return;
  await insertInstanceEvent(deps.db, { instanceId: instance.id, at: deps.clock.now(), userId: null, sentence: say('operations.diary.second-copy-off', { host: host.name }) });
}

/** false: one of its instances is just being restarted elsewhere, or something was done about them while it was being cleaned. */
async function enter(deps: OperationDeps, host: Host, kept: readonly string[], removed: readonly string[]): Promise<boolean> {
  const at = deps.clock.now();
  const id = randomUUID();
  const sentence = removed.length === 0 ? say('hosts.event.checked-in')
    : say('hosts.event.checked-in-cleaned', { total: removed.length, names: removed.join(', ').slice(0, 400) });
  class Moved extends Error {}
  try {
    return await deps.db.transaction(async (tx) => {
      // this writes the row that whoever restarts its instances elsewhere writes too; so what is read after it is final
      if (!(await claimHostCheckedIn(tx, host.id, at))) return (await selectOptionalHost(tx, host.id))?.state === 'up';
      if ((await selectInstancesByIds(tx, kept)).filter((instance) => mayStay(instance, host)).length < kept.length) throw new Moved();
      await insertHostEvent(tx, { id, hostId: host.id, at, kind: 'fence', userId: null, sentence });
      return true;
    });
  } catch (error) {
    if (error instanceof Moved) return false;
    throw error;
  }
}

/** The reason is on the host's page, and once in its history. */
async function stayFenced(deps: OperationDeps, host: Host, reason: string): Promise<void> {
  if (host.reason === reason.slice(0, 1000)) return;
  await updateFencedReason(deps.db, host.id, reason);
  await insertHostEvent(deps.db, {
    hostId: host.id, at: deps.clock.now(), kind: 'fence', userId: null, sentence: say('hosts.event.check-in-failed'), reason: say('hosts.event.check-in-reason', { reason }),
  });
}
