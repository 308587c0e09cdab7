// Figures of the single instances. Their number is the only one in the export that has no bound: METRICS_INSTANCES=no leaves
// them out. What an instance is called and where it is stands once, in cloud_instance_info; the rest joins by its id.
import { setImmediate } from 'node:timers/promises';
import type { InstanceSample } from '../../model/metrics.ts';
import { selectInstanceFigures, type InstanceFigures } from '../../store/figures.ts';
import { selectHostNames } from '../../store/hosts.ts';
import { selectLatestInstanceSamples } from '../../store/samples.ts';
import type { WebDeps } from '../deps.ts';
import { each, gauge, labelsOf, type Family, type Sample } from './exposition.ts';

const mib = 2 ** 20;
const gib = 2 ** 30;
/** Rows read at once. */
const batch = 1000;
/** Reads at the same time. More would keep the pool's connections from people. */
const together = 3;

interface Row { readonly labels: string; readonly instance: InstanceFigures; readonly sample: InstanceSample | undefined }

export async function instanceFamilies({ db, clock, config }: Pick<WebDeps, 'db' | 'clock' | 'config'>): Promise<Family[]> {
  const now = clock.now();
  const hosts = new Map((await selectHostNames(db)).map((host) => [host.id, host.name]));
  const pages: InstanceFigures[][] = [];
  for (let last: string | undefined = ''; last !== undefined;) {
    const page: InstanceFigures[] = await selectInstanceFigures(db, last, batch);
    pages.push(page);
    last = page.length < batch ? undefined : page.at(-1)?.id;
  }
  const rows: Row[] = [];
  // some at a time: while the database reads the one the other is taken apart here
  for (let first = 0; first < pages.length; first += together) {
    const read = await Promise.all(pages.slice(first, first + together).map(async (page) => ({ page, samples: await latestSamples(db, page.map(({ subjectId }) => subjectId), now, config.pollIntervalMs) })));
    for (const { page, samples } of read) for (const instance of page) rows.push({ labels: labelsOf({ instance_id: instance.id }), instance, sample: samples.get(instance.subjectId) });
    await setImmediate();
  }
  return familiesOf(rows, hosts);
}

/** Nearly all are of the last tick; the older ones are looked for only where that one has none. */
async function latestSamples(db: WebDeps['db'], subjectIds: readonly number[], now: number, pollIntervalMs: number): Promise<Map<number, InstanceSample>> {
  const latest = await selectLatestInstanceSamples(db, subjectIds, now, pollIntervalMs);
  const missing = subjectIds.filter((id) => !latest.has(id));
  const older = await selectLatestInstanceSamples(db, missing, now, 2.5 * pollIntervalMs);
  for (const [id, sample] of older) latest.set(id, sample);
  return latest;
}

function familiesOf(rows: readonly Row[], hosts: ReadonlyMap<string, string>): Family[] {
  const sampled = rows.filter((row): row is Row & { readonly sample: InstanceSample } => row.sample !== undefined);
  const known = (value: (instance: InstanceFigures) => number): Iterable<Sample> => each(rows, ({ labels, instance }) => [labels, value(instance)]);
  const measured = (value: (sample: InstanceSample) => number | null, factor = 1): Iterable<Sample> => each(sampled, ({ labels, sample }) => {
    const figure = value(sample);
    return [labels, figure === null ? null : figure * factor];
  });
  const info = each(rows, ({ instance: { id, name, userName, hostId, state } }): Sample => [labelsOf({ instance_id: id, name, user: userName, host: hosts.get(hostId ?? '') ?? '', state }), 1]);
  return [
    gauge('cloud_instance_info', 'What a machine is called, whose it is, where it is and in which state.', info),
    gauge('cloud_instance_vcpus', 'vCPUs of a machine.', known((instance) => instance.vcpus)),
    gauge('cloud_instance_memory_bytes', 'Memory of a machine.', known((instance) => instance.memoryMib * mib)),
    gauge('cloud_instance_disk_bytes', 'Size of a machine’s disk.', known((instance) => instance.diskGib * gib)),
    gauge('cloud_instance_cpu_usage_ratio', 'CPU in use, of the vCPUs that a machine has.', measured((sample) => sample.cpuPercent, 0.01)),
    gauge('cloud_instance_memory_used_bytes', 'Memory in use in the guest, as its balloon driver says.', measured((sample) => sample.memoryUsedMib, mib)),
    gauge('cloud_instance_memory_available_bytes', 'Memory that the guest could still take.', measured((sample) => sample.memoryAvailableMib, mib)),
    gauge('cloud_instance_disk_read_bytes_per_second', 'Read from a machine’s disks.', measured((sample) => sample.diskReadBytesPerSecond)),
    gauge('cloud_instance_disk_written_bytes_per_second', 'Written to a machine’s disks.', measured((sample) => sample.diskWriteBytesPerSecond)),
    gauge('cloud_instance_disk_reads_per_second', 'Read operations of a machine’s disks.', measured((sample) => sample.diskReadOpsPerSecond)),
    gauge('cloud_instance_disk_writes_per_second', 'Write operations of a machine’s disks.', measured((sample) => sample.diskWriteOpsPerSecond)),
    gauge('cloud_instance_disk_allocated_bytes', 'What a machine’s disks take in their pool.', measured((sample) => sample.diskAllocationMib, mib)),
    gauge('cloud_instance_network_received_bytes_per_second', 'Received by a machine.', measured((sample) => sample.networkReceiveBytesPerSecond)),
    gauge('cloud_instance_network_transmitted_bytes_per_second', 'Sent by a machine.', measured((sample) => sample.networkTransmitBytesPerSecond)),
    gauge('cloud_instance_network_received_packets_per_second', 'Packets received by a machine.', measured((sample) => sample.networkReceivePacketsPerSecond)),
    gauge('cloud_instance_network_transmitted_packets_per_second', 'Packets sent by a machine.', measured((sample) => sample.networkTransmitPacketsPerSecond)),
    gauge('cloud_instance_network_dropped_packets_per_second', 'Packets of a machine that were dropped, both ways.', measured((sample) => sample.networkDropsPerSecond)),
  ];
}
