// Hosts: what the admin wishes, what the last contact and the last check said. Reservations are counted in reservations.ts.
import { AppError, say } from '../errors.ts';
import type { HostShare } from '../model/capacity.ts';
import type { FenceProof, Host } from '../model/host.ts';
import { containing, isAscii } from './columns.ts';
import { isDuplicateKey, type Database, type Db, type SqlValue } from './db.ts';
import { insertSampleSubject } from './sample-subjects.ts';

interface HostRow {
  readonly id: string;
  readonly name: string;
  readonly uri: string;
  readonly wish: Host['wish'];
  readonly state: Host['state'];
  readonly seen_at: number | null;
  readonly reason: string | null;
  readonly console_address: string;
  readonly network: string;
  readonly virt_type: Host['virtType'];
  readonly virt_type_wish: Host['virtTypeWish'];
  readonly arch: string | null;
  readonly cpu_model: string | null;
  readonly libvirt_version: string | null;
  readonly qemu_version: string | null;
  readonly host_uuid: string | null;
  readonly cpus: number;
  readonly memory_mib: number;
  readonly used_vcpus: number;
  readonly used_memory_mib: number;
  readonly subject_id: number;
  readonly created_at: number;
  readonly state_since: number;
  readonly fenced_at: number | null;
  readonly fence_proof: Host['fenceProof'];
  readonly fence_agent: string | null;
  readonly migration_uri: string | null;
}

/** Never the fence agent's parameters: who does not need a password does not read it. */
const columns = `id, name, uri, wish, state, seen_at, reason, console_address, network, virt_type, virt_type_wish, arch, cpu_model, libvirt_version,
  qemu_version, host_uuid, cpus, memory_mib, used_vcpus, used_memory_mib, subject_id, created_at, state_since, fenced_at, fence_proof, fence_agent, migration_uri`;

function toHost(row: HostRow): Host {
  return {
    id: row.id,
    name: row.name,
    uri: row.uri,
    wish: row.wish,
    state: row.state,
    seenAt: row.seen_at,
    reason: row.reason,
    consoleAddress: row.console_address,
    network: row.network,
    virtType: row.virt_type,
    virtTypeWish: row.virt_type_wish,
    arch: row.arch,
    cpuModel: row.cpu_model,
    libvirtVersion: row.libvirt_version,
    qemuVersion: row.qemu_version,
    hostUuid: row.host_uuid,
    cpus: row.cpus,
    memoryMib: row.memory_mib,
    usedVcpus: row.used_vcpus,
    usedMemoryMib: row.used_memory_mib,
    subjectId: row.subject_id,
    createdAt: row.created_at,
    stateSince: row.state_since,
    fencedAt: row.fenced_at,
    fenceProof: row.fence_proof,
    fenceAgent: row.fence_agent,
    migrationUri: row.migration_uri,
  };
}

export interface NewHost extends Pick<Host, 'id' | 'name' | 'uri' | 'consoleAddress' | 'network' | 'virtTypeWish' | 'createdAt'> {
  readonly wish?: Host['wish'];
}

/** Inserts the host with its subject. False: another host has that name. */
export async function insertHost(db: Db, host: NewHost): Promise<boolean> {
  const subjectId = await insertSampleSubject(db, host.id, host.createdAt);
  try {
    await db.execute(
      `INSERT INTO hosts (id, name, uri, wish, state, console_address, network, virt_type_wish, subject_id, created_at)
       VALUES (?, ?, ?, ?, 'unknown', ?, ?, ?, ?, ?)`,
      [host.id, host.name, host.uri, host.wish ?? 'enabled', host.consoleAddress, host.network, host.virtTypeWish, subjectId, host.createdAt],
    );
    return true;
  } catch (error) {
    if (!isDuplicateKey(error)) throw error;
    // a repeated insert of the same host is a success; the same name under another id is not
    return (await selectOptionalHost(db, host.id)) !== undefined;
  }
}

/** All hosts by name. */
export async function selectHosts(db: Db): Promise<Host[]> {
  return (await db.query<HostRow>(`SELECT ${columns} FROM hosts ORDER BY name`)).map(toHost);
}

