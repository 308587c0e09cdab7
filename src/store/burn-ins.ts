// Burn-ins of hosts, the one in progress and those that have ended.
import { columnToJson, jsonToColumn, sentenceToColumn } from './columns.ts';
import type { BurnIn } from '../model/burn-in.ts';
import type { Db } from './db.ts';

interface BurnInRow {
  readonly id: string;
  readonly host_id: string;
  readonly user_id: string | null;
  readonly state: BurnIn['state'];
  readonly started_at: number;
  readonly ended_at: number | null;
  readonly report: Buffer;
}

type Report = Pick<BurnIn, 'imageName' | 'targetName' | 'reserved' | 'steps' | 'error' | 'fix'>;

const columns = 'id, host_id, user_id, state, started_at, ended_at, report';

function toBurnIn(row: BurnInRow): BurnIn {
  return {
    id: row.id, hostId: row.host_id, userId: row.user_id, state: row.state, startedAt: row.started_at, endedAt: row.ended_at, ...columnToJson<Report>(row.report),
  };
}

/** libvirt's own words may be long; the column is not. */
function reportColumn({ imageName, targetName, reserved, steps, error, fix }: Report): Buffer {
  const cut = (sentence: BurnIn['error'], length: number): BurnIn['error'] => {
    const text = sentenceToColumn(sentence, length);
    return text === null ? null : (JSON.parse(text) as BurnIn['error']);
  };
  return jsonToColumn({ imageName, targetName, reserved, steps: steps.map((step) => ({ ...step, note: cut(step.note, 300) })), error: cut(error, 1500), fix: cut(fix, 500) });
}

export async function insertBurnIn(tx: Db, burnIn: BurnIn): Promise<void> {
  await tx.execute(
    'INSERT INTO burn_ins (id, host_id, user_id, state, started_at, ended_at, report) VALUES (?, ?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE id = id',
    [burnIn.id, burnIn.hostId, burnIn.userId, burnIn.state, burnIn.startedAt, burnIn.endedAt, reportColumn(burnIn)],
  );
}

export async function updateBurnInEnded(tx: Db, burnIn: BurnIn): Promise<void> {
  await tx.execute('UPDATE burn_ins SET state = ?, ended_at = ?, report = ? WHERE id = ?', [burnIn.state, burnIn.endedAt, reportColumn(burnIn), burnIn.id]);
}

export async function selectOptionalBurnIn(db: Db, id: string): Promise<BurnIn | undefined> {
  const [row] = await db.query<BurnInRow>(`SELECT ${columns} FROM burn_ins WHERE id = ?`, [id]);
  return row && toBurnIn(row);
}

/** Newest first. */
export async function selectBurnInsByHost(db: Db, hostId: string, limit = 20): Promise<BurnIn[]> {
  return (await db.query<BurnInRow>(`SELECT ${columns} FROM burn_ins WHERE host_id = ? ORDER BY started_at DESC, id LIMIT ?`, [hostId, limit])).map(toBurnIn);
}

/** The newest of every host, by host id. */
export async function selectLastBurnIns(db: Db, hostIds: readonly string[]): Promise<Map<string, BurnIn>> {
  if (hostIds.length === 0) return new Map();
  const rows = await db.query<BurnInRow>(
    `SELECT ${columns} FROM burn_ins WHERE host_id IN (?)
       AND NOT EXISTS (SELECT 1 FROM burn_ins later WHERE later.host_id = burn_ins.host_id AND later.started_at > burn_ins.started_at)`, [hostIds],
  );
  return new Map(rows.map((row) => [row.host_id, toBurnIn(row)]));
}

/** Asked while the host is held. A locking read: MySQL Cluster may let go of the host a moment before the other one's record is to be seen. */
export async function hasOpenBurnIn(tx: Db, hostId: string): Promise<boolean> {
  return (await tx.query("SELECT id FROM burn_ins WHERE host_id = ? AND state = 'running' LIMIT 1 LOCK IN SHARE MODE", [hostId])).length > 0;
}

/** Those of these ids that are burn-ins in progress: their domains and disks on hosts are nobody's instance, and no strangers. */
export async function selectOpenBurnInIds(db: Db, ids: readonly string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const rows = await db.query<{ id: string }>(`SELECT id FROM burn_ins WHERE state = 'running' AND id IN (${ids.map(() => '?').join(', ')})`, ids);
  return new Set(rows.map((row) => row.id));
}
