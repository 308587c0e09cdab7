// What a job found out for everybody, ready to be shown: pages read one row instead of sorting thousands.
import { columnToJson, jsonToColumn } from './columns.ts';
import type { Db } from './db.ts';

/** What the column takes. */
const maxBytes = 20_000;

export interface Snapshot<T> {
  /** when `value` was true */
  readonly at: number;
  readonly value: T;
}

/** Writes it, unless a newer one is there: two portals may write by turns. */
export async function upsertSnapshot(db: Db, name: string, value: unknown, at: number): Promise<void> {
  await upsertSnapshots(db, [[name, value]], at);
}

/** The same of several that were found out together: [name, value]. */
export async function upsertSnapshots(db: Db, snapshots: readonly (readonly [name: string, value: unknown])[], at: number): Promise<void> {
  const rows = snapshots.map(([name, value]) => {
    const column = jsonToColumn(value);
    if (column.length > maxBytes) throw new RangeError(`the snapshot ${name} has ${column.length} bytes; ${maxBytes} fit`);
    return [name, at, column];
  });
  await db.execute(
    `INSERT INTO snapshots (name, at, value) VALUES ${rows.map(() => '(?, ?, ?)').join(', ')}
     ON DUPLICATE KEY UPDATE value = IF(at <= VALUES(at), VALUES(value), value), at = GREATEST(at, VALUES(at))`,
    rows.flat(),
  );
}

/** The type is the caller's word: only what was written under this name stands there. */
export async function selectSnapshot<T>(db: Db, name: string): Promise<Snapshot<T> | undefined> {
  const [row] = await db.query<{ at: number; value: Buffer }>('SELECT at, value FROM snapshots WHERE name = ?', [name]);
  return row && { at: row.at, value: columnToJson<T>(row.value) };
}
