// May this be created now? One pure function for wizard, API, placement and audit.
import type { Sentence } from '../errors.ts';
import type { Host, StoragePool } from './host.ts';
import type { Settings } from './settings.ts';
import type { Size } from './size.ts';
import type { Quota, Usage } from './user.ts';

/** Load as measured over the window of the thresholds; null: no samples. The worst of the hosts is not taken: it is the cluster's. */
export interface ClusterLoad {
  readonly cpuPercent: number | null;
  readonly memoryPercent: number | null;
  readonly storagePercent: number | null;
}

/** The gate's own memory (hysteresis): closed until the load falls to the lower bound. */
export interface Gate {
  readonly closed: boolean;
  readonly since: number;
  readonly reasons: readonly Sentence[];
}

export interface Fleet {
  readonly hosts: readonly Host[];
  readonly pools: readonly StoragePool[];
  /** hostId → ids of the pools it has */
  readonly hostPools: ReadonlyMap<string, ReadonlySet<string>>;
  /** hostId → mean CPU % over the last minutes; absent: not measured */
  readonly hostCpuPercent: ReadonlyMap<string, number>;
}

export interface AdmissionInput {
  readonly request: Size & { readonly poolId: string; readonly minDiskGib: number; readonly minMemoryMib: number };
  readonly usage: Usage;
  readonly quota: Quota;
  readonly fleet: Fleet;
  readonly settings: Settings;
  readonly gate: Gate;
  /** milliseconds between polls: when the verdict is worth asking again */
  readonly pollIntervalMs: number;
  readonly now: number;
}

export interface HostScore {
  readonly hostId: string;
  readonly hostName: string;
  /** higher is better; null when refused */
  readonly score: number | null;
  readonly reasons: readonly Sentence[];
}

export interface Placement {
  readonly hostId: string;
  readonly hostName: string;
  /** every host considered, best first */
  readonly considered: readonly HostScore[];
}

export type AdmissionRefusalKind = 'invalid' | 'quota-exceeded' | 'no-capacity' | 'gate-closed';

export interface Verdict {
  readonly allowed: boolean;
  /** what stands against it, most useful first; empty when allowed */
  readonly reasons: readonly { readonly kind: AdmissionRefusalKind; readonly field: keyof Size | 'instances' | null; readonly sentence: Sentence }[];
  /** per field the largest value that could be created now with the other fields as asked; 0: none */
  readonly largest: Size;
  readonly placement: Placement | null;
  /** what remains for new instances in the whole cluster (allocation, with overcommit, never below 0) */
  readonly remaining: Size;
  /** when the verdict is computed again at the latest, ms UTC */
  readonly checkAgainAt: number;
}
