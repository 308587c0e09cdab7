// What a host knows of our running guests beside the counters: their addresses and VNC ports.
import { parseDomainXml } from '../libvirt/domain-xml.ts';
import type { CallOptions, Hypervisor } from '../libvirt/hypervisor.ts';
import type { Host } from '../model/host.ts';
import type { Instance } from '../model/instance.ts';
import type { OperationDeps } from '../operations/deps.ts';
import { updateInstanceAddress, updateObservedInstance } from '../store/instances.ts';
import type { PolledHost } from './poll-host.ts';

/** Single calls a host and tick: the rest waits for the next tick, so that a portal that starts does not storm its hosts. */
const callsPerTick = 8;

/** Never rejects: none of this is worth calling a host dead. */
export async function observeInstances(deps: OperationDeps, host: Host, { readings, instances }: PolledHost, options: CallOptions): Promise<void> {
  const running = instances.filter((instance) => readings.domains.has(instance.id) && instance.operationId === null && instance.state === 'running');
  if (running.length === 0) return;
  const hypervisor = deps.hosts.host(host.id);
  const quietly = (error: unknown): void => deps.log.debug({ hostId: host.id, err: error }, 'guests not observed');
  await Promise.all([
    observeAddresses(deps, hypervisor, host, running, options).catch(quietly),
    observeConsolePorts(deps, hypervisor, running, options).catch(quietly),
  ]);
}

async function observeAddresses(deps: OperationDeps, hypervisor: Hypervisor, host: Host, running: readonly Instance[], options: CallOptions): Promise<void> {
  const leased = await leasedAddresses(hypervisor, host, deps.clock.now(), options);
  const unknown: Instance[] = [];
  for (const instance of running) {
    const address = leased.get(instance.mac.toLowerCase());
    if (address === undefined && instance.address === null) unknown.push(instance);
    if (address !== undefined && address !== instance.address) await updateInstanceAddress(deps.db, instance.id, address);
  }
  for (const instance of unknown.slice(0, callsPerTick)) {
    // networks that libvirt does not serve: what the host's own neighbour table says
    const interfaces = await hypervisor.domain.getInterfaceAddresses(instance.id, 'arp', options);
    const address = interfaces.flatMap((one) => one.addresses).find((one) => one.type === 'ipv4')?.address;
    if (address !== undefined) await updateInstanceAddress(deps.db, instance.id, address);
  }
}

/** MAC address → the IPv4 address of its newest lease. Empty for a network that libvirt does not serve. */
async function leasedAddresses(hypervisor: Hypervisor, host: Host, now: number, options: CallOptions): Promise<Map<string, string>> {
  const leases = await hypervisor.network.getDHCPLeases(host.network, options).catch(() => []);
  const valid = leases.filter((lease) => !lease.address.includes(':') && (lease.expiresAt === 0 || lease.expiresAt > now));
  return new Map(valid.sort((a, b) => a.expiresAt - b.expiresAt).map((lease) => [lease.mac.toLowerCase(), lease.address]));
}

async function observeConsolePorts(deps: OperationDeps, hypervisor: Hypervisor, running: readonly Instance[], options: CallOptions): Promise<void> {
  for (const instance of running.filter((one) => one.consolePort === null).slice(0, callsPerTick)) {
    const port = parseDomainXml(await hypervisor.domain.getXMLDesc(instance.id, {}, options)).vnc?.port ?? -1;
    if (port > 0) await updateObservedInstance(deps.db, instance, { consolePort: port }, deps.clock.now());
  }
}
