// What a host is: hardware, versions, and whether KVM works there. Changes nothing on the host.
import { readCapabilities, readCpuFeatures, type Capabilities } from '../libvirt/capabilities-xml.ts';
import { HostUnavailableError } from '../libvirt/errors.ts';
import type { CallOptions, Hypervisor } from '../libvirt/hypervisor.ts';
import { decideVirtType, type Host } from '../model/host.ts';
import type { HostFacts } from '../store/hosts.ts';

export interface HostFindings {
  readonly facts: HostFacts;
  readonly libvirtVersionNumber: number;
  readonly domainTypes: readonly string[];
  /** what the decision for kvm or qemu stood on */
  readonly hasVmxOrSvm: boolean;
}

/** Rejects like the calls of the hypervisor. */
export async function readHostFacts(hypervisor: Hypervisor, wish: Host['virtTypeWish'], options: CallOptions = {}): Promise<HostFindings> {
  const { node } = hypervisor;
  const [xml, libvirtVersion, qemuVersion, info, memory] = await Promise.all([
    node.getCapabilities(options), node.getLibVersion(options), node.getVersion(options), node.getInfo(options),
    // the test driver has no memory statistics; NodeInfo's figure is the next best
    node.getMemoryStats(options).catch(unlessUnavailable(undefined)),
  ]);
  const capabilities = readCapabilities(xml);
  const hasVmxOrSvm = await cpuVirtualizes(hypervisor, capabilities, options);
  return {
    libvirtVersionNumber: libvirtVersion,
    domainTypes: capabilities.domainTypes,
    hasVmxOrSvm,
    facts: {
      virtType: decideVirtType(wish, { hasVmxOrSvm, domainTypes: capabilities.domainTypes }),
      arch: capabilities.arch, cpuModel: capabilities.cpuModel ?? info.cpuModel, hostUuid: capabilities.hostUuid,
      libvirtVersion: versionText(libvirtVersion), qemuVersion: versionText(qemuVersion),
      cpus: info.cpus, memoryMib: Math.floor((memory?.totalKib ?? info.memoryKib) / 1024),
    },
  };
}

/** 9000000 → "9.0.0": libvirt's million, thousand, one. */
export function versionText(version: number): string {
  return `${Math.floor(version / 1_000_000)}.${Math.floor(version / 1000) % 1000}.${version % 1000}`;
}

/**
 * vmx stands beside the model, but AMD's models contain svm: libvirt is asked to spell the model out. Where it cannot,
 * what stands beside the model has to do.
 */
async function cpuVirtualizes(hypervisor: Hypervisor, capabilities: Capabilities, options: CallOptions): Promise<boolean> {
  const isIt = (features: readonly string[]): boolean => features.includes('vmx') || features.includes('svm');
  if (isIt(capabilities.cpuFeatures)) return true;
  if (capabilities.cpuXml === null) return false;
  const expanded = await hypervisor.node.baselineCPU([capabilities.cpuXml], options).catch(unlessUnavailable(undefined));
  return expanded !== undefined && isIt(readCpuFeatures(expanded));
}

/** The daemon may say no to a question that is not essential; silence is another matter. */
function unlessUnavailable<T>(value: T): (error: unknown) => T {
  return (error) => {
    if (error instanceof HostUnavailableError) throw error;
    return value;
  };
}
