// Measured values. Rates are over the time that really passed between two readings; null: not known for this sample.

/** What balancing and admission look at. */
export interface HostLoadSample {
  readonly subjectId: number;
  readonly at: number;
  readonly cpuPercent: number | null;
  readonly memoryUsedMib: number | null;
  readonly memoryTotalMib: number | null;
}

/** Of a host, of all hosts together, or of a portal's own machine. libvirt tells neither steal nor swap of a host. */
export interface HostSample extends HostLoadSample {
  /** 1: it answered; 0: it did not, and nothing else is known; null: from before this was noted */
  readonly up: 0 | 1 | null;
  readonly cpuUserPercent: number | null;
  readonly cpuSystemPercent: number | null;
  readonly cpuIowaitPercent: number | null;
  readonly cpuStealPercent: number | null;
  /** buffers and page cache, which are not in `memoryUsedMib` */
  readonly memoryCachedMib: number | null;
  readonly swapUsedMib: number | null;
  readonly swapTotalMib: number | null;
}

/** Memory and disks are dear to ask for: between two readings of theirs the last values stand here, `detailAt` old. */
export interface InstanceSample {
  readonly subjectId: number;
  readonly at: number;
  /** of the vCPUs it has: 100 = all of them busy */
  readonly cpuPercent: number | null;
  /** when the values of memory and disks were read; null: they are not known */
  readonly detailAt: number | null;
  readonly memoryUsedMib: number | null;
  /** what the guest could still take; null: its balloon driver does not tell */
  readonly memoryAvailableMib: number | null;
  readonly diskReadBytesPerSecond: number | null;
  readonly diskWriteBytesPerSecond: number | null;
  readonly diskReadOpsPerSecond: number | null;
  readonly diskWriteOpsPerSecond: number | null;
  readonly diskAllocationMib: number | null;
  readonly networkReceiveBytesPerSecond: number | null;
  readonly networkTransmitBytesPerSecond: number | null;
  readonly networkReceivePacketsPerSecond: number | null;
  readonly networkTransmitPacketsPerSecond: number | null;
  /** both ways */
  readonly networkDropsPerSecond: number | null;
}

/** One disk or network interface of an instance. Of an interface, read is receive and operations are packets. */
export interface DeviceSample {
  readonly subjectId: number;
  /** 0 to 15 disks, 16 to 31 network interfaces, in libvirt's order */
  readonly device: number;
  readonly at: number;
  readonly readBytesPerSecond: number | null;
  readonly writeBytesPerSecond: number | null;
  readonly readOpsPerSecond: number | null;
  readonly writeOpsPerSecond: number | null;
  /** null for a disk */
  readonly dropsPerSecond: number | null;
  /** null for an interface */
  readonly allocationMib: number | null;
}

/** Numbers of the first disk and the first network interface, and how many each has. */
export const deviceNumbers = { disk: 0, interface: 16, each: 16 } as const;

export interface PoolSample {
  readonly subjectId: number;
  readonly at: number;
  readonly capacityBytes: number;
  readonly availableBytes: number;
}

/** Past two polling periods a figure is stale and is shown as such. */
export function isStale(at: number, now: number, pollIntervalMs: number): boolean {
  return now - at > 2 * pollIntervalMs;
}

/** What a host's counters said at one moment. Times are of a monotonic clock: a clock that is set must not bend a rate. */
export interface HostReading {
  readonly monotonicMs: number;
  /** nanoseconds since boot, over all CPUs; waiting for I/O counts as idle */
  readonly busyNs: number;
  readonly totalNs: number;
  readonly memoryUsedMib: number | null;
  readonly memoryTotalMib: number | null;
}

/** What a domain's counters said at one moment. null: not told. */
export interface InstanceReading {
  readonly monotonicMs: number;
  /** libvirt's number of this run of the domain: another one means that every counter began anew */
  readonly domainId: number;
  readonly vcpus: number;
  readonly cpuNs: number | null;
  readonly diskReadBytes: number | null;
  readonly diskWriteBytes: number | null;
  readonly networkReceiveBytes: number | null;
  readonly networkTransmitBytes: number | null;
  readonly memoryUsedMib: number | null;
}

