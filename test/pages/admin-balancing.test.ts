// The page of balancing, and the N−1 meter, over HTTP on a real database.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Instance } from '../../src/model/instance.ts';
import { defaultSettings } from '../../src/model/settings.ts';
import { say } from '../../src/errors.ts';
import { insertHost, selectHosts, updateHost, updateHostContact, updateHostFacts } from '../../src/store/hosts.ts';
import { selectMovesPage } from '../../src/store/moves.ts';
import { insertHostSamples, insertInstanceSamples } from '../../src/store/samples.ts';
import { updateSettings } from '../../src/store/settings.ts';
import { upsertPool } from '../../src/store/storage-pools.ts';
import { insertSuggestion, selectOptionalSuggestion } from '../../src/store/suggestions.ts';
import { updateLanguage } from '../../src/store/users.ts';
import { auditSettled, loggedIn, makeFirstAdmin, makeUser } from '../helpers/accounts.ts';
import { gib } from '../helpers/fleet.ts';
import { makeInstance } from '../helpers/instances.ts';
import { assertHides, assertShows } from '../helpers/page-text.ts';
import { startTestPortal, type Client, type TestPortal } from '../helpers/portal.ts';

let portal: TestPortal;
let admin: Client;
let adminId: string;
let hostIds: string[];
let poolId = '';
const instances: Instance[] = [];

before(async () => {
  portal = await startTestPortal({ runner: false });
  const { db } = portal.deps;
  adminId = (await makeFirstAdmin(db)).id;
  const owner = await makeUser(db, 'anna');
  for (const name of ['host1', 'host2', 'host3']) {
    const id = crypto.randomUUID();
    await insertHost(db, { id, name, uri: `qemu+tcp://${name}/system`, consoleAddress: '192.0.2.1', network: 'default', virtTypeWish: 'auto', createdAt: 0 });
    await updateHostFacts(db, id, { virtType: 'qemu', arch: 'x86_64', cpuModel: null, libvirtVersion: null, qemuVersion: null, hostUuid: crypto.randomUUID(), cpus: 4, memoryMib: 4096 });
    await updateHostContact(db, id, { state: 'up', at: Date.now() });
    poolId = await upsertPool(db, { hostId: id, name: 'shared', shared: true, kind: 'netfs', path: '/pool', capacityBytes: 100 * gib, availableBytes: 90 * gib }, Date.now());
  }
  hostIds = (await selectHosts(db)).map(({ id }) => id);
  for (const name of ['web', 'db']) instances.push(await makeInstance(db, owner, { name, hostId: hostIds[0] ?? '', poolId, ha: true, memoryMib: 2048 }));
  await db.execute('UPDATE hosts SET used_memory_mib = 4096, used_vcpus = 4 WHERE id = ?', [hostIds[0] ?? '']);
  admin = await loggedIn(portal, 'admin');
});
after(() => portal.close());

async function suggest(instance: Instance | undefined): Promise<string> {
  const id = crypto.randomUUID();
  const why = say('balancing.why.cpu', { from: 'host1', to: 'host2', load: 95, high: 85, samples: 6, fromAfter: 60, toBefore: 1, toAfter: 36 });
  await insertSuggestion(portal.deps.db, { id, instanceId: instance?.id ?? '', fromHostId: hostIds[0] ?? '', toHostId: hostIds[1] ?? '', why, gainPercent: 59.4, createdAt: Date.now() });
  return id;
}

