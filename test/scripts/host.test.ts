// Private hosts are real: the demo image boots in one, gets an address, shows its screen and obeys the power button.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { after, before, describe, it } from 'node:test';
import { must, needsRoot, root, run, script, temporaryFolder, until } from './run.ts';

interface HostDescription { readonly uri: string; readonly address: string; readonly gateway: string; readonly pool: string; readonly poolPath: string; readonly network: string }

const startHost = async (dir: string): Promise<HostDescription> => JSON.parse(await must(script('host'), ['start', dir])) as HostDescription;
const stopHost = (dir: string): Promise<string> => must(script('host'), ['stop', dir]);
const virsh = async (host: HostDescription, ...args: string[]): Promise<string> => (await must('virsh', ['-q', '-c', host.uri, ...args])).trim();

async function demoImage(): Promise<string> {
  const built = process.env['TEST_DEMO_IMAGE'] ?? `${root}/.cache/images/demo-test.qcow2`;
  if (!existsSync(built)) await must(script('build-demo-image'), [built]);
  return built;
}

function domainXml(name: string, disk: string, memoryMib: number, serialLog: string): string {
  return `<domain type='qemu'><name>${name}</name><memory unit='MiB'>${memoryMib}</memory><vcpu>1</vcpu>
    <os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>
    <devices><disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='${disk}'/><target dev='vda' bus='virtio'/></disk>
    <interface type='network'><source network='lan'/><mac address='52:54:00:0d:e3:01'/><model type='virtio'/></interface>
    <serial type='pty'><log file='${serialLog}' append='on'/></serial>
    <graphics type='vnc' autoport='yes'/><memballoon model='virtio'><stats period='1'/></memballoon></devices></domain>`;
}

/** The first bytes that a VNC server sends. */
function greeting(address: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, address);
    socket.setTimeout(5000, () => socket.destroy(new Error('no greeting in 5 s')));
    socket.once('data', (data) => (resolve(data.toString('latin1')), socket.destroy()));
    socket.once('error', reject);
  });
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}

