// Hosts, a shared pool and running machines as rows alone, for what looks at the database and asks no host.
import { randomUUID } from 'node:crypto';
import type { Database } from '../../src/store/db.ts';
import { insertHost, updateHostFacts } from '../../src/store/hosts.ts';
import { insertSampleSubject } from '../../src/store/sample-subjects.ts';
import { selectOptionalPool, upsertPool } from '../../src/store/storage-pools.ts';
import { makeUser } from './accounts.ts';

export interface FilledCloud {
  readonly hostIds: readonly string[];
  readonly poolSubjectId: number;
  readonly instances: readonly { readonly id: string; readonly subjectId: number; readonly hostId: string }[];
}

/** host0…, pool `default`, vm0… dealt out to the hosts in turn; all up and running since 1970. */
export async function fillCloud(db: Database, { hosts, instances, at }: { readonly hosts: number; readonly instances: number; readonly at: number }): Promise<FilledCloud> {
  const hostIds: string[] = [];
  let poolId = '';
  for (let index = 0; index < hosts; index++) {
    const id = randomUUID();
    hostIds.push(id);
    await insertHost(db, { id, name: `host${index}`, uri: `qemu+tcp://192.0.2.${index % 250}/system`, consoleAddress: '127.0.0.1', network: 'default', virtTypeWish: 'auto', createdAt: 0 });
    await updateHostFacts(db, id, { virtType: 'kvm', arch: 'x86_64', cpuModel: null, libvirtVersion: null, qemuVersion: null, hostUuid: null, cpus: 8, memoryMib: 65_536 });
    poolId = await upsertPool(db, { hostId: id, name: 'default', shared: true, kind: 'netfs', path: '/pool', capacityBytes: 10 ** 12, availableBytes: 9 * 10 ** 11 }, at);
  }
  await db.execute("UPDATE hosts SET state = 'up', state_since = 0");
  const owner = await makeUser(db, `owner${randomUUID().slice(0, 8)}`);
  const made: { id: string; subjectId: number; hostId: string }[] = [];
  for (let index = 0; index < instances; index++) {
    const id = randomUUID();
    const hostId = hostIds[index % hostIds.length] ?? '';
    const subjectId = await insertSampleSubject(db, id, 0);
    made.push({ id, subjectId, hostId });
    await db.execute(
      `INSERT INTO instances (id, user_id, name, state, state_at, host_id, pool_id, image_id, vcpus, memory_mib, disk_gib, mac, subject_id, created_at)
       VALUES (?, ?, ?, 'running', 0, ?, ?, ?, 1, 512, 10, ?, ?, 0)`,
      [id, owner.id, `vm${index}`, hostId, poolId, randomUUID(), `52:54:00:00:${hex(index >> 8)}:${hex(index & 255)}`, subjectId],
    );
  }
  return { hostIds, poolSubjectId: (await selectOptionalPool(db, poolId))?.subjectId ?? 0, instances: made };
}

function hex(value: number): string {
  return (value & 255).toString(16).padStart(2, '0');
}
