// What one tick says of the cluster as a whole: its samples, and who takes most of what.
import type { Host, StoragePool } from '../model/host.ts';
import { clusterSample, type HostSample } from '../model/metrics.ts';
import { TopList, topHosts, topInstances, topMeasures, type TopLists, type TopMeasure } from '../model/top-list.ts';
import { upsertSnapshots } from '../store/snapshots.ts';
import type { CollectDeps } from './collect-metrics.ts';
import type { PolledHost } from './poll-host.ts';
import type { SampleWriter } from './sample-writer.ts';

/** Past that a pool's figures are not those of now: it is left out of the sum until it answers again. */
const poolMaxAgeMs = 600_000;

type Value = readonly [value: number | null, at: number];

export class TickSummary {
  readonly #hosts: { readonly cpus: number; readonly sample: HostSample }[] = [];
  readonly #top = { instances: createLists(), hosts: createLists() };

  add(host: Host, { sample, instances }: PolledHost): void {
    this.#hosts.push({ cpus: host.cpus, sample });
    const [disk, network] = [new Sum(), new Sum()];
    for (const { instance, sample: one } of instances) {
      const detailAt = one.detailAt ?? one.at;
      const values: Record<TopMeasure, Value> = {
        cpu: [one.cpuPercent, one.at],
        memory: [one.memoryUsedMib, detailAt],
        disk: [plus(one.diskReadBytesPerSecond, one.diskWriteBytesPerSecond), detailAt],
        network: [plus(one.networkReceiveBytesPerSecond, one.networkTransmitBytesPerSecond), one.at],
      };
      addTo(this.#top.instances, instance.id, values);
      disk.add(values.disk);
      network.add(values.network);
    }
    const memory = sample.memoryUsedMib === null || !sample.memoryTotalMib ? null : (100 * sample.memoryUsedMib) / sample.memoryTotalMib;
    addTo(this.#top.hosts, host.id, { cpu: [sample.cpuPercent, sample.at], memory: [memory, sample.at], disk: disk.value, network: network.value });
  }

  /** `subjectId` is the cluster's. */
  async write({ db, clock }: CollectDeps, writer: SampleWriter, pools: readonly StoragePool[], subjectId: number): Promise<void> {
    const at = clock.now();
    writer.hosts.add([clusterSample(this.#hosts, subjectId, at)]);
    // what hosts have for themselves counts where nothing is shared
    const shared = pools.some((pool) => pool.shared) ? pools.filter((pool) => pool.shared) : pools;
    const told = shared.filter((pool) => pool.sampledAt !== null && at - pool.sampledAt <= poolMaxAgeMs);
    const sum = (key: 'capacityBytes' | 'availableBytes'): number => told.reduce((total, pool) => total + pool[key], 0);
    if (told.length > 0) writer.pools.add([{ subjectId, at, capacityBytes: sum('capacityBytes'), availableBytes: sum('availableBytes') }]);
    await upsertSnapshots(db, [[topInstances, entriesOf(this.#top.instances)], [topHosts, entriesOf(this.#top.hosts)]], at);
  }
}

/** As old as the oldest value in it. */
class Sum {
  value: Value = [null, Number.POSITIVE_INFINITY];

  add([value, at]: Value): void {
    if (value !== null) this.value = [(this.value[0] ?? 0) + value, Math.min(this.value[1], at)];
  }
}

function plus(a: number | null, b: number | null): number | null {
  return a === null && b === null ? null : (a ?? 0) + (b ?? 0);
}

function createLists(): Record<TopMeasure, TopList> {
  return { cpu: new TopList(), memory: new TopList(), disk: new TopList(), network: new TopList() };
}

function addTo(lists: Record<TopMeasure, TopList>, id: string, values: Record<TopMeasure, Value>): void {
  for (const measure of topMeasures) lists[measure].add(id, ...values[measure]);
}

function entriesOf(lists: Record<TopMeasure, TopList>): TopLists {
  const entries = (measure: TopMeasure) => lists[measure].entries.map((entry) => ({ ...entry, value: Number(entry.value.toPrecision(4)) }));
  return { cpu: entries('cpu'), memory: entries('memory'), disk: entries('disk'), network: entries('network') };
}
