// Storage pools. One row is one set of files: a shared pool has one row for all its hosts, a local pool one row per host.
import { createHash, randomUUID } from 'node:crypto';
import { AppError, say } from '../errors.ts';
import type { StoragePool } from '../model/host.ts';
import type { Database, Db } from './db.ts';
import { holdHost } from './hosts.ts';
import { insertSampleSubject } from './sample-subjects.ts';

interface PoolRow {
  readonly id: string;
  readonly name: string;
  readonly shared: number;
  readonly kind: string;
  readonly path: string;
  readonly capacity_bytes: number;
  readonly available_bytes: number;
  readonly sampled_at: number | null;
  readonly used_gib: number;
  readonly subject_id: number;
}

function toPool(row: PoolRow): StoragePool {
  return {
    id: row.id,
    name: row.name,
    shared: row.shared === 1,
    kind: row.kind,
    path: row.path,
    capacityBytes: row.capacity_bytes,
    availableBytes: row.available_bytes,
    sampledAt: row.sampled_at,
    usedGib: row.used_gib,
    subjectId: row.subject_id,
  };
}

export interface FoundPool extends Pick<StoragePool, 'name' | 'shared' | 'kind' | 'path'> {
  readonly hostId: string;
  readonly capacityBytes: number;
  readonly availableBytes: number;
}

/**
 * A pool as a host shows it: its row, made when it is new, and linked to the host. A pool marked as shared is found by name
 * and path from every host; a local one belongs to its host alone. A host that changes its mind keeps its row, with the
 * images and instances in it, as long as the row is its own.
 */
export async function upsertPool(db: Db, pool: FoundPool, now: number): Promise<string> {
  const known = pool.shared ? ((await selectSharedPoolId(db, pool)) ?? (await selectOwnPoolId(db, pool))) : await selectOwnPoolId(db, pool);
  const id = known ?? (await insertPool(db, pool, now));
  if (known !== undefined) await db.execute('UPDATE storage_pools SET shared = ?, kind = ? WHERE id = ?', [pool.shared ? 1 : 0, pool.kind, id]);
  await updatePoolSample(db, id, pool.capacityBytes, pool.availableBytes, now);
  await linkHostPool(db, pool.hostId, id);
  return id;
}

async function selectSharedPoolId(db: Db, { name, path }: FoundPool): Promise<string | undefined> {
  const [row] = await db.query<{ id: string }>('SELECT id FROM storage_pools WHERE name = ? AND path = ? AND shared = 1', [name, path]);
  return row?.id;
}

/** The row of that name and path that this host has and no other. */
async function selectOwnPoolId(db: Db, { name, path, hostId }: FoundPool): Promise<string | undefined> {
  const [row] = await db.query<{ id: string }>(
    `SELECT id FROM storage_pools JOIN host_pools ON host_pools.pool_id = storage_pools.id WHERE name = ? AND path = ? AND host_id = ?
       AND NOT EXISTS (SELECT 1 FROM host_pools others WHERE others.pool_id = storage_pools.id AND others.host_id <> ?)`,
    [name, path, hostId, hostId],
  );
  return row?.id;
}

async function insertPool(db: Db, pool: FoundPool, now: number): Promise<string> {
  const id = await newPoolId(db, pool);
  const subjectId = await insertSampleSubject(db, id, now);
  await db.execute(
    `INSERT INTO storage_pools (id, name, shared, kind, path, subject_id, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON DUPLICATE KEY UPDATE kind = VALUES(kind)`,
    [id, pool.name, pool.shared ? 1 : 0, pool.kind, pool.path, subjectId, now],
  );
  return id;
}

/** The id follows from what the pool is, so that two portals that find it at once make one row. */
async function newPoolId(db: Db, pool: FoundPool): Promise<string> {
  const owner = pool.shared ? '' : pool.hostId;
  const hex = createHash('sha256').update(JSON.stringify([pool.name, pool.path, owner])).digest('hex');
  const id = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
  // it was local, was called shared by its host, and others have joined it since: that row is theirs
  const taken = await selectOptionalPool(db, id);
  return taken === undefined || taken.shared === pool.shared ? id : randomUUID();
}

export async function selectPools(db: Db): Promise<StoragePool[]> {
  return (await db.query<PoolRow>('SELECT * FROM storage_pools ORDER BY shared DESC, name, id')).map(toPool);
}

export async function selectOptionalPool(db: Db, id: string): Promise<StoragePool | undefined> {
  const [row] = await db.query<PoolRow>('SELECT * FROM storage_pools WHERE id = ?', [id]);
  return row && toPool(row);
}

export async function selectPool(db: Db, id: string): Promise<StoragePool> {
  const pool = await selectOptionalPool(db, id);
  if (pool === undefined) throw new AppError('not-found', say('errors.page-not-found'));
  return pool;
}

/** The pools of one host, shared ones first. */
export async function selectPoolsByHost(db: Db, hostId: string): Promise<StoragePool[]> {
  const rows = await db.query<PoolRow>(
    `SELECT storage_pools.* FROM storage_pools JOIN host_pools ON host_pools.pool_id = storage_pools.id
     WHERE host_pools.host_id = ? ORDER BY shared DESC, name, id`,
    [hostId],
  );
  return rows.map(toPool);
}

export async function updatePoolSample(db: Db, id: string, capacityBytes: number, availableBytes: number, at: number): Promise<void> {
  await db.execute('UPDATE storage_pools SET capacity_bytes = ?, available_bytes = ?, sampled_at = ? WHERE id = ?', [capacityBytes, availableBytes, at, id]);
}

export async function linkHostPool(db: Db, hostId: string, poolId: string): Promise<void> {
  await db.execute('INSERT INTO host_pools (host_id, pool_id) VALUES (?, ?) ON DUPLICATE KEY UPDATE host_id = host_id', [hostId, poolId]);
}

export async function unlinkHostPool(db: Db, hostId: string, poolId: string): Promise<void> {
  await db.execute('DELETE FROM host_pools WHERE host_id = ? AND pool_id = ?', [hostId, poolId]);
}

/** False: an instance of this host has its disk there. The host is held, so that none is being placed there meanwhile; a locking read sees who has just been. */
export async function unlinkHostPoolIfUnused(db: Database, hostId: string, poolId: string): Promise<boolean> {
  return db.transaction(async (tx) => {
    await holdHost(tx, hostId);
    const [used] = await tx.query("SELECT id FROM instances WHERE host_id = ? AND pool_id = ? AND state <> 'failed' LIMIT 1 LOCK IN SHARE MODE", [hostId, poolId]);
    if (used !== undefined) return false;
    await unlinkHostPool(tx, hostId, poolId);
    return true;
  });
}

/** Removes a pool that no host shows, no image lies in and nothing is promised from. False: it is still used. */
export async function deletePoolIfUnused(db: Database, id: string): Promise<boolean> {
  return db.transaction(async (tx) => {
    await tx.query('SELECT id FROM storage_pools WHERE id = ? FOR UPDATE', [id]);
    const { affectedRows } = await tx.execute(
      `DELETE FROM storage_pools WHERE id = ? AND used_gib = 0
         AND NOT EXISTS (SELECT 1 FROM host_pools WHERE pool_id = storage_pools.id)
         AND NOT EXISTS (SELECT 1 FROM images WHERE pool_id = storage_pools.id)
         AND NOT EXISTS (SELECT 1 FROM instances WHERE pool_id = storage_pools.id AND state <> 'failed')`,
      [id],
    );
    return affectedRows === 1;
  });
}
