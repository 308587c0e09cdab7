// What the last look at a host found beside its facts.
import type { Sentence } from '../errors.ts';

/** An admin is told this long before a certificate ends: time to have one signed. */
export const certificateWarningMs = 30 * 86_400_000;

/** Until when a certificate of a host's TLS connection is valid: the host's, the portal's, or of those that signed the host's the first to end. */
export interface CertificateEnd {
  readonly of: 'host' | 'portal' | 'authority';
  /** milliseconds UTC: X.509's notAfter */
  readonly notAfter: number;
}

/** YYYY-MM-DD, UTC. */
export const lastDay = ({ notAfter }: CertificateEnd): string => new Date(notAfter).toISOString().slice(0, 10);

/** undefined: there are none. */
export function firstToEnd(ends: readonly CertificateEnd[]): CertificateEnd | undefined {
  return [...ends].sort((a, b) => a.notAfter - b.notAfter)[0];
}

export interface HostCheckRecord {
  readonly at: number;
  readonly networks: readonly FoundNetwork[];
  /** null: not measured */
  readonly clock: ClockReading | null;
  /** of its TLS connection; none where there is no TLS */
  readonly certificates: readonly CertificateEnd[];
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
