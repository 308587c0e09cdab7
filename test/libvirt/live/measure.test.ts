// What a tick measures of a real guest on a real libvirtd, beside what virsh and the file system say of the same.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { systemClock } from '../../../src/clock.ts';
import { createCollectMetrics } from '../../../src/jobs/collect-metrics.ts';
import { buildDomainXml } from '../../../src/libvirt/domain-xml.ts';
import { createFleet } from '../../../src/libvirt/fleet.ts';
import { openHypervisor } from '../../../src/libvirt/open-hypervisor.ts';
import { buildVolumeXml } from '../../../src/libvirt/volume-xml.ts';
import { createLog } from '../../../src/log.ts';
import type { Instance } from '../../../src/model/instance.ts';
import { selectDeviceSampleRange, selectSampleDevices } from '../../../src/store/device-samples.ts';
import { insertHost, selectHost, selectHosts } from '../../../src/store/hosts.ts';
import { selectHostSampleRange, selectInstanceSampleRange } from '../../../src/store/samples.ts';
import { createTestDatabase, type TestDatabase } from '../../helpers/database.ts';
import { makeInstance } from '../../helpers/instances.ts';
import { startPrivateLibvirtd, whyNoLibvirtd, type PrivateLibvirtd } from '../../helpers/private-libvirtd.ts';

const run = promisify(execFile);
const never = new AbortController().signal;

describe('measuring a real guest', { skip: whyNoLibvirtd() }, () => {
  let libvirtd: PrivateLibvirtd;
  let database: TestDatabase;
  let instance: Instance;
  const hostId = randomUUID();
  const hosts = createFleet((uri) => openHypervisor(uri));

  before(async () => {
    [libvirtd, database] = await Promise.all([startPrivateLibvirtd(), createTestDatabase()]);
    const { db } = database;
    await insertHost(db, { id: hostId, name: 'real', uri: libvirtd.uri, consoleAddress: '127.0.0.1', network: libvirtd.network, virtTypeWish: 'auto', createdAt: 0 });
    hosts.sync(await selectHosts(db));
    const host = hosts.host(hostId);
    await host.ready();
    instance = await makeInstance(db, { id: randomUUID() }, { hostId, memoryMib: 64 });
    await host.storageVolume.createXML(libvirtd.pool, buildVolumeXml({ name: 'one.qcow2', capacityBytes: 2 ** 30, format: 'qcow2' }));
    // written to, so that it takes room
    await run('qemu-io', ['-f', 'qcow2', '-c', 'write 0 32M', `${libvirtd.poolPath}/one.qcow2`]);
    await host.domain.defineXML(buildDomainXml({
      uuid: instance.id, name: instance.name, virtType: 'qemu', arch: 'x86_64', vcpus: 1, memoryMib: 64,
      disks: [{ device: 'disk', path: `${libvirtd.poolPath}/one.qcow2`, format: 'qcow2', target: 'vda', bus: 'virtio' }],
      interface: { kind: 'network', network: libvirtd.network, mac: instance.mac }, instance: { id: instance.id, owner: instance.userId },
    }));
    await host.domain.create(instance.id);
  });
  after(async () => {
    await hosts.close();
    await libvirtd?.stop();
    await database?.close();
  });

  it('tells what was measured of host, guest, disk and interface', async () => {
    const { db } = database;
    const collect = createCollectMetrics({ db, hosts, clock: systemClock, log: createLog('silent') }, { pollIntervalMs: 10_000 });
    for (let n = 0; n < 2; n++) {
      await collect(never);
      await delay(1000);
    }
    const sample = (await selectInstanceSampleRange(db, instance.subjectId, 0, Date.now())).at(-1);
    assert.ok(sample !== undefined && Object.entries(sample).every(([name, value]) => name === 'memoryAvailableMib' || (value !== null && value >= 0)), JSON.stringify(sample));
    assert.ok((sample.memoryUsedMib ?? 0) > 0 && (sample.memoryUsedMib ?? 0) <= 64);
    // what the file takes, as far as the guest's firmware has not written to it
    assert.equal(sample.diskAllocationMib, Math.round((await stat(`${libvirtd.poolPath}/one.qcow2`)).size / 2 ** 20));
    assert.ok((sample.diskAllocationMib ?? 0) >= 32);

    assert.deepEqual((await selectSampleDevices(db, instance.subjectId)).map(({ device, name }) => [device, name]), [[0, 'vda'], [16, instance.mac]]);
    const [disk] = await selectDeviceSampleRange(db, instance.subjectId, 0, 0, Date.now());
    const [nic] = await selectDeviceSampleRange(db, instance.subjectId, 16, 0, Date.now());
    assert.ok(disk !== undefined && disk.readBytesPerSecond !== null && disk.writeOpsPerSecond !== null && disk.allocationMib === sample.diskAllocationMib, JSON.stringify(disk));
    assert.ok(nic !== undefined && nic.readBytesPerSecond !== null && nic.readOpsPerSecond !== null && nic.dropsPerSecond !== null, JSON.stringify(nic));

    const host = (await selectHostSampleRange(db, (await selectHost(db, hostId)).subjectId, 0, Date.now())).at(-1);
    const parts = [host?.cpuUserPercent, host?.cpuSystemPercent, host?.cpuIowaitPercent].map((part) => part ?? NaN);
    assert.ok(parts.every((part) => part >= 0) && parts.reduce((a, b) => a + b) <= 100.01, String(parts));
    assert.deepEqual([host?.up, host?.cpuStealPercent, host?.swapTotalMib], [1, null, null], 'libvirt does not tell these');
    assert.ok((host?.memoryCachedMib ?? 0) > 0);
  });

  it('asks one guest alone as it asks all', async () => {
    const host = hosts.host(hostId);
    const [domain] = await host.domain.listAll();
    assert.ok(domain);
    const [one] = await host.domain.listGetStats([domain, { ...domain, uuid: randomUUID(), name: 'gone' }], ['balloon', 'block', 'interface']);
    const { stdout } = await run('virsh', ['-c', libvirtd.uri, 'domstats', '--raw', '--block', '--interface', '--balloon', instance.name]);
    const told = new Set(stdout.split('\n').map((line) => line.trim().split('=')[0]).filter((name) => /^(?:balloon|block|net)\./.test(name ?? '')));
    assert.deepEqual(new Set(Object.keys(one?.params ?? {}).filter((name) => /^(?:balloon|block|net)\./.test(name))), told);
    assert.deepEqual(await host.domain.listGetStats([], ['balloon']), [], 'an empty list is nobody, not everybody');
  });
});
