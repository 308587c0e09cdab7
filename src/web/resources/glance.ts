// The cluster at a glance, for the top page: a few numbers that give nobody away.
import type { Gate } from '../../model/admission.ts';
import type { Size } from '../../model/size.ts';
import { loadResources } from '../../operations/cluster.ts';
import type { Db } from '../../store/db.ts';
import { selectGate } from '../../store/gate.ts';

export interface ClusterGlance {
  readonly hostsUp: number;
  readonly hostsTotal: number;
  readonly instancesRunning: number;
  readonly instancesTotal: number;
  /** what remains for new instances */
  readonly remaining: Size;
  readonly gate: Gate;
}

export async function clusterGlance(db: Db): Promise<ClusterGlance> {
  const [{ hosts, remaining, instances }, gate] = await Promise.all([loadResources(db), selectGate(db)]);
  return {
    hostsUp: hosts.up,
    hostsTotal: hosts.total,
    instancesRunning: instances.running,
    instancesTotal: instances.total,
    remaining,
    gate,
  };
}
