// A portal with a fake host, an image, two users and an admin: what most tests of the API begin with.
import type { Image } from '../../src/model/image.ts';
import type { User } from '../../src/model/user.ts';
import type { Endpoint } from '../../src/web/api/endpoint.ts';
import { addHost } from '../../src/operations/host-add.ts';
import { watchEvents } from '../../src/operations/watch-events.ts';
import { insertImage } from '../../src/store/images.ts';
import { selectPools } from '../../src/store/storage-pools.ts';
import { makeFirstAdmin, makeUser } from '../helpers/accounts.ts';
import { FakeDirectory } from '../helpers/fake-libvirtd/storage.ts';
import { startFakeLibvirtd, type FakeLibvirtd } from '../helpers/fake-libvirtd/index.ts';
import { startTestPortal, type TestPortal, type TestPortalOptions } from '../helpers/portal.ts';
import { CheckedClient } from './checked-client.ts';

const gib = 1024 ** 3;

/** Endpoints that need two hosts: moves.test.ts goes through these, lifecycle.test.ts through all others. */
export function needsTwoHosts({ path, id }: Pick<Endpoint, 'path' | 'id'>): boolean {
  return /^\/(?:moves|suggestions|recoveries|n-minus-1|hosts\/:id\/)/.test(path) || id === 'listInstanceMoves' || id === 'patchInstance';
}

export interface TestCloud {
  readonly portal: TestPortal;
  readonly host: FakeLibvirtd;
  /** with those that `hosts` asked for: host1, host2, … with one shared pool */
  readonly hosts: readonly FakeLibvirtd[];
  readonly api: CheckedClient;
  readonly image: Image;
  readonly admin: User;
  readonly user: User;
  readonly other: User;
  close(): Promise<void>;
}

async function startHosts(count: number, migrationMs: number): Promise<FakeLibvirtd[]> {
  const files = { 'demo.qcow2': { format: 'qcow2', capacityBytes: gib } };
  if (count === 1) return [await startFakeLibvirtd({ pools: [{ name: 'default', files }] })];
  const directory = new FakeDirectory('/srv/default');
  return Promise.all(Array.from({ length: count }, (_, index) => startFakeLibvirtd({
    listen: { tcpPort: 0 }, hostname: `host${index + 1}`, migrationMs, vncBasePort: 5900 + 1000 * index, pools: [{ name: 'default', directory, ...(index === 0 ? { files } : {}) }],
  })));
}

export async function startTestCloud({ hosts: count = 1, migrationMs = 200, ...options }: TestPortalOptions & { readonly hosts?: number; readonly migrationMs?: number } = {}): Promise<TestCloud> {
  const portal = await startTestPortal(options);
  const hosts = await startHosts(count, migrationMs);
  const [host] = hosts;
  if (host === undefined) throw new Error('a cloud has a host');
  const { db, clock, operations } = portal.deps;
  for (const [index, each] of hosts.entries()) {
    await addHost(operations, { name: `host${index + 1}`, uri: each.uri, ...(count > 1 ? { migrationUri: each.uri, pools: [{ name: 'default', shared: true }] } : {}) });
  }
  await portal.syncHosts();
  const watch = watchEvents(operations);
  const [pool] = await selectPools(db);
  if (pool === undefined) throw new Error('the fake host has a pool');
  const image: Image = {
    id: crypto.randomUUID(), name: 'Demo', description: '', poolId: pool.id, volume: 'demo.qcow2', format: 'qcow2', virtualSizeBytes: gib,
    minMemoryMib: 64, cloudInit: true, enabled: true, createdAt: clock.now(),
  };
  await insertImage(db, image);
  const admin = await makeFirstAdmin(db);
  const [user, other] = [await makeUser(db, 'user'), await makeUser(db, 'other')];
  return {
    portal, host, hosts, image, admin, user, other, api: new CheckedClient(portal),
    async close() {
      await watch.stop();
      await portal.close();
      await Promise.all(hosts.map((each) => each.close()));
    },
  };
}
