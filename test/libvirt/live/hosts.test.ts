// Two real hosts: a live migration from one to the other, and TLS as the real libvirtd does it.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { buildDomainXml } from '../../../src/libvirt/domain-xml.ts';
import { HostUnavailableError, LibvirtError } from '../../../src/libvirt/errors.ts';
import type { Hypervisor } from '../../../src/libvirt/hypervisor.ts';
import { openHypervisor } from '../../../src/libvirt/open-hypervisor.ts';
import { buildVolumeXml } from '../../../src/libvirt/volume-xml.ts';
import { startPrivateLibvirtd, whyNoLibvirtd, type PrivateLibvirtd } from '../../helpers/private-libvirtd.ts';

const run = promisify(execFile);
const makeCertificates = fileURLToPath(new URL('../../../scripts/make-certificates', import.meta.url));
/** VIR_MIGRATE_LIVE | PERSIST_DEST | UNDEFINE_SOURCE | UNSAFE: the shared folder is not NFS here */
const flags = 1 | 8 | 16 | 512;

describe('two real hosts', { skip: whyNoLibvirtd() }, () => {
  let first: PrivateLibvirtd, second: PrivateLibvirtd;
  let source: Hypervisor, target: Hypervisor;
  let pki = '';
  const uuid = randomUUID();
  before(async () => {
    first = await startPrivateLibvirtd();
    pki = join(first.dir, 'pki');
    await run(makeCertificates, [pki, `host2,${first.address.replace(/\.11$/, '.12')}`]);
    second = await startPrivateLibvirtd({ beside: first, number: 2, pki });
    source = openHypervisor(first.uri);
    target = openHypervisor(second.uri);
    const disk = await source.storageVolume.createXML(first.pool, buildVolumeXml({ name: 'm.qcow2', capacityBytes: 2 ** 20, format: 'qcow2' }));
    await source.domain.defineXML(buildDomainXml({
      uuid, name: 'moving', virtType: 'qemu', arch: 'x86_64', vcpus: 1, memoryMib: 64, vnc: { listen: '0.0.0.0' },
      disks: [{ device: 'disk', path: disk.key, format: 'qcow2', target: 'vda', bus: 'virtio' }],
      interface: { kind: 'network', network: first.network, mac: '52:54:00:00:00:09' }, instance: { id: 'i', owner: 'o' },
    }));
    await source.domain.create(uuid);
  });
  after(async () => {
    await Promise.all([source?.close(), target?.close()]);
    await first?.stop();
  });

  it('move a running domain', async () => {
    const events: string[] = [];
    void (async () => { for await (const event of source.events()) events.push(event.type); })();
    await source.node.getHostname();
    await source.domain.migrate(uuid, { destinationUri: second.uri, params: { bandwidth: { type: 'ullong', value: 500 } }, flags });
    assert.equal((await target.domain.getState(uuid)).state, 'running');
    assert.equal(await source.domain.lookupByUUID(uuid), undefined);
    await source.node.getHostname();
    assert.ok(events.includes('job-completed') && events.includes('migration-iteration'), events.join());
    const { type, params } = await target.domain.getJobStats(uuid, { completed: true, keepCompleted: true });
    assert.equal(type, 3);
    assert.ok(Number(params['memory_total']) > 0);
  });

  it('leave it where it is when the destination cannot be reached, or refuses', async () => {
    const move = (destinationUri: string) => target.domain.migrate(uuid, { destinationUri, params: {}, flags });
    await assert.rejects(move('qemu+tcp://127.0.0.1:1/system'), LibvirtError);
    await source.network.destroy(first.network);
    await assert.rejects(move(first.uri), LibvirtError);
    await source.network.create(first.network);
    assert.equal((await target.domain.getState(uuid)).state, 'running');
  });

  it('speak TLS with the certificates we make', async () => {
    const host = openHypervisor(`qemu+tls://${second.address}/system`, { pkiPath: join(pki, 'portal') });
    assert.equal((await host.domain.listAll())[0]?.name, 'moving');
    const begin = Date.now();
    await Promise.all(Array.from({ length: 12 }, () => host.node.getHostname()));
    assert.ok(Date.now() - begin < 8000, `several requests at once took ${Date.now() - begin} ms`);
    await host.close();
  });

  it('refuse a portal with a certificate of another authority', async () => {
    const theirs = join(first.dir, 'theirs');
    await run(makeCertificates, [theirs, 'x']);
    await run('cp', [join(pki, 'portal', 'cacert.pem'), join(theirs, 'portal', 'cacert.pem')]);
    const host = openHypervisor(`qemu+tls://${second.address}/system?pkipath=${join(theirs, 'portal')}`, { backoff: { firstMs: 9000, maxMs: 9000 } });
    await assert.rejects(host.ready({ timeoutMs: 6000 }), (error: unknown) => error instanceof HostUnavailableError && /did not accept our client certificate/.test(error.message));
    await host.close();
  });
});
