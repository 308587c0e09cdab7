// Reads libvirt's typed fields of one domain into counters.
import type { DomainStats, NodeCpuStats, NodeMemoryStats, StatsGroup, TypedParams } from '../libvirt/hypervisor.ts';
import type { HostReading, InstanceReading } from '../model/metrics.ts';

/** What a poll asks for. `balloon` and `block` cost the daemon about 5 ms a domain, the others 1 ms. */
export const pollGroups: readonly StatsGroup[] = ['state', 'cpu-total', 'balloon', 'vcpu', 'interface', 'block'];

function numberOf(params: TypedParams, field: string): number | null {
  const value = params[field];
  // counters past 2^53 come as bigint: 8 PiB of traffic; the lost low bits do not matter in a rate
  if (typeof value === 'number' || typeof value === 'bigint') return Number(value);
  return null;
}

/** The field summed over a domain's disks or interfaces; null: no such device told it. */
function sumOf(params: TypedParams, group: 'block' | 'net', field: string): number | null {
  const count = numberOf(params, `${group}.count`) ?? 0;
  let sum: number | null = null;
  for (let index = 0; index < count; index++) {
    const value = numberOf(params, `${group}.${index}.${field}`);
    if (value !== null) sum = (sum ?? 0) + value;
  }
  return sum;
}

/**
 * Memory in use, MiB: as the guest sees it where its balloon driver tells (available − usable), else what QEMU holds of
 * the host's memory. QEMU's own needs are on top of the guest's, so this is cut at what the guest was given.
 */
function memoryUsedMib(params: TypedParams): number | null {
  const available = numberOf(params, 'balloon.available');
  const free = numberOf(params, 'balloon.usable') ?? numberOf(params, 'balloon.unused');
  const given = numberOf(params, 'balloon.current');
  if (available !== null && free !== null && free <= available) return Math.round((available - free) / 1024);
  const resident = numberOf(params, 'balloon.rss');
  if (resident === null) return null;
  return Math.round((given === null ? resident : Math.min(resident, given)) / 1024);
}

/** undefined: the domain does not run. */
export function readDomain({ domain, params }: DomainStats, monotonicMs: number): InstanceReading | undefined {
  if (domain.id < 0) return undefined;
  return {
    monotonicMs,
    domainId: domain.id,
    vcpus: numberOf(params, 'vcpu.current') ?? 1,
    cpuNs: numberOf(params, 'cpu.time'),
    diskReadBytes: sumOf(params, 'block', 'rd.bytes'),
    diskWriteBytes: sumOf(params, 'block', 'wr.bytes'),
    networkReceiveBytes: sumOf(params, 'net', 'rx.bytes'),
    networkTransmitBytes: sumOf(params, 'net', 'tx.bytes'),
    memoryUsedMib: memoryUsedMib(params),
  };
}

export function readNode(cpu: NodeCpuStats, memory: NodeMemoryStats, monotonicMs: number): HostReading {
  const busyNs = cpu.userNs + cpu.kernelNs + cpu.intrNs;
  const free = memory.freeKib + memory.buffersKib + memory.cachedKib;
  return {
    monotonicMs,
    busyNs,
    totalNs: busyNs + cpu.idleNs + cpu.iowaitNs,
    memoryUsedMib: Math.max(0, Math.round((memory.totalKib - free) / 1024)),
    memoryTotalMib: Math.round(memory.totalKib / 1024),
  };
}
