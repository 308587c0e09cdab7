// Can this instance move to that host? Names everything that stands against it, and changes nothing anywhere.
import type { Sentence } from '../errors.ts';
import type { Host } from '../model/host.ts';
import type { Instance } from '../model/instance.ts';
import type { OperationDeps } from './deps.ts';

export const obstacleKinds = [
  'state', 'unreachable', 'cpu', 'machine', 'pool', 'space', 'capacity', 'memory', 'disk', 'media', 'network', 'name-taken', 'port',
] as const;
export type ObstacleKind = (typeof obstacleKinds)[number];

export interface Obstacle {
  readonly kind: ObstacleKind;
  readonly sentence: Sentence;
}

export interface MigrationCheck {
  /** empty: it can move */
  readonly obstacles: readonly Obstacle[];
  /** its disk would be copied along, because the pool is not shared with the target */
  readonly withDisk: boolean;
  /** it runs, and would go on running; false: it is powered off */
  readonly live: boolean;
}

export type CheckMove = (deps: OperationDeps, instance: Instance, toHost: Host) => Promise<MigrationCheck>;
