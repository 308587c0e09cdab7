// Table flavours: the sizes that may be chosen as presets.
import { AppError, say } from '../errors.ts';
import type { Flavour } from '../model/flavour.ts';
import type { Size } from '../model/size.ts';
import { isDuplicateKey, type Db } from './db.ts';

interface FlavourRow { id: string; name: string; vcpus: number; memory_mib: number; disk_gib: number; position: number; enabled: number }

const columns = 'id, name, vcpus, memory_mib, disk_gib, position, enabled';

function toFlavour(row: FlavourRow): Flavour {
  return { id: row.id, name: row.name, vcpus: row.vcpus, memoryMib: row.memory_mib, diskGib: row.disk_gib, position: row.position, enabled: row.enabled === 1 };
}

/** In the order that admins gave them. */
export async function selectFlavours(db: Db): Promise<Flavour[]> {
  return (await db.query<FlavourRow>(`SELECT ${columns} FROM flavours ORDER BY position, name`)).map(toFlavour);
}

export async function selectEnabledFlavours(db: Db): Promise<Flavour[]> {
  return (await selectFlavours(db)).filter((flavour) => flavour.enabled);
}

export async function selectOptionalFlavour(db: Db, id: string): Promise<Flavour | undefined> {
  const rows = await db.query<FlavourRow>(`SELECT ${columns} FROM flavours WHERE id = ?`, [id]);
  return rows[0] === undefined ? undefined : toFlavour(rows[0]);
}

export async function selectFlavour(db: Db, id: string): Promise<Flavour> {
  const flavour = await selectOptionalFlavour(db, id);
  if (flavour === undefined) throw new AppError('not-found', say('admin.flavours.not-found'));
  return flavour;
}

function nameTaken(error: unknown): unknown {
  if (!isDuplicateKey(error)) return error;
  return new AppError('conflict', say('admin.flavours.name-taken'), { cause: error, fields: { name: say('admin.flavours.name-taken') } });
}

/** Throws conflict when the name is taken. Inserting the same row again changes nothing. */
export async function insertFlavour(db: Db, flavour: Flavour): Promise<void> {
  const { id, name, vcpus, memoryMib, diskGib, position, enabled } = flavour;
  try {
    await db.execute(`INSERT INTO flavours (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?)`, [id, name, vcpus, memoryMib, diskGib, position, enabled]);
  } catch (error) {
    if (isDuplicateKey(error) && (await selectOptionalFlavour(db, id)) !== undefined) return;
    throw nameTaken(error);
  }
}

/** Throws conflict when the name is taken, not-found when it is gone. */
export async function updateFlavour(db: Db, id: string, change: Size & { readonly name: string; readonly enabled: boolean }): Promise<void> {
  try {
    const { affectedRows } = await db.execute(
      'UPDATE flavours SET name = ?, vcpus = ?, memory_mib = ?, disk_gib = ?, enabled = ? WHERE id = ?',
      [change.name, change.vcpus, change.memoryMib, change.diskGib, change.enabled, id],
    );
    if (affectedRows === 0) throw new AppError('not-found', say('admin.flavours.not-found'));
  } catch (error) {
    throw nameTaken(error);
  }
}

/** Numbers them 0, 1, 2… in this order; those not named keep their place behind. */
export async function updateFlavourPositions(db: Db, ids: readonly string[]): Promise<void> {
  for (const [position, id] of ids.entries()) await db.execute('UPDATE flavours SET position = ? WHERE id = ?', [position, id]);
}

/** Instances keep their own size: a flavour may go at any time. */
export async function deleteFlavour(db: Db, id: string): Promise<void> {
  await db.execute('DELETE FROM flavours WHERE id = ?', [id]);
}

// Fixed ids: two portals that start together insert the same rows.
const seeds: readonly Flavour[] = [
  { id: '5f1a0000-0000-4000-8000-000000000001', name: 'tiny', vcpus: 1, memoryMib: 128, diskGib: 1, position: 0, enabled: true },
  { id: '5f1a0000-0000-4000-8000-000000000002', name: 'small', vcpus: 1, memoryMib: 512, diskGib: 5, position: 1, enabled: true },
  { id: '5f1a0000-0000-4000-8000-000000000003', name: 'medium', vcpus: 2, memoryMib: 2048, diskGib: 20, position: 2, enabled: true },
  { id: '5f1a0000-0000-4000-8000-000000000004', name: 'large', vcpus: 4, memoryMib: 4096, diskGib: 40, position: 3, enabled: true },
];

/** Gives a new cloud its first flavours, once: an admin who deleted them all does not get them back. */
export async function seedFlavours(db: Db): Promise<void> {
  const marker = await db.query('SELECT name FROM settings WHERE name = ?', ['seeded:flavours']);
  if (marker.length > 0) return;
  const [count] = await db.query<{ n: number }>('SELECT COUNT(*) AS n FROM flavours');
  // some of ours: an earlier start was killed between two of them, and goes on here
  const ours = await db.query('SELECT id FROM flavours WHERE id IN (?, ?, ?, ?)', seeds.map((seed) => seed.id));
  if (count?.n === ours.length) for (const seed of seeds) await insertFlavour(db, seed);
  await db.execute('INSERT INTO settings (name, value, updated_at, updated_by) VALUES (?, ?, 0, NULL) ON DUPLICATE KEY UPDATE name = name', ['seeded:flavours', 'true']);
}
