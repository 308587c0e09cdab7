// A small cloud on a lab of real hosts: a real database, real libvirtds and QEMU guests, one user, the demo image in the
// shared pool and in the first host's local one.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Sentence } from '../../src/errors.ts';
import { createFleet, fleetConnections } from '../../src/libvirt/fleet.ts';
import { openHypervisor } from '../../src/libvirt/open-hypervisor.ts';
import { createLog } from '../../src/log.ts';
import type { Image } from '../../src/model/image.ts';
import type { Instance } from '../../src/model/instance.ts';
import type { Operation } from '../../src/model/operation.ts';
import type { User } from '../../src/model/user.ts';
import type { OperationDeps } from '../../src/operations/deps.ts';
import { addHost } from '../../src/operations/host-add.ts';
import { submitInstanceAction, type PowerAction } from '../../src/operations/instance-action.ts';
import { submitInstanceCreate } from '../../src/operations/instance-create.ts';
import { createRunner, type Runner, type RunnerOptions } from '../../src/operations/runner.ts';
import type { Database } from '../../src/store/db.ts';
import { selectHosts } from '../../src/store/hosts.ts';
import { insertImage } from '../../src/store/images.ts';
import { selectOptionalInstance } from '../../src/store/instances.ts';
import { selectOperation, selectOperationSteps } from '../../src/store/operations.ts';
import { selectPoolsByHost } from '../../src/store/storage-pools.ts';
import { insertUser, selectUser } from '../../src/store/users.ts';
import { createTestDatabase } from './database.ts';
import { testFencing } from './fence-agent.ts';
import { must, root, script } from '../scripts/run.ts';
import type { Lab } from './lab.ts';

const imageVolume = 'demo.qcow2';

export interface LabCloud {
  readonly lab: Lab;
  readonly db: Database;
  readonly url: string;
  readonly deps: OperationDeps;
  /** what the admins were told */
  readonly alerts: readonly Sentence[];
  /** milliseconds the clock is ahead */
  readonly time: { ahead: number };
  readonly user: User;
  /** ids of the hosts, in the lab's order: host 1 is the first */
  readonly hostIds: readonly string[];
  readonly images: { readonly shared: Image; readonly local: Image };
  startRunner(options?: Partial<RunnerOptions>): Runner;
  running(image?: Image): Promise<Instance>;
  /** Until its guest has come up: one that has hardly begun has touched little memory, and moves in no time. */
  booted(instance: Instance): Promise<void>;
  act(instanceId: string, action: PowerAction): Promise<Operation>;
  instance(id: string): Promise<Instance>;
  ended(operationId: string, withinMs?: number): Promise<Operation>;
  /** numbers of the lab's hosts whose QEMU has it, running or not, looked at without libvirt */
  processesOf(instanceId: string): Promise<number[]>;
  close(): Promise<void>;
}

/** The image that labs' guests boot from; undefined: nobody has built it here. */
export async function demoImage(): Promise<string | undefined> {
  const named = process.env['TEST_DEMO_IMAGE'];
  if (named !== undefined) return named;
  const folder = `${root}/.cache/images`;
  const found = (await readdir(folder).catch(() => [])).filter((name) => /^demo-.*\.qcow2$/.test(name)).sort().at(-1);
  return found === undefined ? undefined : join(folder, found);
}

async function builtImage(): Promise<string> {
  const found = await demoImage();
  if (found !== undefined && existsSync(found)) return found;
  const built = found ?? `${root}/.cache/images/demo-test.qcow2`;
  await must(script('build-demo-image'), [built]);
  return built;
}

