// The N−1 meter: if any one host died now, what would start elsewhere and what would not fit. It only foresees; nothing is
// held back for it.
import { performance } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import { eachHostLoss, isLostHost, type HostLoss } from '../model/failover.ts';
import type { Db } from '../store/db.ts';
import { selectPlacedInstances } from '../store/instances.ts';
import { selectSettings } from '../store/settings.ts';
import { loadFleet } from './admission.ts';

export interface NMinusOne {
  /** of hosts that are not lost: no-hosts, alone (one host only), nothing (no machine is to be started elsewhere), safe, or at-risk */
  readonly verdict: 'no-hosts' | 'alone' | 'nothing' | 'safe' | 'at-risk';
  /** machines that would be started elsewhere, of all hosts */
  readonly restarts: number;
  /** the host whose death would leave most machines off; null unless at risk */
  readonly worst: HostLoss | null;
  /** by name */
  readonly losses: readonly HostLoss[];
  /** names of the hosts that are lost already: the rest is about one more */
  readonly lost: readonly string[];
  readonly enabled: boolean;
}

/** Milliseconds at a stretch. Longer: pages wait for it; shorter: it takes longer than it need. */
const turnMs = 10;

/** For include('/admin/availability/n-minus-1', { nMinusOne }). Two reads of whole tables, and CPU: of a thousand hosts two seconds. */
export async function loadNMinusOne(db: Db, now: number): Promise<NMinusOne> {
  const settings = await selectSettings(db);
  const [fleet, instances] = await Promise.all([loadFleet(db, settings, now), selectPlacedInstances(db)]);
  const lost = fleet.hosts.filter(isLostHost).map(({ name }) => name);
  const losses: HostLoss[] = [];
  let turnBegan = performance.now();
  for (const loss of eachHostLoss({ fleet, settings, instances })) {
    losses.push(loss);
    if (performance.now() - turnBegan < turnMs) continue;
    await setImmediate();
    turnBegan = performance.now();
  }
  return judge(losses, lost, settings.availability.enabled);
}

function judge(losses: readonly HostLoss[], lost: readonly string[], enabled: boolean): NMinusOne {
  const restarts = losses.reduce((sum, loss) => sum + loss.restarts, 0);
  const atRisk = losses.filter(({ unfit }) => unfit.length > 0).sort((a, b) => b.unfit.length - a.unfit.length);
  const verdict = losses.length === 0 ? 'no-hosts' : losses.length === 1 ? 'alone' : restarts === 0 ? 'nothing' : atRisk.length === 0 ? 'safe' : 'at-risk';
  return { verdict, restarts, worst: verdict === 'at-risk' ? (atRisk[0] ?? null) : null, losses, lost, enabled };
}