/** Of these, by name. */
export async function selectHostsByIds(db: Db, ids: readonly string[]): Promise<Host[]> {
  if (ids.length === 0) return [];
  return (await db.query<HostRow>(`SELECT ${columns} FROM hosts WHERE id IN (?) ORDER BY name`, [ids])).map(toHost);
}

/** A page of them by name, and how many there are. `search`: part of a name. */
export async function selectHostsPage(db: Db, { page, pageSize, search = '' }: { readonly page: number; readonly pageSize: number; readonly search?: string }): Promise<{ hosts: Host[]; total: number }> {
  if (!isAscii(search)) return { hosts: [], total: 0 };
  const where = search === '' ? '' : 'WHERE name LIKE ?';
  const like = search === '' ? [] : [containing(search)];
  const [rows, [count]] = await Promise.all([
    db.query<HostRow>(`SELECT ${columns} FROM hosts ${where} ORDER BY name LIMIT ? OFFSET ?`, [...like, pageSize, (page - 1) * pageSize]),
    db.query<{ total: number }>(`SELECT COUNT(*) AS total FROM hosts ${where}`, like),
  ]);
  return { hosts: rows.map(toHost), total: count?.total ?? 0 };
}

/** Of all hosts what the cluster's sums are made from, and nothing else: a page for everybody adds up a thousand. */
export async function selectHostShares(db: Db): Promise<HostShare[]> {
  const rows = await db.query<Pick<HostRow, 'id' | 'wish' | 'state' | 'cpus' | 'memory_mib' | 'used_vcpus' | 'used_memory_mib'>>(
    'SELECT id, wish, state, cpus, memory_mib, used_vcpus, used_memory_mib FROM hosts',
  );
  return rows.map((row) => ({ id: row.id, wish: row.wish, state: row.state, cpus: row.cpus, memoryMib: row.memory_mib, usedVcpus: row.used_vcpus, usedMemoryMib: row.used_memory_mib }));
}

/** Ids of the pools that some host has which takes new instances. */
export async function selectReachablePoolIds(db: Db): Promise<Set<string>> {
  // of a shared pool the first such host is enough, of a thousand
  const rows = await db.query<{ id: string }>(
    `SELECT id FROM storage_pools WHERE EXISTS (SELECT 1 FROM host_pools JOIN hosts ON hosts.id = host_pools.host_id
       WHERE host_pools.pool_id = storage_pools.id AND hosts.wish = 'enabled' AND hosts.state = 'up')`,
  );
  return new Set(rows.map((row) => row.id));
}

/** Name and console address by id, for lists of what is on them; without ids, of all. */
export async function selectHostPlaces(db: Db, ids?: readonly string[]): Promise<Map<string, Pick<Host, 'name' | 'consoleAddress'>>> {
  if (ids?.length === 0) return new Map();
  const rows = await db.query<Pick<HostRow, 'id' | 'name' | 'console_address'>>(
    `SELECT id, name, console_address FROM hosts ${ids === undefined ? '' : 'WHERE id IN (?)'}`, ids === undefined ? [] : [ids],
  );
  return new Map(rows.map((row) => [row.id, { name: row.name, consoleAddress: row.console_address }]));
}

/** All hosts by name, for choices. */
export async function selectHostNames(db: Db): Promise<Pick<Host, 'id' | 'name' | 'subjectId'>[]> {
  const rows = await db.query<Pick<HostRow, 'id' | 'name' | 'subject_id'>>('SELECT id, name, subject_id FROM hosts ORDER BY name');
  return rows.map((row) => ({ id: row.id, name: row.name, subjectId: row.subject_id }));
}

export async function selectOptionalHost(db: Db, id: string): Promise<Host | undefined> {
  const [row] = await db.query<HostRow>(`SELECT ${columns} FROM hosts WHERE id = ?`, [id]);
  return row && toHost(row);
}

export async function selectHost(db: Db, id: string): Promise<Host> {
  const host = await selectOptionalHost(db, id);
  if (host === undefined) throw new AppError('not-found', say('errors.page-not-found'));
  return host;
}

