// Measures the database: each SQL node by a question of its own, and on MySQL Cluster what the data nodes tell of themselves
// in ndbinfo. The management node speaks to nobody but its own tools, so all of it is read through SQL.
import type { DatabaseHealth, DataNodeUse, NdbHealth, NdbNodeHealth, SqlNodeHealth, TableSize } from '../model/database-health.ts';
import type { Database, Db } from './db.ts';
import { errnoOf } from './mysql-errors.ts';
import type { SqlNode } from './sql-node.ts';

const mostTables = 12;

export async function selectDatabaseHealth(db: Database, engine: DatabaseHealth['engine']): Promise<DatabaseHealth> {
  const [sqlNodes, ndb] = await Promise.all([Promise.all(db.nodes.map(measureSqlNode)), engine === 'ndbcluster' ? selectNdbHealth(db) : null]);
  const tables = ndb === null || ndb === 'unreadable' ? await selectTableSizes(db) : await selectNdbTableSizes(db);
  return { engine, sqlNodes, ndb, tables: tables.slice(0, mostTables), bytes: tables.reduce((sum, { bytes }) => sum + bytes, 0) };
}

async function measureSqlNode(node: SqlNode): Promise<SqlNodeHealth> {
  try {
    // a node that hangs answers no new connection; how quick it is tells one that is there, as pages use it
    await node.ping();
    const [row] = await node.query<{ version: string; limited: number }>('SELECT VERSION() AS version, @@max_connections AS limited');
    const asked = performance.now();
    await node.query('SELECT name FROM migrations LIMIT 1');
    const latencyMs = performance.now() - asked;
    const status = await node.query<{ Variable_name: string; Value: string }>("SHOW GLOBAL STATUS WHERE Variable_name IN ('Threads_connected', 'Uptime')");
    const valueOf = (name: string): number => Number(status.find((each) => each.Variable_name === name)?.Value ?? 0);
    return {
      name: node.name,
      server: { latencyMs, version: row?.version ?? '', connections: valueOf('Threads_connected'), maxConnections: row?.limited ?? 0, uptimeSeconds: valueOf('Uptime') },
    };
  } catch {
    return { name: node.name, server: null };
  }
}

async function selectTableSizes(db: Db): Promise<TableSize[]> {
  const rows = await db.query<{ name: string; n: number | null; bytes: number | null }>(
    'SELECT table_name AS name, table_rows AS n, data_length + index_length AS bytes FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 3 DESC');
  return rows.map((row) => ({ name: row.name, rows: Number(row.n ?? 0), bytes: Number(row.bytes ?? 0) }));
}

/** Memory of all data nodes together: each row is in it as often as there are replicas. Rows: of all replicas, halved by `copies`. */
async function selectNdbTableSizes(db: Db): Promise<TableSize[]> {
  const rows = await db.query<{ name: string; n: number; copies: number; bytes: number }>(
    `SELECT SUBSTRING_INDEX(IF(type = 'User table', fq_name, parent_fq_name), '/', -1) AS name,
       SUM(IF(type = 'User table', fixed_elem_count, 0)) AS n, COUNT(DISTINCT node_id) AS copies,
       SUM(fixed_elem_alloc_bytes + var_elem_alloc_bytes + hash_index_alloc_bytes) AS bytes
     FROM ndbinfo.memory_per_fragment WHERE SUBSTRING_INDEX(IF(type = 'User table', fq_name, parent_fq_name), '/', 1) = DATABASE() GROUP BY 1 ORDER BY 4 DESC`);
  return rows.map((row) => ({ name: row.name, rows: Math.round(Number(row.n) / Math.max(1, Number(row.copies))), bytes: Number(row.bytes) }));
}

const accessDeniedErrnos = new Set([1044, 1142, 1143, 1049, 1146]);

async function selectNdbHealth(db: Db): Promise<NdbHealth | 'unreadable'> {
  try {
    const [nodes, dataNodes, arbitrators] = await Promise.all([
      selectNdbNodes(db), selectDataNodeUse(db),
      db.query<{ arbitrator: number }>("SELECT arbitrator FROM ndbinfo.membership WHERE arb_state = 'ARBIT_RUN' AND arb_connected = 'Yes' LIMIT 1"),
    ]);
    return { nodes, dataNodes, arbitratorId: arbitrators[0]?.arbitrator ?? null };
  } catch (error) {
    if (accessDeniedErrnos.has(errnoOf(error) ?? 0)) return 'unreadable';
    throw error;
  }
}

const kinds: Readonly<Record<string, NdbNodeHealth['kind']>> = { MGM: 'management', NDB: 'data', API: 'client' };

async function selectNdbNodes(db: Db): Promise<NdbNodeHealth[]> {
  const configured = await db.query<{ id: number; type: string; host: string }>('SELECT node_id AS id, node_type AS type, node_hostname AS host FROM ndbinfo.config_nodes ORDER BY node_id');
  const programs = await db.query<{ id: number; program: string }>('SELECT node_id AS id, MAX(process_name) AS program FROM ndbinfo.processes GROUP BY node_id');
  const started = await db.query<{ id: number; status: string }>('SELECT node_id AS id, status FROM ndbinfo.nodes');
  return configured.map(({ id, type, host }) => {
    const kind = kinds[type] ?? 'client';
    const program = programs.find((each) => each.id === id)?.program ?? null;
    const status = started.find((each) => each.id === id)?.status;
    if (kind === 'data') return { id, kind, host, program, state: status === 'STARTED' ? 'up' : status === undefined ? 'down' : 'starting' };
    return { id, kind, host, program, state: program !== null ? 'up' : kind === 'client' ? 'free' : 'down' };
  });
}

async function selectDataNodeUse(db: Db): Promise<DataNodeUse[]> {
  const memory = await db.query<{ id: number; used: number; total: number; uptime: number }>(
    "SELECT m.node_id AS id, m.used, m.total, n.uptime FROM ndbinfo.memoryusage m JOIN ndbinfo.nodes n ON n.node_id = m.node_id WHERE m.memory_type = 'Data memory' ORDER BY m.node_id");
  const logs = await db.query<{ id: number; used: number; total: number }>("SELECT node_id AS id, SUM(used) AS used, SUM(total) AS total FROM ndbinfo.logspaces WHERE log_type = 'REDO' GROUP BY node_id");
  return memory.map((row) => {
    const log = logs.find(({ id }) => id === row.id);
    return {
      id: row.id, uptimeSeconds: Number(row.uptime), data: { usedBytes: Number(row.used), totalBytes: Number(row.total) },
      redo: { usedBytes: Number(log?.used ?? 0), totalBytes: Number(log?.total ?? 0) },
    };
  });
}
