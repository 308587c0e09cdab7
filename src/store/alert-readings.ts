// What alert rules look at, of all subjects at once: one statement a kind, whatever number of rules and machines there is.
// Of machines only those come out of the database that some rule may be about; of 20,000 that are well none does.
import { isMeasure, type Direction, type Measure } from '../model/alert-rule.ts';
import type { InstanceState } from '../model/instance.ts';
import { isAscii } from './columns.ts';
import type { Db, SqlValue } from './db.ts';
import { isOpen } from './operations.ts';
import { rings, slotsBetween } from './sample-ring.ts';

/** As SQL over one sample `s` and, of machines, its owner `i`. */
const expressions: Record<Measure, string> = {
  'host.cpu': 's.cpu_percent',
  'host.memory': '100 * s.memory_used_mib / s.memory_total_mib',
  'host.cpu-iowait': 's.cpu_iowait_percent',
  'host.cpu-steal': 's.cpu_steal_percent',
  'host.swap-used': 's.swap_used_mib',
  'pool.used': '100 * (s.capacity_bytes - s.available_bytes) / s.capacity_bytes',
  'instance.cpu': 's.cpu_percent',
  'instance.memory-used': 's.memory_used_mib',
  'instance.disk-read': 's.disk_read_bps',
  'instance.disk-write': 's.disk_write_bps',
  'instance.network-receive': 's.network_receive_bps',
  'instance.network-transmit': 's.network_transmit_bps',
  'instance.network-drops': 's.network_drops_ps',
};

/** ids of one IN list */
const batchIds = 1000;

export interface MeasuredSubject { readonly id: string; readonly name: string; readonly values: ReadonlyMap<Measure, number> }
type ValueRow = { readonly id: string; readonly name: string } & Readonly<Record<string, string | number | null>>;

/** Means from `from` to `to` of all hosts or pools; one without samples is not there. */
export function selectMeasuredHosts(db: Db, measured: readonly Measure[], from: number, to: number): Promise<MeasuredSubject[]> {
  return selectMeasured(db, 'hosts', 'host_samples', measured, from, to);
}

export function selectMeasuredPools(db: Db, measured: readonly Measure[], from: number, to: number): Promise<MeasuredSubject[]> {
  return selectMeasured(db, 'storage_pools', 'pool_samples', measured, from, to);
}

async function selectMeasured(db: Db, owners: string, table: string, measured: readonly Measure[], from: number, to: number): Promise<MeasuredSubject[]> {
  const rows = await db.query<ValueRow>(
    `SELECT i.id, i.name, ${means(measured)} FROM ${owners} i JOIN ${table} s ON s.subject_id = i.subject_id
     WHERE s.slot IN (?) AND s.at BETWEEN ? AND ? GROUP BY i.id, i.name`,
    [slotsBetween(rings.samples, from, to), from, to],
  );
  return rows.map((row) => toSubject(row, measured));
}

/** A value on the far side of `edge` interests a rule. */
export interface Interest { readonly measure: Measure; readonly direction: Direction; readonly edge: number }

/** Means of the machines that run and of which one is past an edge. `most` rows: where all are, the first say enough. */
export async function selectMeasuredInstances(db: Db, interests: readonly Interest[], from: number, to: number, most: number): Promise<MeasuredSubject[]> {
  const measured = [...new Set(interests.map(({ measure }) => measure))];
  const past = interests.map(({ measure, direction }) => `m${measured.indexOf(measure)} ${direction === 'above' ? '>' : '<'} ?`).join(' OR ');
  const rows = await db.query<ValueRow>(
    `SELECT i.id, i.name, ${means(measured)} FROM instances i JOIN instance_samples s ON s.subject_id = i.subject_id
     WHERE i.state IN ('running', 'paused') AND s.slot IN (?) AND s.at BETWEEN ? AND ? GROUP BY i.id, i.name HAVING ${past} LIMIT ?`,
    [slotsBetween(rings.samples, from, to), from, to, ...interests.map(({ edge }): SqlValue => edge), most],
  );
  return rows.map((row) => toSubject(row, measured));
}

/** The same of these machines, whatever their values. */
export async function selectMeasuredInstancesByIds(db: Db, ids: readonly string[], measured: readonly Measure[], from: number, to: number): Promise<MeasuredSubject[]> {
  const found: MeasuredSubject[] = [];
  for (let start = 0; start < ids.length; start += batchIds) {
    const rows = await db.query<ValueRow>(
      `SELECT i.id, i.name, ${means(measured)} FROM instances i JOIN instance_samples s ON s.subject_id = i.subject_id
       WHERE i.id IN (?) AND s.slot IN (?) AND s.at BETWEEN ? AND ? GROUP BY i.id, i.name`,
      [ids.slice(start, start + batchIds), slotsBetween(rings.samples, from, to), from, to],
    );
    found.push(...rows.map((row) => toSubject(row, measured)));
  }
  return found;
}

