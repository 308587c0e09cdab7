// An upgrade without an interruption: the release before this one and this one beside each other on the database that this one
// has migrated. Left out where the history of the repository is not at hand.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createApiToken } from '../../src/store/api-tokens.ts';
import { selectPortals } from '../../src/store/portals.ts';
import { logIn, makeFirstAdmin, makeUser } from '../helpers/accounts.ts';
import { createCloud, wrongSums, type Cloud } from '../helpers/cloud.ts';
import { Client } from '../helpers/portal.ts';
import { createPortalProcess, type PortalProcess } from '../helpers/portal-process.ts';
import { root } from '../scripts/run.ts';

/** The commit before the first migration of this release; undefined: no history here. */
function previousRelease(): string | undefined {
  try {
    const git = (...args: string[]): string => execFileSync('git', ['-C', root, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    const [first] = git('log', '--diff-filter=A', '--format=%H', '--reverse', '--', 'migrations/20261124*').split('\n');
    return first === undefined || first === '' ? undefined : git('rev-parse', '--verify', `${first}^`);
  } catch {
    return undefined;
  }
}
const previous = previousRelease();

describe('the release before this one, beside this one', { skip: previous === undefined ? 'the history of the repository is not here' : false }, () => {
  let cloud: Cloud;
  let folder = '';
  let older: PortalProcess;
  let newer: PortalProcess;
  let token = '';

  before(async () => {
    cloud = await createCloud();
    folder = await mkdtemp(join(tmpdir(), 'release-'));
    await promisify(execFile)('sh', ['-c', `git -C '${root}' archive ${previous} package.json tsconfig.json src views public migrations | tar -x -C '${folder}'`]);
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
    await makeFirstAdmin(cloud.db);
    const { id } = await makeUser(cloud.db, 'ann');
    token = (await createApiToken(cloud.db, { userId: id, name: 'test', scope: 'write', expiresAt: Date.now() + 3_600_000 }, Date.now())).secret;
    const settings = { databaseUrl: cloud.url, env: { POLL_INTERVAL_MS: '1000' } };
    newer = await createPortalProcess({ name: 'newer', ...settings });
    older = await createPortalProcess({ name: 'older', ...settings, main: join(folder, 'src/main.ts') });
    await newer.start();
    await older.start();
  });
  after(async () => {
    await Promise.all([older, newer].map((portal) => portal.kill()));
    await cloud.close();
    await rm(folder, { recursive: true });
  });

  async function call(at: PortalProcess, method: string, path: string, body?: object): Promise<{ id: string; instanceId: string }> {
    const response = await fetch(`${at.url}/api/v1${path}`, { method, headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    const text = await response.text();
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text) as { id: string; instanceId: string };
  }
  const done = async (operation: { id: string }): Promise<void> => {
    const { state, error } = await cloud.ended(operation.id);
    assert.deepEqual([state, error], ['done', null]);
  };

  /** What both releases know of; what is new in this one it makes good for the other by its jobs. */
  const nothingLeft = async (): Promise<void> => {
    assert.deepEqual(await wrongSums(cloud.db), []);
    assert.deepEqual([...cloud.fake.domains.keys()], []);
    assert.deepEqual(await cloud.db.query('SELECT id FROM instances'), []);
  };

  it('does the main job through either, whoever works on it', async () => {
    for (const [first, second] of [[older, newer], [newer, older]] as const) {
      const made = await call(first, 'POST', '/instances', { name: `by-${first.name}`, imageId: cloud.image.id, vcpus: 1, memoryMib: 512, diskGib: 2 });
      await done(made);
      await done(await call(second, 'POST', `/instances/${made.instanceId}/actions/force-off`));
      await done(await call(first, 'POST', `/instances/${made.instanceId}/actions/start`));
      await done(await call(second, 'DELETE', `/instances/${made.instanceId}`));
    }
    await nothingLeft();
  });

  it('shows one login and all pages at both', async () => {
    let turn = 0;
    const client = new Client(() => [older, newer][turn++ % 2]?.url ?? '');
    await logIn(client, 'admin');
    for (const path of ['/', '/instances', '/resources', '/account', '/admin', '/admin/operations', '/admin/hosts', '/admin/settings', '/admin/thresholds']) {
      for (let each = 0; each < 2; each++) assert.equal((await client.get(path)).status, 200, path);
    }
  });

  it('goes on with what the other leaves when that is killed', async () => {
    const made = await call(newer, 'POST', '/instances', { name: 'handed-over', imageId: cloud.image.id, vcpus: 1, memoryMib: 512, diskGib: 2 });
    await done(made);
    for (const [dying, heir] of [[older, newer], [newer, older]] as const) {
      cloud.fake.requests.length = 0;
      cloud.fake.fault('DOMAIN_DESTROY_FLAGS', { type: 'silence' }, { once: true });
      cloud.fake.fault('DOMAIN_DESTROY', { type: 'silence' }, { once: true });
      const stopping = await call(dying, 'POST', `/instances/${made.instanceId}/actions/force-off`);
      for (const end = Date.now() + 30_000; Date.now() < end && !cloud.fake.requests.some(({ procedure }) => procedure.startsWith('DOMAIN_DESTROY'));) await delay(20);
      await dying.kill();
      for (const end = Date.now() + 40_000; Date.now() < end; await delay(100)) {
        const [row] = await cloud.db.query<{ state: string }>('SELECT state FROM operations WHERE id = ?', [stopping.id]);
        if (row?.state === 'done') break;
      }
      await done(stopping);
      cloud.fake.faults.clear();
      await done(await call(heir, 'POST', `/instances/${made.instanceId}/actions/start`));
      await dying.start();
    }
    await done(await call(older, 'DELETE', `/instances/${made.instanceId}`));
    await nothingLeft();
  });

  it('leaves alone what only a newer one knows', async () => {
    const id = randomUUID();
    await cloud.db.execute("INSERT INTO operations (id, kind, state, input, context, created_at) VALUES (?, 'instance-teleport', 'queued', '{}', '{}', ?)", [id, Date.now()]);
    await older.stop();
    await delay(2500);
    const [row] = await cloud.db.query<{ state: string; attempts: number }>('SELECT state, attempts FROM operations WHERE id = ?', [id]);
    assert.equal(row?.state === 'queued' || row?.attempts === 1, true, 'this release does not touch it; the one before took it once at most');
    const admin = new Client(newer.url);
    await logIn(admin, 'admin');
    for (const path of ['/admin/operations', `/admin/operations/${id}`, '/admin/portals']) assert.equal((await admin.get(path)).status, 200, path);
    assert.deepEqual((await selectPortals(cloud.db)).map(({ name }) => name), ['newer'], 'the one before does not tell of itself');
    await cloud.db.execute('DELETE FROM operations WHERE id = ?', [id]);
  });
});