export async function selectOptionalHostByName(db: Db, name: string): Promise<Host | undefined> {
  const [row] = await db.query<HostRow>(`SELECT ${columns} FROM hosts WHERE name = ?`, [name]);
  return row && toHost(row);
}

const adminColumns = {
  name: 'name', uri: 'uri', wish: 'wish', network: 'network', consoleAddress: 'console_address', virtTypeWish: 'virt_type_wish',
  migrationUri: 'migration_uri',
} as const;
export type HostChange = Partial<Pick<Host, keyof typeof adminColumns>>;

/** What an admin may change. False: another host has that name. */
export async function updateHost(db: Db, id: string, change: HostChange): Promise<boolean> {
  const sets: string[] = [];
  const values: SqlValue[] = [];
  for (const [key, column] of Object.entries(adminColumns)) {
    const value = change[key as keyof HostChange];
    if (value === undefined) continue;
    sets.push(`${column} = ?`);
    values.push(value);
  }
  if (sets.length === 0) return true;
  try {
    await db.execute(`UPDATE hosts SET ${sets.join(', ')} WHERE id = ?`, [...values, id]);
    return true;
  } catch (error) {
    if (isDuplicateKey(error)) return false;
    throw error;
  }
}

export type HostFacts = Pick<Host, 'virtType' | 'arch' | 'cpuModel' | 'libvirtVersion' | 'qemuVersion' | 'hostUuid' | 'cpus' | 'memoryMib'>;

/** What the check found. */
export async function updateHostFacts(db: Db, id: string, facts: HostFacts): Promise<void> {
  await db.execute(
    `UPDATE hosts SET virt_type = ?, arch = ?, cpu_model = ?, libvirt_version = ?, qemu_version = ?, host_uuid = ?, cpus = ?, memory_mib = ?
     WHERE id = ?`,
    [facts.virtType, facts.arch, facts.cpuModel, facts.libvirtVersion, facts.qemuVersion, facts.hostUuid, facts.cpus, facts.memoryMib, id],
  );
}

export type HostContact =
  | { readonly state: 'up'; readonly at: number }
  /** `seenAt`: the last answer, when the watcher knows it better than the record */
  | { readonly state: 'unreachable'; readonly at: number; readonly reason: string; readonly seenAt?: number };

/**
 * The last contact. true: the state has changed by it, which of several writers only one is told. A failure leaves
 * `seenAt`: it is the age of what we know. A fenced host stays fenced, whatever it answers.
 */
export async function updateHostContact(db: Db, id: string, contact: HostContact): Promise<boolean> {
  const [values, changed] = contact.state === 'up'
    ? [{ seen: contact.at, reason: null }, "state IN ('unknown', 'unreachable')"] as const
    : [{ seen: contact.seenAt ?? null, reason: contact.reason.slice(0, 1000) }, "state IN ('unknown', 'up')"] as const;
  const seen = [values.seen, values.seen];
  const { affectedRows } = await db.execute(
    `UPDATE hosts SET state = ?, state_since = ?, seen_at = GREATEST(COALESCE(seen_at, ?), COALESCE(?, seen_at)), reason = ? WHERE id = ? AND ${changed}`,
    [contact.state, contact.at, ...seen, values.reason, id],
  );
  if (affectedRows === 1) return true;
  await db.execute(
    'UPDATE hosts SET seen_at = GREATEST(COALESCE(seen_at, ?), COALESCE(?, seen_at)), reason = ? WHERE id = ? AND state = ?',
    [...seen, values.reason, id, contact.state],
  );
  return false;
}

/** They have answered, as they did before. */
export async function updateHostsSeen(db: Db, ids: readonly string[], at: number): Promise<void> {
  if (ids.length === 0) return;
  await db.execute(
    `UPDATE hosts SET seen_at = GREATEST(COALESCE(seen_at, ?), ?), reason = NULL WHERE state = 'up' AND id IN (${ids.map(() => '?').join(', ')})`, [at, at, ...ids],
  );
}

/**
 * It is proven to run nothing. What waits for it is told at once: it will not be waited for any more. false: it is not
 * there, or it has been fenced already.
 */
