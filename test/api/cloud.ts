// A portal with a fake host, an image, two users and an admin: what most tests of the API begin with.
import type { Image } from '../../src/model/image.ts';
import type { User } from '../../src/model/user.ts';
import { addHost } from '../../src/operations/host-add.ts';
import { watchEvents } from '../../src/operations/watch-events.ts';
import { insertImage } from '../../src/store/images.ts';
import { selectPools } from '../../src/store/storage-pools.ts';
import { makeFirstAdmin, makeUser } from '../helpers/accounts.ts';
import { startFakeLibvirtd, type FakeLibvirtd } from '../helpers/fake-libvirtd/index.ts';
import { startTestPortal, type TestPortal, type TestPortalOptions } from '../helpers/portal.ts';
import { CheckedClient } from './checked-client.ts';

const gib = 1024 ** 3;

export interface TestCloud {
  readonly portal: TestPortal;
  readonly host: FakeLibvirtd;
  readonly api: CheckedClient;
  readonly image: Image;
  readonly admin: User;
  readonly user: User;
  readonly other: User;
  close(): Promise<void>;
}

export async function startTestCloud(options: TestPortalOptions = {}): Promise<TestCloud> {
  const portal = await startTestPortal(options);
  const host = await startFakeLibvirtd({ pools: [{ name: 'default', files: { 'demo.qcow2': { format: 'qcow2', capacityBytes: gib } } }] });
  const { db, clock, operations } = portal.deps;
  await addHost(operations, { name: 'host1', uri: host.uri });
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
    portal, host, image, admin, user, other, api: new CheckedClient(portal),
    async close() {
      await watch.stop();
      await portal.close();
      await host.close();
    },
  };
}
