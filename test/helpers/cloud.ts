// A small cloud for tests of operations: a real database, hosts that are fake libvirtds, one user, one image. And the
// books: whether what is promised, recorded and really there agree.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../../src/clock.ts';
import type { Sentence } from '../../src/errors.ts';
import { createFleet } from '../../src/libvirt/fleet.ts';
import type { Fleet, HypervisorOptions } from '../../src/libvirt/hypervisor.ts';
import { openHypervisor } from '../../src/libvirt/open-hypervisor.ts';
import { createLog } from '../../src/log.ts';
import type { Image } from '../../src/model/image.ts';
import type { Instance } from '../../src/model/instance.ts';
import type { Operation } from '../../src/model/operation.ts';
import type { Size } from '../../src/model/size.ts';
import type { User } from '../../src/model/user.ts';
import type { OperationDeps } from '../../src/operations/deps.ts';
import { submitInstanceAction, type PowerAction } from '../../src/operations/instance-action.ts';
import { submitInstanceCreate, type SubmittedInstance } from '../../src/operations/instance-create.ts';
import { createRunner, type Runner, type RunnerOptions } from '../../src/operations/runner.ts';
import type { Database, Db } from '../../src/store/db.ts';
import { insertHost, updateHostContact, updateHostFacts } from '../../src/store/hosts.ts';
import { insertImage } from '../../src/store/images.ts';
import { selectOptionalInstance } from '../../src/store/instances.ts';
import { selectOperation, selectOperationSteps } from '../../src/store/operations.ts';
import { upsertPool } from '../../src/store/storage-pools.ts';
import { insertUser, selectUser } from '../../src/store/users.ts';
import { withAnswers } from './answered-db.ts';
import { createTestDatabase } from './database.ts';
import { testFencing } from './fence-agent.ts';
import { startFakeLibvirtd, type FakeLibvirtd, type FakeLibvirtdOptions } from './fake-libvirtd/index.ts';

const gib = 1024 ** 3;
export const smallSize: Size = { vcpus: 1, memoryMib: 512, diskGib: 2 };
export const imageVolume = 'base.qcow2';

/** Short enough for tests; a lease as long as in production, because tests move the clock past it. */
export const quickRunner: Pick<RunnerOptions, 'times' | 'limits'> = {
  times: { waitForHostMs: 300, retryMs: 60, connectMs: 300 }, limits: { pollMs: 20, operations: 100, perHost: 100 },
};

export interface CloudOptions {
  readonly fakes?: readonly FakeLibvirtdOptions[];
  /** of every host */
  readonly cpus?: number;
  readonly quota?: number;
  readonly cloudInit?: boolean;
  /** how hosts are connected to */
  readonly connections?: HypervisorOptions;
  /** the database as the portal reaches it, of the URL of the real one; the test's own look at it, `db`, goes straight there */
  readonly reach?: (url: string) => Promise<Database>;
}

export interface Cloud {
  readonly db: Database;
  readonly url: string;
  readonly deps: OperationDeps;
  readonly fake: FakeLibvirtd;
  readonly fakes: readonly FakeLibvirtd[];
  readonly hostIds: readonly string[];
  readonly user: User;
  readonly image: Image;
  /** milliseconds the clock is ahead */
  readonly time: { ahead: number };
  /** what admins were told */
  readonly alerts: readonly Sentence[];
  startRunner(options?: Partial<RunnerOptions>): Runner;
  create(name?: string, size?: Size): Promise<SubmittedInstance>;
  act(instanceId: string, action: PowerAction): Promise<Operation>;
  instance(id: string): Promise<Instance>;
  /** waits until it has ended, and all that was written with its end is to be seen */
  ended(operationId: string): Promise<Operation>;
  /** until what the portal is writing now is to be seen, all of it */
  answered(): Promise<void>;
  /** a running instance */
  running(name?: string): Promise<Instance>;
  /** Throws when the database, its sums and the hosts tell different stories. */
  checkBooks(): Promise<void>;
  close(): Promise<void>;
}

