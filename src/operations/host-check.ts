// Looks at a host before it is managed, over a connection of its own: can it be reached, is it what we need, what has it to
// choose from, and what is wrong with it beside the other hosts. Leaves nothing behind there.
import type { CallOptions, Hypervisor } from '../libvirt/hypervisor.ts';
import { parseUri } from '../libvirt/uri.ts';
import type { FoundNetwork } from '../model/host-check.ts';
import type { Host } from '../model/host.ts';
import type { Db } from '../store/db.ts';
import { selectHosts, selectOptionalHost, type HostFacts } from '../store/hosts.ts';
import { readHostFacts } from './host-facts.ts';
import { looksShared, warningsOf, type HostChoices, type VirtFindings } from './host-findings.ts';
import { inspectHost, type HostInspection, type InspectDeps } from './host-inspect.ts';
import { hostProblem, problemOf, type HostProblem } from './host-problem.ts';
import { checkMigrationAddress, firstAnswer } from './migration-address.ts';

/** All of it together. Too small: hosts behind slow ssh cannot be added; too large: an admin looks at a silent page. */
export const checkTimeoutMs = 15_000;
/** 9.0: what the product needs of migration and statistics is there, and Debian 12 has it. */
const oldestLibvirt = 9_000_000;

export interface HostReport extends HostInspection, VirtFindings {
  readonly facts: HostFacts;
  /** where VNC viewers will probably reach it */
  readonly suggestedConsoleAddress: string;
  /** with the network and pools that are chosen, or would be proposed */
  readonly warnings: readonly HostProblem[];
}

export type HostCheck = { readonly ok: true; readonly report: HostReport } | { readonly ok: false; readonly problem: HostProblem };

export interface CheckOptions {
  readonly virtTypeWish?: Host['virtTypeWish'];
  /** a host we have already, which is allowed to be the one found */
  readonly hostId?: string;
  readonly timeoutMs?: number;
  /** null: made from the URI */
  readonly migrationUri?: string | null;
  /** what an admin has chosen; left out: what would be proposed */
  readonly choices?: HostChoices;
}

export async function checkHost(deps: InspectDeps, uri: string, options: CheckOptions = {}): Promise<HostCheck> {
  const timeoutMs = options.timeoutMs ?? checkTimeoutMs;
  const signal = AbortSignal.timeout(timeoutMs);
  let hypervisor: Hypervisor | undefined;
  try {
    // a second attempt would only repeat the first one's answer
    hypervisor = deps.openHost(uri, { connectTimeoutMs: timeoutMs, backoff: { firstMs: 60_000, maxMs: 60_000 } });
    const call: CallOptions = { signal, timeoutMs };
    await firstAnswer(hypervisor, call);
    return await reportOf(deps, hypervisor, uri, options, call);
  } catch (error) {
    if (signal.aborted) return refused(hostProblem('hung', { reason: `${timeoutMs / 1000} s` }));
    return refused(problemOf(error));
  } finally {
    await hypervisor?.close();
  }
}

async function reportOf(deps: InspectDeps, hypervisor: Hypervisor, uri: string, options: CheckOptions, call: CallOptions): Promise<HostCheck> {
  const { facts, domainTypes, hasVmxOrSvm, libvirtVersionNumber } = await readHostFacts(hypervisor, options.virtTypeWish ?? 'auto', call);
  if (!domainTypes.some((type) => type === 'qemu' || type === 'kvm')) return refused(hostProblem('not-qemu', { types: domainTypes.join(', ') || '–' }));
  if (libvirtVersionNumber < oldestLibvirt) return refused(hostProblem('too-old', { version: facts.libvirtVersion ?? '?' }));
  const own = options.hostId === undefined ? undefined : await selectOptionalHost(deps.db, options.hostId);
  if (own !== undefined && own.hostUuid !== null && own.hostUuid !== facts.hostUuid) return refused(hostProblem('other-machine', { name: own.name }));
  const known = await sameHost(deps.db, facts.hostUuid, options.hostId);
  if (known !== undefined) return refused(hostProblem('known-host', { name: known.name }));
  const [inspection, migration] = await Promise.all([
    inspectHost(deps, hypervisor, facts.virtType, options.hostId, call),
    checkMigrationAddress(deps, { uri, migrationUri: options.migrationUri ?? null }, facts.hostUuid, call),
  ]);
  const virt = { virtType: facts.virtType, hasVmxOrSvm, hasKvmDomains: domainTypes.includes('kvm') };
  const warnings = warningsOf(inspection, virt, options.choices ?? proposedChoices(inspection), deps.clock.now());
  // alone it has nowhere to move anything to
  if (migration !== null && (inspection.otherNetworks.length > 0 || options.migrationUri != null)) warnings.push(migration);
  return { ok: true, report: { facts, ...virt, ...inspection, suggestedConsoleAddress: parseUri(uri).host ?? '127.0.0.1', warnings } };
}

function refused(problem: HostProblem): HostCheck {
  return { ok: false, problem };
}

/** What the form proposes: all active pools, and the network that the other hosts use, else "default", else the first. */
export function proposedChoices(found: Pick<HostInspection, 'networks' | 'pools' | 'otherNetworks'>): HostChoices {
  return {
    network: proposedNetwork(found)?.name ?? null,
    pools: found.pools.filter((pool) => pool.active).map((pool) => ({ name: pool.name, shared: looksShared(pool) })),
  };
}

function proposedNetwork({ networks, otherNetworks }: Pick<HostInspection, 'networks' | 'otherNetworks'>): FoundNetwork | undefined {
  const usable = networks.filter((network) => network.active && network.bridgeMissing !== true);
  return usable.find(({ name }) => otherNetworks.some(({ network }) => network === name)) ?? usable.find(({ name }) => name === 'default') ?? usable[0];
}

/** The same machine under another name or address: its guests would be counted and placed twice. */
async function sameHost(db: Db, hostUuid: string | null, ownId: string | undefined): Promise<Host | undefined> {
  if (hostUuid === null) return undefined;
  return (await selectHosts(db)).find((host) => host.hostUuid === hostUuid && host.id !== ownId);
}
