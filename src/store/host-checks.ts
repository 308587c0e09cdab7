// What the last look at a host found beside its facts: networks, its clock, and what is wrong with it.
import { columnToJson, jsonToColumn } from './columns.ts';
import type { HostCheckRecord } from '../model/host-check.ts';
import type { Db } from './db.ts';

/** A row of NDB holds 30,000 bytes; the lists of a huge site are cut, the warnings that matter stand first. */
const reportBytes = 20_000;

export async function upsertHostCheck(db: Db, hostId: string, check: HostCheckRecord): Promise<void> {
  const { at, ...report } = check;
  let column = jsonToColumn(report);
  for (let keep = 64; column.length > reportBytes; keep = Math.floor(keep / 2)) {
    column = jsonToColumn({ ...report, warnings: report.warnings.slice(0, keep), networks: report.networks.slice(0, keep) });
  }
  await db.execute(
    'INSERT INTO host_checks (host_id, at, report) VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE at = VALUES(at), report = VALUES(report)', [hostId, at, column],
  );
}

/** By host id; a host that was never looked at is not in it. */
export async function selectHostChecks(db: Db, hostIds?: readonly string[]): Promise<Map<string, HostCheckRecord>> {
  if (hostIds?.length === 0) return new Map();
  const rows = await db.query<{ host_id: string; at: number; report: Buffer }>(
    `SELECT host_id, at, report FROM host_checks ${hostIds === undefined ? '' : 'WHERE host_id IN (?)'}`, hostIds === undefined ? [] : [hostIds],
  );
  return new Map(rows.map((row) => [row.host_id, { ...columnToJson<Omit<HostCheckRecord, 'at'>>(row.report), at: row.at }]));
}

export async function selectOptionalHostCheck(db: Db, hostId: string): Promise<HostCheckRecord | undefined> {
  const [row] = await db.query<{ at: number; report: Buffer }>('SELECT at, report FROM host_checks WHERE host_id = ?', [hostId]);
  return row && { ...columnToJson<Omit<HostCheckRecord, 'at'>>(row.report), at: row.at };
}

export async function deleteHostCheck(db: Db, hostId: string): Promise<void> {
  await db.execute('DELETE FROM host_checks WHERE host_id = ?', [hostId]);
}
