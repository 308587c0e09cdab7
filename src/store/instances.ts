// Our records of VMs. State changes are compare-and-set: an operation holds the instance by operation_id, and what is
// observed from outside is written only while none does.
import { AppError, say, type Sentence } from '../errors.ts';
import type { Instance, InstanceState } from '../model/instance.ts';
import type { OperationKind } from '../model/operation.ts';
import type { User } from '../model/user.ts';
import { columnToSentence, containing, sentenceToColumn } from './columns.ts';
import type { Db, SqlValue } from './db.ts';

interface InstanceRow {
  readonly id: string;
  readonly user_id: string;
  readonly name: string;
  readonly state: InstanceState;
  readonly state_at: number;
  readonly operation_id: string | null;
  readonly operation_kind: string | null;
  readonly host_id: string | null;
  readonly pool_id: string | null;
  readonly image_id: string;
  readonly vcpus: number;
  readonly memory_mib: number;
  readonly disk_gib: number;
  readonly mac: string;
  readonly address: string | null;
  readonly addresses: string | null;
  readonly console_port: number | null;
  readonly console_expires_at: number | null;
  readonly problem: string | null;
  readonly subject_id: number;
  readonly created_at: number;
  readonly ha: number;
  readonly ha_priority: Instance['haPriority'];
  readonly anti_affinity: string | null;
  readonly return_host_id: string | null;
  readonly moved_at: number | null;
}

const columns = `id, user_id, name, state, state_at, operation_id, operation_kind, host_id, pool_id, image_id, vcpus, memory_mib, disk_gib,
  mac, address, addresses, console_port, console_expires_at, problem, subject_id, created_at, ha, ha_priority, anti_affinity, return_host_id, moved_at`;

function toInstance(row: InstanceRow): Instance {
  return {
    id: row.id,
    userId: row.user_id,
    name: row.name,
    state: row.state,
    stateAt: row.state_at,
    operationId: row.operation_id,
    operationKind: row.operation_kind,
    hostId: row.host_id,
    poolId: row.pool_id,
    imageId: row.image_id,
    vcpus: row.vcpus,
    memoryMib: row.memory_mib,
    diskGib: row.disk_gib,
    mac: row.mac,
    address: row.address,
    addresses: addressesOf(row),
    consolePort: row.console_port,
    consoleExpiresAt: row.console_expires_at,
    problem: columnToSentence(row.problem),
    subjectId: row.subject_id,
    createdAt: row.created_at,
    ha: row.ha === 1,
    haPriority: row.ha_priority,
    antiAffinity: row.anti_affinity,
    returnHostId: row.return_host_id,
    movedAt: row.moved_at,
  };
}

function addressesOf({ address, addresses }: Pick<InstanceRow, 'address' | 'addresses'>): string[] {
  return address === null ? [] : (addresses?.split(' ') ?? [address]);
}

// ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export async function selectOptionalInstance(db: Db, id: string): Promise<Instance | undefined> {
  const [row] = await db.query<InstanceRow>(`SELECT ${columns} FROM instances WHERE id = ?`, [id]);
  return row && toInstance(row);
}

const maySee = (user: User, { userId }: Instance): boolean => userId === user.id || user.role === 'admin';

/** The instance, when this person may see it: not-found for one that is missing and for one that is another's. Admins see all. */
export async function loadInstance(db: Db, user: User, id: string): Promise<Instance> {
  const instance = await selectOptionalInstance(db, id);
  if (instance === undefined || !maySee(user, instance)) throw new AppError('not-found', say('errors.not-found'));
  return instance;
}

/** Those of them that this person may see, by name; what is missing and what is another's is left out alike. */
export async function loadInstances(db: Db, user: User, ids: readonly string[]): Promise<Instance[]> {
  const instances = (await selectInstancesByIds(db, ids)).filter((instance) => maySee(user, instance));
  return instances.sort((a, b) => (a.name < b.name ? -1 : 1));
}

export async function selectOptionalInstanceByName(db: Db, userId: string, name: string): Promise<Instance | undefined> {
  const [row] = await db.query<InstanceRow>(`SELECT ${columns} FROM instances WHERE user_id = ? AND name = ?`, [userId, name]);
  return row && toInstance(row);
}

/** Names are ascii, in capitals or not: text with anything else is in none of them, and may not be compared with them either. */
const nameLike = 'name LIKE ?';
const mayBeInNames = (search: string): boolean => /^[\x20-\x7e]*$/.test(search);

export interface InstancePage {
  /** counts from 1 */
  readonly page: number;
  readonly pageSize: number;
  /** part of the name */
  readonly search?: string | undefined;
  readonly state?: InstanceState | undefined;
}

