// Whether running instances can go from one host to another, as far as their CPUs decide it.
import type { CallOptions, Hypervisor } from '../libvirt/hypervisor.ts';
import { HostUnavailableError } from '../libvirt/errors.ts';
import type { Host } from '../model/host.ts';

/** Of a pair of hosts, seen from the first: null where a host could not say. */
export interface CpuPair {
  readonly hostName: string;
  /** from the first to this one */
  readonly to: boolean | null;
  readonly from: boolean | null;
  /** one emulates, the other has KVM: what runs on one cannot go on on the other, whatever the CPUs are */
  readonly virtTypesDiffer: boolean;
}

export interface CpuSide {
  readonly hypervisor: Hypervisor;
  readonly virtType: Host['virtType'];
  /** of its capabilities; null: it told none */
  readonly cpuXml: string | null;
}

/** A guest made for one host's CPU runs on another that has all of it: "identical" or "superset". */
export async function compareCpus(own: CpuSide, other: CpuSide, hostName: string, call: CallOptions): Promise<CpuPair> {
  if (own.virtType !== other.virtType) return { hostName, to: false, from: false, virtTypesDiffer: true };
  // emulated guests have the one CPU that every QEMU can give them
  if (own.virtType === 'qemu') return { hostName, to: true, from: true, virtTypesDiffer: false };
  const [to, from] = await Promise.all([canRun(other, own.cpuXml, call), canRun(own, other.cpuXml, call)]);
  return { hostName, to, from, virtTypesDiffer: false };
}

async function canRun({ hypervisor }: CpuSide, cpuXml: string | null, call: CallOptions): Promise<boolean | null> {
  if (cpuXml === null) return null;
  try {
    return (await hypervisor.node.compareCPU(cpuXml, call)) !== 'incompatible';
  } catch (error) {
    if (error instanceof HostUnavailableError) throw error;
    return null;
  }
}
