// A guest's addresses, from whoever knows: the leases of a network that libvirt serves itself, the agent inside the guest,
// the host's own neighbour table.
import { HostUnavailableError, LibvirtError } from '../libvirt/errors.ts';
import type { CallOptions, Hypervisor, InterfaceAddress } from '../libvirt/hypervisor.ts';

/** As many as a page shows. */
const mostAddresses = 8;

/** MAC address → addresses of its leases, the newest first. Empty for a network that libvirt does not serve. */
export type Leases = ReadonlyMap<string, readonly string[]>;

export async function readLeases(hypervisor: Hypervisor, network: string, now: number, call: CallOptions): Promise<Leases> {
  const leases = await hypervisor.network.getDHCPLeases(network, call).catch(unlessSilent([]));
  const byMac = new Map<string, string[]>();
  for (const lease of leases.filter(({ expiresAt }) => expiresAt === 0 || expiresAt > now).sort((a, b) => b.expiresAt - a.expiresAt)) {
    const mac = lease.mac.toLowerCase();
    byMac.set(mac, [...(byMac.get(mac) ?? []), lease.address]);
  }
  return byMac;
}

/** IPv4 first, those of the guest's own network card before others; none that only the guest itself could use. */
export async function readGuestAddresses(hypervisor: Hypervisor, guest: { readonly id: string; readonly mac: string }, leases: Leases, call: CallOptions): Promise<string[]> {
  const leased = leases.get(guest.mac.toLowerCase());
  if (leased !== undefined && leased.length > 0) return inOrder(leased);
  for (const source of ['agent', 'arp'] as const) {
    const found = addressesOf(await hypervisor.domain.getInterfaceAddresses(guest.id, source, call).catch(unlessSilent([])), guest.mac);
    if (found.length > 0) return inOrder(found);
  }
  return [];
}

function addressesOf(interfaces: readonly InterfaceAddress[], mac: string): string[] {
  const own = (each: InterfaceAddress): number => (each.mac.toLowerCase() === mac.toLowerCase() ? 0 : 1);
  return [...interfaces].sort((a, b) => own(a) - own(b)).flatMap((each) => each.addresses.map(({ address }) => address)).filter(isReachable);
}

const isIpv4 = (address: string): boolean => !address.includes(':');

function isReachable(address: string): boolean {
  if (isIpv4(address)) return !address.startsWith('127.') && !address.startsWith('169.254.') && address !== '0.0.0.0';
  return address !== '::1' && address !== '::' && !/^fe[89ab]/i.test(address);
}

function inOrder(addresses: readonly string[]): string[] {
  const unique = [...new Set(addresses)].filter(isReachable);
  return [...unique.filter((address) => isIpv4(address)), ...unique.filter((address) => !isIpv4(address))].slice(0, mostAddresses);
}

/** A guest without an agent and a network without leases say so by an error; silence is another matter. */
function unlessSilent<T>(value: T): (error: unknown) => T {
  return (error) => {
    if (error instanceof HostUnavailableError || !(error instanceof LibvirtError)) throw error;
    return value;
  };
}
