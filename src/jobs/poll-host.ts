// One host's part of a tick: one bulk call for all domains, two for the node. Memory and disks are asked for now and then
// only; a domain that is new is not left without them until then.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { isNotSupported, LibvirtError } from '../libvirt/errors.ts';
import type { CallOptions, DomainStats, Hypervisor } from '../libvirt/hypervisor.ts';
import type { Host } from '../model/host.ts';
import { hostSample, instanceDetail, instanceSample, type HostReading, type HostSample, type InstanceDetail, type InstanceReading, type InstanceSample } from '../model/metrics.ts';
import type { PolledInstance } from '../store/instances.ts';
import type { CollectDeps } from './collect-metrics.ts';
import { allGroups, detailGroups, pollGroups, readDetail, readDomain, readNode } from './domain-reading.ts';

export interface DomainReadings { readonly quick: InstanceReading; readonly detail: InstanceDetail | undefined }

/** What the counters said at the last tick; of a host's domains only those that run. */
export interface HostReadings {
  readonly node: HostReading | undefined;
  readonly domains: ReadonlyMap<string, DomainReadings>;
  /** monotonic time of the last dear reading of all domains */
  readonly detailMs: number;
}

export interface HostPoll {
  readonly host: Host;
  /** our instances whose home this host is */
  readonly instances: readonly PolledInstance[];
  readonly before: HostReadings | undefined;
  /** it is its turn to tell of memory and disks */
  readonly isDetailDue: boolean;
  readonly detailMaxAgeMs: number;
}

export interface PolledHost {
  readonly readings: HostReadings;
  readonly sample: HostSample;
  readonly instances: readonly { readonly instance: PolledInstance; readonly sample: InstanceSample }[];
  /** dear readings that were made this time */
  readonly details: readonly { readonly instance: PolledInstance; readonly detail: InstanceDetail; readonly before: InstanceDetail | undefined }[];
}

/** Domains read in one turn of the event loop: 250 take about 2 ms. */
const sliceDomains = 250;

/** Rejects when the host does not answer. */
export async function pollHost(deps: CollectDeps, poll: HostPoll, options: CallOptions): Promise<PolledHost> {
  const hypervisor = deps.hosts.host(poll.host.id);
  const isWhole = poll.isDetailDue || mostLackDetail(poll);
  const [node, stats] = await Promise.all([
    pollNode(hypervisor, options),
    hypervisor.domain.getAllStats(isWhole ? allGroups : pollGroups, options).then((records) => ({ records, monotonicMs: performance.now(), at: deps.clock.now() })),
  ]);
  const domains = await readDomains(stats, poll.before, isWhole);
  if (!isWhole) await readNewcomers(deps, poll, stats.records, domains, options);
  return samplesOf(poll, { node, domains, detailMs: isWhole ? stats.monotonicMs : (poll.before?.detailMs ?? stats.monotonicMs) }, stats.at);
}

/** undefined: a driver without such counters (libvirt's test driver). */
async function pollNode({ node }: Hypervisor, options: CallOptions): Promise<HostReading | undefined> {
  try {
    const [cpu, memory] = await Promise.all([node.getCPUStats(options), node.getMemoryStats(options)]);
    return readNode(cpu, memory, performance.now());
  } catch (error) {
    if (isNotSupported(error)) return undefined;
    throw error;
  }
}

async function readDomains(stats: { readonly records: readonly DomainStats[]; readonly monotonicMs: number; readonly at: number }, before: HostReadings | undefined, isWhole: boolean): Promise<Map<string, DomainReadings>> {
  const readings = new Map<string, DomainReadings>();
  for (const [index, record] of stats.records.entries()) {
    if (index > 0 && index % sliceDomains === 0) await nextTurn();
    const quick = readDomain(record, stats.monotonicMs);
    if (quick === undefined) continue;
    const known = before?.domains.get(record.domain.uuid)?.detail;
    const reading = isWhole ? readDetail(record, stats.monotonicMs, stats.at) : undefined;
    readings.set(record.domain.uuid, { quick, detail: reading === undefined ? known : instanceDetail(known?.reading, reading) });
  }
  return readings;
}

/** Two dear readings make a rate; a run that has not had both is new. */
function lacksDetail(readings: DomainReadings | undefined): boolean {
  return readings?.detail?.reading.domainId !== readings?.quick.domainId || readings?.detail?.isRated !== true;
}

/** As after the portal's start: then the whole host is asked once more. */
function mostLackDetail({ before, instances }: HostPoll): boolean {
  if (before === undefined) return true;
  const running = instances.filter(({ id }) => before.domains.has(id));
  return running.filter(({ id }) => lacksDetail(before.domains.get(id))).length > running.length / 2;
}

async function readNewcomers(deps: CollectDeps, { host, instances }: HostPoll, records: readonly DomainStats[], domains: Map<string, DomainReadings>, options: CallOptions): Promise<void> {
  const newcomers = new Set(instances.filter(({ id }) => domains.has(id) && lacksDetail(domains.get(id))).map(({ id }) => id));
  if (newcomers.size === 0) return;
  try {
    const answers = await deps.hosts.host(host.id).domain.listGetStats(records.map(({ domain }) => domain).filter(({ uuid }) => newcomers.has(uuid)), detailGroups, options);
    for (const record of answers) {
      const known = domains.get(record.domain.uuid);
      const reading = readDetail(record, performance.now(), deps.clock.now());
      if (known !== undefined && reading !== undefined) domains.set(record.domain.uuid, { quick: known.quick, detail: instanceDetail(known.detail?.reading, reading) });
    }
  } catch (error) {
    // their turn comes with the host's
    if (!(error instanceof LibvirtError)) throw error;
  }
}

function samplesOf({ host, instances, before, detailMaxAgeMs }: HostPoll, readings: HostReadings, at: number): PolledHost {
  const measured = instances.flatMap((instance) => {
    // a domain that is not ours, or that is only arriving from another host, has no instance here
    const now = readings.domains.get(instance.id);
    return now === undefined ? [] : [{ instance, now, earlier: before?.domains.get(instance.id) }];
  });
  return {
    readings,
    sample: readings.node === undefined ? unmeasured(host, at) : hostSample(before?.node, readings.node, host.subjectId, at),
    instances: measured.map(({ instance, now, earlier }) => ({
      instance, sample: instanceSample(earlier?.quick, now.quick, now.detail, { subjectId: instance.subjectId, at, detailMaxAgeMs }),
    })),
    details: measured.flatMap(({ instance, now, earlier }) => (now.detail === undefined || now.detail === earlier?.detail ? [] : [{ instance, detail: now.detail, before: earlier?.detail }])),
  };
}

/** It answers, and tells nothing of itself. */
function unmeasured(host: Host, at: number): HostSample {
  return {
    subjectId: host.subjectId, at, up: 1, cpuPercent: null, cpuUserPercent: null, cpuSystemPercent: null, cpuIowaitPercent: null, cpuStealPercent: null,
    memoryUsedMib: null, memoryTotalMib: null, memoryCachedMib: null, swapUsedMib: null, swapTotalMib: null,
  };
}
