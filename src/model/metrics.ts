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
  /** nanoseconds since boot, over all CPUs */
  readonly userNs: number;
  readonly systemNs: number;
  readonly iowaitNs: number;
  readonly idleNs: number;
  /** taken by the machine's own hypervisor; null: not told */
  readonly stealNs: number | null;
  readonly memoryUsedMib: number | null;
  readonly memoryTotalMib: number | null;
  readonly memoryCachedMib: number | null;
  readonly swapUsedMib: number | null;
  readonly swapTotalMib: number | null;
}

/** Counters of one disk or network interface; null: not told. Of an interface, read is receive and operations are packets. */
export interface DeviceCounters {
  readonly name: string;
  readonly readBytes: number | null;
  readonly writeBytes: number | null;
  readonly readOps: number | null;
  readonly writeOps: number | null;
  readonly drops: number | null;
  readonly allocationMib: number | null;
}

/** What a domain's counters said at one moment. null: not told. */
export interface InstanceReading {
  readonly monotonicMs: number;
  /** libvirt's number of this run of the domain: another one means that every counter began anew */
  readonly domainId: number;
  readonly vcpus: number;
  readonly cpuNs: number | null;
  readonly interfaces: readonly DeviceCounters[];
}

/** The same of what is dear to ask for. */
export interface DetailReading {
  readonly monotonicMs: number;
  readonly at: number;
  readonly domainId: number;
  readonly memoryUsedMib: number | null;
  readonly memoryAvailableMib: number | null;
  readonly disks: readonly DeviceCounters[];
  readonly interfaces: readonly DeviceCounters[];
}

/** What the last dear reading gave, with the one before it. */
export interface InstanceDetail {
  readonly reading: DetailReading;
  /** there was a reading before it in this run, so that rates are known */
  readonly isRated: boolean;
  readonly values: Pick<InstanceSample, DetailField>;
  readonly devices: readonly (Omit<DeviceSample, 'subjectId'> & { readonly name: string })[];
}

type DetailField = 'detailAt' | 'memoryUsedMib' | 'memoryAvailableMib' | 'diskReadBytesPerSecond' | 'diskWriteBytesPerSecond' | 'diskReadOpsPerSecond' | 'diskWriteOpsPerSecond' | 'diskAllocationMib';

const noDetail: InstanceDetail['values'] = {
  detailAt: null, memoryUsedMib: null, memoryAvailableMib: null, diskReadBytesPerSecond: null, diskWriteBytesPerSecond: null,
  diskReadOpsPerSecond: null, diskWriteOpsPerSecond: null, diskAllocationMib: null,
};

/**
 * Two readings closer than this give no rate: the figures are read at some moment inside the call, and a few
 * milliseconds of doubt would be a large part of so short a time.
 */
const shortestElapsedMs = 200;

/** How much a counter grew a second. null: unknown, or it went down (a restart, a move). */
export function ratePerSecond(before: number | null, after: number | null, elapsedMs: number): number | null {
  if (before === null || after === null || after < before || elapsedMs < shortestElapsedMs) return null;
  return ((after - before) / elapsedMs) * 1000;
}

type Counter = 'readBytes' | 'writeBytes' | 'readOps' | 'writeOps' | 'drops';

/** Of the devices that are there both times, together; one that was put in or taken out meanwhile bends nothing. */
export function totalRate(before: readonly DeviceCounters[], after: readonly DeviceCounters[], counter: Counter, elapsedMs: number): number | null {
  let total: number | null = null;
  for (const [index, device] of after.entries()) {
    const same = counterpart(before, device, index);
    if (same === undefined || same[counter] === null || device[counter] === null) continue;
    const rate = ratePerSecond(same[counter], device[counter], elapsedMs);
    if (rate === null) return null;
    total = (total ?? 0) + rate;
  }
  return total;
}

/** Nearly always at the same place. */
function counterpart(before: readonly DeviceCounters[], { name }: DeviceCounters, index: number): DeviceCounters | undefined {
  return before[index]?.name === name ? before[index] : before.find((device) => device.name === name);
}

/** Readings are not taken at one instant, so that a fully busy machine may come out a little above 100. */
function clampPercent(value: number): number {
  return Math.min(100, Math.max(0, value));
}

/** The sample that two readings of a host give; without an earlier reading there is no CPU figure yet. */
export function hostSample(before: HostReading | undefined, after: HostReading, subjectId: number, at: number): HostSample {
  const grown = (key: 'userNs' | 'systemNs' | 'iowaitNs' | 'idleNs' | 'stealNs'): number => (before === undefined ? 0 : (after[key] ?? 0) - (before[key] ?? 0));
  // the kernel's time of waiting for I/O may shrink a little; user and system time do after a reboot only
  const [userNs, systemNs, iowaitNs, stealNs] = [grown('userNs'), grown('systemNs'), Math.max(0, grown('iowaitNs')), Math.max(0, grown('stealNs'))];
  const totalNs = userNs + systemNs + iowaitNs + stealNs + grown('idleNs');
  const known = totalNs > 0 && userNs >= 0 && systemNs >= 0;
  const percent = (ns: number): number | null => (known ? clampPercent((100 * ns) / totalNs) : null);
  return {
    subjectId,
    at,
    up: 1,
    cpuPercent: percent(userNs + systemNs),
    cpuUserPercent: percent(userNs),
    cpuSystemPercent: percent(systemNs),
    cpuIowaitPercent: percent(iowaitNs),
    cpuStealPercent: after.stealNs === null ? null : percent(stealNs),
    memoryUsedMib: after.memoryUsedMib,
    memoryTotalMib: after.memoryTotalMib,
    memoryCachedMib: after.memoryCachedMib,
    swapUsedMib: after.swapUsedMib,
    swapTotalMib: after.swapTotalMib,
  };
}

