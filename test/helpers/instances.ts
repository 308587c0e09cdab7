// Instances for tests that begin after the creation: a record in the database, and its domain on a fake host.
import { randomUUID } from 'node:crypto';
import { buildDomainXml } from '../../src/libvirt/domain-xml.ts';
import type { Instance } from '../../src/model/instance.ts';
import type { Db } from '../../src/store/db.ts';
import { insertInstance, releaseInstance, selectOptionalInstance, type InstanceChange, type NewInstance } from '../../src/store/instances.ts';
import { insertSampleSubject } from '../../src/store/sample-subjects.ts';
import type { FakeLibvirtd } from './fake-libvirtd/index.ts';

let macs = 0;

/** A running instance of 2 vCPUs, 1 GiB and 10 GiB, unless told otherwise. */
export async function makeInstance(db: Db, owner: { readonly id: string }, over: Partial<NewInstance> = {}, change: InstanceChange = { state: 'running' }): Promise<Instance> {
  const id = over.id ?? randomUUID();
  const now = Date.now();
  const operationId = randomUUID();
  const mac = `52:54:00:${[16, 8, 0].map((bits) => ((macs >> bits) & 255).toString(16).padStart(2, '0')).join(':')}`;
  macs++;
  await insertInstance(db, {
    id, userId: owner.id, name: `vm-${id.slice(0, 8)}`, vcpus: 2, memoryMib: 1024, diskGib: 10, imageId: randomUUID(), mac, subjectId: await insertSampleSubject(db, id, now),
    createdAt: now, hostId: randomUUID(), poolId: randomUUID(), operationId, operationKind: 'instance-create', ...over,
  });
  await releaseInstance(db, id, over.operationId ?? operationId, change, now);
  const instance = await selectOptionalInstance(db, id);
  if (instance === undefined) throw new Error('the instance was just made');
  return instance;
}

/** Its domain on a fake host, running, with VNC and one interface on "default". */
export async function startDomain(fake: FakeLibvirtd, instance: Instance): Promise<void> {
  fake.host.define(buildDomainXml({
    uuid: instance.id, name: instance.name, virtType: 'qemu', arch: 'x86_64', vcpus: instance.vcpus, memoryMib: instance.memoryMib,
    disks: [{ device: 'disk', path: `/elsewhere/${instance.id}`, format: 'qcow2', target: 'vda', bus: 'virtio' }],
    interface: { kind: 'network', network: 'default', mac: instance.mac }, vnc: { listen: '127.0.0.1' }, instance: { id: instance.id, owner: instance.userId },
  }));
  await fake.host.create(instance.id, false);
}
