// A guest's addresses, from whoever knows: the leases of a network that libvirt serves itself, the agent inside the guest,
// the host's own neighbour table.
import { HostUnavailableError, LibvirtError } from '../libvirt/errors.ts';
import type { CallOptions, Hypervisor, InterfaceAddress } from '../libvirt/hypervisor.ts';

/** As many as a page shows. */
const mostAddresses = 8;
/** How long libvirt waits for each answer of an agent. Longer: a silent one holds up more. Shorter: a busy guest's is given up. */
const agentTimeoutSeconds = 2;
/**
 * Longer than libvirt waits, which may be three times: for two greetings (guest-sync, sent again after garbage) and the answer.
 * A call that we gave up before would keep its place on the host's connection.
 */
const agentCallMs = 3 * agentTimeoutSeconds * 1000 + 1000;

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

type AskGuest = (hypervisor: Hypervisor, guestId: string, call: CallOptions) => Promise<readonly InterfaceAddress[]>;

/**
 * IPv4 first, those of the guest's own network card before others; none that only the guest itself could use. `agent`: how,
 * and whether, the agent is asked.
 */
export async function readGuestAddresses(hypervisor: Hypervisor, guest: { readonly id: string; readonly mac: string }, leases: Leases, call: CallOptions, agent: AskGuest = askAgent): Promise<string[]> {
  const leased = leases.get(guest.mac.toLowerCase());
  if (leased !== undefined && leased.length > 0) return inOrder(leased);
  for (const ask of [agent, askNeighbours]) {
    const found = addressesOf(await ask(hypervisor, guest.id, call), guest.mac);
    if (found.length > 0) return inOrder(found);
  }
  return [];
}

/**
 * Empty: there is no agent, or it says nothing. It is the guest's, so it is never waited for without a limit: that is set anew
 * each time, because a guest that was elsewhere meanwhile has none again. A libvirt that knows of no limit is not asked.
 */
export async function askAgent(hypervisor: Hypervisor, guestId: string, call: CallOptions): Promise<readonly InterfaceAddress[]> {
  try {
    await hypervisor.domain.agentSetResponseTimeout(guestId, agentTimeoutSeconds, call);
    return await hypervisor.domain.getInterfaceAddresses(guestId, 'agent', { ...call, timeoutMs: agentCallMs });
  } catch (error) {
    return unlessSilent([])(error);
  }
}

async function askNeighbours(hypervisor: Hypervisor, guestId: string, call: CallOptions): Promise<readonly InterfaceAddress[]> {
  return hypervisor.domain.getInterfaceAddresses(guestId, 'arp', call).catch(unlessSilent([]));
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
