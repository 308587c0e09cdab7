// The client against a real libvirtd with a real QEMU: what no stand-in can prove.
import assert from 'node:assert/strict';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { readCapabilities, readCpuFeatures } from '../../../src/libvirt/capabilities-xml.ts';
import { buildDomainXml, instanceNamespace, parseDomainXml, type DomainSpec } from '../../../src/libvirt/domain-xml.ts';
import { readVncGraphics, vncPasswordXml } from '../../../src/libvirt/graphics-xml.ts';
import { isExists, isNoDomain, isOperationInvalid, LibvirtError } from '../../../src/libvirt/errors.ts';
import type { Hypervisor } from '../../../src/libvirt/hypervisor.ts';
import { openHypervisor } from '../../../src/libvirt/open-hypervisor.ts';
import { readVolumeXml } from '../../../src/libvirt/storage-xml.ts';
import { buildPoolXml, buildVolumeXml } from '../../../src/libvirt/volume-xml.ts';
import { startPrivateLibvirtd, whyNoLibvirtd, type PrivateLibvirtd } from '../../helpers/private-libvirtd.ts';

const mib = 2 ** 20;
const md5 = (data: Buffer) => createHash('md5').update(data).digest('hex');

describe('libvirtd with QEMU', { skip: whyNoLibvirtd() }, () => {
  let libvirtd: PrivateLibvirtd;
  let host: Hypervisor;
  const uuid = randomUUID();
  let spec: DomainSpec;
  const events: string[] = [];

  before(async () => {
    libvirtd = await startPrivateLibvirtd();
    host = openHypervisor(libvirtd.uri);
    void (async () => {
      for await (const event of host.events()) events.push(event.type === 'lifecycle' ? `${event.event}/${event.detail}` : event.type);
    })();
    const base = await host.storageVolume.createXML(libvirtd.pool, buildVolumeXml({ name: 'base.qcow2', capacityBytes: 8 * mib, format: 'qcow2' }));
    const clone = await host.storageVolume.createXML(libvirtd.pool, buildVolumeXml({ name: 'clone.qcow2', capacityBytes: 16 * mib, format: 'qcow2', backing: { path: base.key, format: 'qcow2' } }));
    spec = {
      uuid, name: 'tiny', title: 'Tiny & "small" <x> 小', virtType: 'qemu', arch: 'x86_64', vcpus: 1, memoryMib: 64,
      disks: [{ device: 'disk', path: clone.key, format: 'qcow2', target: 'vda', bus: 'virtio' }],
      interface: { kind: 'network', network: libvirtd.network, mac: '52:54:00:00:00:01' },
      vnc: { listen: '127.0.0.1' }, serialLogPath: `${libvirtd.poolPath}/tiny.log`, instance: { id: 'i-1', owner: 'ann' },
    };
  });
  after(async () => {
    await host?.close();
    await libvirtd?.stop();
  });

  it('tells what the host can do', async () => {
    const capabilities = readCapabilities(await host.node.getCapabilities());
    assert.ok(capabilities.domainTypes.includes('qemu'));
    assert.match(await host.node.getDomainCapabilities({ virtType: 'qemu', arch: 'x86_64' }), /<domainCapabilities>/);
    assert.ok(readCpuFeatures(await host.node.baselineCPU([capabilities.cpuXml ?? ''])).includes('sse2'));
    assert.equal(await host.node.compareCPU(capabilities.cpuXml ?? ''), 'identical');
    const [memory, version] = [await host.node.getMemoryStats(), await host.node.getVersion()];
    assert.ok(memory.totalKib > memory.freeKib && memory.freeKib > 0);
    assert.ok(version >= 5_000_000);
  });

  it('makes linked clones that say what they stand on', async () => {
    const clone = readVolumeXml(await host.storageVolume.getXMLDesc(libvirtd.pool, 'clone.qcow2'));
    assert.deepEqual([clone.backingPath, clone.capacityBytes, clone.format], [`${libvirtd.poolPath}/base.qcow2`, 16 * mib, 'qcow2']);
    await host.storageVolume.resize(libvirtd.pool, 'clone.qcow2', 32 * mib);
    assert.equal((await host.storageVolume.getInfo(libvirtd.pool, 'clone.qcow2')).capacityBytes, 32 * mib);
  });

  it('takes our definition, validated, and starts it', async () => {
    assert.deepEqual(await host.domain.defineXML(buildDomainXml(spec)), { name: 'tiny', uuid, id: -1 });
    assert.match(await host.domain.getMetadata(uuid, instanceNamespace) ?? '', /id="i-1"/);
    assert.equal((await host.domain.create(uuid, { paused: true })).name, 'tiny');
    assert.deepEqual(await host.domain.getState(uuid), { state: 'paused', reason: 1 });
    await host.domain.resume(uuid);
    assert.equal((await host.domain.getState(uuid)).state, 'running');
    const parsed = parseDomainXml(await host.domain.getXMLDesc(uuid));
    assert.deepEqual([parsed.instanceId, parsed.owner, parsed.vcpus, parsed.memoryMib, parsed.disks[0]?.target], ['i-1', 'ann', 1, 64, 'vda']);
    assert.ok((parsed.vnc?.port ?? 0) >= 5900);
  });

  it('takes every shape of definition that we build', async () => {
    const shapes: Partial<DomainSpec>[] = [
      { interface: { kind: 'bridge', bridge: 'br0', mac: '52:54:00:00:00:02' } },
      { interface: { kind: 'user', mac: '52:54:00:00:00:03' } },
      { cpuModel: 'Nehalem' },
      { disks: [...spec.disks, { device: 'cdrom', path: '/srv/seed.iso', format: 'raw', target: 'sda', bus: 'sata' }] },
    ];
    for (const shape of shapes) {
      const other = randomUUID();
      await host.domain.defineXML(buildDomainXml({ ...spec, ...shape, uuid: other, name: 'shape' }));
      await host.domain.undefine(other);
    }
  });

  it('measures all groups in one call', async () => {
    const [stats] = await host.domain.getAllStats(['state', 'cpu-total', 'balloon', 'vcpu', 'interface', 'block', 'dirtyrate']);
    assert.equal(stats?.domain.uuid, uuid);
    for (const field of ['state.state', 'cpu.time', 'balloon.maximum', 'vcpu.0.time', 'net.0.rx.bytes', 'block.0.rd.bytes', 'block.0.capacity']) {
      assert.equal(typeof stats?.params[field], 'number', field);
    }
  });

  it('refuses what is not possible now, in ways we tell apart', async () => {
    await assert.rejects(host.domain.create(uuid), isOperationInvalid);
    await assert.rejects(host.domain.defineXML(buildDomainXml({ ...spec, uuid: randomUUID() })), isExists);
    await assert.rejects(host.domain.getXMLDesc(randomUUID()), isNoDomain);
    await assert.rejects(host.domain.defineXML('<domain type="qemu"><nonsense/></domain>'), (error: unknown) => error instanceof LibvirtError && error.code === 92);
    await assert.rejects(host.domain.abortJob(uuid), isOperationInvalid);
    assert.deepEqual(await host.domain.getJobStats(uuid), { type: 0, params: {} });
  });

  it('changes the VNC password, which no XML shows afterwards', async () => {
    const setPassword = async (password: string, validTo: number) => {
      const graphics = readVncGraphics(await host.domain.getXMLDesc(uuid));
      assert.ok(graphics);
      await host.domain.updateDevice(uuid, vncPasswordXml(graphics, password, validTo), { live: true, config: false });
    };
    await setPassword('k7Pq2xZb', Date.now() + 60_000);
    for (const inactive of [false, true]) {
      const xml = await host.domain.getXMLDesc(uuid, { inactive });
      assert.ok(!xml.includes('k7Pq2xZb') && !xml.includes('passwd='));
    }
    await setPassword('whatever', 1000);
    assert.match(await host.domain.getXMLDesc(uuid), /passwdValidTo='1970-01-01T00:00:01'/);
  });

  it('brings a picture of the screen', async () => {
    const { mimeType, body } = await host.domain.screenshot(uuid, 0);
    const picture = await buffer(body);
    assert.match(mimeType, /^image\//);
    assert.ok(picture.length > 1000);
  });

  it('opens the serial console, once, and hangs up', async () => {
    const console = await host.domain.openConsole(uuid, null);
    console.write('x');
    console.resume();
    await assert.rejects(host.domain.openConsole(uuid, null), /Active console session exists/);
    console.end();
    await once(console, 'close');
    for (const end = Date.now() + 20_000; ; await delay(20)) {
      try {
        (await host.domain.openConsole(uuid, null)).destroy();
        break;
      } catch (error) {
        // QEMU lets go of the console a moment later
        if (Date.now() > end) throw error;
      }
    }
    assert.ok((await readFile(`${libvirtd.poolPath}/tiny.log`)).length >= 0);
  });

  it('grows a disk of the running domain', async () => {
    await host.domain.blockResize(uuid, 'vda', 40 * mib);
    const [stats] = await host.domain.getAllStats(['block']);
    assert.equal(stats?.params['block.0.capacity'], 40 * mib);
  });

  it('attaches and detaches a disk', async () => {
    const extra = await host.storageVolume.createXML(libvirtd.pool, buildVolumeXml({ name: 'extra.qcow2', capacityBytes: mib, format: 'qcow2' }));
    const xml = `<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='${extra.key}'/><target dev='vdb' bus='virtio'/></disk>`;
    await host.domain.attachDevice(uuid, xml, { live: true, config: true });
    assert.equal(parseDomainXml(await host.domain.getXMLDesc(uuid)).disks.length, 2);
    await host.domain.detachDevice(uuid, xml, { live: false, config: true });
    assert.equal(parseDomainXml(await host.domain.getXMLDesc(uuid, { inactive: true })).disks.length, 1);
  });

  it('carries volumes up and down unchanged, also with a slow reader', async () => {
    const bytes = randomBytes(5_000_003);
    await host.storageVolume.createXML(libvirtd.pool, buildVolumeXml({ name: 'data.img', capacityBytes: bytes.length, format: 'raw' }));
    await host.storageVolume.upload(libvirtd.pool, 'data.img', Readable.from([bytes]), bytes.length);
    const download = await host.storageVolume.download(libvirtd.pool, 'data.img');
    const pieces: Buffer[] = [];
    for await (const piece of download) {
      pieces.push(piece as Buffer);
      await delay(5);
    }
    // libvirt rounds the file up to whole sectors
    assert.equal(md5(Buffer.concat(pieces).subarray(0, bytes.length)), md5(bytes));
    await assert.rejects(host.storageVolume.upload(libvirtd.pool, 'data.img', Readable.from([bytes.subarray(0, 7)]), bytes.length), /ended after 7/);
    await host.storageVolume.delete(libvirtd.pool, 'data.img');
  });

  it('defines, fills and removes a pool of ours', async () => {
    const path = `${libvirtd.poolPath}/sub`;
    await host.storagePool.defineXML(buildPoolXml({ kind: 'dir', name: 'sub', path }));
    await host.storagePool.build('sub');
    await host.storagePool.create('sub');
    await assert.rejects(host.storageVolume.createXML('sub', buildVolumeXml({ name: 'x', capacityBytes: mib, format: 'qcow2', backing: { path: `${path}/none`, format: 'qcow2' } })), /inaccessible backing/);
    await host.storagePool.destroy('sub');
    await host.storagePool.undefine('sub');
  });

  it('limits an agent that may come, and presses the power button to reboot', async () => {
    await host.domain.agentSetResponseTimeout(uuid, 2);
    await assert.rejects(host.domain.getInterfaceAddresses(uuid, 'agent'), (error: unknown) => error instanceof LibvirtError && error.code === 86);
    await host.domain.reboot(uuid);
    assert.equal((await host.domain.getState(uuid)).state, 'running');
  });

  it('ends, and has told all of it as events', async () => {
    await host.domain.reset(uuid);
    await host.domain.destroy(uuid);
    await assert.rejects(host.domain.destroy(uuid), isOperationInvalid);
    assert.deepEqual(await host.domain.getState(uuid), { state: 'shutoff', reason: 2 });
    await host.domain.undefine(uuid);
    await assert.rejects(host.domain.getState(uuid), isNoDomain);
    await host.node.getHostname();
    const wanted = ['resync', 'defined/added', 'started/booted', 'suspended/paused', 'resumed/unpaused', 'stopped/destroyed', 'undefined/removed'];
    assert.deepEqual(wanted.filter((event) => events.includes(event)), wanted, events.join());
  });
});
