// A lab is a cluster on one machine: its hosts are real, guests move between them, and what befalls one host is what a
// portal would see of a real one.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { after, before, describe, it } from 'node:test';
import { startLab, type Lab } from '../helpers/lab.ts';
import { must, needsRoot, root, run, script, start, temporaryFolder, until, type Result } from './run.ts';

const guestMac = '52:54:00:0d:e4:01';

const guestXml = (name: string, disk: string, memoryMib: number, mac = guestMac): string => `<domain type='qemu'><name>${name}</name>
  <memory unit='MiB'>${memoryMib}</memory><vcpu>1</vcpu><os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/><tcg><tb-cache unit='MiB'>32</tb-cache></tcg></features><cpu mode='custom' match='exact'><model>qemu64</model></cpu>
  <devices><disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none'/><source file='${disk}'/><target dev='vda' bus='virtio'/></disk>
  <interface type='network'><source network='lan'/><mac address='${mac}'/><model type='virtio'/></interface>
  <graphics type='vnc' autoport='yes'/></devices></domain>`;

/** Resolves when the other side's kernel accepts the connection; nothing needs to answer. */
function accepts(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, address);
    const done = (accepted: boolean) => (): void => (resolve(accepted), void socket.destroy());
    socket.setTimeout(2000, done(false)).once('connect', done(true)).once('error', done(false));
  });
}

/** A guest with nothing to connect to refuses, and so shows that it lives. */
function lives(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(22, address);
    const done = (alive: boolean): void => (resolve(alive), void socket.destroy());
    socket.setTimeout(1000, () => done(false)).once('connect', () => done(true)).once('error', (error: NodeJS.ErrnoException) => done(error.code === 'ECONNREFUSED'));
  });
}

/** All processes of this machine that have the folder in their command line. */
const processesBelow = async (dir: string): Promise<string[]> => (await must('ps', ['axww', '-o', 'args'])).split('\n').filter((line) => line.includes(`${dir}/`) || line.endsWith(dir));
const addresses = (): string[] => Object.values(networkInterfaces()).flatMap((found) => (found ?? []).map(({ address }) => address));

async function demoImage(): Promise<string> {
  const built = process.env['TEST_DEMO_IMAGE'] ?? `${root}/.cache/images/demo-test.qcow2`;
  if (!existsSync(built)) await must(script('build-demo-image'), [built]);
  return built;
}

