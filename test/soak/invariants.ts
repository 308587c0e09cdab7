// What must be so after all of it, whatever was killed: asked of the database and of the hosts, past the portals.
import type { Db } from '../../src/store/db.ts';
import { selectOptionalOperation } from '../../src/store/operations.ts';
import { wrongSums } from '../helpers/cloud.ts';
import type { Attack } from './attack.ts';
import type { Site } from './site.ts';
import type { Journal } from './user.ts';

export interface Finding { readonly invariant: string; readonly broken: readonly string[]; readonly checked: number }

/** Every acknowledged change is there: its operation has ended, and what it did stands. */
export async function acknowledgedChanges(db: Db, journal: Journal): Promise<Finding[]> {
  const lost: string[] = [];
  const open: string[] = [];
  const wrong: string[] = [];
  const gone = new Set<string>();
  const made = new Set<string>();
  for (const { what, operationId, instanceId } of journal.acknowledged) {
    const operation = await selectOptionalOperation(db, operationId);
    if (operation === undefined) lost.push(`${what} ${operationId}`);
    else if (operation.endedAt === null) open.push(`${what} ${operationId} is ${operation.state}`);
    else if (operation.state === 'done' && what === 'create') made.add(instanceId);
    else if (operation.state === 'done' && what === 'delete') gone.add(instanceId);
  }
  const rows = new Set((await db.query<{ id: string }>('SELECT id FROM instances')).map(({ id }) => id));
  for (const id of made) if (!gone.has(id) && !journal.perhapsDeleted.has(id) && !rows.has(id)) wrong.push(`${id} was made, not deleted, and is gone`);
  for (const id of gone) if (rows.has(id)) wrong.push(`${id} was deleted and is there`);
  return [
    { invariant: 'every acknowledged operation is in the database', broken: lost, checked: journal.acknowledged.length },
    { invariant: 'every acknowledged operation has ended', broken: open, checked: journal.acknowledged.length },
    { invariant: 'what was acknowledged and done stands', broken: wrong, checked: made.size + gone.size },
  ];
}

/** The database, its sums, and what is on the hosts tell one story. */
export async function books(db: Db, site: Site): Promise<Finding[]> {
  const instances = await db.query<{ id: string; state: string; host: string; operation_id: string | null }>(
    "SELECT i.id, i.state, COALESCE(h.name, '') AS host, i.operation_id FROM instances i LEFT JOIN hosts h ON h.id = i.host_id",
  );
  const kept = instances.filter(({ state }) => state !== 'failed');
  const [copies, domains, volumes] = await Promise.all([site.copies(), site.domains(), site.volumes()]);
  const known = new Set(kept.map(({ id }) => id));
  const idOf = (name: string): string => name.slice(0, 36);
  const operations = await db.query<{ id: string; kind: string; state: string }>("SELECT id, kind, state FROM operations WHERE state IN ('queued', 'running', 'undoing')");
  const moves = await db.query<{ id: string }>("SELECT id FROM moves WHERE state IN ('queued', 'moving')");
  return [
    { invariant: 'no operation is open', broken: operations.map(({ id, kind, state }) => `${kind} ${id} is ${state}`), checked: operations.length },
    { invariant: 'no instance is held by an operation', broken: instances.filter(({ operation_id, state }) => operation_id !== null || state === 'creating').map(({ id, state }) => `${id} ${state}`), checked: instances.length },
    { invariant: 'no instance runs twice', broken: [...copies].filter(([, hosts]) => hosts.length > 1).map(([id, hosts]) => `${id} on ${hosts.join(' and ')}`), checked: copies.size },
    {
      invariant: 'what is recorded as running runs, there and nowhere else; nothing else runs',
      broken: [
        ...kept.filter(({ id, state, host }) => (state === 'running' || state === 'paused') !== (copies.get(id)?.join() === host)).map(({ id, state, host }) => `${id} is recorded as ${state} on ${host}, and runs on ${copies.get(id)?.join(' and ') ?? 'none'}`),
        ...[...copies.keys()].filter((id) => !known.has(id)).map((id) => `${id} runs and is nobody's`),
      ],
      checked: kept.length,
    },
    { invariant: 'no domain is left over, none is missing', broken: [...[...domains].filter((id) => !known.has(id)).map((id) => `${id} is nobody's`), ...kept.filter(({ id }) => !domains.has(id)).map(({ id, state }) => `${id} (${state}) has no domain`)], checked: domains.size },
    { invariant: 'no volume is left over', broken: volumes.filter((name) => !known.has(idOf(name))), checked: volumes.length },
    { invariant: 'usage of users, hosts and pools is what exists', broken: await wrongSums(db), checked: known.size },
    {
      invariant: 'what is paid for is what is promised', checked: known.size,
      broken: (await db.query<{ id: string }>(
        `SELECT instance_id AS id FROM usage_periods WHERE closed_at IS NULL AND instance_id NOT IN (SELECT id FROM instances WHERE host_id IS NOT NULL)
         UNION SELECT id FROM instances WHERE host_id IS NOT NULL AND id NOT IN (SELECT instance_id FROM usage_periods WHERE closed_at IS NULL)`)).map(({ id }) => id),
    },
    { invariant: 'every host is back', broken: (await db.query<{ name: string; state: string }>("SELECT name, state FROM hosts WHERE state <> 'up'")).map(({ name, state }) => `${name} is ${state}`), checked: (await db.query('SELECT id FROM hosts')).length },
    { invariant: 'no move waits or goes on', broken: moves.map(({ id }) => id), checked: moves.length },
  ];
}

export interface Gap { readonly host: string; readonly from: number; readonly to: number; readonly because: readonly string[] }

/** Longer than this between two samples of a host is a gap. */
export const gapMs = (pollMs: number): number => 2.5 * pollMs;

/** Every gap in the hosts' samples, with the attacks that overlap with it or ended shortly before. */
export async function sampleGaps(db: Db, attacks: readonly Attack[], { from, to, pollMs }: { readonly from: number; readonly to: number; readonly pollMs: number }): Promise<Gap[]> {
  const rows = await db.query<{ name: string; at: number }>(
    'SELECT h.name, s.at FROM host_samples s JOIN sample_subjects j ON j.id = s.subject_id JOIN hosts h ON h.id = j.owner_id WHERE s.at BETWEEN ? AND ? ORDER BY h.name, s.at', [from, to],
  );
  const gaps: Gap[] = [];
  for (const host of new Set(rows.map(({ name }) => name))) {
    const times = [from, ...rows.filter(({ name }) => name === host).map(({ at }) => Number(at)), to];
    times.forEach((time, index) => {
      const before = times[index - 1];
      if (before === undefined || time - before <= gapMs(pollMs)) return;
      // a portal's death: its lease, and the next tick; a host's: its next connection
      const because = attacks.filter((attack) => (attack.group !== 'host' || attack.target === host) && attack.at < time && (attack.restoredAt ?? to) + 2 * pollMs > before).map(({ target, how }) => `${target} ${how}`);
      gaps.push({ host, from: before, to: time, because });
    });
  }
  return gaps;
}