describe('a private host', { skip: needsRoot }, () => {
  const dir = `${temporaryFolder()}/h`;
  let host: HostDescription;
  before(async () => {
    host = await startHost(dir);
  });
  after(() => stopHost(dir));
  const state = (): Promise<string> => virsh(host, 'domstate', 'guest');
  const leases = (): string => readFileSync(`${dir}/lan/leases`, 'utf8');
  // its pid file has the number that the host's own namespace gives it; the machine knows it by its command line
  const qemuPid = (): string => {
    const found = readdirSync('/proc').find((pid) => /^\d+$/.test(pid) && commandOf(pid).includes(`${host.poolPath}/guest.qcow2`) && commandOf(pid).includes('qemu-system'));
    return found ?? assert.fail('no QEMU runs');
  };
  const serial = (): string => readFileSync(`${dir}/tmp/serial.log`, 'latin1');
  const stats = async (): Promise<Record<string, number>> =>
    Object.fromEntries((await virsh(host, 'domstats', 'guest')).split('\n').map((line) => line.trim().split('=')).map(([key, value]) => [key ?? '', Number(value)]));

  it('offers the pool and the network that instances use', async () => {
    assert.match(await virsh(host, 'pool-info', host.pool), /State: +running/);
    assert.match(await virsh(host, 'net-info', host.network), /Active: +yes/);
    assert.equal(host.poolPath, `${dir}/pool`);
    assert.deepEqual(JSON.parse(await must(script('host'), ['status', dir])), host);
  });

  it('offers KVM only where the processor has it', async () => {
    const capable = /^flags\s*:.*\b(vmx|svm)\b/m.test(readFileSync('/proc/cpuinfo', 'utf8')) && existsSync('/dev/kvm');
    assert.equal((await virsh(host, 'capabilities')).includes("<domain type='kvm'"), capable);
  });

  it('boots the demo image with 96 MiB, which gets an address and grows to its disk', async () => {
    mkdirSync(`${dir}/tmp`, { recursive: true });
    await must('cp', [await demoImage(), `${host.poolPath}/demo.qcow2`]);
    await virsh(host, 'pool-refresh', host.pool);
    await virsh(host, 'vol-create-as', host.pool, 'guest.qcow2', '2G', '--format', 'qcow2', '--backing-vol', 'demo.qcow2', '--backing-vol-format', 'qcow2');
    await must('bash', ['-c', 'cat > "$1"', '-', `${dir}/tmp/guest.xml`], { input: domainXml('guest', `${host.poolPath}/guest.qcow2`, 96, `${dir}/tmp/serial.log`) });
    await virsh(host, 'define', `${dir}/tmp/guest.xml`);
    await virsh(host, 'start', 'guest');
    await until('an address by DHCP', 90_000, () => /52:54:00:0d:e3:01 10\.77\.\d+\.\d+ demo/.test(leases()));
    const address = / (10\.77\.\d+\.\d+) /.exec(leases())?.[1] ?? '?';
    await until('libvirt knows the address', 30_000, async () => (await virsh(host, 'net-dhcp-leases', 'lan')).includes(`${address}/`));
    await until('balloon statistics', 60_000, async () => ((await stats())['balloon.unused'] ?? 0) > 0);
    await until('the banner', 60_000, () => serial().includes('Commands:'));
    const rootMib = Number(/disk +(\d+) MiB/.exec(serial())?.[1]);
    assert.ok(rootMib > 1900 && rootMib < 2048, `root of ${rootMib} MiB on a disk of 2048`);
  });

  it('shows its screen at the address of the host', async () => {
    const port = 5900 + Number(/:(\d+)$/.exec(await virsh(host, 'vncdisplay', 'guest'))?.[1]);
    assert.equal(await greeting(host.address, port), 'RFB 003.008\n');
  });

  it('counts processor time without cgroups', async () => {
    const first = (await stats())['cpu.time'] ?? 0;
    await until('cpu.time has grown', 60_000, async () => ((await stats())['cpu.time'] ?? 0) > first && first > 0);
  });

  it('runs guests without any rights on the machine', () => {
    const status = readFileSync(`/proc/${qemuPid()}/status`, 'utf8');
    assert.match(status, /^CapEff:\s+0+$/m);
    assert.doesNotMatch(status, /^Uid:\s+0\b/m);
  });

  it('boots again when it is asked to reboot', async () => {
    const boots = (): number => serial().split('Commands:').length - 1;
    const before = boots();
    await virsh(host, 'reboot', 'guest');
    await until('a second boot', 120_000, () => boots() > before);
  });

  it('obeys the power button', async () => {
    await until('off', 60_000, async () => {
      await run('virsh', ['-q', '-c', host.uri, 'shutdown', 'guest']);
      return (await state()) === 'shut off';
    });
  });

  it('takes its guests with it when it loses power, and has them shut off at the next start', async () => {
    await virsh(host, 'start', 'guest');
    const guest = Number(readFileSync(`${dir}/host1/run/qemu/guest.pid`, 'utf8'));
    assert.ok(guest > 1);
    process.kill(Number(readFileSync(`${dir}/host1/pid`, 'utf8').split(' ')[0]), 'SIGKILL');
    await until('no QEMU with this disk', 20_000, async () => !(await must('ps', ['axww', '-o', 'args'])).includes(`${host.poolPath}/guest.qcow2`));
    assert.equal((await startHost(dir)).uri, host.uri);
    assert.equal(await state(), 'shut off');
  });
});

describe('private hosts side by side', { skip: needsRoot }, () => {
  it('have networks of their own, leave the machine as it was, and are gone when stopped', async () => {
    const interfaces = (): string[] => Object.keys(networkInterfaces()).filter((name) => name.startsWith('cloud')).sort();
    const dirs = [1, 2, 3].map(() => `${temporaryFolder()}/h`);
    const machineSocket = existsSync('/run/libvirt/libvirt-sock');
    try {
      const hosts = await Promise.all(dirs.map(startHost));
      assert.equal(new Set(hosts.map((host) => host.address)).size, 3);
      assert.equal(existsSync('/run/libvirt/libvirt-sock'), machineSocket, 'nothing of theirs in the machine’s /run');
      for (const host of hosts) assert.ok(Object.values(networkInterfaces()).flat().some((found) => found?.address === host.gateway));
      await Promise.all(dirs.map(stopHost));
      for (const host of hosts) assert.ok(!Object.values(networkInterfaces()).flat().some((found) => found?.address === host.gateway), interfaces().join(' '));
    } finally {
      await Promise.all(dirs.map(stopHost));
    }
    assert.equal((await run(script('host'), ['status', dirs[0] ?? ''])).code, 3);
  });

  it('refuse a folder whose socket path would be too long, with a word on what to do', async () => {
    const result = await run(script('host'), ['start', `/tmp/${'x'.repeat(90)}`]);
    assert.equal(result.code, 1);
    assert.match(result.stderr, /choose one of at most 75 characters/);
  });
});
