// ssh: the command we run, and libvirt's real virt-ssh-helper at the other end of it when it is installed.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HostUnavailableError } from '../../src/libvirt/errors.ts';
import type { Hypervisor } from '../../src/libvirt/hypervisor.ts';
import { openHypervisor } from '../../src/libvirt/open-hypervisor.ts';
import { startFakeLibvirtd, type FakeLibvirtd } from '../helpers/fake-libvirtd/index.ts';
import { startPrivateLibvirtd, whyNoLibvirtd } from '../helpers/private-libvirtd.ts';

const slow = { backoff: { firstMs: 5000, maxMs: 5000 } };

describe('ssh', () => {
  let dir = '';
  let fake: FakeLibvirtd;
  const path = process.env['PATH'];
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'ssh-'));
    fake = await startFakeLibvirtd({ domains: 2 });
    process.env['PATH'] = `${dir}:${path}`;
  });
  after(async () => {
    process.env['PATH'] = path;
    await fake.close();
    await rm(dir, { recursive: true, force: true });
  });

  /** Stands for ssh: writes its arguments down and runs what the far shell would. */
  async function standIn(body: string): Promise<void> {
    await writeFile(join(dir, 'ssh'), `#!/bin/bash\nprintf '%s\\n' "$@" > "${dir}/arguments"\n${body}\n`);
    await chmod(join(dir, 'ssh'), 0o755);
  }
  /** virt-ssh-helper, as far as bytes go */
  const relay = (socket: string) => `exec node -e 'const s=require("net").connect(process.argv[1]);process.stdin.pipe(s);s.pipe(process.stdout);s.on("close",()=>process.exit())' ${socket}`;

  it('runs virt-ssh-helper on the host, quoted for its shell', async () => {
    await standIn(relay(fake.socketPath));
    const host = openHypervisor(`qemu+ssh://root@kvm1.lab:2222/system?keyfile=/k&known_hosts=/h&known_hosts_verify=auto&x='%3Bid`);
    assert.equal((await host.domain.listAll()).length, 2);
    await host.close();
    assert.deepEqual((await readFile(join(dir, 'arguments'), 'utf8')).trimEnd().split('\n'), [
      '-T', '-e', 'none', '-o', 'BatchMode=yes', '-o', 'ForwardX11=no', '-p', '2222', '-l', 'root', '-i', '/k', '-o', 'IdentitiesOnly=yes',
      '-o', 'UserKnownHostsFile=/h', '-o', 'StrictHostKeyChecking=accept-new', '--', 'kvm1.lab', `virt-ssh-helper 'qemu:///system?x='\\''%3Bid'`,
    ]);
  });

  it('carries large replies and streams', async () => {
    await standIn(relay(fake.socketPath));
    fake.host.pool('default').addFile({ name: 'a', capacityBytes: 1, data: Buffer.alloc(5_000_000, 1) });
    const host = openHypervisor('qemu+ssh://kvm1.lab/system');
    let read = 0;
    for await (const chunk of await host.storageVolume.download('default', 'a')) read += (chunk as Buffer).length;
    assert.equal(read, 5_000_000);
    await host.close();
  });

  it('says what ssh said when it fails', async () => {
    await standIn('echo "root@kvm1.lab: Permission denied (publickey)." >&2; exit 255');
    const host = openHypervisor('qemu+ssh://kvm1.lab/system', slow);
    await assert.rejects(host.ready({ timeoutMs: 3000 }), (error: unknown) => error instanceof HostUnavailableError && /ssh ended \(255\): root@kvm1\.lab: Permission denied/.test(error.message));
    await host.close();
  });

  it('ends ssh when we are done, and when it hangs', async () => {
    await standIn(`echo $$ > "${dir}/pid"; exec sleep 100`);
    const host = openHypervisor('qemu+ssh://kvm1.lab/system', { ...slow, connectTimeoutMs: 1500 });
    await assert.rejects(host.ready({ timeoutMs: 3000 }), /not connected within 1500 ms/);
    const pid = Number(await readFile(join(dir, 'pid'), 'utf8'));
    assert.throws(() => process.kill(pid, 0), /ESRCH/);
    await host.close();
  });

  it('says so when there is no ssh', async () => {
    process.env['PATH'] = '/nowhere';
    const host = openHypervisor('qemu+ssh://kvm1.lab/system', slow);
    try {
      await assert.rejects(host.ready({ timeoutMs: 3000 }), /cannot run ssh/);
    } finally {
      process.env['PATH'] = `${dir}:${path}`;
      await host.close();
    }
  });

  const helper = '/usr/bin/virt-ssh-helper';
  it('speaks through the real virt-ssh-helper to a real libvirtd', { skip: existsSync(helper) ? whyNoLibvirtd() : 'virt-ssh-helper is not installed' }, async () => {
    const libvirtd = await startPrivateLibvirtd();
    let host: Hypervisor | undefined;
    try {
      // the helper goes to the socket of its own machine: the stand-in takes it into the private host
      await standIn(`shift $(($# - 1)); exec ${libvirtd.inside.join(' ')} bash -c "$1"`);
      host = openHypervisor('qemu+ssh://kvm1.lab/system');
      assert.deepEqual((await host.storagePool.listAll()).map(({ name }) => name), [libvirtd.pool]);
    } finally {
      await host?.close();
      await libvirtd.stop();
    }
  });
});
