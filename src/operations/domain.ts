// An instance's domain on its host: what it is called, and what the host says of it.
import { AppError, say } from '../errors.ts';
import { parseDomainXml } from '../libvirt/domain-xml.ts';
import { isNoDomain, isOperationInvalid } from '../libvirt/errors.ts';
import type { CallOptions, DomainState, Hypervisor } from '../libvirt/hypervisor.ts';
import type { Instance, InstanceState } from '../model/instance.ts';

/** For people who look at the host with virsh. Unique by its first part; the owner cannot make it collide by the name. */
export function domainName(instance: Pick<Instance, 'id' | 'name'>): string {
  return `i-${instance.id.slice(0, 8)}-${instance.name}`;
}

/** libvirt's states in our words. A guest in the middle of shutting down still runs. */
export const instanceStateOf: Readonly<Record<DomainState, InstanceState>> = {
  running: 'running', blocked: 'running', shutdown: 'running',
  paused: 'paused', 'pm-suspended': 'paused',
  shutoff: 'stopped', crashed: 'stopped', 'no-state': 'stopped',
};

/**
 * VIR_DOMAIN_SHUTOFF_UNKNOWN: this daemon has not seen it run since the host was switched on. Of one that went off while it
 * looked, or while only the daemon was away, it knows why.
 */
export function isOffSinceBoot({ state, reason }: { readonly state: DomainState | undefined; readonly reason: number }): boolean {
  return state === 'shutoff' && reason === 0;
}

export interface ObservedDomain {
  /** `lost`: the host has no such domain */
  readonly state: InstanceState;
  readonly consolePort: number | null;
}

/** Asks the host. Never guesses: a host that does not answer throws. */
export async function observeDomain(hypervisor: Hypervisor, id: string, options: CallOptions): Promise<ObservedDomain> {
  try {
    const state = instanceStateOf[(await hypervisor.domain.getState(id, options)).state];
    if (state === 'stopped') return { state, consolePort: null };
    const port = parseDomainXml(await hypervisor.domain.getXMLDesc(id, {}, options)).vnc?.port ?? -1;
    return { state, consolePort: port > 0 ? port : null };
  } catch (error) {
    if (isNoDomain(error)) return { state: 'lost', consolePort: null };
    throw error;
  }
}

/** As observeDomain, for an action that needs the domain to be there. */
export async function expectDomain(hypervisor: Hypervisor, id: string, hostName: string, options: CallOptions): Promise<ObservedDomain> {
  const observed = await observeDomain(hypervisor, id, options);
  if (observed.state === 'lost') throw new AppError('not-found', say('operations.failed.domain-gone', { host: hostName }));
  return observed;
}

/** How long a host may take to start QEMU or to clone a disk, milliseconds. */
const slowCallMs = 60_000;

/** Starts what is off. Done when it is not off any more, whoever did it. */
export async function ensureStarted(hypervisor: Hypervisor, id: string, signal: AbortSignal): Promise<void> {
  if ((await stateOf(hypervisor, id, signal)) !== 'stopped') return;
  try {
    await hypervisor.domain.create(id, {}, { signal, timeoutMs: slowCallMs });
  } catch (error) {
    if (isOperationInvalid(error) && (await stateOf(hypervisor, id, signal)) !== 'stopped') return;
    throw error;
  }
}

/** Cuts the power. Done when the domain is off, or there is none. */
export async function ensureOff(hypervisor: Hypervisor, id: string, signal: AbortSignal): Promise<void> {
  try {
    if ((await stateOf(hypervisor, id, signal)) === 'stopped') return;
    await hypervisor.domain.destroy(id, {}, { signal, timeoutMs: slowCallMs });
  } catch (error) {
    if (isNoDomain(error)) return;
    // it went off by itself in between
    if (isOperationInvalid(error) && (await observeDomain(hypervisor, id, { signal })).state !== 'running') return;
    throw error;
  }
}

/** Done when the host does not know the domain any more. It must be off. */
export async function ensureUndefined(hypervisor: Hypervisor, id: string, signal: AbortSignal): Promise<void> {
  if ((await hypervisor.domain.lookupByUUID(id, { signal })) === undefined) return;
  try {
    await hypervisor.domain.undefine(id, { signal });
  } catch (error) {
    if (!isNoDomain(error)) throw error;
  }
}

async function stateOf(hypervisor: Hypervisor, id: string, signal: AbortSignal): Promise<InstanceState> {
  return instanceStateOf[(await hypervisor.domain.getState(id, { signal })).state];
}
