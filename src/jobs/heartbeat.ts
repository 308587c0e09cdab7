// This portal tells the others that it lives, and measures how far its clock is from the database's.
import { performance } from 'node:perf_hooks';
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import type { Database } from '../store/db.ts';
import { updatePortalSeen, upsertPortal, type PortalIdentity } from '../store/portals.ts';
import { selectServerTime } from '../store/server.ts';

export interface HeartbeatDeps { readonly db: Database; readonly clock: Clock; readonly log: Log }

/** Longer: the page of portals shows a dead one as alive for longer. */
export const heartbeatMs = 3000;
/** Leases and limits bear clocks that differ by five seconds; whoever reads this warning has time to act before that. */
export const skewWarningMs = 2000;
/** An answer that took longer says too little about the time in between. */
const slowAnswerMs = 1000;
const warnEveryMs = 3_600_000;

export function createHeartbeat(deps: HeartbeatDeps, portal: PortalIdentity): () => Promise<void> {
  let isKnown = false;
  let skewMs: number | null = null;
  const warnedAt = new Map<string, number>();
  const warn = (what: string, details: object): void => {
    if (performance.now() - (warnedAt.get(what) ?? Number.NEGATIVE_INFINITY) < warnEveryMs) return;
    warnedAt.set(what, performance.now());
    deps.log.warn({ portal: portal.name, ...details }, what);
  };

  return async () => {
    skewMs = (await measureSkew(deps)) ?? skewMs;
    if (skewMs !== null && Math.abs(skewMs) > skewWarningMs) warn('the clocks of this portal and of the database differ: set both by NTP', { skewMs });
    if (isKnown && (await updatePortalSeen(deps.db, portal, skewMs))) return;
    // at the start; or an admin removed the row while this portal could not be seen; or another process took the name
    if (isKnown) warn('another portal has this one’s name, or its row was removed: each needs a PORTAL_NAME of its own', {});
    await upsertPortal(deps.db, portal);
    await updatePortalSeen(deps.db, portal, skewMs);
    isKnown = true;
  };
}

/** Milliseconds that this portal's clock is ahead of the database's; null: the answer was too slow to tell. */
async function measureSkew({ db, clock }: HeartbeatDeps): Promise<number | null> {
  const askedAt = clock.now();
  const began = performance.now();
  const serverTime = await selectServerTime(db);
  const tookMs = performance.now() - began;
  return tookMs > slowAnswerMs ? null : Math.round(askedAt + tookMs / 2 - serverTime);
}