/**
 * Two readings closer than this give no rate: the figures are read at some moment inside the call, and a few
 * milliseconds of doubt would be a large part of so short a time.
 */
const shortestElapsedMs = 200;

/** How much a counter grew a second. null: unknown, or it went down (a restart, a move, a device taken out). */
export function ratePerSecond(before: number | null, after: number | null, elapsedMs: number): number | null {
  if (before === null || after === null || after < before || elapsedMs < shortestElapsedMs) return null;
  return ((after - before) / elapsedMs) * 1000;
}

/** Readings are not taken at one instant, so that a fully busy machine may come out a little above 100. */
function clampPercent(value: number): number {
  return Math.min(100, Math.max(0, value));
}

/** The sample that two readings of a host give; without an earlier reading there is no CPU figure yet. */
export function hostSample(before: HostReading | undefined, after: HostReading, subjectId: number, at: number): HostLoadSample {
  const total = before === undefined ? 0 : after.totalNs - before.totalNs;
  const busy = before === undefined ? 0 : after.busyNs - before.busyNs;
  const known = total > 0 && busy >= 0;
  return {
    subjectId,
    at,
    cpuPercent: known ? clampPercent((100 * busy) / total) : null,
    memoryUsedMib: after.memoryUsedMib,
    memoryTotalMib: after.memoryTotalMib,
  };
}

/** The sample that two readings of one domain on one host give. */
export function instanceSample(before: InstanceReading | undefined, after: InstanceReading, subjectId: number, at: number) {
  const same = before !== undefined && before.domainId === after.domainId ? before : undefined;
  const elapsedMs = same === undefined ? 0 : after.monotonicMs - same.monotonicMs;
  const rate = (key: 'cpuNs' | 'diskReadBytes' | 'diskWriteBytes' | 'networkReceiveBytes' | 'networkTransmitBytes'): number | null =>
    same === undefined ? null : ratePerSecond(same[key], after[key], elapsedMs);
  const cpuNsPerSecond = rate('cpuNs');
  return {
    subjectId,
    at,
    cpuPercent: cpuNsPerSecond === null ? null : clampPercent(cpuNsPerSecond / 1e7 / Math.max(1, after.vcpus)),
    memoryUsedMib: after.memoryUsedMib,
    diskReadBytesPerSecond: rate('diskReadBytes'),
    diskWriteBytesPerSecond: rate('diskWriteBytes'),
    networkReceiveBytesPerSecond: rate('networkReceiveBytes'),
    networkTransmitBytesPerSecond: rate('networkTransmitBytes'),
  };
}

interface MeasuredHost { readonly cpus: number; readonly cpuPercent: number | null; readonly memoryUsedMib: number | null; readonly memoryTotalMib: number | null }
interface MeasuredPool { readonly capacityBytes: number; readonly availableBytes: number }

/** The whole cluster's load from its parts' means: CPU weighted by CPUs, memory and storage as used / total. */
export function clusterLoad(hosts: readonly MeasuredHost[], pools: readonly MeasuredPool[]): { cpuPercent: number | null; memoryPercent: number | null; storagePercent: number | null } {
  const cpu = hosts.filter((host) => host.cpuPercent !== null && host.cpus > 0);
  const memory = hosts.filter((host) => host.memoryUsedMib !== null && host.memoryTotalMib !== null);
  return {
    cpuPercent: share(cpu.map((host) => host.cpus * (host.cpuPercent ?? 0)), cpu.map((host) => host.cpus), 1),
    memoryPercent: share(memory.map((host) => host.memoryUsedMib ?? 0), memory.map((host) => host.memoryTotalMib ?? 0), 100),
    storagePercent: share(pools.map((pool) => pool.capacityBytes - pool.availableBytes), pools.map((pool) => pool.capacityBytes), 100),
  };
}

function share(parts: readonly number[], wholes: readonly number[], scale: number): number | null {
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  const whole = sum(wholes);
  return whole > 0 ? (scale * sum(parts)) / whole : null;
}
