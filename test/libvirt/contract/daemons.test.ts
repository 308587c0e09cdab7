// What libvirt is, as far as the product relies on it, held against both: libvirtd's own test driver and our fake.
// A test that only one of them passes means that the fake lies, or that we misunderstand libvirt.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isExists, isNoDomain, isNoNetwork, isNoSnapshot, isNoStoragePool, isNoStorageVolume, isOperationInvalid } from '../../../src/libvirt/errors.ts';
import type { Hypervisor } from '../../../src/libvirt/hypervisor.ts';
import { openHypervisor } from '../../../src/libvirt/open-hypervisor.ts';
import { buildVolumeXml } from '../../../src/libvirt/volume-xml.ts';
import { readPoolXml, readVolumeXml } from '../../../src/libvirt/storage-xml.ts';
import { plainDomainXml } from '../../helpers/fake-libvirtd/plain-domain.ts';
import { startFakeLibvirtd } from '../../helpers/fake-libvirtd/index.ts';
import { startPrivateLibvirtd, whyNoLibvirtd } from '../../helpers/private-libvirtd.ts';

const gib = 2 ** 30;

async function startFake(): Promise<Daemon> {
  const fake = await startFakeLibvirtd({ domains: [plainDomainXml('test')], pools: [{ name: 'default-pool', capacityBytes: 100 * gib }], networks: [{ name: 'default' }] });
  await fake.host.create([...fake.domains.keys()][0] ?? '', false);
  return { uri: fake.uri, stop: () => fake.close() };
}

async function startReal(): Promise<Daemon> {
  const libvirtd = await startPrivateLibvirtd();
  return { uri: libvirtd.testUri, stop: () => libvirtd.stop() };
}

interface Daemon { readonly uri: string; stop(): Promise<void> }

const daemons: [name: string, start: () => Promise<Daemon>, skip: string | false][] = [
  ['the fake libvirtd', startFake, false],
  ['libvirtd with test:///default', startReal, whyNoLibvirtd()],
];

