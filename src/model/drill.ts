// Rehearsing the loss of a host: on paper, or by really switching one off.
import type { Sentence } from '../errors.ts';
import type { Unfit } from './recovery.ts';

export const drillModes = ['simulation', 'real'] as const;
export type DrillMode = (typeof drillModes)[number];
export const drillStates = ['running', 'done', 'failed'] as const;
export type DrillState = (typeof drillStates)[number];

export interface DrillReport {
  /** instances that would be, or were, started elsewhere: name → host */
  readonly restarts: readonly { readonly name: string; readonly host: string }[];
  readonly restartsInAll: number;
  /** without high availability: powered off until the host is back */
  readonly stopped: number;
  readonly unfit: readonly Unfit[];
  readonly unfitInAll: number;
  /** real drills, ms UTC; absent: not reached */
  readonly offAt?: number;
  readonly noticedAt?: number;
  readonly provenAt?: number;
  readonly restartedAt?: number;
  readonly onAt?: number;
  readonly backAt?: number;
  readonly failure?: Sentence;
}

export interface Drill {
  /** of a real one also the id of its operation */
  readonly id: string;
  readonly hostId: string;
  readonly hostName: string;
  readonly mode: DrillMode;
  readonly state: DrillState;
  readonly userId: string | null;
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly report: DrillReport;
}

export const emptyDrillReport: DrillReport = { restarts: [], restartsInAll: 0, stopped: 0, unfit: [], unfitInAll: 0 };
