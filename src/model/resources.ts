// The Resource Monitor's table: what remains in the cluster, what it is worth, and how many machines there are.
import type { StoragePool } from './host.ts';
import { priceOf } from './price.ts';
import type { Settings } from './settings.ts';
import type { Size } from './size.ts';

export const resourceItems = ['vcpus', 'memory', 'disk', 'instances', 'stopped'] as const;
export type ResourceItem = (typeof resourceItems)[number];

export interface ResourceRow {
  readonly item: ResourceItem;
  readonly count: number;
  readonly unit: 'piece' | 'gb' | 'machine';
  /** what it would cost a month; null: not for sale */
  readonly subtotal: number | null;
}

export interface InstanceCounts {
  /** all that exist or are being made; failed creations are no machines */
  readonly total: number;
  readonly running: number;
  /** powered off */
  readonly stopped: number;
}

/** `remaining` as admission has it (allocation with overcommit, never below 0), so that both pages agree. */
export function resourceTable(remaining: Size, { prices }: Pick<Settings, 'prices'>, instances: InstanceCounts): ResourceRow[] {
  const price = priceOf(remaining, prices);
  return [
    { item: 'vcpus', count: remaining.vcpus, unit: 'piece', subtotal: price.vcpus },
    { item: 'memory', count: Math.floor((remaining.memoryMib / 1024) * 100) / 100, unit: 'gb', subtotal: price.memory },
    { item: 'disk', count: remaining.diskGib, unit: 'gb', subtotal: price.disk },
    { item: 'instances', count: instances.total, unit: 'machine', subtotal: null },
    { item: 'stopped', count: instances.stopped, unit: 'machine', subtotal: null },
  ];
}

export interface StorageSpace {
  readonly usedBytes: number;
  readonly totalBytes: number;
  /** of the oldest figure in it; null: nothing was measured */
  readonly sampledAt: number | null;
}

/** Network storage, measured: the shared pools, each once; in a cluster without one, all pools. */
export function storageSpace(pools: readonly StoragePool[]): StorageSpace {
  const shared = pools.filter((pool) => pool.shared);
  return spaceOf(shared.length > 0 ? shared : pools);
}

/** What lies beside the network storage, on the hosts' own disks; undefined: there is none, or nothing else. */
export function localStorageSpace(pools: readonly StoragePool[]): StorageSpace | undefined {
  const local = pools.filter((pool) => !pool.shared);
  return local.length === 0 || local.length === pools.length ? undefined : spaceOf(local);
}

function spaceOf(pools: readonly StoragePool[]): StorageSpace {
  const measured = pools.filter((pool) => pool.sampledAt !== null);
  return {
    usedBytes: measured.reduce((sum, pool) => sum + pool.capacityBytes - pool.availableBytes, 0),
    totalBytes: measured.reduce((sum, pool) => sum + pool.capacityBytes, 0),
    sampledAt: measured.length === 0 ? null : Math.min(...measured.map((pool) => pool.sampledAt ?? 0)),
  };
}
