// What is wrong with a host that can be used all the same, and what would be wrong with the choices about it: each with
// what to do about it.
import type { Host } from '../model/host.ts';
import { certificateWarningMs, lastDay } from '../model/host-check.ts';
import type { CpuPair } from './host-cpu.ts';
import type { FoundHostPool, HostInspection } from './host-inspect.ts';
import { hostProblem, type HostProblem } from './host-problem.ts';

/** Larger: console passwords, which end by the host's clock, end too early or too late, and logs do not fit together. */
export const clockToleranceMs = 5000;

export interface HostChoices {
  readonly network: string | null;
  readonly pools: readonly { readonly name: string; readonly shared: boolean }[];
}

/** Of KVM's two conditions, as the check found them. */
export interface VirtFindings { readonly virtType: Host['virtType']; readonly hasVmxOrSvm: boolean; readonly hasKvmDomains: boolean }

/** What an admin should know of this host beside the others. None of it keeps the host from being used. */
export function warningsOf(inspection: HostInspection, virt: VirtFindings, choices: HostChoices, now: number): HostProblem[] {
  const { clock, cpus, otherNetworks } = inspection;
  const warnings: HostProblem[] = [];
  if (clock !== null && Math.abs(clock.aheadMs) > clockToleranceMs + clock.errorMs) {
    warnings.push(hostProblem(clock.aheadMs > 0 ? 'clock-ahead' : 'clock-behind', { seconds: Math.round(Math.abs(clock.aheadMs) / 1000) }));
  }
  warnings.push(...certificateWarnings(inspection, now));
  if (virt.virtType === 'qemu') warnings.push(hostProblem('no-kvm', { why: virt.hasVmxOrSvm ? '$hosts.found.no-kvm' : '$hosts.found.no-vmx' }));
  warnings.push(...bridgeWarnings(inspection, choices.network), ...cpus.flatMap(cpuWarning));
  const elsewhere = otherNetworks.filter(({ network }) => choices.network !== null && network !== choices.network);
  if (elsewhere.length > 0) warnings.push(hostProblem('network-differs', { name: choices.network ?? '', others: elsewhere.map(({ hostName, network }) => `${hostName}: ${network}`).slice(0, 10).join(', ') }, 'network'));
  for (const { name, shared } of choices.pools) {
    const silent = inspection.pools.find((pool) => pool.name === name)?.others.filter(({ sameFiles }) => sameFiles === null) ?? [];
    if (shared && silent.length > 0) warnings.push(hostProblem('pool-unverified', { name, others: namesOf(silent) }, 'pools'));
  }
  return warnings;
}

function certificateWarnings({ certificates }: HostInspection, now: number): HostProblem[] {
  return certificates.filter(({ notAfter }) => notAfter - now < certificateWarningMs)
    .map((end) => hostProblem(end.notAfter > now ? 'certificate-ends' : 'certificate-ended', { whose: `$hosts.certificate.${end.of}`, date: lastDay(end) }));
}

function bridgeWarnings({ networks }: HostInspection, chosen: string | null): HostProblem[] {
  return networks.flatMap(({ name, bridge, bridgeMissing }) => {
    if (bridge === null || name !== chosen || bridgeMissing === false) return [];
    return [hostProblem(bridgeMissing === null ? 'bridge-unknown' : 'bridge-missing', { name, bridge }, 'network')];
  });
}

function cpuWarning({ hostName, to, from, virtTypesDiffer }: CpuPair): HostProblem[] {
  const name = { other: hostName };
  if (virtTypesDiffer) return [hostProblem('virt-differs', name)];
  if (to === false && from === false) return [hostProblem('cpu-differs', name)];
  if (to === false) return [hostProblem('cpu-from-only', name)];
  return from === false ? [hostProblem('cpu-to-only', name)] : [];
}

/**
 * A pool that is called shared and is not, or is and is not called so, loses disks: a move or a restart elsewhere would find
 * another file of the same name, or a move would copy a disk onto itself. undefined: as far as can be seen, all is well.
 */
export function sharingProblem(pool: FoundHostPool, shared: boolean): HostProblem | undefined {
  const strangers = pool.others.filter(({ sameFiles, shared: calledShared }) => sameFiles === false && calledShared);
  if (shared && strangers.length > 0) return hostProblem('pool-not-shared', { name: pool.name, path: pool.path, others: namesOf(strangers) }, 'pools');
  const same = pool.others.filter(({ sameFiles }) => sameFiles === true);
  if (!shared && same.length > 0) return hostProblem('pool-is-shared', { name: pool.name, others: namesOf(same) }, 'pools');
  return undefined;
}

/** Proposed for a pool: what was seen decides; where nobody could be asked, what libvirt mounts from a server. */
export function looksShared(pool: FoundHostPool): boolean {
  if (pool.others.some(({ sameFiles }) => sameFiles === true)) return true;
  if (pool.others.some(({ sameFiles, shared }) => sameFiles === false && shared)) return false;
  return pool.kind === 'netfs' || pool.kind === 'gluster';
}

function namesOf(peers: readonly { readonly hostName: string }[]): string {
  return peers.map(({ hostName }) => hostName).slice(0, 10).join(', ');
}
