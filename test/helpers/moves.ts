// A small cloud whose hosts can move instances to each other: fakes that reach one another, and one shared directory.
import type { Instance } from '../../src/model/instance.ts';
import { submitMove, type MoveRequest, type SubmittedMove } from '../../src/operations/instance-migrate.ts';
import { updateHost } from '../../src/store/hosts.ts';
import { unlinkHostPool, upsertPool } from '../../src/store/storage-pools.ts';
import { createCloud, imageVolume, type Cloud } from './cloud.ts';
import { FakeDirectory } from './fake-libvirtd/storage.ts';

const gib = 1024 ** 3;

export interface MoveCloudOptions {
  readonly hosts?: number;
  /** the pool of the image and of all disks is each host's own */
  readonly local?: boolean;
  readonly migrationMs?: number;
  readonly cpus?: number;
}

export async function createMoveCloud({ hosts = 2, local = false, migrationMs = 60, cpus = 64 }: MoveCloudOptions = {}): Promise<Cloud> {
  const directory = new FakeDirectory('/srv/default');
  const cloud = await createCloud({
    cpus,
    fakes: Array.from({ length: hosts }, (_, index) => ({
      listen: { tcpPort: 0 }, hostname: `host${index}`, migrationMs, vncBasePort: 5900 + 1000 * index, pools: [local ? { name: 'default' } : { name: 'default', directory }],
    })),
  });
  for (const [index, id] of cloud.hostIds.entries()) await updateHost(cloud.db, id, { migrationUri: cloud.fakes[index]?.uri ?? '' });
  if (!local) return cloud;
  // the pool becomes the first host's own; only that one has the image
  await cloud.db.execute('UPDATE storage_pools SET shared = 0 WHERE id = ?', [cloud.image.poolId]);
  for (const [index, hostId] of cloud.hostIds.entries()) {
    if (index === 0) continue;
    await unlinkHostPool(cloud.db, hostId, cloud.image.poolId);
    await upsertPool(cloud.db, { hostId, name: 'default', shared: false, kind: 'dir', path: '/srv/default', capacityBytes: 800 * gib, availableBytes: 800 * gib }, Date.now());
    const pool = cloud.fakes[index]?.host.pool('default');
    pool?.directory.files.delete(imageVolume);
    pool?.refresh();
  }
  return cloud;
}

export function move(cloud: Cloud, instance: Instance, over: Partial<MoveRequest> = {}): Promise<SubmittedMove> {
  const toHostId = cloud.hostIds.find((id) => id !== instance.hostId) ?? null;
  return submitMove(cloud.deps, { instance, toHostId, trigger: 'admin', why: { key: 'moves.why.admin' }, actor: cloud.user, ...over });
}

/** Index of the host it is on. */
export const hostOf = (cloud: Cloud, instance: Instance): number => cloud.hostIds.indexOf(instance.hostId ?? '');