function means(measured: readonly Measure[]): string {
  // + 0.0: AVG of an integer column is DECIMAL, which arrives as text
  return measured.map((measure, index) => `AVG(${expressions[measure]}) + 0.0e0 AS m${index}`).join(', ');
}

function toSubject(row: ValueRow, measured: readonly Measure[]): MeasuredSubject {
  const values = measured.flatMap((measure, index): [Measure, number][] => {
    const value = row[`m${index}`];
    return typeof value === 'number' && isMeasure(measure) ? [[measure, value]] : [];
  });
  return { id: row.id, name: row.name, values: new Map(values) };
}

export interface InstanceStanding { readonly id: string; readonly name: string; readonly state: InstanceState; readonly hostId: string | null; readonly stateAt: number }
interface StandingRow { id: string; name: string; state: InstanceState; host_id: string | null; state_at: number }
const standing = 'id, name, state, host_id, state_at';
const toStanding = (row: StandingRow): InstanceStanding => ({ id: row.id, name: row.name, state: row.state, hostId: row.host_id, stateAt: row.state_at });

export async function selectInstanceStandings(db: Db, ids: readonly string[]): Promise<InstanceStanding[]> {
  const found: InstanceStanding[] = [];
  for (let start = 0; start < ids.length; start += batchIds) {
    found.push(...(await db.query<StandingRow>(`SELECT ${standing} FROM instances WHERE id IN (?)`, [ids.slice(start, start + batchIds)])).map(toStanding));
  }
  return found;
}

export async function selectInstancesInState(db: Db, state: InstanceState, most: number): Promise<InstanceStanding[]> {
  return (await db.query<StandingRow>(`SELECT ${standing} FROM instances WHERE state = ? ORDER BY state_at LIMIT ?`, [state, most])).map(toStanding);
}

/** Those that run on a host that answers, for some time already, and have no sample since `from`. */
export async function selectUnmeasuredInstances(db: Db, from: number, now: number, most: number): Promise<InstanceStanding[]> {
  const rows = await db.query<StandingRow>(
    `SELECT i.id, i.name, i.state, i.host_id, i.state_at FROM instances i JOIN hosts h ON h.id = i.host_id
     WHERE i.state = 'running' AND i.state_at < ? AND h.state = 'up' AND h.state_since < ?
       AND NOT EXISTS (SELECT 1 FROM instance_samples s WHERE s.subject_id = i.subject_id AND s.slot IN (?) AND s.at >= ?)
     ORDER BY i.id LIMIT ?`,
    [from, from, slotsBetween(rings.samples, from, now), from, most],
  );
  return rows.map(toStanding);
}

export interface OpenWork { readonly id: string; readonly kind: string; readonly createdAt: number }

/** Operations that have not ended, and began before that; oldest first. */
export async function selectOperationsOpenSince(db: Db, before: number, most: number): Promise<OpenWork[]> {
  const rows = await db.query<{ id: string; kind: string; created_at: number }>(
    `SELECT id, kind, created_at FROM operations WHERE ${isOpen} AND created_at < ? ORDER BY created_at LIMIT ?`, [before, most],
  );
  return rows.map((row) => ({ id: row.id, kind: row.kind, createdAt: row.created_at }));
}

const ownersOf = { host: 'hosts', pool: 'storage_pools', instance: 'instances' } as const;
export type ScopedKind = keyof typeof ownersOf;
export interface AlertSubject { readonly id: string; readonly name: string; readonly subjectId: number }
interface SubjectRow { id: string; name: string; subject_id: number }
const toAlertSubject = (row: SubjectRow): AlertSubject => ({ id: row.id, name: row.name, subjectId: row.subject_id });

/** What a rule is about: these, or where none are named all. At most `most` of them, and how many there are. */
export async function selectAlertSubjects(db: Db, kind: ScopedKind, ids: readonly string[], most: number): Promise<{ subjects: AlertSubject[]; total: number }> {
  const where = ids.length === 0 ? '' : 'WHERE id IN (?)';
  const params: SqlValue[] = ids.length === 0 ? [] : [ids];
  const [rows, [count]] = await Promise.all([
    db.query<SubjectRow>(`SELECT id, name, subject_id FROM ${ownersOf[kind]} ${where} ORDER BY created_at DESC, id LIMIT ?`, [...params, most]),
    db.query<{ total: number }>(`SELECT COUNT(*) AS total FROM ${ownersOf[kind]} ${where}`, params),
  ]);
  return { subjects: rows.map(toAlertSubject), total: count?.total ?? 0 };
}

/** Those of these names or ids; a name may stand for several. */
export async function selectAlertSubjectsNamed(db: Db, kind: ScopedKind, names: readonly string[], most: number): Promise<AlertSubject[]> {
  const ascii = names.filter(isAscii);
  const possible = kind === 'pool' ? names : ascii;
  if (possible.length === 0) return [];
  const rows = await db.query<SubjectRow>(`SELECT id, name, subject_id FROM ${ownersOf[kind]} WHERE name IN (?) OR id IN (?) ORDER BY name, id LIMIT ?`, [possible, ['', ...ascii], most]);
  return rows.map(toAlertSubject);
}
