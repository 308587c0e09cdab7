// How the database is: what was measured of it, and what an administrator should do about it.
import { say, type Sentence } from '../errors.ts';

/** One of DATABASE_URL, as the portal that measured sees it. */
export interface SqlNodeHealth {
  readonly name: string;
  /** null: no answer */
  readonly server: { readonly latencyMs: number; readonly version: string; readonly connections: number; readonly maxConnections: number; readonly uptimeSeconds: number } | null;
}

export interface NdbNodeHealth {
  readonly id: number;
  readonly kind: 'management' | 'data' | 'client';
  readonly host: string;
  /** 'free': a client's place that nobody uses now */
  readonly state: 'up' | 'starting' | 'down' | 'free';
  /** what runs there: ndbmtd, mysqld … */
  readonly program: string | null;
}

export interface Use { readonly usedBytes: number; readonly totalBytes: number }

export interface DataNodeUse {
  readonly id: number;
  readonly uptimeSeconds: number;
  readonly data: Use;
  /** the log of changes since the last checkpoint, on disk */
  readonly redo: Use;
}

export interface NdbHealth {
  readonly nodes: readonly NdbNodeHealth[];
  readonly dataNodes: readonly DataNodeUse[];
  /** who decides which half goes on when the data nodes lose sight of each other; null: nobody */
  readonly arbitratorId: number | null;
}

export interface TableSize { readonly name: string; readonly rows: number; readonly bytes: number }

export interface DatabaseHealth {
  readonly engine: 'innodb' | 'ndbcluster';
  readonly sqlNodes: readonly SqlNodeHealth[];
  readonly bytes: number;
  /** the biggest, with their indexes */
  readonly tables: readonly TableSize[];
  /** 'unreadable': the account may not read ndbinfo; null: another engine */
  readonly ndb: NdbHealth | 'unreadable' | null;
}

export interface Backup {
  readonly kind: 'native' | 'logical';
  readonly begunAt: number;
  readonly endedAt: number;
  readonly bytes: number;
  readonly place: string;
}

/** Past it an administrator must act: new rows need room, and so does what a failed node leaves to the others. */
const fullPercent = 80;
/** A backup every night, and two hours for it to be late. */
const backupDueMs = 26 * 3_600_000;
/** A page asks ten times or more. */
const slowMs = 50;

export const percentOf = ({ usedBytes, totalBytes }: Use): number => (totalBytes === 0 ? 0 : (100 * usedBytes) / totalBytes);

/** What to do, the most urgent first. */
export function databaseWarnings(health: DatabaseHealth, backups: readonly Backup[], now: number): Sentence[] {
  return [...ndbWarnings(health), ...sqlNodeWarnings(health), ...backupWarnings(backups, now)];
}

function ndbWarnings({ ndb, engine, sqlNodes }: DatabaseHealth): Sentence[] {
  if (ndb === null) return [];
  if (ndb === 'unreadable') return [say('database.warn.unreadable')];
  const warnings: Sentence[] = [];
  for (const { id, host, kind, state } of ndb.nodes) {
    if (kind === 'data' && state === 'down') warnings.push(say('database.warn.data-node', { id, host }));
    if (kind === 'management' && state === 'down') warnings.push(say('database.warn.management', { id, host }));
  }
  if (ndb.arbitratorId === null) warnings.push(say('database.warn.arbitrator'));
  for (const { id, data, redo } of ndb.dataNodes) {
    if (percentOf(data) >= fullPercent) warnings.push(say('database.warn.memory', { id, percent: Math.round(percentOf(data)) }));
    if (percentOf(redo) >= fullPercent) warnings.push(say('database.warn.redo', { id, percent: Math.round(percentOf(redo)) }));
  }
  if (engine === 'ndbcluster' && sqlNodes.length === 1) warnings.push(say('database.warn.one-sql-node'));
  return warnings;
}

function sqlNodeWarnings({ sqlNodes }: DatabaseHealth): Sentence[] {
  return sqlNodes.flatMap(({ name, server }): Sentence[] => {
    if (server === null) return [say('database.warn.sql-node', { name })];
    const percent = Math.round((100 * server.connections) / Math.max(1, server.maxConnections));
    return [
      ...(percent >= fullPercent ? [say('database.warn.connections', { name, percent })] : []),
      ...(server.latencyMs >= slowMs ? [say('database.warn.slow', { name, ms: Math.round(server.latencyMs) })] : []),
    ];
  });
}

function backupWarnings(backups: readonly Backup[], now: number): Sentence[] {
  const last = Math.max(...backups.map(({ endedAt }) => endedAt));
  if (backups.length === 0) return [say('database.warn.no-backup')];
  return now - last > backupDueMs ? [say('database.warn.old-backup', { hours: Math.floor((now - last) / 3_600_000) })] : [];
}
