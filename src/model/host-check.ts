// What the last look at a host found beside its facts.
import type { Sentence } from '../errors.ts';

export interface HostCheckRecord {
  readonly at: number;
  readonly networks: readonly FoundNetwork[];
  /** null: not measured */
  readonly clock: ClockReading | null;
  /** the worst first */
  readonly warnings: readonly HostWarning[];
}

/** Something that is wrong with a host, with what to do about it. */
export interface HostWarning {
  readonly kind: string;
  readonly sentence: Sentence;
  readonly fix: Sentence;
}

export interface FoundNetwork {
  readonly name: string;
  readonly active: boolean;
  /** 'nat', 'bridge', … */
  readonly mode: string;
  readonly bridge: string | null;
  /** the host has no such bridge, and libvirt will not make it; null: its libvirt cannot tell */
  readonly bridgeMissing: boolean | null;
}

export interface ClockReading {
  /** the host's clock minus the portal's, milliseconds */
  readonly aheadMs: number;
  /** half the time the question took: the truth lies within */
  readonly errorMs: number;
}
