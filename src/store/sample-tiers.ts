// Where measured values are kept, and how long: the rings of samples (the finest tier), then packed chunks of minutes
// (table sample_hours) and of quarters of an hour (sample_days), written once when their time is over.
import { metrics, type MetricName } from '../model/metric.ts';
import { deviceNumbers } from '../model/metrics.ts';

/** Columns of a ring that make one metric. */
export interface RingColumn {
  readonly table: 'host_samples' | 'instance_samples' | 'pool_samples' | 'device_samples';
  /** SQL of the value */
  readonly value: string;
}

const host = (value: string): RingColumn => ({ table: 'host_samples', value });
const instance = (value: string): RingColumn => ({ table: 'instance_samples', value });
const pool = (value: string): RingColumn => ({ table: 'pool_samples', value });

export const ringColumns = {
  'host.cpu': host('cpu_percent'),
  'host.cpu-user': host('cpu_user_percent'),
  'host.cpu-system': host('cpu_system_percent'),
  'host.cpu-iowait': host('cpu_iowait_percent'),
  'host.cpu-steal': host('cpu_steal_percent'),
  'host.memory-used': host('memory_used_mib'),
  'host.memory-total': host('memory_total_mib'),
  'host.memory-cached': host('memory_cached_mib'),
  'host.swap-used': host('swap_used_mib'),
  'host.up': host('up'),
  'instance.cpu': instance('cpu_percent'),
  'instance.memory-used': instance('memory_used_mib'),
  'instance.memory-available': instance('memory_available_mib'),
  'instance.disk-read': instance('disk_read_bps'),
  'instance.disk-write': instance('disk_write_bps'),
  'instance.disk-read-ops': instance('disk_read_ops'),
  'instance.disk-write-ops': instance('disk_write_ops'),
  'instance.disk-allocation': instance('disk_allocation_mib'),
  'instance.network-receive': instance('network_receive_bps'),
  'instance.network-transmit': instance('network_transmit_bps'),
  'instance.network-receive-packets': instance('network_receive_pps'),
  'instance.network-transmit-packets': instance('network_transmit_pps'),
  'instance.network-drops': instance('network_drops_ps'),
  'pool.used': pool('(capacity_bytes - available_bytes) / 1048576e0'),
  'pool.capacity': pool('capacity_bytes / 1048576e0'),
} as const satisfies Record<MetricName, RingColumn>;

/** What is measured of each disk and network interface; of an interface read is receive and operations are packets. */
export const deviceColumns = ['read_bps', 'write_bps', 'read_ops', 'write_ops', 'drops_ps', 'allocation_mib'] as const;
export type DeviceColumn = (typeof deviceColumns)[number];

/** The number of a device's metric in the longer tiers. */
export function deviceMetricId(device: number, column: DeviceColumn): number {
  return 1000 + device * 16 + deviceColumns.indexOf(column);
}

const totals: { readonly [K in DeviceColumn]: { readonly disk?: MetricName; readonly interface?: MetricName } } = {
  read_bps: { disk: 'instance.disk-read', interface: 'instance.network-receive' },
  write_bps: { disk: 'instance.disk-write', interface: 'instance.network-transmit' },
  read_ops: { disk: 'instance.disk-read-ops', interface: 'instance.network-receive-packets' },
  write_ops: { disk: 'instance.disk-write-ops', interface: 'instance.network-transmit-packets' },
  drops_ps: { interface: 'instance.network-drops' },
  allocation_mib: { disk: 'instance.disk-allocation' },
};

/**
 * The metrics whose chunks may hold a device's history, the better first. Only devices that have others of their kind beside
 * them have chunks of their own; where the first one has none it was alone, and the instance's total is it.
 */
export function deviceMetricIds(device: number, column: DeviceColumn): number[] {
  const own = deviceMetricId(device, column);
  const total = device === 0 ? totals[column].disk : device === deviceNumbers.interface ? totals[column].interface : undefined;
  return total === undefined ? [own] : [own, metrics[total].id];
}