describe('a lab of four hosts', { skip: needsRoot }, () => {
  let lab: Lab;
  const virshOn = (number: number, ...args: string[]): Promise<Result> => run('timeout', ['20', 'virsh', '-q', '-k0', '-c', lab.host(number).uri, ...args]);
  const virsh = async (number: number, ...args: string[]): Promise<string> => (await must('timeout', ['60', 'virsh', '-q', '-k0', '-c', lab.host(number).uri, ...args])).trim();
  const running = async (number: number): Promise<string[]> => (await virsh(number, 'list', '--name')).split('\n').filter((name) => name !== '');
  const define = async (number: number, name: string, disk: string, memoryMib: number, mac?: string): Promise<void> => {
    await must('bash', ['-c', 'cat > "$1"', '-', `${lab.dir}/${name}.xml`], { input: guestXml(name, disk, memoryMib, mac) });
    await virsh(number, 'define', `${lab.dir}/${name}.xml`);
  };
  const migrate = (from: number, to: number, name: string, ...more: string[]): Promise<string> =>
    virsh(from, 'migrate', '--live', '--p2p', '--persistent', '--undefinesource', '--tls', ...more, name, lab.host(to).peerUri);
  const guestAddress = (): string => new RegExp(`${guestMac} (10\\.77\\.\\d+\\.\\d+) `).exec(readFileSync(`${lab.dir}/lan/leases`, 'utf8'))?.[1] ?? '';

  before(async () => {
    lab = await startLab({ hosts: 4, hostMemoryMib: 1024 });
  });
  after(async () => {
    await lab?.stop();
    assert.ok(!addresses().includes(lab.gateway), 'no interface is left');
    assert.deepEqual(await processesBelow(lab.dir), [], 'no process is left');
  });

  it('is up within 15 seconds, and idle hosts need less than a gigabyte', async (t) => {
    const begin = Date.now();
    await must(script('lab'), ['down', lab.dir]);
    await lab.heal();
    t.diagnostic(`down and up again in ${Date.now() - begin} ms`);
    assert.ok(Date.now() - begin < 15_000);
    const pids = (await must('pgrep', ['-f', lab.dir])).trim().split('\n');
    const daemons = (await Promise.all(pids.map((pid) => run('pgrep', ['--ns', pid, '--nslist', 'pid'])))).flatMap((result) => result.stdout.trim().split('\n'));
    const own = new Set(daemons.filter((pid) => pid !== '' && pidNamespace(pid) !== pidNamespace('self')));
    const kib = [...own].reduce((sum, pid) => sum + residentKib(pid), 0);
    t.diagnostic(`${own.size} processes, ${Math.round(kib / 1024)} MiB`);
    assert.ok(own.size >= 9 && kib < 1024 * 1024, `${kib} KiB`);
  });

  it('has hosts that are machines of their own, each with its memory, and answers over TLS alone', async () => {
    assert.equal(new Set(lab.hosts.map((host) => host.uuid)).size, 4);
    assert.equal(new Set(lab.hosts.map((host) => host.address)).size, 4);
    assert.deepEqual(lab.hosts.map((host) => host.state), ['up', 'up', 'up', 'up']);
    for (const { number, name, address, uuid } of lab.hosts) {
      assert.equal(await virsh(number, 'hostname'), name);
      assert.match(await virsh(number, 'nodeinfo'), /Memory size: +1048576 KiB/);
      assert.match(await virsh(number, 'nodememstats'), /total *: +1048576 KiB/);
      assert.match(await virsh(number, 'capabilities'), new RegExp(uuid));
      assert.equal(await accepts(address, 16509), false, 'no plain TCP');
    }
    assert.deepEqual((await lab.exec(2, 'cat', '/etc/hosts')).split('\n').filter((line) => line.includes('host4')).length, 1);
    const stranger = await run('virsh', ['-c', `${lab.host(1).peerUri}?pkipath=/nonexistent`, 'hostname']);
    assert.notEqual(stranger.code, 0);
  });

  it('moves a running guest over TLS, its disk in the shared pool', async () => {
    await must('cp', [await demoImage(), `${lab.sharedPoolPath}/demo.qcow2`]);
    await virsh(1, 'pool-refresh', 'default');
    await virsh(1, 'vol-create-as', 'default', 'guest.qcow2', '1G', '--format', 'qcow2', '--backing-vol', 'demo.qcow2', '--backing-vol-format', 'qcow2');
    await define(1, 'guest', `${lab.sharedPoolPath}/guest.qcow2`, 96);
    await virsh(1, 'start', 'guest');
    await until('the guest has an address and answers', 90_000, async () => guestAddress() !== '' && (await lives(guestAddress())));
    await migrate(1, 2, 'guest');
    assert.deepEqual([await running(1), await running(2)], [[], ['guest']]);
    assert.equal(await virsh(1, 'list', '--all', '--name'), '', 'it is not defined where it was');
    await until('it answers where it is now', 30_000, () => lives(guestAddress()));
    assert.match(await virsh(4, 'net-dhcp-leases', 'lan'), new RegExp(guestAddress()), 'every host knows its address');
    await migrate(2, 1, 'guest');
    assert.deepEqual(await running(1), ['guest']);
  });

  it('moves a running guest and its disk, from local pool to local pool', async () => {
    await virsh(3, 'vol-create-as', 'local', 'lone.qcow2', '64M', '--format', 'qcow2');
    await define(3, 'lone', `${lab.localPoolPath}/lone.qcow2`, 64, '52:54:00:0d:e4:02');
    await virsh(3, 'start', 'lone');
    await migrate(3, 4, 'lone', '--copy-storage-all');
    assert.deepEqual([await running(3), await running(4)], [[], ['lone']]);
    await virsh(4, 'destroy', 'lone');
  });

  it('shows the load of each host as its own', async () => {
    const ticks = async (number: number): Promise<number> => Number(/user: +(\d+)/.exec(await virsh(number, 'nodecpustats'))?.[1]) / 1e9;
    const [busy, idle] = [await ticks(1), await ticks(2)];
    await lab.exec(1, 'sh', '-c', 'ulimit -t 2; while :; do :; done').catch(() => undefined); // ends after two seconds of processor time
    await until('host 1 shows it', 30_000, async () => (await ticks(1)) - busy > 1);
    assert.ok((await ticks(2)) - idle < 1, 'host 2 does not');
  });

  it('ends what takes more memory than the host has', async () => {
    const eater = await run(script('lab'), ['exec', lab.dir, '4', 'sh', '-c', 'head -c 3G /dev/zero | tail']);
    assert.notEqual(eater.code, 0);
    assert.match(readFileSync(`${lab.dir}/host4/log/init.log`, 'utf8'), /out of memory: \d+ MiB used of 1024/);
    assert.equal(await virsh(4, 'hostname'), 'host4');
  });

  it('freezes a host, which accepts and never answers, and its guest cannot be started elsewhere meanwhile', async () => {
    await virsh(2, 'pool-refresh', 'default');
    await define(2, 'guest', `${lab.sharedPoolPath}/guest.qcow2`, 96);
    await lab.freeze(1);
    assert.equal(await lab.state(1), 'frozen');
    assert.equal(await accepts(lab.host(1).address, 16514), true);
    assert.equal((await run('timeout', ['2', 'virsh', '-q', '-c', lab.host(1).uri, 'hostname'])).code, 124);
    assert.match((await virshOn(2, 'start', 'guest')).stderr, /Failed to get .* lock/);
    await lab.thaw(1);
    assert.deepEqual([await lab.state(1), await running(1)], ['up', ['guest']]);
  });

  it('cuts a host off, whose guest runs on, and joins it again', async () => {
    await lab.cut(1);
    assert.equal(await lab.state(1), 'cut');
    assert.equal(await accepts(lab.host(1).address, 16514), false);
    assert.match(await lab.exec(1, 'virsh', '-q', 'list', '--name'), /guest/);
    await lab.join(1);
    await until('host 1 answers', 30_000, async () => (await virshOn(1, 'hostname')).code === 0);
    assert.deepEqual([await lab.state(1), await running(1)], ['up', ['guest']]);
  });

  it('kills a host with all its guests, which then start elsewhere, and starts it again as it was', async () => {
    // a client that stays connected: the dead host's side of it is never told
    const client = start('virsh', ['-q', '-k0', '-c', lab.host(1).uri, 'hostname; event --all --loop']);
    await new Promise((resolve) => client.stdout?.once('data', resolve));
    await lab.kill(1);
    client.kill('SIGKILL');
    assert.equal(await lab.state(1), 'off');
    assert.deepEqual((await processesBelow(lab.dir)).filter((line) => line.includes('guest.qcow2')), []);
    await virsh(2, 'start', 'guest');
    await lab.kill(1); // off already: no error
    await lab.start(1);
    assert.equal(await lab.state(1), 'up');
    assert.match(await virsh(1, 'capabilities'), new RegExp(lab.host(1).uuid));
    assert.equal(await virsh(1, 'domstate', 'guest'), 'shut off');
    assert.match((await virshOn(1, 'start', 'guest')).stderr, /Failed to get .* lock/);
    await virsh(2, 'destroy', 'guest');
  });

  it('slows a host’s network down', async () => {
    const upload = async (): Promise<number> => {
      const begin = Date.now();
      await virsh(3, 'vol-upload', '--pool', 'local', 'upload.raw', `${lab.dir}/upload`);
      return Date.now() - begin;
    };
    await must('truncate', ['-s', '4M', `${lab.dir}/upload`]);
    await virsh(3, 'vol-create-as', 'local', 'upload.raw', '4M', '--format', 'raw');
    await lab.slow(3, 16);
    assert.equal(lab.host(3).slow, null);
    assert.equal((await lab.status()).hosts[2]?.slow, 'rate 16Mbit');
    const slow = await upload();
    assert.ok(slow > 1500, `4 MiB at 16 Mbit/s in ${slow} ms`);
    await lab.slow(3, null);
    assert.equal((await lab.status()).hosts[2]?.slow, null);
    assert.ok((await upload()) < slow);
  });

  it('delays and loses packets where the kernel can, and says so where it cannot', async () => {
    const result = await run(script('lab'), ['slow', lab.dir, '3', '--delay', '20', '--loss', '1']);
    if (result.code === 0) {
      assert.match((await lab.status()).hosts[2]?.slow ?? '', /delay 20(\.0)?ms.*loss 1%/);
      await lab.slow(3, null);
    } else assert.match(result.stderr, /kernel has no netem/);
  });

  it('fills a pool', async () => {
    await lab.fill('shared', '50M');
    await lab.fill(2, '30M');
    await virsh(2, 'pool-refresh', 'default');
    await virsh(2, 'pool-refresh', 'local');
    assert.match(await virsh(2, 'vol-info', '--bytes', 'filler.raw', 'default'), /Allocation: +52428800 /);
    assert.match(await virsh(2, 'vol-info', '--bytes', 'filler.raw', 'local'), /Allocation: +31457280 /);
    await lab.fill('shared', null);
    await lab.fill(2, null);
    await virsh(2, 'pool-refresh', 'default');
    assert.doesNotMatch(await virsh(2, 'vol-list', 'default'), /filler/);
  });

  it('has a fence agent, which proves what it says', async () => {
    const fence = (options: string): Promise<Result> => run(`${lab.fenceAgents}/fence_lab`, [], { input: options });
    const power = async (): Promise<number> => (await fence('action=status\nplug=3\n')).code;
    assert.match((await fence('action=metadata\n')).stdout, /<resource-agent name="fence_lab"[\s\S]*<parameter name="plug"/);
    assert.equal((await fence('action=monitor\n')).code, 0);
    assert.match((await fence('action=list\n')).stdout, /^3,host3$/m);
    assert.equal(await power(), 0);
    await lab.freeze(3);
    assert.equal(await power(), 0, 'a frozen host has power');
    const off = await fence('# as a cluster manager asks\nnodename=node3\naction=off\nplug=3\n');
    assert.equal(off.code, 0, off.stderr);
    assert.deepEqual([await power(), await lab.state(3)], [2, 'off']);
    assert.equal((await fence('action=on\nplug=3\n')).code, 0);
    assert.deepEqual([await power(), await lab.state(3)], [0, 'up']);
    assert.equal((await fence('plug=3\n')).code, 0, 'reboot, when no action is named');
    for (const wrong of ['action=off\n', 'action=off\nplug=9\n', 'action=explode\nplug=3\n', 'nonsense\n']) assert.equal((await fence(wrong)).code, 1, wrong);
  });

  it('comes up again after its parts were killed, the switch too', async () => {
    for (const part of ['lan', 'host2']) process.kill(Number(readFileSync(`${lab.dir}/${part}/pid`, 'utf8').split(' ')[0]), 'SIGKILL');
    await until('host 2 is off', 20_000, async () => (await lab.state(2)) === 'off');
    await lab.heal();
    assert.deepEqual((await lab.status()).hosts.map((host) => host.state), ['up', 'up', 'up', 'up']);
    for (const { number, name } of lab.hosts) assert.equal(await virsh(number, 'hostname'), name);
  });

  it('says what is wrong with what it is asked', async () => {
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [['kill', lab.dir, '5'], /there is no host '5': the lab in .* has hosts 1 to 4/],
      [['kill', lab.dir], /needs the number of a host, 1 to 4/],
      [['slow', lab.dir, '1'], /--mbit, --delay or --loss, or --off/],
      [['slow', lab.dir, '1', '--mbit', 'x'], /--mbit needs a whole number from 1 to/],
      [['fill', lab.dir, '1', 'much'], /needs a size such as 800M/],
      [['fill', lab.dir, 'shared', '900T'], /1024 of them must stay free/],
      [['up', lab.dir, '--tcp', '--host-memory', '1024'], /started with other options: scripts\/lab down .* first/],
      [['up', lab.dir, '--hosts', '9'], /--hosts needs a whole number from 1 to 8/],
      [['up', `${lab.dir}/with space`], /has a character that several hosts cannot have/],
      [['up', lab.dir, '--frob'], /takes no '--frob'/],
      [['exec', lab.dir, '1'], /exec needs a command/],
      [['status', `${lab.dir}-none`], /there is no lab in .*: scripts\/lab up/],
    ];
    for (const [args, expected] of cases) {
      const result = await run(script('lab'), args);
      assert.deepEqual([result.code, expected.test(result.stderr)], [1, true], `${args.join(' ')}: ${result.stderr}`);
    }
    assert.equal((await run(script('lab'), ['frob', lab.dir])).code, 2);
    const help = await run(script('lab'), ['--help']);
    assert.deepEqual([help.code, /kill\|start DIR N/.test(help.stdout)], [0, true]);
    await lab.kill(4);
    assert.match((await run(script('lab'), ['freeze', lab.dir, '4'])).stderr, /host 4 is off: scripts\/lab start/);
  });
});

