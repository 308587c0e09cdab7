// Looks at a host before it is managed, over a connection of its own: can it be reached, is it what we need, and what has
// it to choose from. Changes nothing there.
import { readPoolXml } from '../libvirt/storage-xml.ts';
import type { CallOptions, Hypervisor, OpenHypervisor } from '../libvirt/hypervisor.ts';
import { HostUnavailableError } from '../libvirt/errors.ts';
import { parseUri } from '../libvirt/uri.ts';
import type { Host } from '../model/host.ts';
import type { Db } from '../store/db.ts';
import { selectHosts, type HostFacts } from '../store/hosts.ts';
import { readHostFacts } from './host-facts.ts';
import { hostProblem, problemOf, type HostProblem } from './host-problem.ts';

/** All of it together. Too small: hosts behind slow ssh cannot be added; too large: an admin looks at a silent page. */
export const checkTimeoutMs = 10_000;
/** 9.0: what the product needs of migration and statistics is there, and Debian 12 has it. */
const oldestLibvirt = 9_000_000;

export interface FoundHostPool {
  readonly name: string;
  readonly kind: string;
  readonly path: string;
  readonly active: boolean;
  readonly capacityBytes: number;
  readonly availableBytes: number;
}

export interface HostReport {
  readonly facts: HostFacts;
  /** the two things the choice between kvm and qemu stood on */
  readonly hasVmxOrSvm: boolean;
  readonly hasKvmDomains: boolean;
  readonly pools: readonly FoundHostPool[];
  readonly networks: readonly { readonly name: string; readonly active: boolean }[];
  /** where VNC viewers will probably reach it */
  readonly suggestedConsoleAddress: string;
}

export type HostCheck = { readonly ok: true; readonly report: HostReport } | { readonly ok: false; readonly problem: HostProblem };

export interface CheckOptions {
  readonly virtTypeWish?: Host['virtTypeWish'];
  /** a host we have already, which is allowed to be the one found */
  readonly hostId?: string;
  readonly timeoutMs?: number;
}

export async function checkHost(deps: { readonly db: Db; readonly openHost: OpenHypervisor }, uri: string, options: CheckOptions = {}): Promise<HostCheck> {
  const timeoutMs = options.timeoutMs ?? checkTimeoutMs;
  const signal = AbortSignal.timeout(timeoutMs);
  let hypervisor: Hypervisor | undefined;
  try {
    // a second attempt would only repeat the first one's answer
    hypervisor = deps.openHost(uri, { connectTimeoutMs: timeoutMs, backoff: { firstMs: 60_000, maxMs: 60_000 } });
    await connected(hypervisor, signal, timeoutMs);
    const call: CallOptions = { signal, timeoutMs };
    const found = await readHostFacts(hypervisor, options.virtTypeWish ?? 'auto', call);
    if (!found.domainTypes.some((type) => type === 'qemu' || type === 'kvm')) return refused(hostProblem('not-qemu', { types: found.domainTypes.join(', ') || '–' }));
    if (found.libvirtVersionNumber < oldestLibvirt) return refused(hostProblem('too-old', { version: found.facts.libvirtVersion ?? '?' }));
    const known = await sameHost(deps.db, found.facts.hostUuid, options.hostId);
    if (known !== undefined) return refused(hostProblem('known-host', { name: known.name }));
    const [pools, networks] = await Promise.all([listPools(hypervisor, call), listNetworks(hypervisor, call)]);
    return {
      ok: true,
      report: {
        facts: found.facts, hasVmxOrSvm: found.hasVmxOrSvm, hasKvmDomains: found.domainTypes.includes('kvm'),
        pools, networks, suggestedConsoleAddress: parseUri(uri).host ?? '127.0.0.1',
      },
    };
  } catch (error) {
    if (signal.aborted) return refused(hostProblem('hung', { reason: `${timeoutMs / 1000} s` }));
    return refused(problemOf(error));
  } finally {
    await hypervisor?.close();
  }
}

function refused(problem: HostProblem): HostCheck {
  return { ok: false, problem };
}

/** The first attempt decides: `ready` would go on trying until its deadline. */
function connected(hypervisor: Hypervisor, signal: AbortSignal, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = hypervisor.onStatus((status) => {
      if (status.state !== 'down') return;
      stop();
      reject(new HostUnavailableError(status.reason ?? 'not connected'));
    });
    hypervisor.ready({ signal, timeoutMs }).finally(stop).then(resolve, reject);
  });
}

/** The same machine under another name or address: its guests would be counted and placed twice. */
async function sameHost(db: Db, hostUuid: string | null, ownId: string | undefined): Promise<Host | undefined> {
  if (hostUuid === null) return undefined;
  return (await selectHosts(db)).find((host) => host.hostUuid === hostUuid && host.id !== ownId);
}

/** Only pools that are directories of files: that is what images and disks are. */
const poolKinds = new Set(['dir', 'fs', 'netfs', 'gluster']);

async function listPools(hypervisor: Hypervisor, call: CallOptions): Promise<FoundHostPool[]> {
  const names = (await hypervisor.storagePool.listAll(call)).map((pool) => pool.name).sort();
  const pools: FoundHostPool[] = [];
  // one after the other: a host answers five requests at a time, and a slow pool must not hold the rest
  for (const name of names) {
    const [xml, info] = await Promise.all([hypervisor.storagePool.getXMLDesc(name, call), hypervisor.storagePool.getInfo(name, call)]);
    const { kind, path } = readPoolXml(xml);
    if (!poolKinds.has(kind)) continue;
    pools.push({ name, kind, path, active: info.state === 'running', capacityBytes: info.capacityBytes, availableBytes: info.availableBytes });
  }
  return pools;
}

async function listNetworks(hypervisor: Hypervisor, call: CallOptions): Promise<{ name: string; active: boolean }[]> {
  const networks = await hypervisor.network.listAll(call);
  const names = networks.map((network) => network.name).sort();
  return Promise.all(names.map(async (name) => ({ name, active: await hypervisor.network.isActive(name, call) })));
}
