// A KVM machine we manage: what the admin wishes, what the last check found, what is reserved on it.

/** The admin's wish. A disabled host takes no new instances; those it has go on. */
export type HostWish = 'enabled' | 'disabled';
/** What the last contact said. */
export type HostState = 'unknown' | 'up' | 'unreachable';
export type VirtType = 'kvm' | 'qemu';

export interface Host {
  readonly id: string;
  readonly name: string;
  /** libvirt URI */
  readonly uri: string;
  readonly wish: HostWish;
  readonly state: HostState;
  /** milliseconds UTC of the last good contact; null: never */
  readonly seenAt: number | null;
  /** libvirt's or the system's words of the last failure; null while up */
  readonly reason: string | null;
  /** address that VNC viewers use */
  readonly consoleAddress: string;
  /** libvirt network of new instances */
  readonly network: string;
  /** decided by the probe, or set by the admin */
  readonly virtType: VirtType | null;
  readonly virtTypeWish: 'auto' | VirtType;
  readonly arch: string | null;
  readonly cpuModel: string | null;
  readonly libvirtVersion: string | null;
  readonly qemuVersion: string | null;
  readonly hostUuid: string | null;
  readonly cpus: number;
  readonly memoryMib: number;
  /** reserved by instances placed here, running or not */
  readonly usedVcpus: number;
  readonly usedMemoryMib: number;
  /** row number in the sample rings */
  readonly subjectId: number;
  readonly createdAt: number;
}

export interface StoragePool {
  readonly id: string;
  /** libvirt's name of the pool, the same on every host that has it */
  readonly name: string;
  /** the same files on every host that has it */
  readonly shared: boolean;
  /** 'dir', 'netfs', … as libvirt says */
  readonly kind: string;
  readonly path: string;
  readonly capacityBytes: number;
  readonly availableBytes: number;
  /** when capacity and available were measured; null: never */
  readonly sampledAt: number | null;
  /** sum of the disk sizes promised to instances */
  readonly usedGib: number;
  readonly subjectId: number;
}

/**
 * kvm only where it really works: the CPU has vmx or svm and libvirt offers the kvm domain type. A device node that
 * opens proves nothing: some machines offer /dev/kvm and interpret every instruction.
 */
export function decideVirtType(
  wish: 'auto' | VirtType,
  facts: { readonly hasVmxOrSvm: boolean; readonly domainTypes: readonly string[] },
): VirtType {
  if (wish !== 'auto') return wish;
  return facts.hasVmxOrSvm && facts.domainTypes.includes('kvm') ? 'kvm' : 'qemu';
}