/** What two dear readings of one domain on one host give; without an earlier one of this run there are no rates yet. */
export function instanceDetail(before: DetailReading | undefined, reading: DetailReading): InstanceDetail {
  const same = before !== undefined && before.domainId === reading.domainId ? before : undefined;
  const elapsedMs = same === undefined ? 0 : reading.monotonicMs - same.monotonicMs;
  const disks = (counter: Counter): number | null => totalRate(same?.disks ?? [], reading.disks, counter, elapsedMs);
  const allocations = reading.disks.flatMap(({ allocationMib }) => (allocationMib === null ? [] : [allocationMib]));
  const devicesOf = (kind: 'disk' | 'interface', now: readonly DeviceCounters[], earlier: readonly DeviceCounters[]): InstanceDetail['devices'] =>
    now.slice(0, deviceNumbers.each).map((device, index) => ({
      device: deviceNumbers[kind] + index, name: device.name, at: reading.at, allocationMib: device.allocationMib,
      ...deviceRates(counterpart(earlier, device, index), device, elapsedMs),
    }));
  return {
    reading,
    isRated: elapsedMs >= shortestElapsedMs,
    values: {
      detailAt: reading.at,
      memoryUsedMib: reading.memoryUsedMib,
      memoryAvailableMib: reading.memoryAvailableMib,
      diskReadBytesPerSecond: disks('readBytes'),
      diskWriteBytesPerSecond: disks('writeBytes'),
      diskReadOpsPerSecond: disks('readOps'),
      diskWriteOpsPerSecond: disks('writeOps'),
      diskAllocationMib: allocations.length === 0 ? null : allocations.reduce((sum, mib) => sum + mib, 0),
    },
    devices: [...devicesOf('disk', reading.disks, same?.disks ?? []), ...devicesOf('interface', reading.interfaces, same?.interfaces ?? [])],
  };
}

function deviceRates(before: DeviceCounters | undefined, after: DeviceCounters, elapsedMs: number) {
  const rate = (counter: Counter): number | null => (before === undefined ? null : ratePerSecond(before[counter], after[counter], elapsedMs));
  return { readBytesPerSecond: rate('readBytes'), writeBytesPerSecond: rate('writeBytes'), readOpsPerSecond: rate('readOps'), writeOpsPerSecond: rate('writeOps'), dropsPerSecond: rate('drops') };
}

/** The sample that two readings of one domain on one host give, with the last dear values as long as they are worth it. */
export function instanceSample(
  before: InstanceReading | undefined, after: InstanceReading, detail: InstanceDetail | undefined, { subjectId, at, detailMaxAgeMs }: { readonly subjectId: number; readonly at: number; readonly detailMaxAgeMs: number },
): InstanceSample {
  const same = before !== undefined && before.domainId === after.domainId ? before : undefined;
  const elapsedMs = same === undefined ? 0 : after.monotonicMs - same.monotonicMs;
  const network = (counter: Counter): number | null => (same === undefined ? null : totalRate(same.interfaces, after.interfaces, counter, elapsedMs));
  const cpuNsPerSecond = same === undefined ? null : ratePerSecond(same.cpuNs, after.cpuNs, elapsedMs);
  const isFresh = detail !== undefined && detail.reading.domainId === after.domainId && after.monotonicMs - detail.reading.monotonicMs <= detailMaxAgeMs;
  return {
    subjectId,
    at,
    cpuPercent: cpuNsPerSecond === null ? null : clampPercent(cpuNsPerSecond / 1e7 / Math.max(1, after.vcpus)),
    ...(isFresh ? detail.values : noDetail),
    networkReceiveBytesPerSecond: network('readBytes'),
    networkTransmitBytesPerSecond: network('writeBytes'),
    networkReceivePacketsPerSecond: network('readOps'),
    networkTransmitPacketsPerSecond: network('writeOps'),
    networkDropsPerSecond: network('drops'),
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

/** All hosts as one: CPU weighted by CPUs, memory as sums. It is up when anything in it answers. */
export function clusterSample(hosts: readonly { readonly cpus: number; readonly sample: HostSample }[], subjectId: number, at: number): HostSample {
  const mean = (key: 'cpuPercent' | 'cpuUserPercent' | 'cpuSystemPercent' | 'cpuIowaitPercent'): number | null => {
    const told = hosts.filter(({ cpus, sample }) => cpus > 0 && sample[key] !== null);
    return share(told.map(({ cpus, sample }) => cpus * (sample[key] ?? 0)), told.map(({ cpus }) => cpus), 1);
  };
  const total = (key: 'memoryUsedMib' | 'memoryTotalMib' | 'memoryCachedMib'): number | null => {
    const told = hosts.flatMap(({ sample }) => sample[key] ?? []);
    return told.length === 0 ? null : told.reduce((sum, value) => sum + value, 0);
  };
  return {
    subjectId,
    at,
    up: hosts.some(({ sample }) => sample.up === 1) ? 1 : 0,
    cpuPercent: mean('cpuPercent'),
    cpuUserPercent: mean('cpuUserPercent'),
    cpuSystemPercent: mean('cpuSystemPercent'),
    cpuIowaitPercent: mean('cpuIowaitPercent'),
    cpuStealPercent: null,
    memoryUsedMib: total('memoryUsedMib'),
    memoryTotalMib: total('memoryTotalMib'),
    memoryCachedMib: total('memoryCachedMib'),
    swapUsedMib: null,
    swapTotalMib: null,
  };
}
