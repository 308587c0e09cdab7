// What followed each attack: how long users waited meanwhile, when others had the work of a portal that was gone, and when the
// instances of a host that was gone ran elsewhere.
import { setTimeout as delay } from 'node:timers/promises';
import type { Recovery } from '../../src/model/recovery.ts';
import type { Db } from '../../src/store/db.ts';
import { isOpen } from '../../src/store/operations.ts';
import { selectPortals } from '../../src/store/portals.ts';
import type { Attack } from './attack.ts';
import type { Looked } from './user.ts';

export interface Held { readonly operations: number; readonly jobs: number }

/** At one moment: the leases that each portal process holds, and which process is the portal of a name. */
interface Leases { readonly at: number; readonly held: ReadonlyMap<string, Held>; readonly ownerOf: ReadonlyMap<string, string> }

/** Looks all the time who holds operations and jobs. */
export class LeaseWitness {
  readonly #looks: Leases[] = [];

  /** Until the signal aborts. */
  async watch(db: Db, everyMs: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      // a database that answers nobody for a while is what others have to live with too
      await selectLeases(db).then((look) => this.#looks.push(look), () => undefined);
      await delay(everyMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** What the portal held when it was attacked, and after how long none of its operations, none of its jobs was in its name any more; null: it was back before. */
  takeover(portal: string, { at, restoredAt }: Pick<Attack, 'at' | 'restoredAt'>): { readonly held: Held; readonly operationsMs: number | null; readonly jobsMs: number | null } | undefined {
    const before = this.#looks.findLast((look) => look.at <= at);
    const owner = before?.ownerOf.get(portal);
    if (before === undefined || owner === undefined) return undefined;
    const after = (isFree: (held: Held) => boolean): number | null => {
      const look = this.#looks.find((each) => each.at > at && each.at < (restoredAt ?? Infinity) && isFree(each.held.get(owner) ?? nothing));
      return look === undefined ? null : look.at - at;
    };
    return { held: before.held.get(owner) ?? nothing, operationsMs: after(({ operations }) => operations === 0), jobsMs: after(({ jobs }) => jobs === 0) };
  }
}

const nothing: Held = { operations: 0, jobs: 0 };

async function selectLeases(db: Db): Promise<Leases> {
  const rows = await db.query<{ owner: string; operations: number; jobs: number }>(
    `SELECT owner, SUM(operations) AS operations, SUM(jobs) AS jobs FROM (
       SELECT lease_owner AS owner, 1 AS operations, 0 AS jobs FROM operations WHERE ${isOpen} AND lease_until > 0 AND lease_owner IS NOT NULL
       UNION ALL SELECT lease_owner, 0, 1 FROM jobs WHERE lease_owner IS NOT NULL
     ) AS leases GROUP BY owner`,
  );
  const portals = await selectPortals(db);
  return {
    at: Date.now(), held: new Map(rows.map(({ owner, operations, jobs }) => [owner, { operations: Number(operations), jobs: Number(jobs) }])),
    ownerOf: new Map(portals.map(({ name, leaseOwner }) => [name, leaseOwner])),
  };
}

export interface Aftermath {
  readonly attack: Attack;
  /** of the pages that somebody waited for while it was away */
  readonly longestPageMs: number | null;
  readonly takeover: ReturnType<LeaseWitness['takeover']>;
  /** of its host: what was done about it */
  readonly recovery: Pick<Recovery, 'noticedAt' | 'proof' | 'restartedAt' | 'report'> | undefined;
}

export function aftermathOf(attack: Attack, witness: LeaseWitness, looks: readonly Looked[], recoveries: readonly Recovery[]): Aftermath {
  const until = attack.restoredAt ?? Infinity;
  const waited = looks.filter(({ at, elapsedMs }) => at < until && at + elapsedMs > attack.at).map(({ elapsedMs }) => elapsedMs);
  return {
    attack, longestPageMs: waited.length === 0 ? null : Math.max(...waited),
    takeover: attack.parts.map((part) => witness.takeover(part, attack)).find((each) => each !== undefined),
    recovery: recoveries.find(({ hostName, noticedAt }) => attack.parts.includes(hostName) && noticedAt >= attack.at && noticedAt < until),
  };
}
