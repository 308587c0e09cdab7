// What a host knows of our running guests beside the counters: their addresses and VNC ports. Some of it only the guest tells,
// which may be slow on purpose: what its owner does must not keep the others of its host from being asked.
import { parseDomainXml } from '../libvirt/domain-xml.ts';
import type { CallOptions, Hypervisor } from '../libvirt/hypervisor.ts';
import type { Host } from '../model/host.ts';
import { updateInstanceAddresses, updateObservedInstance, type PolledInstance } from '../store/instances.ts';
import { askAgent, readGuestAddresses, readLeases } from '../operations/guest-addresses.ts';
import type { CollectDeps } from './collect-metrics.ts';
import type { PolledHost } from './poll-host.ts';

/** Guests asked one by one a host and tick: the rest waits for the next tick, so that a portal that starts does not storm its hosts. */
const guestsPerTick = 8;
/** Milliseconds after which no further guest of a host is asked in this tick. Longer: slow agents hold up the tick. Shorter: and the others' addresses. */
const askingMs = 3000;
/** Milliseconds that an agent may take. Longer: one may be slow on purpose, each time. Shorter: those of busy guests count as slow. */
const promptMs = 1000;
/** Milliseconds for which a slower one is not asked. Longer: a guest that was only busy waits for its address. Shorter: silent ones take more of their host's time. */
const slowAgentRestMs = 300_000;

/** Never rejects: none of this is worth calling a host dead. */
export async function observeInstances(deps: CollectDeps, host: Host, { instances }: PolledHost, options: CallOptions): Promise<void> {
  const hypervisor = deps.hosts.host(host.id);
  const turns = turnsOf(hypervisor);
  turns.forgetOthers(new Set(instances.map(({ instance }) => instance.id)));
  const running = instances.map(({ instance }) => instance).filter((instance) => instance.operationId === null && instance.state === 'running');
  if (running.length === 0) return;
  const quietly = (error: unknown): void => deps.log.debug({ hostId: host.id, err: error }, 'guests not observed');
  await Promise.all([
    observeAddresses(deps, hypervisor, host, running, turns, options).catch(quietly),
    observeConsolePorts(deps, hypervisor, running, options).catch(quietly),
  ]);
}

async function observeAddresses(deps: CollectDeps, hypervisor: Hypervisor, host: Host, running: readonly PolledInstance[], turns: GuestTurns, options: CallOptions): Promise<void> {
  const leases = await readLeases(hypervisor, host.network, deps.clock.now(), options);
  const observe = async (instance: PolledInstance): Promise<void> => {
    const addresses = await readGuestAddresses(hypervisor, instance, leases, options, (...asked) => turns.whenRested(instance.id, deps.clock.now(), () => askAgent(...asked)));
    // one that nobody saw this time is still the last one known
    if (addresses.length > 0 && addresses.join() !== instance.addresses.join()) await updateInstanceAddresses(deps.db, instance.id, addresses);
  };
  const isLeased = ({ mac }: PolledInstance): boolean => leases.has(mac.toLowerCase());
  for (const instance of running.filter(isLeased)) await observe(instance);
  const beganAt = performance.now();
  for (const instance of turns.next(running.filter((each) => !isLeased(each)))) {
    if (performance.now() - beganAt > askingMs) return;
    turns.take(instance.id);
    await observe(instance);
  }
}

/** Who of a host's guests was asked when, and whose agents are left alone. */
class GuestTurns {
  /** guest → number of its last turn */
  private readonly turns = new Map<string, number>();
  /** guest → until when its agent is not asked, ms UTC */
  private readonly rests = new Map<string, number>();
  private lastTurn = 0;

  /** Who has waited longest, half of them without an address, half whose address may have changed. */
  next(guests: readonly PolledInstance[]): PolledInstance[] {
    const byTurn = (a: PolledInstance, b: PolledInstance): number => (this.turns.get(a.id) ?? 0) - (this.turns.get(b.id) ?? 0);
    const longestWaiting = (group: PolledInstance[]): PolledInstance[] => group.sort(byTurn).slice(0, guestsPerTick / 2);
    return [guests.filter(({ address }) => address === null), guests.filter(({ address }) => address !== null)].flatMap(longestWaiting).sort(byTurn);
  }

  take(guestId: string): void {
    this.turns.set(guestId, ++this.lastTurn);
  }

  /** Nothing from an agent that was slow not long ago, whatever it said then: silence, an error or an answer. */
  async whenRested<T>(guestId: string, now: number, ask: () => Promise<readonly T[]>): Promise<readonly T[]> {
    if (now < (this.rests.get(guestId) ?? 0)) return [];
    const beganAt = performance.now();
    try {
      return await ask();
    } finally {
      if (performance.now() - beganAt > promptMs) this.rests.set(guestId, now + slowAgentRestMs);
    }
  }

  forgetOthers(guestIds: ReadonlySet<string>): void {
    for (const map of [this.turns, this.rests]) for (const id of map.keys()) if (!guestIds.has(id)) map.delete(id);
  }
}

/** Remembered as long as the host is one of ours. */
const turnsByHost = new WeakMap<Hypervisor, GuestTurns>();

function turnsOf(hypervisor: Hypervisor): GuestTurns {
  const turns = turnsByHost.get(hypervisor) ?? new GuestTurns();
  turnsByHost.set(hypervisor, turns);
  return turns;
}

async function observeConsolePorts(deps: CollectDeps, hypervisor: Hypervisor, running: readonly PolledInstance[], options: CallOptions): Promise<void> {
  for (const instance of running.filter((one) => one.consolePort === null).slice(0, guestsPerTick)) {
    const port = parseDomainXml(await hypervisor.domain.getXMLDesc(instance.id, {}, options)).vnc?.port ?? -1;
    if (port > 0) await updateObservedInstance(deps.db, instance, { consolePort: port }, deps.clock.now());
  }
}