describe('a lab', { skip: needsRoot }, () => {
  const dir = `${temporaryFolder()}/l`;
  const up = (...more: string[]): Promise<string> => must(script('lab'), ['up', dir, '--hosts', '2', '--tcp', ...more]);
  before(() => {
    mkdirSync(dir);
  });
  after(async () => {
    if (existsSync(dir)) await must(script('lab'), ['down', dir]);
  });

  it('speaks plain TCP when it is asked to', async () => {
    const { hosts } = JSON.parse(await up('--ttl', '600')) as { hosts: { uri: string }[] };
    assert.match(hosts[1]?.uri ?? '', /^qemu\+tcp:/);
    assert.equal((await must('virsh', ['-q', '-c', hosts[1]?.uri ?? '', 'hostname'])).trim(), 'host2');
  });

  it('ends by itself when its time is over, frozen hosts too, and `up` prolongs it', async () => {
    await must(script('lab'), ['freeze', dir, '2']);
    // longer than freezing one of them takes
    await up('--ttl', '6');
    await must(script('lab'), ['freeze', dir, '2']);
    await until('nothing runs any more', 40_000, async () => (await processesBelow(dir)).length === 0);
  });

  it('leaves nothing behind when all of it is killed', async () => {
    await up('--ttl', '600');
    for (const part of ['host1', 'lan', 'host2']) process.kill(Number(readFileSync(`${dir}/${part}/pid`, 'utf8').split(' ')[0]), 'SIGKILL');
    await until('nothing runs any more', 20_000, async () => (await processesBelow(dir)).length === 0);
    await must(script('lab'), ['down', dir]);
    assert.equal((await run(script('lab'), ['status', dir])).code, 1);
  });

  it('ends when its folder is removed', async () => {
    await up('--ttl', '600');
    rmSync(dir, { recursive: true });
    await until('nothing runs any more', 40_000, async () => (await processesBelow(dir)).length === 0);
  });
});

function pidNamespace(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return '';
  }
}

function residentKib(pid: string): number {
  try {
    return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
