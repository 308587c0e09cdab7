// Groups that are kept apart: the owner's instances of one group are on different hosts. A place counts as taken from the
// moment an instance is to be created there or to move there.
import type { Instance } from '../model/instance.ts';
import type { Db } from './db.ts';

/** `id`: of the instance that asks, which does not stand in its own way. */
export type GroupMember = Pick<Instance, 'id' | 'userId' | 'antiAffinity'>;

/** Hosts that have, or will have, another instance of the group; empty without a group. */
export async function selectGroupHosts(db: Db, { id, userId, antiAffinity }: GroupMember): Promise<Set<string>> {
  if (antiAffinity === null) return new Set();
  return new Set([...(await hostsOfOthers(db, { id, userId, antiAffinity }, '')), ...(await targetsOfOthers(db, { id, userId, antiAffinity }, ''))]);
}

/**
 * In the transaction that reserves the host. false: another instance of the group is or will be there. Holds the owner's row
 * until the transaction ends, as every creation does, so that of two that ask at the same moment the second sees the first.
 */
export async function claimApart(tx: Db, { id, userId, antiAffinity }: GroupMember, hostId: string): Promise<boolean> {
  if (antiAffinity === null) return true;
  await tx.query('SELECT id FROM users WHERE id = ? FOR UPDATE', [userId]);
  // locking reads: plain ones may show the rows as they were when this transaction began
  const member = { id, userId, antiAffinity };
  const taken = [...(await hostsOfOthers(tx, member, 'LOCK IN SHARE MODE')), ...(await targetsOfOthers(tx, member, 'LOCK IN SHARE MODE'))];
  return !taken.includes(hostId);
}

type Member = GroupMember & { readonly antiAffinity: string };

async function hostsOfOthers(db: Db, { id, userId, antiAffinity }: Member, lock: '' | 'LOCK IN SHARE MODE'): Promise<string[]> {
  const rows = await db.query<{ host_id: string }>(
    `SELECT host_id FROM instances WHERE user_id = ? AND anti_affinity = ? AND id <> ? AND host_id IS NOT NULL ${lock}`, [userId, antiAffinity, id],
  );
  return rows.map((row) => row.host_id);
}

async function targetsOfOthers(db: Db, { id, userId, antiAffinity }: Member, lock: '' | 'LOCK IN SHARE MODE'): Promise<string[]> {
  const rows = await db.query<{ to_host_id: string }>(
    `SELECT moves.to_host_id FROM instances JOIN moves ON moves.instance_id = instances.id
     WHERE instances.user_id = ? AND instances.anti_affinity = ? AND instances.id <> ? AND moves.state IN ('queued', 'moving') ${lock}`,
    [userId, antiAffinity, id],
  );
  return rows.map((row) => row.to_host_id);
}
