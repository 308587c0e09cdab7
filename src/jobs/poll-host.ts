// One host's part of a tick: one bulk call for all domains, two for the node, one INSERT for all samples.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { isNotSupported } from '../libvirt/errors.ts';
import type { CallOptions, DomainStats, Hypervisor } from '../libvirt/hypervisor.ts';
import type { Host } from '../model/host.ts';
import type { Instance } from '../model/instance.ts';
import { hostSample, instanceSample, type HostReading, type InstanceReading } from '../model/metrics.ts';
import type { OperationDeps } from '../operations/deps.ts';
import { selectInstancesByHost } from '../store/instances.ts';
import { insertHostSamples, insertInstanceSamples } from '../store/samples.ts';
import { pollGroups, readDomain, readNode } from './domain-reading.ts';

/** What the counters said at the last tick; of a host's domains only those that run. */
export interface HostReadings {
  readonly node: HostReading | undefined;
  readonly domains: ReadonlyMap<string, InstanceReading>;
}

export interface PolledHost {
  readonly readings: HostReadings;
  /** our instances whose home this host is */
  readonly instances: readonly Instance[];
}

/** Domains read in one turn of the event loop: 250 take about 2 ms. */
const sliceDomains = 250;

/** Polls the host and stores its samples. Rejects when the host does not answer. */
export async function pollHost(deps: OperationDeps, host: Host, before: HostReadings | undefined, options: CallOptions): Promise<PolledHost> {
  const hypervisor = deps.hosts.host(host.id);
  const [node, stats, instances] = await Promise.all([
    pollNode(hypervisor, options),
    hypervisor.domain.getAllStats(pollGroups, options).then((records) => ({ records, monotonicMs: performance.now() })),
    selectInstancesByHost(deps.db, host.id),
  ]);
  const at = deps.clock.now();
  const domains = await readDomains(stats.records, stats.monotonicMs);
  await storeSamples(deps, host, instances, { node, domains }, before, at);
  return { readings: { node, domains }, instances };
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

async function readDomains(records: readonly DomainStats[], monotonicMs: number): Promise<Map<string, InstanceReading>> {
  const readings = new Map<string, InstanceReading>();
  for (let start = 0; start < records.length; start += sliceDomains) {
    if (start > 0) await nextTurn();
    for (const record of records.slice(start, start + sliceDomains)) {
      const reading = readDomain(record, monotonicMs);
      if (reading !== undefined) readings.set(record.domain.uuid, reading);
    }
  }
  return readings;
}

async function storeSamples(deps: OperationDeps, host: Host, instances: readonly Instance[], now: HostReadings, before: HostReadings | undefined, at: number): Promise<void> {
  const samples = instances.flatMap((instance) => {
    // a domain that is not ours, or that is only arriving from another host, has no instance here
    const reading = now.domains.get(instance.id);
    return reading === undefined ? [] : [instanceSample(before?.domains.get(instance.id), reading, instance.subjectId, at)];
  });
  if (now.node !== undefined) await insertHostSamples(deps.db, [hostSample(before?.node, now.node, host.subjectId, at)]);
  await insertInstanceSamples(deps.db, samples);
}
