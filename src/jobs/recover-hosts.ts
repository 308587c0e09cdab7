// Sees to hosts that have been lost for longer than the grace, and to instances that are still owed a restart. It only
// submits: several portals, or the same one again, find the recovery that goes on already.
import { say } from '../errors.ts';
import { hostsToRecover, suspectsOwnNetwork } from '../model/recovery.ts';
import type { OperationDeps } from '../operations/deps.ts';
import { submitHostRecover } from '../operations/host-recover.ts';
import type { Host } from '../model/host.ts';
import { selectHosts } from '../store/hosts.ts';
import { selectPortalsUpSince } from '../store/portals.ts';
import { selectHostsOwingRestarts, selectInhabitedHostIds, selectOpenRecoveries, selectRecoveriesByHost } from '../store/recoveries.ts';
import { selectSettings } from '../store/settings.ts';

/**
 * Before the next recovery of the same host, milliseconds: after one that failed by a fault of ours, and after one that the
 * host answered, because whoever watches it finds that out a little later.
 */
const afterFailureMs = 60_000;
const afterReturnMs = 15_000;

/**
 * A host that no portal has seen since the first of them started may be starting too: after a power failure some servers take
 * minutes, and one whose fence agent switches it off while it boots stays off. Milliseconds. Longer: what ran on a host that died
 * while no portal was there waits so long for its restart. Shorter: hosts that are slow to start are switched off.
 */
const bootMs = 300_000;

/** The run of the job; it remembers whether the admins were told that our own network is in doubt. */
export function createRecoverHosts(deps: OperationDeps): () => Promise<void> {
  let toldOfIsolation = false;

  return async () => {
    const { db, clock } = deps;
    const { availability } = await selectSettings(db);
    if (!availability.enabled) return;
    const hosts = await selectHosts(db);
    const isolated = suspectsOwnNetwork(hosts);
    if (isolated && !toldOfIsolation) deps.alert(say('recovery.alert.isolated', { total: hosts.filter((host) => host.state === 'unreachable').length }));
    toldOfIsolation = isolated;
    const due = await withoutBooting(deps, hostsToRecover(hosts, availability.graceSeconds, clock.now()));
    const owing = hosts.some((host) => host.state === 'fenced') ? await selectHostsOwingRestarts(db) : [];
    if (due.length === 0 && owing.length === 0) return;
    const [inhabited, open] = await Promise.all([selectInhabitedHostIds(db), selectOpenRecoveries(db)]);
    const begun = new Set(open.map((recovery) => recovery.hostId));
    const wanted = hosts.filter((host) => !begun.has(host.id) && (owing.includes(host.id) || (due.includes(host) && inhabited.has(host.id))));
    for (const host of wanted) {
      const [last] = await selectRecoveriesByHost(db, host.id, 1);
      const pauseMs = last?.state === 'failed' ? afterFailureMs : last?.state === 'returned' ? afterReturnMs : 0;
      if (clock.now() - (last?.endedAt ?? 0) < pauseMs) continue;
      await submitHostRecover(deps, host, { actor: null });
      deps.log.warn({ hostId: host.id, host: host.name, state: host.state }, 'recovery of a host begins');
    }
  };
}

/** Without those that may still be starting, together with the portals. */
async function withoutBooting({ db, clock }: OperationDeps, due: readonly Host[]): Promise<Host[]> {
  const since = due.length === 0 ? null : await selectPortalsUpSince(db);
  if (since === null || clock.now() - since >= bootMs) return [...due];
  return due.filter((host) => (host.seenAt ?? 0) >= since);
}