export async function createCloud(options: CloudOptions = {}): Promise<Cloud> {
  const database = await createTestDatabase();
  const { db } = database;
  const fakes = await Promise.all((options.fakes ?? [{}]).map((fake) => startFakeLibvirtd({ acpiDelayMs: 20, ...fake })));
  const time = { ahead: 0 };
  const clock: Clock = { now: () => Date.now() + time.ahead };
  const hosts = createFleet((uri, more) => openHypervisor(uri, { ...options.connections, ...more }));
  const runners: Runner[] = [];
  const alerts: Sentence[] = [];
  const portalDb = withAnswers((await options.reach?.(database.url)) ?? db);
  const deps: OperationDeps = {
    db: portalDb, hosts, openHost: openHypervisor, fencing: testFencing(), alert: (sentence) => void alerts.push(sentence), clock, log: createLog(process.env['TEST_LOG'] ?? 'silent'), wake: () => runners.forEach((runner) => runner.wake()),
  };
  const hostIds = await insertHosts(db, fakes, options.cpus ?? 64, hosts);
  const image = await insertBase(db, hostIds, fakes, options.cloudInit ?? true);
  const user = await insertOwner(db, options.quota ?? 1000);

  const cloud: Cloud = {
    db, url: database.url, deps, fakes, hostIds, user, image, time, alerts,
    fake: fakes[0] as FakeLibvirtd,
    startRunner(more = {}) {
      const runner = createRunner(deps, { ownerId: randomUUID(), ...quickRunner, ...more });
      runners.push(runner);
      runner.start();
      return runner;
    },
    create: (name = `vm-${randomUUID().slice(0, 8)}`, size = smallSize) =>
      submitInstanceCreate(deps, { user, name, image, size, sshKey: 'ssh-ed25519 AAAA test', userData: '' }),
    async act(instanceId, action) {
      return submitInstanceAction(deps, { action, instance: await cloud.instance(instanceId), actor: user });
    },
    instance: async (id) => (await selectOptionalInstance(db, id)) ?? assert.fail(`no instance ${id}`),
    async ended(operationId) {
      for (const deadline = Date.now() + 60_000; Date.now() < deadline; await delay(15)) {
        const operation = await selectOperation(db, operationId);
        if (operation.endedAt === null) continue;
        await portalDb.answered();
        return operation;
      }
      return assert.fail(`not ended: ${JSON.stringify([await selectOperation(db, operationId), await selectOperationSteps(db, operationId)])}`);
    },
    async running(name) {
      const { instance, operation } = await cloud.create(name);
      const { state, error } = await cloud.ended(operation.id);
      assert.deepEqual([state, error], ['done', null]);
      return cloud.instance(instance.id);
    },
    answered: () => portalDb.answered(),
    checkBooks: () => checkBooks(db, fakes),
    async close() {
      await Promise.all(runners.map((runner) => runner.stop()));
      await hosts.close();
      await Promise.all(fakes.map((fake) => fake.close()));
      if (options.reach !== undefined) await portalDb.close();
      await database.close();
    },
  };
  return cloud;
}

async function insertHosts(db: Database, fakes: readonly FakeLibvirtd[], cpus: number, hosts: Fleet): Promise<string[]> {
  const ids: string[] = [];
  for (const [index, fake] of fakes.entries()) {
    const id = randomUUID();
    ids.push(id);
    await insertHost(db, { id, name: `host${index}`, uri: fake.uri, consoleAddress: '127.0.0.1', network: 'default', virtTypeWish: 'auto', createdAt: 0 });
    await updateHostFacts(db, id, { virtType: 'qemu', arch: 'x86_64', cpuModel: null, libvirtVersion: null, qemuVersion: null, hostUuid: fake.host.hostUuid, cpus, memoryMib: cpus * 1024 });
    await updateHostContact(db, id, { state: 'up', at: Date.now() });
  }
  hosts.sync(ids.map((id, index) => ({ id, uri: fakes[index]?.uri ?? '' })));
  await Promise.all(ids.map((id) => hosts.host(id).ready({ timeoutMs: 20_000 })));
  return ids;
}

async function insertBase(db: Database, hostIds: readonly string[], fakes: readonly FakeLibvirtd[], cloudInit: boolean): Promise<Image> {
  let poolId = '';
  for (const [index, hostId] of hostIds.entries()) {
    const pool = fakes[index]?.host.pool('default');
    if (pool === undefined) continue;
    pool.addFile({ name: imageVolume, capacityBytes: gib });
    poolId = await upsertPool(db, { hostId, name: 'default', shared: true, kind: 'dir', path: pool.path, capacityBytes: 800 * gib, availableBytes: 800 * gib }, Date.now());
  }
  const image: Image = {
    id: randomUUID(), name: 'Base', description: '', poolId, volume: imageVolume, format: 'qcow2', virtualSizeBytes: gib, minMemoryMib: 64, cloudInit,
    enabled: true, createdAt: 0,
  };
  await insertImage(db, image);
  return image;
}

async function insertOwner(db: Database, quota: number): Promise<User> {
  const id = randomUUID();
  await insertUser(db, { id, name: 'alice', displayName: 'Alice', email: 'alice@example.org', passwordHash: 'x', role: 'user', state: 'active', language: null, createdAt: 0 });
  await db.execute('UPDATE users SET quota_instances = ?, quota_vcpus = 10000, quota_memory_mib = 10000000, quota_disk_gib = 100000 WHERE id = ?', [quota, id]);
  return selectUser(db, id);
}