describe('the page of balancing', () => {
  it('says that it is off, and which hosts are not measured', async () => {
    const { text } = await admin.get('/admin/balancing');
    assertShows(text, /Balancing is off: nothing is suggested or moved\./);
    assertShows(text, /not measured/);
    assertShows(text, /No machine was moved for balancing yet/);
  });

  it('shows the load now, and after the suggestions; a click takes one up, another dismisses', async () => {
    const { db } = portal.deps;
    await updateSettings(db, 'balancing', { ...defaultSettings.balancing, mode: 'suggest' }, null, Date.now());
    for (let age = 7; age >= 0; age--) {
      const at = Date.now() - age * 10_000;
      await insertHostSamples(db, (await selectHosts(db)).map(({ subjectId, name }) => ({ subjectId, at, cpuPercent: name === 'host1' ? 95 : 1, memoryUsedMib: 500, memoryTotalMib: 4096 })));
      await insertInstanceSamples(db, instances.map(({ subjectId }) => ({ subjectId, at, cpuPercent: 90, memoryUsedMib: 400, diskReadBytesPerSecond: 0, diskWriteBytesPerSecond: 0, networkReceiveBytesPerSecond: 0, networkTransmitBytesPerSecond: 0 })));
    }
    const [first, second] = [await suggest(instances[0]), await suggest(instances[1])];
    const page = (await admin.get('/admin/balancing')).text;
    assertShows(page, /web<\/a><\/strong> · host1 → host2/);
    assertShows(page, /above 85 % in each of the last 6 samples \(95 % on average\)/);
    assertShows(page, /59 points closer/);
    assertShows(page, /95 % → 50 %/);
    assert.equal((await admin.post(`/admin/balancing/${first}/apply`)).location, '/admin/balancing');
    const told = (await admin.get('/admin/balancing')).text;
    assertShows(told, /web moves to host2\./);
    const { moves } = await selectMovesPage(db, { trigger: 'balancing', page: 1, pageSize: 5 });
    assert.deepEqual(moves.map((move) => [move.id, move.instanceName, move.toHostName, move.actorId]), [[(await selectOptionalSuggestion(db, first))?.operationId, 'web', 'host2', adminId]]);
    await admin.post(`/admin/balancing/${first}/apply`);
    assertShows((await admin.get('/admin/balancing')).text, /not on that host any more|decided about this suggestion already/);
    await admin.post(`/admin/balancing/${second}/dismiss`);
    const last = (await admin.get('/admin/balancing')).text;
    assertShows(last, /left alone for the cool-down/);
    assertShows(last, /Nothing to suggest/);
    assert.equal((await selectOptionalSuggestion(db, second))?.state, 'dismissed');
    assert.equal((await admin.post(`/admin/balancing/${crypto.randomUUID()}/apply`)).status, 404);
    await auditSettled(db);
    const rows = await db.query<{ action: string; detail: string; result: string }>("SELECT action, detail, result FROM audit WHERE action LIKE 'suggestion.%' AND target <> '' ORDER BY at, action");
    assert.deepEqual(rows.slice(0, 1).map((row) => ({ ...row })), [{ action: 'suggestion.apply', detail: 'web: host1 → host2', result: 'ok' }]);
  });

  it('what cannot be moved now is told, and stays a suggestion', async () => {
    const { db } = portal.deps;
    await db.execute('UPDATE hosts SET used_memory_mib = 4096 WHERE id = ?', [hostIds[1] ?? '']);
    const id = await suggest(instances[1]);
    await admin.post(`/admin/balancing/${id}/apply`);
    assertShows((await admin.get('/admin/balancing')).text, /of memory left/);
    assert.equal((await selectOptionalSuggestion(db, id))?.state, 'open');
    await db.execute('UPDATE hosts SET used_memory_mib = 0 WHERE id <> ?', [hostIds[0] ?? '']);
    await db.execute("UPDATE suggestions SET state = 'expired', ended_at = 1");
    await db.execute('UPDATE instances SET operation_id = NULL, operation_kind = NULL');
    await db.execute('DELETE FROM moves');
  });

  it('is there in Chinese', async () => {
    await updateLanguage(portal.deps.db, adminId, 'zh-TW', Date.now());
    assertShows((await admin.get('/admin/balancing')).text, /負載平衡/);
    await updateLanguage(portal.deps.db, adminId, 'en', Date.now());
  });
});

describe('the N−1 meter on the overview', () => {
  it('says that any one host may die', async () => {
    assertShows((await admin.get('/admin')).text, /Any one host may die: all 2 machines with high availability would fit/);
  });

  it('says what would not fit', async () => {
    const { db } = portal.deps;
    await updateHost(db, hostIds[1] ?? '', { wish: 'disabled' });
    await db.execute('UPDATE hosts SET used_memory_mib = 1024 WHERE id = ?', [hostIds[2] ?? '']);
    assertShows((await admin.get('/admin')).text, /If host1 dies, 1 of 2 machines would not fit\./);
  });

  it('says that nothing would be started, and why', async () => {
    const { db } = portal.deps;
    await updateSettings(db, 'availability', { ...defaultSettings.availability, enabled: false }, null, Date.now());
    assertShows((await admin.get('/admin')).text, /High availability is switched off/);
    await db.execute('UPDATE instances SET ha = 0');
    const { text } = await admin.get('/admin');
    assertShows(text, /No running machine has high availability/);
    assertHides(text, /machines would not fit/);
  });
});
