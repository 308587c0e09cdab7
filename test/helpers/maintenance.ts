// Three hosts that share their disks, for tests of emptying one of them and of bringing its instances back.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { HostWish } from '../../src/model/host.ts';
import type { Instance } from '../../src/model/instance.ts';
import type { Operation } from '../../src/model/operation.ts';
import type { Size } from '../../src/model/size.ts';
import { submitHostDrain } from '../../src/operations/host-drain.ts';
import { submitHostReturn } from '../../src/operations/host-return.ts';
import { selectHost, updateHost } from '../../src/store/hosts.ts';
import { updateSettings } from '../../src/store/settings.ts';
import { createCloud, type Cloud } from './cloud.ts';
import { FakeDirectory } from './fake-libvirtd/storage.ts';

const migrationMs = 60;
const admin = { id: randomUUID() };

export interface Hosts { readonly a: string; readonly b: string; readonly c: string }

/** Three hosts with one pool that all of them see. */
export async function threeHosts(cpus = 64): Promise<{ cloud: Cloud; hosts: Hosts }> {
  const directory = new FakeDirectory('/srv/default');
  const fakes = [0, 1, 2].map((index) => ({ listen: { tcpPort: 0 }, pools: [{ name: 'default', directory }], migrationMs, vncBasePort: 5900 + 200 * index, memoryMib: cpus * 1024 }));
  const cloud = await createCloud({ fakes, cpus });
  for (const [index, id] of cloud.hostIds.entries()) await updateHost(cloud.db, id, { migrationUri: cloud.fakes[index]?.uri ?? '' });
  await updateSettings(cloud.db, 'caps', { vcpus: 64, memoryMib: 65_536, diskGib: 100 }, null, Date.now());
  const [a = '', b = '', c = ''] = cloud.hostIds;
  return { cloud, hosts: { a, b, c } };
}

export async function setWish(cloud: Cloud, hostIds: readonly string[], wish: HostWish): Promise<void> {
  for (const id of hostIds) await updateHost(cloud.db, id, { wish });
}

/** Running instances on one host. */
export async function fill(cloud: Cloud, hostId: string, count: number, size?: Size): Promise<Instance[]> {
  const others = cloud.hostIds.filter((id) => id !== hostId);
  await setWish(cloud, others, 'disabled');
  const made = await Promise.all(Array.from({ length: count }, () => cloud.create(undefined, size)));
  for (const { operation } of made) assert.equal((await cloud.ended(operation.id)).state, 'done');
  await setWish(cloud, others, 'enabled');
  return Promise.all(made.map(({ instance }) => cloud.instance(instance.id)));
}

export const drain = async (cloud: Cloud, hostId: string): Promise<Operation> => submitHostDrain(cloud.deps, await selectHost(cloud.db, hostId), admin);
export const bringBack = async (cloud: Cloud, hostId: string): Promise<Operation> => submitHostReturn(cloud.deps, await selectHost(cloud.db, hostId), admin);

export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 60_000; !(await holds()); await delay(10)) if (Date.now() > deadline) assert.fail(`never came: ${what}`);
}
