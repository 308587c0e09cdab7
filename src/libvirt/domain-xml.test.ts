import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { buildDomainXml, parseDomainXml, type DomainSpec } from './domain-xml.ts';

const golden = (name: string) => readFileSync(new URL(`../../test/golden/${name}.xml`, import.meta.url), 'utf8').trimEnd();

const small: DomainSpec = {
  uuid: '11111111-2222-4333-8444-555555555555', name: 'i-1', virtType: 'qemu', arch: 'x86_64', vcpus: 1, memoryMib: 96,
  disks: [{ device: 'disk', path: '/srv/vms/i-1.qcow2', format: 'qcow2', target: 'vda', bus: 'virtio' }],
  interface: { kind: 'network', network: 'lan', mac: '52:54:00:77:00:01' },
  vnc: { listen: '0.0.0.0', password: 'locked00' },
  instance: { id: 'a1', owner: 'ann' },
};
const large: DomainSpec = {
  ...small, name: 'i-2', title: `Ann's "big" <box> & 盒子`, virtType: 'kvm', vcpus: 8, memoryMib: 16_384, cpuModel: 'Skylake-Server',
  disks: [...small.disks, { device: 'cdrom', path: '/srv/vms/seed.iso', format: 'raw', target: 'sda', bus: 'sata' }],
  interface: { kind: 'bridge', bridge: 'br0', mac: '52:54:00:77:00:02' },
  serialLogPath: '/srv/vms/console/i-2.log',
  instance: { id: 'a2', owner: 'b&b' },
};

describe('domain XML', () => {
  it('of a small machine under TCG', () => assert.equal(buildDomainXml(small), golden('domain-tcg')));
  it('of a large machine under KVM', () => assert.equal(buildDomainXml(large), golden('domain-kvm')));

  it('takes the CPU of the host under KVM when no model is named', () => {
    assert.match(buildDomainXml({ ...small, virtType: 'kvm' }), /<cpu mode="host-model"\/>/);
  });

  it('has a lock password of eight characters that nobody chose', () => {
    const passwords = [1, 2].map(() => /passwd="([^"]+)"/.exec(buildDomainXml({ ...small, vnc: { listen: '::' } }))?.[1]);
    assert.equal(passwords[0]?.length, 8);
    assert.notEqual(passwords[0], passwords[1]);
  });

  it('is read back', () => {
    assert.deepEqual(parseDomainXml(buildDomainXml(large)), {
      uuid: large.uuid, name: 'i-2', virtType: 'kvm', machine: 'pc', instanceId: 'a2', owner: 'b&b', vnc: { address: '0.0.0.0', port: -1 }, vcpus: 8, memoryMib: 16_384,
      disks: [
        { device: 'disk', path: '/srv/vms/i-1.qcow2', format: 'qcow2', target: 'vda', bus: 'virtio', readonly: false },
        { device: 'cdrom', path: '/srv/vms/seed.iso', format: 'raw', target: 'sda', bus: 'sata', readonly: true },
      ],
      interfaces: [{ kind: 'bridge', source: 'br0', mac: '52:54:00:77:00:02', device: null }],
    });
  });

  it('of a running domain tells its port, and that it is ours under any prefix', () => {
    const parsed = parseDomainXml(golden('domain-live'));
    assert.deepEqual([parsed.instanceId, parsed.vnc, parsed.memoryMib, parsed.interfaces[0]?.device], ['i-1', { address: '0.0.0.0', port: 5900 }, 64, 'vnet0']);
  });

  it('of somebody else has no instance', () => {
    const parsed = parseDomainXml(`<domain type='kvm'><name>x</name><uuid>u</uuid><metadata><chpc:instance xmlns:chpc='urn:other' id='1'/></metadata><memory unit='GiB'>2</memory><vcpu>2</vcpu></domain>`);
    assert.deepEqual([parsed.instanceId, parsed.vnc, parsed.memoryMib, parsed.disks], [undefined, undefined, 2048, []]);
  });

  it('with a document type is refused', () => {
    assert.throws(() => parseDomainXml('<!DOCTYPE x [<!ENTITY e "y">]><domain><name>&e;</name></domain>'));
  });
});
