// A KVM machine we manage: what the admin wishes, what the last check found, what is reserved on it.
import type { Sentence } from '../errors.ts';

/**
 * The admin's wish. A disabled host takes no new instances; those it has go on. One in maintenance is emptied: its
 * instances move away, and come back when it returns.
 */
export const hostWishes = ['enabled', 'disabled', 'maintenance'] as const;
export type HostWish = (typeof hostWishes)[number];
/**
 * What the last contact said. fenced: proven to run nothing, because it was powered off or has lost its locks; it stays so,
 * whatever it answers, until it has checked in clean.
 */
export const hostStates = ['unknown', 'up', 'unreachable', 'fenced'] as const;
export type HostState = (typeof hostStates)[number];
/** What pages show: the worse of state and wish. */
export type HostStatus = HostState | 'maintenance' | 'disabled';
/** agent: its fence agent powered it off · lock: the shared storage gave its locks to another host · admin: a person switched it off */
export const fenceProofs = ['agent', 'lock', 'admin'] as const;
export type FenceProof = (typeof fenceProofs)[number];
export type VirtType = 'kvm' | 'qemu';

export interface Host {
  readonly id: string;
  readonly name: string;
  /** libvirt URI */
  readonly uri: string;
  readonly wish: HostWish;
  readonly state: HostState;
  /** when `state` last changed */
  readonly stateSince: number;
  /** when it was proven to run nothing; null: it is in use, or only unreachable */
  readonly fencedAt: number | null;
  readonly fenceProof: FenceProof | null;
  /** program of fence-agents that switches it off, e.g. fence_ipmilan; null: none. Its parameters stay in the store */
  readonly fenceAgent: string | null;
  /** libvirt URI by which other hosts reach it for migrations; null: made from `uri` */
  readonly migrationUri: string | null;
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

export function hostStatus(host: Pick<Host, 'state' | 'wish'>): HostStatus {
  if (host.state === 'fenced' || host.state === 'unreachable') return host.state;
  if (host.wish !== 'enabled') return host.wish;
  return host.state;
}

/** One line of a host's history: contact lost and found, maintenance, fencing, burn-ins. */
export interface HostEvent {
  readonly id: string;
  readonly hostId: string;
  readonly at: number;
  readonly kind: HostEventKind;
  /** who did it; null: the system */
  readonly userId: string | null;
  readonly sentence: Sentence;
  readonly reason: Sentence | null;
}
export type HostEventKind = 'connection' | 'wish' | 'fence' | 'recovery' | 'burn-in' | 'drill';

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
