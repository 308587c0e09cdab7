// What the page of availability shows: who is lost and what is waited for, what would fit, drills, and what has been.
import type { Drill } from '../../../model/drill.ts';
import { hostStatus, type Host, type HostStatus } from '../../../model/host.ts';
import { suspectsOwnNetwork, type Recovery } from '../../../model/recovery.ts';
import { loadNMinusOne } from '../../../operations/n-minus-1.ts';
import { selectDrills } from '../../../store/drills.ts';
import { selectHosts } from '../../../store/hosts.ts';
import { selectOpenRecoveries, selectRecoveriesPage } from '../../../store/recoveries.ts';
import type { WebDeps } from '../../deps.ts';

const shownRecoveries = 20;
const shownDrills = 10;

export interface LostHost {
  readonly host: Host;
  readonly status: HostStatus;
  readonly recovery: Recovery | null;
  /** "I have powered it off" makes sense */
  readonly confirmable: boolean;
  /** "begin its recovery" makes sense */
  readonly beginnable: boolean;
}

/** A host that does not answer, or is fenced; with its recovery, if one goes on. */
export function lostHosts(hosts: readonly Host[], recoveries: readonly Recovery[], isolated: boolean): LostHost[] {
  const lost = hosts.filter((host) => host.state === 'unreachable' || host.state === 'fenced' || recoveries.some((recovery) => recovery.hostId === host.id));
  return lost.map((host) => {
    const recovery = recoveries.find((each) => each.hostId === host.id) ?? null;
    const confirmable = recovery?.confirmedBy == null && (host.state === 'unreachable' || (host.state === 'fenced' && host.fenceProof === 'lock'));
    return { host, status: hostStatus(host), recovery, confirmable, beginnable: host.state === 'unreachable' && (recovery === null || (isolated && !recovery.forced)) };
  });
}

export async function loadState({ db, clock }: WebDeps): Promise<Readonly<Record<string, unknown>>> {
  const [hosts, open, { recoveries, total }, drills, nMinusOne] = await Promise.all([
    selectHosts(db), selectOpenRecoveries(db), selectRecoveriesPage(db, 1, shownRecoveries), selectDrills(db, shownDrills), loadNMinusOne(db, clock.now()),
  ]);
  const isolated = suspectsOwnNetwork(hosts);
  const lost = lostHosts(hosts, open, isolated);
  const busy = open.length > 0 || lost.some(({ host }) => host.state === 'unreachable') || drills.some((drill: Drill) => drill.state === 'running');
  return {
    hosts, lost, isolated, drills, nMinusOne, total, past: recoveries.filter((recovery) => recovery.endedAt !== null),
    refreshSeconds: busy ? 10 : 0, scripts: ['/js/recovery.js'],
  };
}
