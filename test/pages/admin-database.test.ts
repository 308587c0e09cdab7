// The page of the database: what the job measured, what is wrong, what to do, and when the last backup was made.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { databaseCommands } from '../../src/admin-database.ts';
import type { CommandDeps } from '../../src/admin-command.ts';
import { lookAtDatabase } from '../../src/jobs/look-at-database.ts';
import type { DatabaseHealth } from '../../src/model/database-health.ts';
import { insertBackup, selectBackups } from '../../src/store/backups.ts';
import { selectSnapshot, upsertSnapshot } from '../../src/store/snapshots.ts';
import { loggedIn, makeFirstAdmin, makeUser } from '../helpers/accounts.ts';
import { databaseEngine } from '../helpers/database.ts';
import { assertHides, assertStatus, visibleText } from '../helpers/page-text.ts';
import { startTestPortal, type Client, type TestPortal } from '../helpers/portal.ts';

const never = new AbortController().signal;
let portal: TestPortal;
let admin: Client;
before(async () => {
  portal = await startTestPortal({});
  await makeFirstAdmin(portal.deps.db, 'root');
  admin = await loggedIn(portal, 'root');
});
after(() => portal.close());

const page = async (): Promise<string> => {
  const response = await admin.get('/admin/database');
  assertStatus(response, 200);
  return response.text;
};

/** The words of the page, as they are written. */
function shows(html: string, words: readonly string[]): void {
  for (const word of words) assert.ok(html.includes(word), `${word} is not in: ${visibleText(html)}`);
}

describe('the page of the database', () => {
  it('says when nothing was measured yet', async () => shows(await page(), ['Not measured yet', 'No backup has been noted']));

  it('shows what the job found in the real one', async () => {
    await lookAtDatabase({ db: portal.deps.db, clock: portal.deps.clock }, databaseEngine(), never);
    const found = await selectSnapshot<DatabaseHealth>(portal.deps.db, 'database');
    assert.ok((found?.value.bytes ?? 0) > 0);
    assert.equal(found?.value.sqlNodes.length, 1);
    assert.ok((found?.value.sqlNodes[0]?.server?.latencyMs ?? 0) > 0);
    if (databaseEngine() === 'ndbcluster') assert.ok(found?.value.ndb !== null && found?.value.ndb !== 'unreadable' && (found?.value.ndb.dataNodes.length ?? 0) === 2);
    const text = await page();
    shows(text, [found?.value.sqlNodes[0]?.name ?? '', found?.value.sqlNodes[0]?.server?.version ?? '', 'Biggest tables', 'The administrator’s guide says how to make one every night']);
  });

  it('shows a sick cluster and what to do, in words', async () => {
    const sick: DatabaseHealth = {
      engine: 'ndbcluster', bytes: 5 * 2 ** 30, tables: [{ name: 'instance_samples', rows: 1_440_000, bytes: 2 ** 30 }],
      sqlNodes: [{ name: 'host1:3306', server: { latencyMs: 1.5, version: '9.7.2-cluster', connections: 95, maxConnections: 100, uptimeSeconds: 3600 } }, { name: 'host2:3306', server: null }],
      ndb: {
        arbitratorId: null,
        nodes: [{ id: 1, kind: 'management', host: 'host1', state: 'down', program: null }, { id: 11, kind: 'data', host: 'host1', state: 'up', program: 'ndbmtd' },
          { id: 12, kind: 'data', host: 'host2', state: 'down', program: null }, { id: 21, kind: 'client', host: 'host1', state: 'up', program: 'mysqld' }],
        dataNodes: [{ id: 11, uptimeSeconds: 7200, data: { usedBytes: 900, totalBytes: 1000 }, redo: { usedBytes: 850, totalBytes: 1000 } }],
      },
    };
    await upsertSnapshot(portal.deps.db, 'database', sick, portal.deps.clock.now() + 1000);
    shows(await page(), ['Data node 12 on host2 is down', 'Management node 1', 'Nobody arbitrates', '90 % of its memory', 'redo log of data node 11', 'host2:3306 does not answer', '95 % of the connections', 'instance_samples']);
  });

  it('tells of the last backup that the command noted', async () => {
    const lines: string[] = [];
    const command = databaseCommands['note-backup'] ?? assert.fail();
    const run = (options: Record<string, string>): Promise<number> =>
      command.run({ db: portal.deps.db, clock: portal.deps.clock, print: (line: string) => void lines.push(line) } as unknown as CommandDeps, [], options);
    await assert.rejects(run({ kind: 'photo', place: '/b', bytes: '1' }), /--kind/);
    await assert.rejects(run({ kind: 'native', place: '/b', bytes: 'many' }), /--bytes/);
    assert.equal(await run({ kind: 'native', place: '/backup/42', bytes: '1048576', seconds: '12' }), 0);
    const [last] = await selectBackups(portal.deps.db, 1);
    assert.equal((last?.endedAt ?? 0) - (last?.begunAt ?? 0), 12_000);
    const text = await page();
    shows(text, ['/backup/42', 'of the cluster (START BACKUP)']);
    assertHides(text, /No backup has been noted/);
  });

  it('is for admins, and escapes what a backup calls its place', async () => {
    await insertBackup(portal.deps.db, { id: randomUUID(), kind: 'logical', begunAt: 0, endedAt: portal.deps.clock.now() + 60_000, bytes: 1, place: '<script>alert(1)</script>' });
    assert.ok(!(await page()).includes('<script>alert'));
    await makeUser(portal.deps.db, 'someone');
    assertStatus(await (await loggedIn(portal, 'someone')).get('/admin/database'), 403);
  });
});
