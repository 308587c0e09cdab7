// The cluster as a whole: the load that the thresholds look at, and what the Resource Monitor is made from.
import type { ClusterLoad } from '../model/admission.ts';
import { remainingIn } from '../model/capacity.ts';
import type { StoragePool } from '../model/host.ts';
import type { InstanceState } from '../model/instance.ts';
import { clusterLoad } from '../model/metrics.ts';
import type { InstanceCounts } from '../model/resources.ts';
import type { Settings } from '../model/settings.ts';
import type { Size } from '../model/size.ts';
import type { Db } from '../store/db.ts';
import { selectHostPools, selectHosts, selectHostShares, selectReachablePoolIds } from '../store/hosts.ts';
import { countInstancesByState } from '../store/instances.ts';
import { selectHostMeans, selectPoolMeans } from '../store/samples.ts';
import { selectSettings } from '../store/settings.ts';
import { selectPools } from '../store/storage-pools.ts';

/**
 * Measured load over the thresholds' window: of the hosts that may take instances, and of the pools they have. A host
 * that an admin took out of service weighs nothing, because nothing new would go there. `coveredMs` is how much of the
 * window has samples: a mean over the first seconds after a start says little.
 */
export async function loadClusterLoad(db: Db, settings: Settings, now: number): Promise<ClusterLoad & { readonly coveredMs: number }> {
  const [hosts, pools, hostPools] = await Promise.all([selectHosts(db), selectPools(db), selectHostPools(db)]);
  const enabled = hosts.filter((host) => host.wish === 'enabled');
  const reachable = new Set(enabled.flatMap((host) => [...(hostPools.get(host.id) ?? [])]));
  const from = now - settings.thresholds.windowSeconds * 1000;
  const [hostMeans, poolMeans] = await Promise.all([
    selectHostMeans(db, enabled.map((host) => host.subjectId), from, now),
    selectPoolMeans(db, pools.filter((pool) => reachable.has(pool.id)).map((pool) => pool.subjectId), from, now),
  ]);
  const measured = enabled.flatMap((host) => {
    const means = hostMeans.get(host.subjectId);
    return means === undefined ? [] : [{ cpus: host.cpus, ...means }];
  });
  const firstAt = Math.min(now, ...[...hostMeans.values()].map((means) => means.firstAt));
  return { ...clusterLoad(measured, [...poolMeans.values()]), coveredMs: now - firstAt };
}

export function instanceCounts(byState: Readonly<Record<InstanceState, number>>): InstanceCounts {
  const all = Object.values(byState).reduce((sum, count) => sum + count, 0);
  return { total: all - byState.failed, running: byState.running + byState.paused, stopped: byState.stopped };
}

export interface Resources {
  readonly hosts: { readonly up: number; readonly total: number };
  /** what may still be promised to new instances */
  readonly remaining: Size;
  readonly pools: readonly StoragePool[];
  readonly settings: Settings;
  readonly instances: InstanceCounts;
}

/** The cluster's sums, for pages that everybody opens: of hosts only what sums are made from, of instances only how many there are. */
export async function loadResources(db: Db): Promise<Resources> {
  const [settings, hosts, pools, reachable, byState] = await Promise.all([selectSettings(db), selectHostShares(db), selectPools(db), selectReachablePoolIds(db), countInstancesByState(db)]);
  return {
    hosts: { up: hosts.filter(({ state }) => state === 'up').length, total: hosts.length },
    remaining: remainingIn(hosts, pools.filter(({ id }) => reachable.has(id)), settings),
    pools, settings, instances: instanceCounts(byState),
  };
}
