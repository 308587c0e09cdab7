// The fake is only worth something when libvirt's own clients take it for a libvirtd.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { FakeDirectory } from '../helpers/fake-libvirtd/storage.ts';
import { plainDomainXml } from '../helpers/fake-libvirtd/plain-domain.ts';
import { startFakeLibvirtd, type FakeLibvirtd } from '../helpers/fake-libvirtd/index.ts';
import { openHypervisor } from '../../src/libvirt/open-hypervisor.ts';

const run = promisify(execFile);

describe('virsh takes the fake for a libvirtd', { skip: existsSync('/usr/bin/virsh') ? false : 'virsh is not installed' }, () => {
  let fake: FakeLibvirtd;
  let dir = '';
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'virsh-'));
    fake = await startFakeLibvirtd({ domains: 3, hostname: 'fake7' });
    fake.host.pool('default').addFile({ name: 'base.qcow2', capacityBytes: 2 ** 30 });
    await writeFile(join(dir, 'domain.xml'), plainDomainXml('made', { memoryMib: 64 }));
    await writeFile(join(dir, 'volume.xml'), `<volume><name>v.qcow2</name><capacity unit='GiB'>5</capacity><target><format type='qcow2'/></target><backingStore><path>/srv/default/base.qcow2</path><format type='qcow2'/></backingStore></volume>`);
  });
  after(async () => {
    await fake.close();
    await rm(dir, { recursive: true, force: true });
  });

  const steps: [command: string, answer: RegExp][] = [
    ['hostname', /^fake7$/m], ['nodeinfo', /CPU\(s\): +8/], ['version', /Running hypervisor: QEMU 7\.2\.0/], ['list --all', /1 +vm-00000 +running/],
    ['domstats vm-00001', /cpu\.time=\d+[\s\S]*net\.0\.rx\.bytes=\d+[\s\S]*block\.0\.rd\.bytes=\d+/], ['dumpxml vm-00002', /<name>vm-00002<\/name>/],
    ['define DIR/domain.xml', /'made' defined/], ['start made', /'made' started/], ['dominfo made', /State: +running/], ['vncdisplay made', /:\d+/],
    ['suspend made', /suspended/], ['resume made', /resumed/], ['reboot made', /rebooted/], ['shutdown made', /being shutdown/], ['destroy vm-00002', /destroyed/],
    ['autostart vm-00001', /marked as autostarted/], ['domblklist vm-00001', /vda/], ['domjobinfo vm-00001', /None/], ['snapshot-create-as vm-00001 s1', /s1 created/], ['snapshot-list vm-00001 --name', /s1/],
    ['pool-list --all', /default +active +yes/], ['pool-info default', /Capacity: +800\.00 GiB/], ['vol-create default DIR/volume.xml', /v\.qcow2 created/],
    ['vol-list default', /v\.qcow2 +\/srv\/default\/v\.qcow2/], ['vol-info v.qcow2 --pool default', /Capacity: +5\.00 GiB/], ['vol-delete v.qcow2 default', /deleted/],
    ['net-list --all', /default +active +yes +yes/], ['net-info default', /Bridge: +virbr0/], ['nodecpustats', /user: +\d+/], ['nodememstats', /total/], ['capabilities', /<domain type="qemu"\/>/],
    ['undefine vm-00002', /undefined/],
  ];
  for (const [command, answer] of steps) {
    it(command, async () => {
      const { stdout } = await run('virsh', ['-c', fake.uri, ...command.replace('DIR', dir).split(' ')]);
      assert.match(stdout, answer);
    });
  }

  it('and refuses it what libvirt refuses', async () => {
    await assert.rejects(run('virsh', ['-c', fake.uri, 'start', 'vm-00000']), /Domain is already active/);
    await assert.rejects(run('virsh', ['-c', fake.uri, 'dumpxml', 'none']), /failed to get domain 'none'/);
  });
});

describe('the fake host', () => {
  it('shares a directory between two hosts, each knowing a new file after its own refresh, and locks disks', async () => {
    const directory = new FakeDirectory('/srv/shared');
    const [one, two] = [await startFakeLibvirtd({ pools: [{ name: 'shared', directory }] }), await startFakeLibvirtd({ pools: [{ name: 'shared', directory }] })];
    const [first, second] = [openHypervisor(one.uri), openHypervisor(two.uri)];
    await first.storageVolume.createXML('shared', '<volume><name>a</name><capacity>100</capacity></volume>');
    assert.deepEqual(await second.storageVolume.listAll('shared'), []);
    await second.storagePool.refresh('shared');
    assert.equal((await second.storageVolume.listAll('shared')).length, 1);
    const xml = (name: string) => plainDomainXml(name).replace(/\/var\/lib\/images\/[^']+/, '/srv/shared/a');
    const [a, b] = [await first.domain.defineXML(xml('a')), await second.domain.defineXML(xml('b'))];
    await first.domain.create(a.uuid);
    await assert.rejects(second.domain.create(b.uuid), /Failed to get "write" lock/);
    await first.domain.destroy(a.uuid);
    await second.domain.create(b.uuid);
    await first.storageVolume.delete('shared', 'a');
    await assert.rejects(first.domain.create(a.uuid), /No such file or directory/);
    await Promise.all([first, second].map((host) => host.close()));
    await Promise.all([one, two].map((fake) => fake.close()));
  });

  it('counts as fast as it is told, and not while nothing runs', async () => {
    let now = 1_000_000;
    const fake = await startFakeLibvirtd({ domains: 1, clock: () => now });
    const host = openHypervisor(fake.uri);
    const [domain] = [...fake.domains.values()];
    assert.ok(domain);
    const cpuMs = async () => Number((await host.domain.getAllStats(['cpu-total']))[0]?.params['cpu.time']) / 1e6;
    domain.load.cpuPercent = 50;
    now += 10_000;
    assert.equal(await cpuMs(), 5000);
    await host.domain.suspend(domain.uuid);
    now += 10_000;
    assert.equal(await cpuMs(), 5000);
    await host.domain.resume(domain.uuid);
    now += 2000;
    assert.equal(await cpuMs(), 6000);
    await host.close();
    await fake.close();
  });
});