export async function createLabCloud(lab: Lab): Promise<LabCloud> {
  await copyFile(await builtImage(), join(lab.sharedPoolPath, imageVolume));
  await lab.exec(1, 'cp', join(lab.sharedPoolPath, imageVolume), join(lab.localPoolPath, imageVolume));
  const database = await createTestDatabase();
  const { db } = database;
  const hosts = createFleet((uri, more) => openHypervisor(uri, { ...fleetConnections, ...more }));
  const runners: Runner[] = [];
  const alerts: Sentence[] = [];
  const time = { ahead: 0 };
  const deps: OperationDeps = {
    db, hosts, openHost: openHypervisor, fencing: testFencing(), alert: (sentence) => void alerts.push(sentence), clock: { now: () => Date.now() + time.ahead }, log: createLog(process.env['TEST_LOG'] ?? 'silent'), wake: () => runners.forEach((runner) => runner.wake()),
  };
  const hostIds: string[] = [];
  for (const { name, uri } of lab.hosts) {
    const { host } = await addHost(deps, { name, uri, network: lab.network, pools: [{ name: lab.sharedPool, shared: true }, { name: lab.localPool, shared: false }] });
    hostIds.push(host.id);
  }
  hosts.sync((await selectHosts(db)).map(({ id, uri }) => ({ id, uri })));
  await Promise.all(hostIds.map((id) => hosts.host(id).ready({ timeoutMs: 10_000 })));
  await hosts.host(hostIds[0] ?? '').storagePool.refresh(lab.localPool);
  const pools = await selectPoolsByHost(db, hostIds[0] ?? '');
  const imageIn = async (name: string): Promise<Image> => {
    const image: Image = {
      id: randomUUID(), name: `Demo in ${name}`, description: '', poolId: pools.find((pool) => pool.name === name)?.id ?? '', volume: imageVolume, format: 'qcow2',
      virtualSizeBytes: 256 * 1024 * 1024, minMemoryMib: 64, cloudInit: false, enabled: true, createdAt: 0,
    };
    await insertImage(db, image);
    return image;
  };
  const shared = await imageIn(lab.sharedPool);
  const local = await imageIn(lab.localPool);
  await Promise.all(hostIds.map((id) => hosts.host(id).storagePool.refresh(lab.sharedPool)));
  const userId = randomUUID();
  await insertUser(db, { id: userId, name: 'alice', displayName: 'Alice', email: 'alice@example.org', passwordHash: 'x', role: 'user', state: 'active', language: null, createdAt: 0 });
  await db.execute('UPDATE users SET quota_instances = 100, quota_vcpus = 1000, quota_memory_mib = 1000000, quota_disk_gib = 10000 WHERE id = ?', [userId]);
  const user = await selectUser(db, userId);

  const cloud: LabCloud = {
    lab, db, url: database.url, deps, alerts, time, user, hostIds, images: { shared, local },
    startRunner(more = {}) {
      const runner = createRunner(deps, { ownerId: randomUUID(), ...more });
      runners.push(runner);
      runner.start();
      return runner;
    },
    async running(image = shared) {
      const { instance, operation } = await submitInstanceCreate(deps, {
        user, name: `vm-${randomUUID().slice(0, 8)}`, image, size: { vcpus: 1, memoryMib: 96, diskGib: 1 }, sshKey: '', userData: '',
      });
      const ended = await cloud.ended(operation.id);
      assert.deepEqual([ended.state, ended.error], ['done', null]);
      return cloud.instance(instance.id);
    },
    async booted({ id, hostId }) {
      // QEMU alone has some 55 MiB, with a guest of 96 MiB that has come up 170
      const resident = `for p in /proc/[0-9]*; do tr '\\0' '\\n' < $p/cmdline 2>/dev/null | grep -qx ${id} && awk '/^VmRSS:/ {print $2}' $p/status; done; true`;
      for (const deadline = Date.now() + 60_000; Date.now() < deadline; await delay(200)) {
        if (Number(await lab.exec(hostIds.indexOf(hostId ?? '') + 1, 'sh', '-c', resident)) > 150 * 1024) return;
      }
      assert.fail(`${id} has not come up within a minute`);
    },
    act: async (id, action) => submitInstanceAction(deps, { action, instance: await cloud.instance(id), actor: user }),
    instance: async (id) => (await selectOptionalInstance(db, id)) ?? assert.fail(`no instance ${id}`),
    async ended(operationId, withinMs = 60_000) {
      for (const deadline = Date.now() + withinMs; Date.now() < deadline; await delay(20)) {
        const operation = await selectOperation(db, operationId);
        if (operation.endedAt !== null) return operation;
      }
      return assert.fail(`not ended: ${JSON.stringify([await selectOperation(db, operationId), await selectOperationSteps(db, operationId)])}`);
    },
    async processesOf(id) {
      const found: number[] = [];
      for (const { number, state } of (await lab.status()).hosts) {
        if (state === 'off' || state === 'frozen') continue;
        const list = await lab.exec(number, 'sh', '-c', `cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -c '^${id}$' || true`);
        if (Number(list) > 0) found.push(number);
      }
      return found;
    },
    async close() {
      await Promise.all(runners.map((runner) => runner.stop()));
      await hosts.close();
      await database.close();
    },
  };
  return cloud;
}
