// What a host knows of our running guests beside the counters: their addresses and VNC ports.
import { parseDomainXml } from '../libvirt/domain-xml.ts';
import type { CallOptions, Hypervisor } from '../libvirt/hypervisor.ts';
import type { Host } from '../model/host.ts';
import { updateInstanceAddresses, updateObservedInstance, type PolledInstance } from '../store/instances.ts';
import { readGuestAddresses, readLeases } from '../operations/guest-addresses.ts';
import type { CollectDeps } from './collect-metrics.ts';
import type { PolledHost } from './poll-host.ts';

/** Single calls a host and tick: the rest waits for the next tick, so that a portal that starts does not storm its hosts. */
const callsPerTick = 8;
/** As polls usually are: the next ones are asked the next time. */
const turnMs = 10_000;

/** Never rejects: none of this is worth calling a host dead. */
export async function observeInstances(deps: CollectDeps, host: Host, { instances }: PolledHost, options: CallOptions): Promise<void> {
  const running = instances.map(({ instance }) => instance).filter((instance) => instance.operationId === null && instance.state === 'running');
  if (running.length === 0) return;
  const hypervisor = deps.hosts.host(host.id);
  const quietly = (error: unknown): void => deps.log.debug({ hostId: host.id, err: error }, 'guests not observed');
  await Promise.all([
    observeAddresses(deps, hypervisor, host, running, options).catch(quietly),
    observeConsolePorts(deps, hypervisor, running, options).catch(quietly),
  ]);
}

async function observeAddresses(deps: CollectDeps, hypervisor: Hypervisor, host: Host, running: readonly PolledInstance[], options: CallOptions): Promise<void> {
  const now = deps.clock.now();
  const leases = await readLeases(hypervisor, host.network, now, options);
  const [leased, unleased] = [running.filter(({ mac }) => leases.has(mac.toLowerCase())), running.filter(({ mac }) => !leases.has(mac.toLowerCase()))];
  for (const instance of [...leased, ...inTurn(unleased, now)]) {
    const addresses = await readGuestAddresses(hypervisor, instance, leases, options);
    // one that nobody saw this time is still the last one known
    if (addresses.length > 0 && addresses.join() !== instance.addresses.join()) await updateInstanceAddresses(deps.db, instance.id, addresses);
  }
}

/** Who is asked one by one this time: half the calls for those without an address, half for those whose address may have changed. */
function inTurn(instances: readonly PolledInstance[], now: number): PolledInstance[] {
  const turn = Math.floor(now / turnMs);
  const half = callsPerTick / 2;
  return [instances.filter(({ address }) => address === null), instances.filter(({ address }) => address !== null)].flatMap((group) => {
    const first = group.length <= half ? 0 : (turn * half) % group.length;
    return [...group.slice(first), ...group.slice(0, first)].slice(0, half);
  });
}

async function observeConsolePorts(deps: CollectDeps, hypervisor: Hypervisor, running: readonly PolledInstance[], options: CallOptions): Promise<void> {
  for (const instance of running.filter((one) => one.consolePort === null).slice(0, callsPerTick)) {
    const port = parseDomainXml(await hypervisor.domain.getXMLDesc(instance.id, {}, options)).vnc?.port ?? -1;
    if (port > 0) await updateObservedInstance(deps.db, instance, { consolePort: port }, deps.clock.now());
  }
}
