// Reads libvirt's typed fields of one domain into counters.
import type { DomainStats, NodeCpuStats, NodeMemoryStats, StatsGroup, TypedParams } from '../libvirt/hypervisor.ts';
import type { DetailReading, DeviceCounters, HostReading, InstanceReading } from '../model/metrics.ts';

/** What every poll asks for: about 1 ms a domain in the daemon. */
export const pollGroups: readonly StatsGroup[] = ['state', 'cpu-total', 'vcpu', 'interface'];
/** What is asked for now and then: `balloon` and `block` go through QEMU's monitor, about 5 ms a domain. */
export const detailGroups: readonly StatsGroup[] = ['balloon', 'block', 'interface'];
export const allGroups: readonly StatsGroup[] = [...new Set([...pollGroups, ...detailGroups])];

function numberOf(params: TypedParams, field: string): number | null {
  const value = params[field];
  // counters past 2^53 come as bigint: 8 PiB of traffic; the lost low bits do not matter in a rate
  if (typeof value === 'number' || typeof value === 'bigint') return Number(value);
  return null;
}

const kibToMib = (kib: number): number => Math.round(kib / 1024);

/** Memory in use and left, as the guest sees it where its balloon driver tells, else what QEMU holds of the host's memory. */
function memoryOf(params: TypedParams): Pick<DetailReading, 'memoryUsedMib' | 'memoryAvailableMib'> {
  const available = numberOf(params, 'balloon.available');
  const free = numberOf(params, 'balloon.usable') ?? numberOf(params, 'balloon.unused');
  if (available !== null && free !== null && free <= available) return { memoryUsedMib: kibToMib(available - free), memoryAvailableMib: kibToMib(free) };
  const given = numberOf(params, 'balloon.current');
  const resident = numberOf(params, 'balloon.rss');
  // QEMU's own needs are on top of the guest's, so this is cut at what the guest was given
  return { memoryUsedMib: resident === null ? null : kibToMib(given === null ? resident : Math.min(resident, given)), memoryAvailableMib: null };
}

function devicesOf(params: TypedParams, group: 'block' | 'net', read: (prefix: string) => Omit<DeviceCounters, 'name'>): DeviceCounters[] {
  const count = numberOf(params, `${group}.count`) ?? 0;
  return Array.from({ length: count }, (_, index) => {
    const prefix = `${group}.${index}`;
    return { name: String(params[`${prefix}.name`] ?? index), ...read(prefix) };
  });
}

function disksOf(params: TypedParams): DeviceCounters[] {
  return devicesOf(params, 'block', (prefix) => {
    const allocated = numberOf(params, `${prefix}.physical`) ?? numberOf(params, `${prefix}.allocation`);
    return {
      readBytes: numberOf(params, `${prefix}.rd.bytes`),
      writeBytes: numberOf(params, `${prefix}.wr.bytes`),
      readOps: numberOf(params, `${prefix}.rd.reqs`),
      writeOps: numberOf(params, `${prefix}.wr.reqs`),
      drops: null,
      allocationMib: allocated === null ? null : Math.round(allocated / 2 ** 20),
    };
  });
}

function interfacesOf(params: TypedParams): DeviceCounters[] {
  return devicesOf(params, 'net', (prefix) => {
    const [received, sent] = [numberOf(params, `${prefix}.rx.drop`), numberOf(params, `${prefix}.tx.drop`)];
    return {
      readBytes: numberOf(params, `${prefix}.rx.bytes`),
      writeBytes: numberOf(params, `${prefix}.tx.bytes`),
      readOps: numberOf(params, `${prefix}.rx.pkts`),
      writeOps: numberOf(params, `${prefix}.tx.pkts`),
      drops: received === null && sent === null ? null : (received ?? 0) + (sent ?? 0),
      allocationMib: null,
    };
  });
}

/** undefined: the domain does not run. */
export function readDomain({ domain, params }: DomainStats, monotonicMs: number): InstanceReading | undefined {
  if (domain.id < 0) return undefined;
  return { monotonicMs, domainId: domain.id, vcpus: numberOf(params, 'vcpu.current') ?? 1, cpuNs: numberOf(params, 'cpu.time'), interfaces: interfacesOf(params) };
}

/** undefined: the domain does not run, or its monitor was busy and told nothing. */
export function readDetail({ domain, params }: DomainStats, monotonicMs: number, at: number): DetailReading | undefined {
  if (domain.id < 0) return undefined;
  const reading = { monotonicMs, at, domainId: domain.id, ...memoryOf(params), disks: disksOf(params), interfaces: interfacesOf(params) };
  return reading.memoryUsedMib !== null || reading.disks.some((disk) => disk.readBytes !== null) ? reading : undefined;
}

export function readNode(cpu: NodeCpuStats, memory: NodeMemoryStats, monotonicMs: number): HostReading {
  const cachedKib = memory.buffersKib + memory.cachedKib;
  return {
    monotonicMs,
    userNs: cpu.userNs,
    systemNs: cpu.kernelNs + cpu.intrNs,
    iowaitNs: cpu.iowaitNs,
    idleNs: cpu.idleNs,
    // libvirt tells neither of a host
    stealNs: null,
    swapUsedMib: null,
    swapTotalMib: null,
    memoryUsedMib: Math.max(0, kibToMib(memory.totalKib - memory.freeKib - cachedKib)),
    memoryTotalMib: kibToMib(memory.totalKib),
    memoryCachedMib: kibToMib(cachedKib),
  };
}
