// What the last look at a host found beside its facts: networks, its clock, its certificates, and what is wrong with it.
import { columnToJson, jsonToColumn } from './columns.ts';
import type { CertificateEnd, HostCheckRecord } from '../model/host-check.ts';
import type { Db } from './db.ts';

/** A row of NDB holds 30,000 bytes; the lists of a huge site are cut, the warnings that matter stand first. */
const reportBytes = 20_000;

interface CheckRow { readonly host_id: string; readonly at: number; readonly report: Buffer; readonly certificates: Buffer | null }

const columns = 'host_id, at, report, certificates';

function toRecord(row: CheckRow): HostCheckRecord {
  return { ...columnToJson<Omit<HostCheckRecord, 'at' | 'certificates'>>(row.report), at: row.at, certificates: toCertificates(row.certificates) };
}

/** A release that did not look at them left none. */
function toCertificates(column: Buffer | null): CertificateEnd[] {
  return column === null ? [] : columnToJson<CertificateEnd[]>(column);
}

export async function upsertHostCheck(db: Db, hostId: string, check: HostCheckRecord): Promise<void> {
  const { at, certificates, ...report } = check;
  let column = jsonToColumn(report);
  for (let keep = 64; column.length > reportBytes; keep = Math.floor(keep / 2)) {
    column = jsonToColumn({ ...report, warnings: report.warnings.slice(0, keep), networks: report.networks.slice(0, keep) });
  }
  await db.execute(
    `INSERT INTO host_checks (${columns}) VALUES (?, ?, ?, ?) ON DUPLICATE KEY UPDATE at = VALUES(at), report = VALUES(report), certificates = VALUES(certificates)`,
    [hostId, at, column, jsonToColumn(certificates)],
  );
}

/** By host id; a host that was never looked at is not in it. */
export async function selectHostChecks(db: Db, hostIds?: readonly string[]): Promise<Map<string, HostCheckRecord>> {
  if (hostIds?.length === 0) return new Map();
  const rows = await db.query<CheckRow>(`SELECT ${columns} FROM host_checks ${hostIds === undefined ? '' : 'WHERE host_id IN (?)'}`, hostIds === undefined ? [] : [hostIds]);
  return new Map(rows.map((row) => [row.host_id, toRecord(row)]));
}

export async function selectOptionalHostCheck(db: Db, hostId: string): Promise<HostCheckRecord | undefined> {
  return (await selectHostChecks(db, [hostId])).get(hostId);
}

/** By host id, without the rest, which of a thousand hosts is megabytes. */
export async function selectCertificateEnds(db: Db): Promise<Map<string, CertificateEnd[]>> {
  const rows = await db.query<Pick<CheckRow, 'host_id' | 'certificates'>>('SELECT host_id, certificates FROM host_checks WHERE certificates IS NOT NULL');
  return new Map(rows.map((row) => [row.host_id, toCertificates(row.certificates)]));
}

export async function deleteHostCheck(db: Db, hostId: string): Promise<void> {
  await db.execute('DELETE FROM host_checks WHERE host_id = ?', [hostId]);
}
