// What is measured, by name. Each has a number that stands in the database with its history: a number is never used again
// for something else. Rings keep a column a metric, the longer tiers a row a metric and chunk (store/series.ts).

export type MetricUnit = 'percent' | 'mib' | 'bytes-per-second' | 'per-second' | 'share';
export type SubjectKind = 'host' | 'instance' | 'pool';

export interface Metric {
  readonly id: number;
  /** a host's are also those of the cluster as a whole and of the portal's own machine */
  readonly kind: SubjectKind;
  readonly unit: MetricUnit;
}

export const metrics = {
  'host.cpu': { id: 1, kind: 'host', unit: 'percent' },
  'host.cpu-user': { id: 2, kind: 'host', unit: 'percent' },
  'host.cpu-system': { id: 3, kind: 'host', unit: 'percent' },
  'host.cpu-iowait': { id: 4, kind: 'host', unit: 'percent' },
  'host.cpu-steal': { id: 5, kind: 'host', unit: 'percent' },
  'host.memory-used': { id: 6, kind: 'host', unit: 'mib' },
  'host.memory-total': { id: 7, kind: 'host', unit: 'mib' },
  'host.memory-cached': { id: 8, kind: 'host', unit: 'mib' },
  'host.swap-used': { id: 9, kind: 'host', unit: 'mib' },
  /** 1 answered, 0 did not: its mean is the share of the time in which it was there */
  'host.up': { id: 10, kind: 'host', unit: 'share' },
  'instance.cpu': { id: 32, kind: 'instance', unit: 'percent' },
  'instance.memory-used': { id: 33, kind: 'instance', unit: 'mib' },
  'instance.memory-available': { id: 34, kind: 'instance', unit: 'mib' },
  'instance.disk-read': { id: 35, kind: 'instance', unit: 'bytes-per-second' },
  'instance.disk-write': { id: 36, kind: 'instance', unit: 'bytes-per-second' },
  'instance.disk-read-ops': { id: 37, kind: 'instance', unit: 'per-second' },
  'instance.disk-write-ops': { id: 38, kind: 'instance', unit: 'per-second' },
  'instance.disk-allocation': { id: 39, kind: 'instance', unit: 'mib' },
  'instance.network-receive': { id: 40, kind: 'instance', unit: 'bytes-per-second' },
  'instance.network-transmit': { id: 41, kind: 'instance', unit: 'bytes-per-second' },
  'instance.network-receive-packets': { id: 42, kind: 'instance', unit: 'per-second' },
  'instance.network-transmit-packets': { id: 43, kind: 'instance', unit: 'per-second' },
  'instance.network-drops': { id: 44, kind: 'instance', unit: 'per-second' },
  'pool.used': { id: 64, kind: 'pool', unit: 'mib' },
  'pool.capacity': { id: 65, kind: 'pool', unit: 'mib' },
} as const satisfies Record<string, Metric>;

export type MetricName = keyof typeof metrics;

/** Owner of the samples of the cluster as a whole, in the rings of hosts and pools. */
export const clusterOwnerId = '00000000-0000-0000-0000-000000000001';