export async function claimHostFenced(tx: Db, hostId: string, proof: FenceProof, at: number): Promise<boolean> {
  const { affectedRows } = await tx.execute(
    "UPDATE hosts SET state = 'fenced', state_since = ?, fenced_at = ?, fence_proof = ? WHERE id = ? AND state <> 'fenced'", [at, at, proof, hostId],
  );
  if (affectedRows === 0) return false;
  await tx.execute("UPDATE operations SET run_after = 0 WHERE host_id = ? AND state IN ('running', 'undoing') AND run_after > 0", [hostId]);
  return true;
}

/**
 * Is it fenced still? Whoever is about to start its instances elsewhere asks in the same transaction: the row is written,
 * so that checking in and restarting exclude each other.
 */
export async function claimHostStillFenced(tx: Db, hostId: string): Promise<boolean> {
  return (await tx.execute("UPDATE hosts SET fenced_at = fenced_at WHERE id = ? AND state = 'fenced'", [hostId])).affectedRows === 1;
}

/**
 * The host's row is held until the transaction ends. Before asking in one statement for the host and what has its home there:
 * MySQL Cluster looks for the latter first, without waiting for whoever holds the row and is just putting something there.
 */
export async function holdHost(tx: Db, id: string): Promise<void> {
  await tx.query('SELECT id FROM hosts WHERE id = ? FOR UPDATE', [id]);
}

/** It has shown that it is clean. false: it is not fenced, or one of its instances is just being restarted elsewhere. */
export async function claimHostCheckedIn(tx: Db, hostId: string, at: number): Promise<boolean> {
  await holdHost(tx, hostId);
  // a locking read: MySQL Cluster may let go of the host a moment before the restart that was asked for is to be seen
  const restarts = await tx.query("SELECT id FROM instances WHERE host_id = ? AND operation_kind = 'instance-recover' LIMIT 1 LOCK IN SHARE MODE", [hostId]);
  if (restarts.length > 0) return false;
  const { affectedRows } = await tx.execute(
    "UPDATE hosts SET state = 'up', state_since = ?, seen_at = ?, reason = NULL, fenced_at = NULL, fence_proof = NULL WHERE id = ? AND state = 'fenced'", [at, at, hostId],
  );
  return affectedRows === 1;
}

/** Why a fenced host that answers is not used yet. */
export async function updateFencedReason(db: Db, hostId: string, reason: string | null): Promise<void> {
  await db.execute("UPDATE hosts SET reason = ? WHERE id = ? AND state = 'fenced'", [reason?.slice(0, 1000) ?? null, hostId]);
}

/** Removes the host when nothing is reserved on it and no instance has its home there. False: it is not empty. */
export async function deleteHostIfEmpty(db: Database, id: string): Promise<boolean> {
  return db.transaction(async (tx) => {
    // reservations are conditional updates of this same row, so one made at this moment finds no row and fails
    await holdHost(tx, id);
    const { affectedRows } = await tx.execute(
      `DELETE FROM hosts WHERE id = ? AND used_vcpus = 0 AND used_memory_mib = 0
         AND NOT EXISTS (SELECT 1 FROM instances WHERE instances.host_id = hosts.id AND instances.state <> 'failed')`,
      [id],
    );
    if (affectedRows === 0 && (await selectOptionalHost(tx, id)) !== undefined) return false;
    await tx.execute('DELETE FROM host_pools WHERE host_id = ?', [id]);
    await tx.execute('DELETE FROM host_checks WHERE host_id = ?', [id]);
    await tx.execute('DELETE FROM burn_ins WHERE host_id = ?', [id]);
    return true;
  });
}

/** hostId → ids of the pools it has. */
export async function selectHostPools(db: Db): Promise<Map<string, ReadonlySet<string>>> {
  const rows = await db.query<{ host_id: string; pool_id: string }>('SELECT host_id, pool_id FROM host_pools');
  const pools = new Map<string, Set<string>>();
  for (const row of rows) {
    const set = pools.get(row.host_id) ?? new Set();
    pools.set(row.host_id, set.add(row.pool_id));
  }
  return pools;
}
