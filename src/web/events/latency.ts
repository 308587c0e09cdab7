// The monitor's own latency: from a sample's time until a window has painted it and says so, by this portal's clock. Few windows
// are asked: the stream brings a ticket with a patch, and the page's script hands it in after painting. Whatever else is handed
// in counts for nothing: tickets are signed, belong to one person, last a minute and count once.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { LatencyLog, type Latency } from '../../model/latency.ts';
import { portalIdOf, selectPortals } from '../../store/portals.ts';
import { selectSnapshot, upsertSnapshot } from '../../store/snapshots.ts';
import type { Db } from '../../store/db.ts';
import type { WebDeps } from '../deps.ts';

/** One ticket of all windows in this time, and of each window in the next. More: needless requests; fewer: no 99th percentile of an hour. */
const offerEveryMs = 10_000;
const offerEachMs = 30_000;
const ticketLifeMs = 60_000;
/** Clocks of two portals may differ by so much. */
const skewMs = 5000;
const writeEveryMs = 15_000;

const snapshotName = (portalId: string): string => `latency:${portalId}`;

export class LatencyMeter {
  readonly #deps: Pick<WebDeps, 'config' | 'db'>;
  readonly #log = new LatencyLog();
  /** tickets that were handed in here → when they end */
  readonly #used = new Map<string, number>();
  #offeredAt = Number.NEGATIVE_INFINITY;
  #writtenAt = Number.NEGATIVE_INFINITY;

  constructor(deps: Pick<WebDeps, 'config' | 'db'>) {
    this.#deps = deps;
  }

  /** A ticket for a sample of that time, now and then. `lastAt`: when this window had its last one. */
  offer(userId: string, sampleAt: number, lastAt: number, now: number): string | undefined {
    if (now - this.#offeredAt < offerEveryMs || now - lastAt < offerEachMs) return undefined;
    this.#offeredAt = now;
    return `${sampleAt}.${now}.${this.#sign(userId, sampleAt, now)}`;
  }

  /** false: no ticket of this person's, too old, or handed in before. */
  async confirm(userId: string, ticket: string, now: number): Promise<boolean> {
    const [, sample, offered, signature = ''] = /^(\d{1,15})\.(\d{1,15})\.([\w-]{43})$/.exec(ticket) ?? [];
    const [sampleAt, offeredAt] = [Number(sample), Number(offered)];
    for (const [used, end] of this.#used) if (end < now) this.#used.delete(used);
    if (signature === '' || now - offeredAt > ticketLifeMs || offeredAt - now > skewMs || this.#used.has(signature)) return false;
    if (!timingSafeEqual(Buffer.from(signature), Buffer.from(this.#sign(userId, sampleAt, offeredAt)))) return false;
    this.#used.set(signature, now + ticketLifeMs + skewMs);
    this.#log.add(now - sampleAt, now);
    if (now - this.#writtenAt >= writeEveryMs) {
      this.#writtenAt = now;
      await upsertSnapshot(this.#deps.db, snapshotName(portalIdOf(this.#deps.config.portalName)), this.#log.summary(now), now);
    }
    return true;
  }

  /** By the secret that all portals share: the confirmation may come to another one than the stream came from. */
  #sign(userId: string, sampleAt: number, offeredAt: number): string {
    return createHmac('sha256', this.#deps.config.sessionSecret).update(`painted ${userId} ${sampleAt} ${offeredAt}`).digest('base64url');
  }
}

export interface PortalLatency { readonly name: string; readonly id: string; /** null: nobody has looked */ readonly latency: Latency | null; readonly at: number | null }

/** For views/admin/monitoring/latency.ejs: of each portal what its windows confirmed in the last hour. */
export async function loadLatencies(db: Db, now: number): Promise<PortalLatency[]> {
  return Promise.all((await selectPortals(db)).map(async ({ id, name }) => {
    const snapshot = await selectSnapshot<Latency>(db, snapshotName(id));
    const fresh = snapshot !== undefined && now - snapshot.at < 3_600_000 ? snapshot : undefined;
    return { id, name, latency: fresh?.value ?? null, at: fresh?.at ?? null };
  }));
}
