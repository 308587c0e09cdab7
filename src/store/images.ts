// Table images: what disks are made from.
import { AppError, say } from '../errors.ts';
import type { Image } from '../model/image.ts';
import { isDuplicateKey, type Database, type Db } from './db.ts';

interface ImageRow {
  id: string; name: string; description: string; pool_id: string; volume: string; format: string;
  virtual_size_bytes: number; min_memory_mib: number; cloud_init: number; enabled: number; created_at: number;
}

const columns = 'id, name, description, pool_id, volume, format, virtual_size_bytes, min_memory_mib, cloud_init, enabled, created_at';

function toImage(row: ImageRow): Image {
  return {
    id: row.id, name: row.name, description: row.description, poolId: row.pool_id, volume: row.volume,
    format: row.format === 'raw' ? 'raw' : 'qcow2', virtualSizeBytes: row.virtual_size_bytes, minMemoryMib: row.min_memory_mib,
    cloudInit: row.cloud_init === 1, enabled: row.enabled === 1, createdAt: row.created_at,
  };
}

/** By name. */
export async function selectImages(db: Db): Promise<Image[]> {
  return (await db.query<ImageRow>(`SELECT ${columns} FROM images ORDER BY name`)).map(toImage);
}

export async function selectEnabledImages(db: Db): Promise<Image[]> {
  return (await db.query<ImageRow>(`SELECT ${columns} FROM images WHERE enabled = 1 ORDER BY name`)).map(toImage);
}

export async function selectOptionalImage(db: Db, id: string): Promise<Image | undefined> {
  const rows = await db.query<ImageRow>(`SELECT ${columns} FROM images WHERE id = ?`, [id]);
  return rows[0] === undefined ? undefined : toImage(rows[0]);
}

export async function selectImage(db: Db, id: string): Promise<Image> {
  const image = await selectOptionalImage(db, id);
  if (image === undefined) throw new AppError('not-found', say('admin.images.not-found'));
  return image;
}

export async function selectOptionalImageByVolume(db: Db, poolId: string, volume: string): Promise<Image | undefined> {
  const rows = await db.query<ImageRow>(`SELECT ${columns} FROM images WHERE pool_id = ? AND volume = ?`, [poolId, volume]);
  return rows[0] === undefined ? undefined : toImage(rows[0]);
}

function nameTaken(error: unknown): unknown {
  if (!isDuplicateKey(error)) return error;
  return new AppError('conflict', say('admin.images.name-taken'), { cause: error, fields: { name: say('admin.images.name-taken') } });
}

/** Throws conflict when the name is taken or the volume is an image already. Inserting the same row again changes nothing. */
export async function insertImage(db: Db, image: Image): Promise<void> {
  try {
    await db.execute(`INSERT INTO images (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, [
      image.id, image.name, image.description, image.poolId, image.volume, image.format,
      image.virtualSizeBytes, image.minMemoryMib, image.cloudInit, image.enabled, image.createdAt,
    ]);
  } catch (error) {
    if (!isDuplicateKey(error)) throw error;
    if ((await selectOptionalImage(db, image.id)) !== undefined) return;
    const same = await selectOptionalImageByVolume(db, image.poolId, image.volume);
    if (same === undefined) throw nameTaken(error);
    throw new AppError('conflict', say('admin.images.volume-taken', { name: same.name }), { cause: error, fields: { volume: say('admin.images.volume-taken', { name: same.name }) } });
  }
}

export type ImageChange = Pick<Image, 'name' | 'description' | 'minMemoryMib' | 'cloudInit' | 'enabled'>;

/** Throws conflict when the name is taken, not-found when it is gone. */
export async function updateImage(db: Db, id: string, change: ImageChange): Promise<void> {
  try {
    const { affectedRows } = await db.execute(
      'UPDATE images SET name = ?, description = ?, min_memory_mib = ?, cloud_init = ?, enabled = ? WHERE id = ?',
      [change.name, change.description, change.minMemoryMib, change.cloudInit, change.enabled, id],
    );
    if (affectedRows === 0) throw new AppError('not-found', say('admin.images.not-found'));
  } catch (error) {
    throw nameTaken(error);
  }
}

export async function updateImageEnabled(db: Db, id: string, enabled: boolean): Promise<void> {
  await db.execute('UPDATE images SET enabled = ? WHERE id = ?', [enabled, id]);
}

/**
 * Holds an enabled image until the transaction ends, so that it is not deleted while an instance of it is being
 * inserted. false: disabled or gone.
 */
export async function claimImage(tx: Db, id: string): Promise<boolean> {
  return (await tx.execute('UPDATE images SET enabled = 1 WHERE id = ? AND enabled = 1', [id])).affectedRows === 1;
}

/**
 * Removes the record, never the file, when no instance uses it. false: one does. The image is held before its instances are
 * looked for, and they are read with locks: MySQL Cluster reads without waiting for a creation that holds the image and has not
 * inserted yet, and may let go of the image a moment before the instance is to be seen.
 */
export async function deleteUnusedImage(db: Database, id: string): Promise<boolean> {
  return db.transaction(async (tx) => {
    const [held] = await tx.query('SELECT id FROM images WHERE id = ? FOR UPDATE', [id]);
    if (held === undefined) return true;
    const [used] = await tx.query('SELECT id FROM instances WHERE image_id = ? LIMIT 1 LOCK IN SHARE MODE', [id]);
    if (used !== undefined) return false;
    await tx.execute('DELETE FROM images WHERE id = ?', [id]);
    return true;
  });
}

/** image id → instances made of it */
export async function selectImageUse(db: Db): Promise<Map<string, number>> {
  const rows = await db.query<{ image_id: string; n: number }>('SELECT image_id, COUNT(*) AS n FROM instances GROUP BY image_id');
  return new Map(rows.map((row) => [row.image_id, row.n]));
}
