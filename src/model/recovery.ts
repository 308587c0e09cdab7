// What happens after a host was lost: noticed → proven to run nothing → its instances run again. And when not to believe
// our own eyes: many hosts lost at once are rather one broken network of ours.
import type { Sentence } from '../errors.ts';
import type { FenceProof, Host } from './host.ts';

/**
 * confirming: it is asked once more · proving: its fence agent is asked to switch it off · waiting: for a person, for its
 * return, or for the locks of its disks · restarting: its instances start on other hosts · done · returned: it was back
 * before anything was done · failed: given up, and begun anew while the host is away
 */
export const recoveryStates = ['confirming', 'proving', 'waiting', 'restarting', 'done', 'returned', 'failed'] as const;
export type RecoveryState = (typeof recoveryStates)[number];

/** One instance that cannot run anywhere now. */
export interface Unfit {
  readonly instanceId: string;
  readonly name: string;
  readonly reason: Sentence;
}

export interface RecoveryReport {
  /** instances that were to be started elsewhere */
  readonly owed: number;
  readonly restarted: number;
  /** without high availability: recorded as powered off */
  readonly stopped: number;
  /** those that do not fit anywhere, the first of them by name */
  readonly unfit: readonly Unfit[];
  readonly unfitInAll: number;
}

export const emptyReport: RecoveryReport = { owed: 0, restarted: 0, stopped: 0, unfit: [], unfitInAll: 0 };

export interface Recovery {
  /** also the id of its operation */
  readonly id: string;
  readonly hostId: string;
  readonly hostName: string;
  readonly state: RecoveryState;
  readonly drill: boolean;
  /** who asked for it; null: the system */
  readonly userId: string | null;
  /** an admin said that it is the host and not our network */
  readonly forced: boolean;
  /** the admin who said that it has no power */
  readonly confirmedBy: string | null;
  readonly waitsFor: Sentence | null;
  /** the last good contact */
  readonly seenAt: number | null;
  /** when it was recorded as unreachable */
  readonly noticedAt: number;
  readonly provenAt: number | null;
  readonly proof: FenceProof | null;
  /** when the fence agent was asked last */
  readonly fenceTriedAt: number | null;
  readonly alertedAt: number | null;
  /** when all that fitted ran again */
  readonly restartedAt: number | null;
  readonly endedAt: number | null;
  readonly report: RecoveryReport;
}

/** Hosts lost within so long of each other were lost at once, milliseconds. */
const atOnceMs = 300_000;

type Seen = Pick<Host, 'id' | 'state' | 'stateSince' | 'wish'>;

/**
 * Most hosts lost at once: then our own network is the likelier cause, and fencing would take down a cloud that works.
 * Hosts that are known to be off, out of service, or away since long ago say nothing about our network.
 */
export function suspectsOwnNetwork(hosts: readonly Seen[]): boolean {
  const inUse = hosts.filter((host) => host.state === 'up' || (host.state === 'unreachable' && host.wish !== 'disabled'));
  const last = Math.max(...inUse.filter((host) => host.state === 'unreachable').map((host) => host.stateSince));
  const considered = inUse.filter((host) => host.state === 'up' || last - host.stateSince <= atOnceMs);
  const lost = considered.filter((host) => host.state === 'unreachable').length;
  if (lost === 0) return false;
  return lost === considered.length || (considered.length >= 3 && lost > considered.length / 2);
}

/** Those that have been away for longer than the grace, and are to be recovered. Never any while our own network is in doubt. */
export function hostsToRecover<H extends Seen>(hosts: readonly H[], graceSeconds: number, now: number): H[] {
  if (suspectsOwnNetwork(hosts)) return [];
  return hosts.filter((host) => host.state === 'unreachable' && now - host.stateSince >= graceSeconds * 1000);
}
