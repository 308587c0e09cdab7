// Why an instance is on its host: the decision as it was made, at its creation and at each move.
import type { Placement } from '../model/admission.ts';
import type { MoveTrigger } from '../model/move.ts';
import { columnToJson, jsonToColumn } from './columns.ts';
import type { Db } from './db.ts';

/** Bytes of the column. In a large fleet the hosts considered last are left out. */
const maxBytes = 16_000;
/** Milliseconds. Decisions of moves older than this explain nothing any more, but for the one that holds. */
const keepMs = 90 * 86_400_000;

export interface PlacementRecord {
  readonly at: number;
  /** what brought it there */
  readonly cause: 'creation' | MoveTrigger;
  /** null: nothing was considered, e.g. because an admin had chosen the host */
  readonly placement: Placement | null;
}

/**
 * Keeps a decision. `moveId`: of the move (or restart elsewhere) it was made for, null: of the creation. In the transaction
 * that reserves the host; a move that comes to nothing leaves the decision before it standing.
 */
export async function recordPlacement(tx: Db, { instanceId, moveId }: { readonly instanceId: string; readonly moveId: string | null }, placement: Placement, at: number): Promise<void> {
  const json = columnOf(placement);
  if (moveId === null) {
    await tx.execute('INSERT INTO instance_placements (instance_id, at, placement) VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE at = VALUES(at), placement = VALUES(placement)', [instanceId, at, json]);
    return;
  }
  await tx.execute(
    'INSERT INTO move_placements (move_id, instance_id, at, placement) VALUES (?, ?, ?, ?) ON DUPLICATE KEY UPDATE at = VALUES(at), placement = VALUES(placement)',
    [moveId, instanceId, at, json],
  );
  await tx.execute('DELETE FROM move_placements WHERE instance_id = ? AND at < ?', [instanceId, at - keepMs]);
}

function columnOf(placement: Placement): Buffer {
  let json = jsonToColumn(placement);
  for (let keep = placement.considered.length; json.length > maxBytes; keep = Math.floor(keep / 2)) {
    json = jsonToColumn({ ...placement, considered: placement.considered.slice(0, keep) });
  }
  return json;
}

/** The decision that holds: of the last move that ended well, else of the creation. */
export async function selectOptionalInstancePlacement(db: Db, instanceId: string): Promise<PlacementRecord | undefined> {
  const [move] = await db.query<{ trigger: MoveTrigger; ended_at: number; placement: Buffer | null }>(
    `SELECT moves.\`trigger\`, moves.ended_at, move_placements.placement FROM moves LEFT JOIN move_placements ON move_placements.move_id = moves.id
     WHERE moves.instance_id = ? AND moves.state = 'done' ORDER BY moves.ended_at DESC LIMIT 1`,
    [instanceId],
  );
  if (move !== undefined) return { at: move.ended_at, cause: move.trigger, placement: move.placement === null ? null : columnToJson<Placement>(move.placement) };
  const [row] = await db.query<{ at: number; placement: Buffer }>('SELECT at, placement FROM instance_placements WHERE instance_id = ?', [instanceId]);
  return row && { at: row.at, cause: 'creation', placement: columnToJson<Placement>(row.placement) };
}

/** What was considered for one move; undefined: nothing, or it is too long ago. */
export async function selectOptionalMovePlacement(db: Db, moveId: string): Promise<Placement | undefined> {
  const [row] = await db.query<{ placement: Buffer }>('SELECT placement FROM move_placements WHERE move_id = ?', [moveId]);
  return row && columnToJson<Placement>(row.placement);
}

export async function deleteInstancePlacement(tx: Db, instanceId: string): Promise<void> {
  await tx.execute('DELETE FROM instance_placements WHERE instance_id = ?', [instanceId]);
  await tx.execute('DELETE FROM move_placements WHERE instance_id = ?', [instanceId]);
}
