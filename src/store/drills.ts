// Drills and their reports.
import type { Drill, DrillMode, DrillReport, DrillState } from '../model/drill.ts';
import { columnToJson, jsonToColumn } from './columns.ts';
import type { Db } from './db.ts';

interface DrillRow {
  readonly id: string;
  readonly host_id: string;
  readonly host_name: string;
  readonly mode: DrillMode;
  readonly state: DrillState;
  readonly user_id: string | null;
  readonly started_at: number;
  readonly ended_at: number | null;
  readonly report: Buffer;
}

const columns = 'id, host_id, host_name, mode, state, user_id, started_at, ended_at, report';
const maxReportBytes = 16_000;

function toDrill(row: DrillRow): Drill {
  return {
    id: row.id, hostId: row.host_id, hostName: row.host_name, mode: row.mode, state: row.state, userId: row.user_id,
    startedAt: row.started_at, endedAt: row.ended_at, report: columnToJson<DrillReport>(row.report),
  };
}

/** Both lists are shortened until the report fits; how many there were in all stays in it. */
function reportToColumn(report: DrillReport): Buffer {
  for (let count = Math.max(report.restarts.length, report.unfit.length); ; count = Math.floor(count * 0.8)) {
    const column = jsonToColumn({ ...report, restarts: report.restarts.slice(0, count), unfit: report.unfit.slice(0, count) });
    if (column.length <= maxReportBytes || count === 0) return column;
  }
}

export async function insertDrill(db: Db, drill: Drill): Promise<void> {
  await db.execute(
    `INSERT INTO drills (id, host_id, host_name, mode, state, user_id, started_at, ended_at, report) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON DUPLICATE KEY UPDATE id = id`,
    [drill.id, drill.hostId, drill.hostName, drill.mode, drill.state, drill.userId, drill.startedAt, drill.endedAt, reportToColumn(drill.report)],
  );
}

/** Where real drills take their turn, beside the moves' place in the same table. */
const drillGuard = 2;

/** As insertDrill, of a real one. false: another one goes on; of two that are asked for at the same moment the second sees the first. */
export async function claimDrill(tx: Db, drill: Drill): Promise<boolean> {
  await tx.execute('INSERT INTO move_guard (id) VALUES (?) ON DUPLICATE KEY UPDATE id = id', [drillGuard]);
  // a locking read: a plain one may show the drills as they were before the guard was ours
  const others = await tx.query("SELECT id FROM drills WHERE state = 'running' AND id <> ? LIMIT 1 FOR UPDATE", [drill.id]);
  if (others.length > 0) return false;
  await insertDrill(tx, drill);
  return true;
}

export async function selectOptionalDrill(db: Db, id: string): Promise<Drill | undefined> {
  const [row] = await db.query<DrillRow>(`SELECT ${columns} FROM drills WHERE id = ?`, [id]);
  return row && toDrill(row);
}

/** Newest first. */
export async function selectDrills(db: Db, limit: number): Promise<Drill[]> {
  return (await db.query<DrillRow>(`SELECT ${columns} FROM drills ORDER BY started_at DESC, id LIMIT ?`, [limit])).map(toDrill);
}

/** The real drill that goes on now; undefined: none. Two at once would measure each other. */
export async function selectRunningDrill(db: Db): Promise<Drill | undefined> {
  const [row] = await db.query<DrillRow>(`SELECT ${columns} FROM drills WHERE state = 'running' ORDER BY started_at LIMIT 1`);
  return row && toDrill(row);
}

export async function updateDrillReport(db: Db, id: string, report: DrillReport): Promise<void> {
  await db.execute("UPDATE drills SET report = ? WHERE id = ? AND state = 'running'", [reportToColumn(report), id]);
}

export async function updateDrillEnded(db: Db, id: string, state: DrillState, report: DrillReport, at: number): Promise<void> {
  await db.execute("UPDATE drills SET state = ?, ended_at = ?, report = ? WHERE id = ? AND state = 'running'", [state, at, reportToColumn(report), id]);
}
