// Which charts there are, and of what each is made. Names of charts and series are keys of the catalogue (locales/charts.ts).
import type { MetricName, MetricUnit } from '../../model/metric.ts';
import type { DeviceColumn } from '../../store/sample-tiers.ts';

export interface ChartDefinition {
  /** names it in addresses: of one subject's charts each once */
  readonly key: string;
  readonly unit: MetricUnit;
  /** one upon the other */
  readonly stacked?: readonly MetricName[];
  readonly lines: readonly MetricName[];
  /** the scale ends at the whole: 100 %, or the memory there is */
  readonly whole?: true;
  /** of a single disk or interface, in the order of `lines`; without: the history of single devices does not have it */
  readonly device?: { readonly kind: 'disk' | 'interface'; readonly columns: readonly DeviceColumn[] };
}

export const instanceCharts: readonly ChartDefinition[] = [
  { key: 'cpu', unit: 'percent', lines: ['instance.cpu'], whole: true },
  { key: 'memory', unit: 'mib', lines: ['instance.memory-used', 'instance.memory-available'], whole: true },
  { key: 'disk', unit: 'bytes-per-second', lines: ['instance.disk-read', 'instance.disk-write'], device: { kind: 'disk', columns: ['read_bps', 'write_bps'] } },
  { key: 'network', unit: 'bytes-per-second', lines: ['instance.network-receive', 'instance.network-transmit'], device: { kind: 'interface', columns: ['read_bps', 'write_bps'] } },
  { key: 'disk-ops', unit: 'per-second', lines: ['instance.disk-read-ops', 'instance.disk-write-ops'], device: { kind: 'disk', columns: ['read_ops', 'write_ops'] } },
  { key: 'packets', unit: 'per-second', lines: ['instance.network-receive-packets', 'instance.network-transmit-packets'], device: { kind: 'interface', columns: ['read_ops', 'write_ops'] } },
  { key: 'allocation', unit: 'mib', lines: ['instance.disk-allocation'], device: { kind: 'disk', columns: ['allocation_mib'] } },
  { key: 'drops', unit: 'per-second', lines: ['instance.network-drops'], device: { kind: 'interface', columns: ['drops_ps'] } },
];

/** What the page of an instance shows of them: the rest is one link away. */
export const instanceSummary: readonly ChartDefinition[] = instanceCharts.slice(0, 4);

const hostCpu: ChartDefinition = { key: 'cpu', unit: 'percent', stacked: ['host.cpu-user', 'host.cpu-system', 'host.cpu-iowait'], lines: ['host.cpu'], whole: true };
const hostMemory: ChartDefinition = { key: 'memory', unit: 'mib', lines: ['host.memory-used', 'host.memory-cached', 'host.memory-total'], whole: true };
const hostUp: ChartDefinition = { key: 'up', unit: 'share', lines: ['host.up'], whole: true };

/** libvirt tells neither steal nor swap of a host: no empty chart is shown for these. */
export const hostCharts: readonly ChartDefinition[] = [hostCpu, hostMemory, hostUp];

/** The machine that a portal runs on is asked directly, and tells these too. */
export const portalCharts: readonly ChartDefinition[] = [
  { ...hostCpu, stacked: ['host.cpu-user', 'host.cpu-system', 'host.cpu-iowait', 'host.cpu-steal'] }, hostMemory,
  { key: 'swap', unit: 'mib', lines: ['host.swap-used'] },
];

/** All hosts together. */
export const clusterCharts: readonly ChartDefinition[] = [
  { key: 'cpu', unit: 'percent', lines: ['host.cpu'], whole: true },
  { key: 'memory', unit: 'mib', lines: ['host.memory-used', 'host.memory-total'], whole: true },
  { key: 'storage', unit: 'mib', lines: ['pool.used', 'pool.capacity'], whole: true },
];

/** By what hosts are compared: one of these at a time, a line a host. */
export const compared = ['host.cpu', 'host.memory-used', 'host.memory-cached', 'host.cpu-iowait', 'host.up'] as const satisfies readonly MetricName[];
