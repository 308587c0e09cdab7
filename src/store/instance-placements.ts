// Why an instance landed on its host: the decision as it was made.
import type { Placement } from '../model/admission.ts';
import { columnToJson, jsonToColumn } from './columns.ts';
import type { Db } from './db.ts';

/** Bytes of the column. In a large fleet the hosts considered last are left out. */
const maxBytes = 16_000;

export async function insertInstancePlacement(tx: Db, instanceId: string, placement: Placement, at: number): Promise<void> {
  let json = jsonToColumn(placement);
  for (let keep = placement.considered.length; json.length > maxBytes; keep = Math.floor(keep / 2)) {
    json = jsonToColumn({ ...placement, considered: placement.considered.slice(0, keep) });
  }
  await tx.execute('INSERT INTO instance_placements (instance_id, at, placement) VALUES (?, ?, ?)', [instanceId, at, json]);
}

export async function selectOptionalInstancePlacement(db: Db, instanceId: string): Promise<{ readonly at: number; readonly placement: Placement } | undefined> {
  const [row] = await db.query<{ at: number; placement: Buffer }>('SELECT at, placement FROM instance_placements WHERE instance_id = ?', [instanceId]);
  return row && { at: row.at, placement: columnToJson<Placement>(row.placement) };
}

export async function deleteInstancePlacement(tx: Db, instanceId: string): Promise<void> {
  await tx.execute('DELETE FROM instance_placements WHERE instance_id = ?', [instanceId]);
}
