import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { databaseWarnings, type Backup, type DatabaseHealth, type NdbHealth, type SqlNodeHealth } from './database-health.ts';

const now = 1_000 * 3_600_000;
const server = { latencyMs: 1, version: '9', connections: 10, maxConnections: 100, uptimeSeconds: 5 };
const sqlNode = (over: Partial<NonNullable<SqlNodeHealth['server']>> = {}): SqlNodeHealth => ({ name: 'sql:3306', server: { ...server, ...over } });
const use = (percent: number): { usedBytes: number; totalBytes: number } => ({ usedBytes: percent, totalBytes: 100 });
const ndb = (over: Partial<NdbHealth> = {}): NdbHealth => ({
  nodes: [{ id: 11, kind: 'data', host: 'h1', state: 'up', program: 'ndbmtd' }, { id: 31, kind: 'client', host: 'h1', state: 'free', program: null }],
  dataNodes: [{ id: 11, uptimeSeconds: 9, data: use(20), redo: use(1) }], arbitratorId: 1, ...over,
});
const health = (over: Partial<DatabaseHealth> = {}): DatabaseHealth => ({ engine: 'ndbcluster', sqlNodes: [sqlNode(), sqlNode()], bytes: 1, tables: [], ndb: ndb(), ...over });
const backup: Backup = { kind: 'native', begunAt: now - 3_600_000, endedAt: now - 3_600_000, bytes: 1, place: '/b' };

describe('warnings about the database', () => {
  const cases: [string, DatabaseHealth, readonly Backup[], string[]][] = [
    ['all is well', health(), [backup], []],
    ['MariaDB has no cluster to warn of', health({ engine: 'innodb', ndb: null, sqlNodes: [sqlNode()] }), [backup], []],
    ['a data node is down', health({ ndb: ndb({ nodes: [{ id: 12, kind: 'data', host: 'h2', state: 'down', program: null }] }) }), [backup], ['data-node']],
    ['one that starts is no reason', health({ ndb: ndb({ nodes: [{ id: 12, kind: 'data', host: 'h2', state: 'starting', program: null }] }) }), [backup], []],
    ['the management node is down, and with it the arbitrator', health({ ndb: ndb({ nodes: [{ id: 1, kind: 'management', host: 'h', state: 'down', program: null }], arbitratorId: null }) }), [backup], ['management', 'arbitrator']],
    ['memory and log at the limit', health({ ndb: ndb({ dataNodes: [{ id: 11, uptimeSeconds: 1, data: use(80), redo: use(80) }] }) }), [backup], ['memory', 'redo']],
    ['below it', health({ ndb: ndb({ dataNodes: [{ id: 11, uptimeSeconds: 1, data: use(79), redo: use(79) }] }) }), [backup], []],
    ['one SQL node is one point of failure', health({ sqlNodes: [sqlNode()] }), [backup], ['one-sql-node']],
    ['an SQL node does not answer', health({ sqlNodes: [sqlNode(), { name: 'b', server: null }] }), [backup], ['sql-node']],
    ['full and slow', health({ sqlNodes: [sqlNode({ connections: 80, latencyMs: 50 }), sqlNode()] }), [backup], ['connections', 'slow']],
    ['ndbinfo is closed to the account', health({ ndb: 'unreadable' }), [backup], ['unreadable']],
    ['never a backup', health(), [], ['no-backup']],
    ['an old backup beside a newer one', health(), [{ ...backup, endedAt: 0 }, backup], []],
    ['only old ones', health(), [{ ...backup, endedAt: now - 27 * 3_600_000 }], ['old-backup']],
  ];
  for (const [name, given, backups, expected] of cases) {
    it(name, () => assert.deepEqual(databaseWarnings(given, backups, now).map(({ key }) => key.replace('database.warn.', '')), expected));
  }
});
