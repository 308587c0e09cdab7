// What an emptying or a return of a host could not move, and why: the administrator's list.
import type { LeftBehind } from '../model/maintenance.ts';
import { columnToJson, jsonToColumn } from './columns.ts';
import type { Db } from './db.ts';

/** The column's length. Reasons of a cluster of many hosts are alike: the first ones tell enough. */
const maxBytes = 6000;

/** Once for each instance of an operation; a repeated write keeps the newest reasons. */
export async function upsertLeftBehind(db: Db, left: LeftBehind): Promise<void> {
  await db.execute(
    `INSERT INTO left_behind (operation_id, instance_id, instance_name, at, reasons) VALUES (?, ?, ?, ?, ?)
     ON DUPLICATE KEY UPDATE at = VALUES(at), reasons = VALUES(reasons)`,
    [left.operationId, left.instanceId, left.instanceName, left.at, reasonsToColumn(left.refusals)],
  );
}

function reasonsToColumn(refusals: LeftBehind['refusals']): Buffer {
  for (let count = refusals.length; count > 0; count--) {
    const column = jsonToColumn(refusals.slice(0, count));
    if (column.length <= maxBytes) return column;
  }
  return jsonToColumn([]);
}

interface LeftRow {
  readonly operation_id: string;
  readonly instance_id: string;
  readonly instance_name: string;
  readonly at: number;
  readonly reasons: Buffer;
}

/** By name. */
export async function selectLeftBehind(db: Db, operationId: string): Promise<LeftBehind[]> {
  const rows = await db.query<LeftRow>(
    'SELECT operation_id, instance_id, instance_name, at, reasons FROM left_behind WHERE operation_id = ? ORDER BY instance_name, instance_id', [operationId],
  );
  return rows.map((row) => ({
    operationId: row.operation_id, instanceId: row.instance_id, instanceName: row.instance_name, at: row.at, refusals: columnToJson(row.reasons),
  }));
}