/** By name; the unique key (user_id, name) serves both the filter and the order. */
export async function selectInstancesByUser(db: Db, userId: string, { page, pageSize, search = '', state }: InstancePage): Promise<Instance[]> {
  if (!mayBeInNames(search)) return [];
  const { clause, params } = whereOf({ userId, search, state });
  const rows = await db.query<InstanceRow>(`SELECT ${columns} FROM instances ${clause} ORDER BY name LIMIT ? OFFSET ?`, [...params, pageSize, (page - 1) * pageSize]);
  return rows.map(toInstance);
}

export async function countInstancesByUser(db: Db, userId: string, search = '', state?: InstanceState): Promise<number> {
  if (!mayBeInNames(search)) return 0;
  const { clause, params } = whereOf({ userId, search, state });
  const [row] = await db.query<{ total: number }>(`SELECT COUNT(*) AS total FROM instances ${clause}`, params);
  return row?.total ?? 0;
}

export interface InstanceFilter extends InstancePage {
  readonly userId?: string | undefined;
  readonly hostId?: string | undefined;
}

function whereOf(filter: Omit<InstanceFilter, 'page' | 'pageSize'>): { readonly clause: string; readonly params: readonly SqlValue[] } {
  const conditions: string[] = [];
  const params: SqlValue[] = [];
  const where = (condition: string, value: SqlValue | undefined): void => {
    if (value === undefined || value === '') return;
    conditions.push(condition);
    params.push(value);
  };
  where('user_id = ?', filter.userId);
  where(nameLike, filter.search ? containing(filter.search) : undefined);
  where('host_id = ?', filter.hostId);
  where('state = ?', filter.state);
  return { clause: conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`, params };
}

/** Everybody's, newest first. `total` counts what the filter lets through. */
export async function selectInstancesPage(db: Db, filter: InstanceFilter): Promise<{ instances: Instance[]; total: number }> {
  if (!mayBeInNames(filter.search ?? '')) return { instances: [], total: 0 };
  const { clause, params } = whereOf(filter);
  // The index of created_at has the first order, and gives a page without sorting. Few matches among many are found sooner by looking
  // at all. How many are in a state the database knows by its index, and takes the better one of the two.
  const walks = !filter.search && filter.userId === undefined && filter.hostId === undefined;
  const order = walks ? 'created_at DESC, id DESC' : 'created_at DESC, id';
  const [rows, [count]] = await Promise.all([
    db.query<InstanceRow>(`SELECT ${columns} FROM instances ${clause} ORDER BY ${order} LIMIT ? OFFSET ?`, [...params, filter.pageSize, (filter.page - 1) * filter.pageSize]),
    db.query<{ total: number }>(`SELECT COUNT(*) AS total FROM instances ${clause}`, params),
  ]);
  return { instances: rows.map(toInstance), total: count?.total ?? 0 };
}

/** Everything that has a home on some host: what plans for the whole cluster are made from. */
export async function selectPlacedInstances(db: Db): Promise<Instance[]> {
  return (await db.query<InstanceRow>(`SELECT ${columns} FROM instances WHERE host_id IS NOT NULL`)).map(toInstance);
}

/** What has its home on this host, in whatever state. */
export async function selectInstancesByHost(db: Db, hostId: string): Promise<Instance[]> {
  return (await db.query<InstanceRow>(`SELECT ${columns} FROM instances WHERE host_id = ?`, [hostId])).map(toInstance);
}

/** What a poll of its host needs to know. */
export type PolledInstance = Pick<Instance, 'id' | 'subjectId' | 'hostId' | 'state' | 'stateAt' | 'operationId' | 'mac' | 'address' | 'addresses' | 'consolePort'>;

/** Answers of one statement: a reply of megabytes is read in one turn of the event loop. */
const polledHosts = 50;

/** hostId → what has its home there, in whatever state. */
export async function selectPolledInstances(db: Db, hostIds: readonly string[]): Promise<Map<string, PolledInstance[]>> {
  const byHost = new Map<string, PolledInstance[]>(hostIds.map((id) => [id, []]));
  for (let start = 0; start < hostIds.length; start += polledHosts) {
    const rows = await db.query<Pick<InstanceRow, 'id' | 'subject_id' | 'host_id' | 'state' | 'state_at' | 'operation_id' | 'mac' | 'address' | 'addresses' | 'console_port'>>(
      'SELECT id, subject_id, host_id, state, state_at, operation_id, mac, address, addresses, console_port FROM instances WHERE host_id IN (?)', [hostIds.slice(start, start + polledHosts)],
    );
    for (const row of rows) {
      byHost.get(row.host_id ?? '')?.push({
        id: row.id, subjectId: row.subject_id, hostId: row.host_id, state: row.state, stateAt: row.state_at, operationId: row.operation_id, mac: row.mac,
        address: row.address, addresses: addressesOf(row), consolePort: row.console_port,
      });
    }
  }
  return byHost;
}

/** What goes back to this host when its maintenance ends, and is elsewhere now. */
export async function selectInstancesToReturn(db: Db, hostId: string): Promise<Instance[]> {
  return (await db.query<InstanceRow>(`SELECT ${columns} FROM instances WHERE return_host_id = ? AND host_id <> ?`, [hostId, hostId])).map(toInstance);
}

export async function selectInstancesByIds(db: Db, ids: readonly string[]): Promise<Instance[]> {
  if (ids.length === 0) return [];
  return (await db.query<InstanceRow>(`SELECT ${columns} FROM instances WHERE id IN (${ids.map(() => '?').join(', ')})`, ids)).map(toInstance);
}

/** hostId → how many have their home there, and how many of them run; hosts without any are left out. */
export async function countInstancesByHost(db: Db, hostIds: readonly string[]): Promise<Map<string, { readonly total: number; readonly running: number }>> {
  if (hostIds.length === 0) return new Map();
  const rows = await db.query<{ host_id: string; total: number; running: number | string }>(
    "SELECT host_id, COUNT(*) AS total, SUM(state = 'running') AS running FROM instances WHERE host_id IN (?) GROUP BY host_id", [hostIds],
  );
  return new Map(rows.map((row) => [row.host_id, { total: row.total, running: Number(row.running) }]));
}

export async function countInstancesByState(db: Db, userId?: string): Promise<Record<InstanceState, number>> {
  const rows = await db.query<{ state: InstanceState; total: number }>(
    `SELECT state, COUNT(*) AS total FROM instances ${userId === undefined ? '' : 'WHERE user_id = ?'} GROUP BY state`, userId === undefined ? [] : [userId],
  );
  const counts: Record<InstanceState, number> = { creating: 0, stopped: 0, running: 0, paused: 0, failed: 0, lost: 0 };
  for (const row of rows) counts[row.state] = row.total;
  return counts;
}

// ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export type NewInstance = Pick<
  Instance,
  'id' | 'userId' | 'name' | 'vcpus' | 'memoryMib' | 'diskGib' | 'imageId' | 'mac' | 'subjectId' | 'createdAt'
> & Partial<Pick<Instance, 'ha' | 'haPriority' | 'antiAffinity'>> & { readonly hostId: string; readonly poolId: string; readonly operationId: string; readonly operationKind: OperationKind };

/** Inserts it as `creating`, held by its operation. A taken name, id or MAC address is a duplicate key. */
export async function insertInstance(tx: Db, instance: NewInstance): Promise<void> {
  await tx.execute(
    `INSERT INTO instances (id, user_id, name, state, state_at, operation_id, operation_kind, host_id, pool_id, image_id,
       vcpus, memory_mib, disk_gib, mac, ha, ha_priority, anti_affinity, subject_id, created_at)
     VALUES (?, ?, ?, 'creating', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    [instance.id, instance.userId, instance.name, instance.createdAt, instance.operationId, instance.operationKind, instance.hostId,
      instance.poolId, instance.imageId, instance.vcpus, instance.memoryMib, instance.diskGib, instance.mac,
      instance.ha === true ? 1 : 0, instance.haPriority ?? 1, instance.antiAffinity ?? null, instance.subjectId, instance.createdAt],
  );
}

/** Takes the instance for an operation; false: another operation has it, or its state has changed to none of `states`. */
export async function claimInstance(
  tx: Db, id: string, claim: { readonly operationId: string; readonly operationKind: OperationKind; readonly states: readonly InstanceState[] },
): Promise<boolean> {
  const { affectedRows } = await tx.execute(
    `UPDATE instances SET operation_id = ?, operation_kind = ?
     WHERE id = ? AND operation_id IS NULL AND state IN (${claim.states.map(() => '?').join(', ')})`,
    [claim.operationId, claim.operationKind, id, ...claim.states],
  );
  return affectedRows === 1;
}

export interface InstanceChange {
  readonly state?: InstanceState;
  readonly hostId?: string | null;
  readonly poolId?: string | null;
  readonly address?: string | null;
  readonly consolePort?: number | null;
  readonly consoleExpiresAt?: number | null;
  readonly problem?: Sentence | null;
  readonly returnHostId?: string | null;
  readonly movedAt?: number;
}

function assignments(change: InstanceChange, now: number): { sets: string[]; params: SqlValue[] } {
  const sets: string[] = [];
  const params: SqlValue[] = [];
  const set = (column: string, value: SqlValue | undefined): void => {
    if (value === undefined) return;
    sets.push(`${column} = ?`);
    params.push(value);
  };
  set('state', change.state);
  if (change.state !== undefined) {
    // grows with every write of the state, also within one millisecond: it is the version that observers compare
    sets.push('state_at = GREATEST(?, state_at + 1)');
    params.push(now);
  }
  set('host_id', change.hostId);
  set('pool_id', change.poolId);
  set('address', change.address);
  set('console_port', change.consolePort);
  set('console_expires_at', change.consoleExpiresAt);
  set('return_host_id', change.returnHostId);
  set('moved_at', change.movedAt);
  if (change.problem !== undefined) set('problem', sentenceToColumn(change.problem, 2000));
  return { sets, params };
}

/** What an operation found on its way; it goes on holding the instance. false: it is not the holder, or the instance is not on that host any more. */
export async function updateHeldInstance(tx: Db, held: { readonly id: string; readonly operationId: string; readonly hostId: string }, change: InstanceChange, now: number): Promise<boolean> {
  const { sets, params } = assignments(change, now);
  if (sets.length === 0) return true;
  const { affectedRows } = await tx.execute(
    `UPDATE instances SET ${sets.join(', ')} WHERE id = ? AND operation_id = ? AND host_id = ?`, [...params, held.id, held.operationId, held.hostId],
  );
  return affectedRows === 1;
}

/** The end of an operation: writes what it found and lets the instance go. false: it was not the holder. */
export async function releaseInstance(tx: Db, id: string, operationId: string, change: InstanceChange, now: number): Promise<boolean> {
  const { sets, params } = assignments(change, now);
  const { affectedRows } = await tx.execute(
    `UPDATE instances SET ${[...sets, 'operation_id = NULL', 'operation_kind = NULL'].join(', ')} WHERE id = ? AND operation_id = ?`,
    [...params, id, operationId],
  );
  return affectedRows === 1;
}

/**
 * Writes what was seen of the domain from outside, when the record is still the one that was compared and no operation
 * holds it. false: it has moved on, and what was seen is old.
 */
export async function updateObservedInstance(
  db: Db, seen: Pick<Instance, 'id' | 'state' | 'stateAt'>, change: InstanceChange, now: number,
): Promise<boolean> {
  const { sets, params } = assignments(change, now);
  if (sets.length === 0) return true;
  const { affectedRows } = await db.execute(
    `UPDATE instances SET ${sets.join(', ')} WHERE id = ? AND operation_id IS NULL AND state = ? AND state_at = ?`,
    [...params, seen.id, seen.state, seen.stateAt],
  );
  return affectedRows === 1;
}

/** The addresses last seen of the guest, the most useful first. */
export async function updateInstanceAddresses(db: Db, id: string, addresses: readonly string[]): Promise<void> {
  await db.execute('UPDATE instances SET address = ?, addresses = ? WHERE id = ?', [addresses[0] ?? null, addresses.length === 0 ? null : addresses.join(' '), id]);
}

/**
 * A console password was made on this host: until when it opens the screen, and where. False: the instance has left that
 * host meanwhile, and the port would be another one's.
 */
export async function updateInstanceConsole(
  db: Db, id: string, console: { readonly hostId: string; readonly port: number | null; readonly expiresAt: number | null },
): Promise<boolean> {
  const { affectedRows } = await db.execute(
    'UPDATE instances SET console_port = ?, console_expires_at = ? WHERE id = ? AND host_id = ?', [console.port, console.expiresAt, id, console.hostId],
  );
  return affectedRows === 1;
}

/** What its owner wishes for the day its host fails, and where it is placed next. It holds from then on, whatever is being done with it now. */
export async function updateInstanceAvailability(db: Db, id: string, wish: Pick<Instance, 'ha' | 'haPriority' | 'antiAffinity'>): Promise<void> {
  await db.execute('UPDATE instances SET ha = ?, ha_priority = ?, anti_affinity = ? WHERE id = ?', [wish.ha ? 1 : 0, wish.haPriority, wish.antiAffinity, id]);
}

/** A new maintenance begins: what never came back from the last one lives elsewhere now. */
export async function clearReturnHost(db: Db, hostId: string): Promise<void> {
  await db.execute('UPDATE instances SET return_host_id = NULL WHERE return_host_id = ?', [hostId]);
}

/** Removes the record that this operation holds. */
export async function deleteInstance(tx: Db, id: string, operationId: string): Promise<boolean> {
  return (await tx.execute('DELETE FROM instances WHERE id = ? AND operation_id = ?', [id, operationId])).affectedRows === 1;
}