for (const [name, start, skip] of daemons) {
  describe(name, { skip }, () => {
    let daemon: Daemon;
    let host: Hypervisor;
    before(async () => {
      daemon = await start();
      host = openHypervisor(daemon.uri);
    });
    after(async () => {
      await host?.close();
      await daemon?.stop();
    });

    const define = async (domainName: string, uuid: string = randomUUID()) =>
      host.domain.defineXML(`<domain type='test'><name>${domainName}</name><uuid>${uuid}</uuid><title>T</title><metadata><a:b xmlns:a='urn:a' c='1'/></metadata><memory unit='MiB'>64</memory><vcpu>2</vcpu><os><type>hvm</type></os></domain>`);

    it('tells about itself', async () => {
      assert.ok((await host.node.getHostname()).length > 0);
      assert.ok(await host.node.getLibVersion() >= 9_000_000);
      const info = await host.node.getInfo();
      assert.ok(info.cpus > 0 && info.memoryKib > 0 && info.cpuModel.length > 0);
      assert.match(await host.node.getCapabilities(), /^<capabilities>/);
      const cpu = await host.node.getCPUStats();
      assert.ok(cpu.userNs >= 0 && cpu.idleNs >= 0);
    });

    it('lists, finds and does not find domains', async () => {
      const [test] = await host.domain.listAll();
      assert.equal(test?.name, 'test');
      assert.ok((test?.id ?? -1) > 0);
      assert.deepEqual(await host.domain.lookupByUUID(test?.uuid ?? ''), test);
      assert.equal(await host.domain.lookupByUUID(randomUUID()), undefined);
      assert.equal((await host.domain.getState(test?.uuid ?? '')).state, 'running');
      await assert.rejects(host.domain.getState(randomUUID()), isNoDomain);
      await assert.rejects(host.domain.create(randomUUID()), isNoDomain);
      const [stats] = await host.domain.getAllStats(['state']);
      assert.equal(stats?.domain.name, 'test');
      assert.equal(stats?.params['state.state'], 1);
    });

    it('takes a domain through its life, and tells it as events', async () => {
      const seen: string[] = [];
      const stop = new AbortController();
      void (async () => {
        for await (const event of host.events({ signal: stop.signal })) seen.push(event.type === 'lifecycle' ? `${event.domain.name} ${event.event}/${event.detail}` : event.type);
      })();
      for (const end = Date.now() + 20_000; seen.length === 0 && Date.now() < end;) await delay(5);
      const { uuid } = await define('life');
      assert.equal((await host.domain.getState(uuid)).state, 'shutoff');
      const started = await host.domain.create(uuid);
      assert.equal(started.name, 'life');
      assert.ok(started.id > 0);
      await assert.rejects(host.domain.create(uuid), /already running/);
      await host.domain.suspend(uuid);
      assert.equal((await host.domain.getState(uuid)).state, 'paused');
      await host.domain.resume(uuid);
      await host.domain.destroy(uuid);
      assert.deepEqual(await host.domain.getState(uuid), { state: 'shutoff', reason: 2 });
      await assert.rejects(host.domain.destroy(uuid), isOperationInvalid);
      await assert.rejects(host.domain.shutdown(uuid), /not running/);
      await host.domain.undefine(uuid);
      assert.equal(await host.domain.lookupByUUID(uuid), undefined);
      for (const end = Date.now() + 20_000; !seen.includes('life undefined/removed') && Date.now() < end;) await delay(5);
      stop.abort();
      const wanted = ['defined/added', 'started/booted', 'suspended/paused', 'resumed/unpaused', 'stopped/destroyed', 'undefined/removed'].map((text) => `life ${text}`);
      assert.deepEqual(wanted.filter((text) => seen.includes(text)), wanted, seen.join());
    });

    it('shuts down by the power button', async () => {
      const { uuid } = await define('acpi');
      await host.domain.create(uuid);
      await host.domain.shutdown(uuid);
      for (const end = Date.now() + 20_000; (await host.domain.getState(uuid)).state !== 'shutoff' && Date.now() < end;) await delay(10);
      assert.deepEqual(await host.domain.getState(uuid), { state: 'shutoff', reason: 1 });
      await host.domain.undefine(uuid);
    });

    it('keeps names and UUIDs apart', async () => {
      const { uuid } = await define('one');
      await assert.rejects(define('one'), isExists);
      await assert.rejects(define('two', uuid), isExists);
      assert.deepEqual(await define('one', uuid), { name: 'one', uuid, id: -1 });
      await host.domain.undefine(uuid);
    });

    it('keeps a running domain that is undefined until it stops', async () => {
      const { uuid } = await define('transient');
      await host.domain.create(uuid);
      await host.domain.undefine(uuid);
      assert.equal((await host.domain.getState(uuid)).state, 'running');
      await host.domain.destroy(uuid);
      assert.equal(await host.domain.lookupByUUID(uuid), undefined);
    });

    it('keeps what was defined, and our metadata', async () => {
      const { uuid } = await define('described');
      const xml = await host.domain.getXMLDesc(uuid);
      assert.match(xml, /<title>T<\/title>/);
      assert.match(await host.domain.getMetadata(uuid, 'urn:a') ?? '', /<(a:)?b .*c=['"]1['"]/);
      assert.equal(await host.domain.getMetadata(uuid, 'urn:other'), undefined);
      await host.domain.setAutostart(uuid, true);
      await host.domain.undefine(uuid);
    });

    it('keeps snapshots', async () => {
      const { uuid } = await define('snapped');
      assert.equal(await host.domain.snapshotCreateXML(uuid, '<domainsnapshot><name>s1</name></domainsnapshot>'), 's1');
      assert.deepEqual(await host.domain.listSnapshots(uuid), ['s1']);
      assert.match(await host.domain.snapshotGetXMLDesc(uuid, 's1'), /<name>s1<\/name>/);
      await host.domain.revertToSnapshot(uuid, 's1');
      await host.domain.snapshotDelete(uuid, 's1');
      await assert.rejects(host.domain.snapshotDelete(uuid, 's1'), isNoSnapshot);
      await host.domain.undefine(uuid);
    });

    it('has pools with volumes', async () => {
      assert.deepEqual((await host.storagePool.listAll()).map((pool) => pool.name), ['default-pool']);
      const info = await host.storagePool.getInfo('default-pool');
      assert.equal(info.state, 'running');
      assert.ok(info.capacityBytes >= info.availableBytes && info.availableBytes > gib);
      assert.equal(readPoolXml(await host.storagePool.getXMLDesc('default-pool')).kind, 'dir');
      await assert.rejects(host.storagePool.getInfo('none'), isNoStoragePool);

      const created = await host.storageVolume.createXML('default-pool', buildVolumeXml({ name: 'v1', capacityBytes: gib, format: 'qcow2' }));
      assert.deepEqual([created.pool, created.name], ['default-pool', 'v1']);
      assert.match(created.key, /\/v1$/);
      await assert.rejects(host.storageVolume.createXML('default-pool', buildVolumeXml({ name: 'v1', capacityBytes: gib, format: 'qcow2' })), isExists);
      assert.deepEqual(await host.storageVolume.lookupByName('default-pool', 'v1'), created);
      assert.equal(await host.storageVolume.lookupByName('default-pool', 'v2'), undefined);
      assert.equal((await host.storageVolume.getInfo('default-pool', 'v1')).capacityBytes, gib);
      const described = readVolumeXml(await host.storageVolume.getXMLDesc('default-pool', 'v1'));
      assert.deepEqual([described.name, described.capacityBytes, described.path], ['v1', gib, created.key]);
      const copy = await host.storageVolume.createXMLFrom('default-pool', buildVolumeXml({ name: 'v2', capacityBytes: 2 * gib, format: 'qcow2' }), { pool: 'default-pool', name: 'v1' });
      assert.equal(copy.name, 'v2');
      assert.deepEqual((await host.storageVolume.listAll('default-pool')).map((volume) => volume.name).sort(), ['v1', 'v2']);
      for (const volume of ['v1', 'v2']) await host.storageVolume.delete('default-pool', volume);
      await assert.rejects(host.storageVolume.delete('default-pool', 'v1'), isNoStorageVolume);
      assert.deepEqual(await host.storageVolume.listAll('default-pool'), []);
    });

    it('defines, starts, stops and forgets pools', async () => {
      const pool = await host.storagePool.defineXML('<pool type="dir"><name>extra</name><target><path>/tmp/extra</path></target></pool>');
      assert.equal(pool.name, 'extra');
      assert.equal((await host.storagePool.getInfo('extra')).state, 'inactive');
      await host.storagePool.build('extra');
      await host.storagePool.create('extra');
      await host.storagePool.setAutostart('extra', false);
      assert.equal((await host.storagePool.getInfo('extra')).state, 'running');
      await host.storagePool.refresh('extra');
      await assert.rejects(host.storagePool.create('extra'), isOperationInvalid);
      await host.storagePool.destroy('extra');
      await assert.rejects(host.storagePool.refresh('extra'), isOperationInvalid);
      await host.storagePool.undefine('extra');
      await assert.rejects(host.storagePool.getInfo('extra'), isNoStoragePool);
    });

    it('finds a pool again that was replaced by another of the same name', async () => {
      const xml = '<pool type="dir"><name>again</name><target><path>/tmp/again</path></target></pool>';
      const other = openHypervisor(daemon.uri);
      await host.storagePool.defineXML(xml);
      await other.storagePool.undefine('again');
      await assert.rejects(host.storagePool.getInfo('again'), isNoStoragePool);
      await other.storagePool.defineXML(xml);
      assert.equal((await host.storagePool.getInfo('again')).state, 'inactive');
      await host.storagePool.undefine('again');
      await other.close();
    });

    it('has networks', async () => {
      assert.deepEqual((await host.network.listAll()).map((network) => network.name), ['default']);
      assert.equal(await host.network.isActive('default'), true);
      assert.match(await host.network.getXMLDesc('default'), /<name>default<\/name>/);
      await assert.rejects(host.network.isActive('none'), isNoNetwork);
      const defined = await host.network.defineXML('<network><name>extra</name><bridge name="virbr9"/><ip address="192.0.2.1" netmask="255.255.255.0"/></network>');
      assert.equal(defined.name, 'extra');
      assert.equal(await host.network.isActive('extra'), false);
      await host.network.create('extra');
      assert.equal(await host.network.isActive('extra'), true);
      await assert.rejects(host.network.create('extra'), isOperationInvalid);
      await host.network.setAutostart('extra', true);
      await host.network.destroy('extra');
      await host.network.undefine('extra');
      await assert.rejects(host.network.isActive('extra'), isNoNetwork);
    });

    it('refuses XML that is none', async () => {
      await assert.rejects(host.domain.defineXML('<domain'), /LibvirtError|domain/);
      await assert.rejects(host.domain.defineXML('<domain type="test"/>'));
    });
  });
}