const sums = 'COUNT(*) AS n, COALESCE(SUM(vcpus), 0) AS vcpus, COALESCE(SUM(memory_mib), 0) AS memory, COALESCE(SUM(disk_gib), 0) AS disk';
type Sums = Record<'n' | 'vcpus' | 'memory' | 'disk', number | string>;

async function checkBooks(db: Database, fakes: readonly FakeLibvirtd[]): Promise<void> {
  const open = await db.query("SELECT id, kind, state FROM operations WHERE state IN ('queued', 'running', 'undoing')");
  assert.deepEqual(open, [], 'no operation is left open');
  const held = await db.query("SELECT id, state, operation_kind FROM instances WHERE operation_id IS NOT NULL OR state = 'creating'");
  assert.deepEqual(held, [], 'no instance is held or half made');
  await checkSums(db);
  await checkUsagePeriods(db);
  const instances = await db.query<{ id: string; host_id: string; state: string }>("SELECT id, host_id, state FROM instances WHERE state <> 'failed'");
  const present = instances.filter(({ state }) => state !== 'lost').map(({ id }) => id).sort();
  assert.deepEqual(fakes.flatMap((fake) => [...fake.domains.keys()]).sort(), present, 'the domains are those of the instances');
  for (const { id, state } of instances) {
    const domain = fakes.map((fake) => fake.domains.get(id)).find((found) => found !== undefined);
    assert.equal(domain?.isActive ?? false, state === 'running' || state === 'paused', `${id} is recorded as ${state}`);
  }
  const disks = new Set(fakes.flatMap((fake) => [...fake.host.pool('default').directory.files.keys()]).filter((name) => name !== imageVolume));
  const owners = new Set([...disks].map((name) => name.slice(0, 36)));
  assert.deepEqual([...owners].sort(), instances.map(({ id }) => id).sort(), 'the volumes are those of the instances');
}

async function checkSums(db: Database): Promise<void> {
  assert.deepEqual(await wrongSums(db), [], 'what users, hosts and pools have promised is the sum of what exists');
}

/** Whose promises are not the sum of the instances that exist: one line each. */
export async function wrongSums(db: Db): Promise<string[]> {
  const wrong: string[] = [];
  const numbers = (row: Sums | undefined, keys: readonly (keyof Sums)[]): string => keys.map((key) => `${key} ${Number(row?.[key] ?? 0)}`).join(', ');
  const compare = async (what: string, column: string, rows: readonly (Sums & { id: string })[], keys: readonly (keyof Sums)[]): Promise<void> => {
    for (const row of rows) {
      const [real] = await db.query<Sums>(`SELECT ${sums} FROM instances WHERE ${column} = ? AND state <> 'failed'`, [row.id]);
      if (numbers(row, keys) !== numbers(real, keys)) wrong.push(`${what} ${row.id}: ${numbers(row, keys)} instead of ${numbers(real, keys)}`);
    }
  };
  await compare('user', 'user_id', await db.query('SELECT id, used_instances AS n, used_vcpus AS vcpus, used_memory_mib AS memory, used_disk_gib AS disk FROM users'), ['n', 'vcpus', 'memory', 'disk']);
  await compare('host', 'host_id', await db.query('SELECT id, used_vcpus AS vcpus, used_memory_mib AS memory FROM hosts'), ['vcpus', 'memory']);
  await compare('pool', 'pool_id', await db.query('SELECT id, used_gib AS disk FROM storage_pools'), ['disk']);
  return wrong;
}

/** What is being paid for is what is reserved, and nothing else. */
async function checkUsagePeriods(db: Database): Promise<void> {
  const size = 'user_id, vcpus, memory_mib, disk_gib';
  const open = await db.query(`SELECT instance_id AS id, ${size} FROM usage_periods WHERE closed_at IS NULL ORDER BY 1`);
  const reserved = await db.query(`SELECT id, ${size} FROM instances WHERE host_id IS NOT NULL ORDER BY 1`);
  assert.deepEqual(open, reserved, 'the open usage periods are those of the instances that hold a reservation');
  const doubled = await db.query('SELECT instance_id FROM usage_periods GROUP BY instance_id HAVING COUNT(*) > 1');
  assert.deepEqual(doubled, [], 'no instance is paid for twice');
  const neverMade = await db.query("SELECT instance_id FROM usage_periods WHERE instance_id IN (SELECT id FROM instances WHERE state = 'failed')");
  assert.deepEqual(neverMade, [], 'what could not be made is not paid for');
}
