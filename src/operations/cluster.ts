// The cluster as a whole: the load that the thresholds look at, and what the Resource Monitor is made from.
import type { ClusterLoad, Fleet } from '../model/admission.ts';
import type { InstanceState } from '../model/instance.ts';
import { clusterLoad } from '../model/metrics.ts';
import type { InstanceCounts } from '../model/resources.ts';
import type { Settings } from '../model/settings.ts';
import type { Db } from '../store/db.ts';
import { selectHostPools, selectHosts } from '../store/hosts.ts';
import { countInstancesByState } from '../store/instances.ts';
import { selectHostMeans, selectPoolMeans } from '../store/samples.ts';
import { selectSettings } from '../store/settings.ts';
import { selectPools } from '../store/storage-pools.ts';
import { loadFleet } from './admission.ts';

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
  readonly fleet: Fleet;
  readonly settings: Settings;
  readonly instances: InstanceCounts;
}

/** What resourceTable() is made from, for the page and the API. */
export async function loadResources(db: Db, now: number): Promise<Resources> {
  const settings = await selectSettings(db);
  const [fleet, byState] = await Promise.all([loadFleet(db, settings, now), countInstancesByState(db)]);
  return { fleet, settings, instances: instanceCounts(byState) };
}
