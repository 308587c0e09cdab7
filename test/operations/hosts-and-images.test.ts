// Adding a host and registering images, on a real libvirtd with real files; and every way in which a host can be wrong.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync, symlinkSync, writeFileSync, writeSync } from 'node:fs';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { after, before, describe, test } from 'node:test';
import { systemClock as clock } from '../../src/clock.ts';
import { AppError } from '../../src/errors.ts';
import { createFleet } from '../../src/libvirt/fleet.ts';
import type { Fleet, Hypervisor, OpenHypervisor } from '../../src/libvirt/hypervisor.ts';
import { openHypervisor } from '../../src/libvirt/open-hypervisor.ts';
import { createLog } from '../../src/log.ts';
import { addHost, changeHost, HostProblemError } from '../../src/operations/host-add.ts';
import { checkHost } from '../../src/operations/host-check.ts';
import { listImageCandidates, registerImage } from '../../src/operations/image-register.ts';
import { selectHostPools, selectHosts } from '../../src/store/hosts.ts';
import { selectPools } from '../../src/store/storage-pools.ts';
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts';
import { startPrivateLibvirtd, whyNoLibvirtd, type PrivateLibvirtd } from '../helpers/private-libvirtd.ts';

let database: TestDatabase;
before(async () => { database = await createTestDatabase(); });
after(() => database.close());

async function problemKind(uri: string, options: { timeoutMs?: number; openHost?: OpenHypervisor } = {}): Promise<string> {
  const check = await checkHost({ db: database.db, clock, openHost: options.openHost ?? openHypervisor }, uri, { timeoutMs: options.timeoutMs ?? 5000 });
  return check.ok ? 'ok' : check.problem.kind;
}

describe('a host that is not what it should be', () => {
  const servers: Server[] = [];
  let pki: string;
  before(() => { pki = makeCertificates(); });
  after(() => {
    for (const server of servers) server.close();
    rmSync(pki, { recursive: true });
  });

  async function listen(server: Server): Promise<number> {
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }
  const plain = (onSocket: (socket: Socket) => void): Promise<number> => listen(createServer((socket) => { socket.on('error', () => undefined).unref(); onSocket(socket); }));
  const tls = (name: string): Promise<number> => listen(createTlsServer({ key: readPem(`${name}.key`), cert: readPem(`${name}.pem`) }, (socket) => { socket.on('error', () => undefined).end(); }));
  const readPem = (name: string): Buffer => execFileSync('cat', [join(pki, name)]);

  test('nothing there', async () => {
    assert.equal(await problemKind('qemu+tcp://127.0.0.1:1/system'), 'refused');
    assert.equal(await problemKind('qemu+unix:///system?socket=/nowhere/sock'), 'no-socket');
    assert.equal(await problemKind('qemu+tcp://no-such-host.invalid/system'), 'unknown-name');
    assert.equal(await problemKind('kvm1.lab'), 'invalid-uri');
    assert.equal(await problemKind('qemu+ssh://user:secret@host/system'), 'invalid-uri');
  });

  test('one that never answers costs its deadline and no more', async () => {
    const port = await plain(() => undefined);
    const startedAt = Date.now();
    assert.equal(await problemKind(`qemu+tcp://127.0.0.1:${port}/system`, { timeoutMs: 700 }), 'hung');
    assert.ok(Date.now() - startedAt < 4500);
  });

  test('something else than libvirt', async () => {
    const port = await plain((socket) => socket.on('data', () => socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')));
    assert.ok(['not-libvirt', 'failed'].includes(await problemKind(`qemu+tcp://127.0.0.1:${port}/system`)));
  });

  test('TLS: our certificates missing, its name wrong, not of our authority, over its time, no TLS at all', async () => {
    const uri = (port: number, host = 'localhost'): string => `qemu+tls://${host}:${port}/system?pkipath=${pki}`;
    assert.equal(await problemKind(`qemu+tls://127.0.0.1/system?pkipath=${pki}/none`), 'certificates-missing');
    assert.equal(await problemKind(uri(await tls('other-name'))), 'certificate-name');
    assert.equal(await problemKind(uri(await tls('foreign'))), 'certificate-untrusted');
    assert.equal(await problemKind(uri(await tls('expired'))), 'certificate-expired');
    assert.equal(await problemKind(uri(await tls('good'))), 'certificate-refused');
    assert.equal(await problemKind(uri(await plain((socket) => socket.on('data', () => socket.write('hello, I am not TLS'))))), 'not-tls');
  });

  function makeCertificates(): string {
    const directory = mkdtempSync(join(tmpdir(), 'pki-'));
    const openssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: directory, stdio: 'ignore' });
    const authority = (name: string): void => openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`, '-out', `${name}.pem`, '-subj', `/CN=${name}`, '-days', '2');
    const certificate = (name: string, host: string, by: string, days = '2'): void => {
      writeFileSync(join(directory, 'ext'), `subjectAltName=DNS:${host}\n`);
      openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${host}`);
      openssl('x509', '-req', '-in', `${name}.csr`, '-CA', `${by}.pem`, '-CAkey', `${by}.key`, '-CAcreateserial', '-out', `${name}.pem`, '-days', days, '-extfile', 'ext');
    };
    authority('cacert');
    authority('stranger');
    certificate('good', 'localhost', 'cacert');
    certificate('clientcert', 'portal', 'cacert');
    execFileSync('cp', [join(directory, 'clientcert.key'), join(directory, 'clientkey.pem')]);
    certificate('other-name', 'kvm2.example', 'cacert');
    certificate('foreign', 'localhost', 'stranger');
    certificate('expired', 'localhost', 'cacert', '-1');
    return directory;
  }
});

describe('a real host', { skip: whyNoLibvirtd() }, () => {
  let libvirtd: PrivateLibvirtd;
  let fleet: Fleet;
  const log = createLog('silent');
  const deps = (): { db: TestDatabase['db']; hosts: Fleet; openHost: OpenHypervisor; clock: typeof clock; log: typeof log } => ({ db: database.db, hosts: fleet, openHost: openHypervisor, clock, log });

  before(async () => {
    libvirtd = await startPrivateLibvirtd();
    fleet = createFleet((uri) => openHypervisor(uri));
  });
  after(async () => {
    await fleet.close();
    await libvirtd.stop();
  });

  test('the test driver and an old libvirt are told from a host that will do', async () => {
    assert.equal(await problemKind(libvirtd.testUri), 'not-qemu');
    const old: OpenHypervisor = (uri, options) => withOldLibvirt(openHypervisor(uri, options));
    assert.equal(await problemKind(libvirtd.uri, { openHost: old }), 'too-old');
    const check = await checkHost({ db: database.db, clock, openHost: openHypervisor }, libvirtd.uri);
    assert.ok(check.ok);
    assert.deepEqual(check.report.pools.map(({ name, path, active }) => ({ name, path, active })), [{ name: libvirtd.pool, path: libvirtd.poolPath, active: true }]);
    assert.deepEqual(check.report.networks, [{ name: libvirtd.network, active: true, mode: 'bridge', bridge: 'br0', bridgeMissing: false }]);
    assert.match(check.report.facts.libvirtVersion ?? '', /^\d+\.\d+\.\d+$/);
    assert.ok(check.report.facts.cpus > 0 && check.report.facts.memoryMib > 500);
    const honest = /\b(?:vmx|svm)\b/.test(execFileSync('cat', ['/proc/cpuinfo'], { encoding: 'utf8' }));
    if (!honest) assert.equal(check.report.facts.virtType, 'qemu', 'without vmx or svm an open /dev/kvm proves nothing');
  });

  test('wrong choices are told beside their field', async () => {
    const input = { name: 'kvm1', uri: libvirtd.uri };
    const problem = async (change: object): Promise<string[]> => {
      const error: unknown = await addHost(deps(), { ...input, ...change }).then(() => undefined, (e: unknown) => e);
      assert.ok(error instanceof HostProblemError);
      return [error.problem.kind, error.problem.field];
    };
    assert.deepEqual(await problem({ network: 'nowhere' }), ['no-network', 'network']);
    assert.deepEqual(await problem({ pools: [{ name: 'nothing', shared: false }] }), ['no-pool', 'pools']);
    assert.deepEqual(await problem({ pools: [] }), ['no-pool', 'pools']);
    assert.deepEqual(await selectHosts(database.db), []);
  });

  test('added once, found again, and not a second time under another name', async () => {
    const input = { name: 'kvm1', uri: libvirtd.uri, network: libvirtd.network, pools: [{ name: libvirtd.pool, shared: true }], consoleAddress: libvirtd.address };
    const first = await addHost(deps(), input);
    assert.equal(first.created, true);
    assert.deepEqual([first.host.wish, first.host.state, first.host.network, first.host.consoleAddress], ['enabled', 'up', libvirtd.network, libvirtd.address]);
    assert.ok(first.host.cpus > 0 && first.host.hostUuid !== null);
    const again = await addHost(deps(), input);
    assert.deepEqual([again.created, again.host.id], [false, first.host.id]);
    await assert.rejects(addHost(deps(), { ...input, name: 'kvm2' }), (e) => e instanceof HostProblemError && e.kind === 'conflict' && e.problem.kind === 'known-host');
    const [pool] = await selectPools(database.db);
    assert.ok(pool);
    assert.deepEqual([pool.name, pool.path, pool.shared], [libvirtd.pool, libvirtd.poolPath, true]);
    assert.deepEqual((await selectHostPools(database.db)).get(first.host.id), new Set([pool.id]));
    await changeHost(deps(), first.host, { ...input, name: 'kvm1b', virtTypeWish: 'qemu' });
    assert.deepEqual((await selectHosts(database.db)).map((host) => [host.name, host.virtTypeWish, host.virtType]), [['kvm1b', 'qemu', 'qemu']]);
  });

  describe('images', () => {
    const inPool = (name: string): string => join(libvirtd.poolPath, name);
    const create = (name: string, ...args: string[]): void => void execFileSync('qemu-img', ['create', '-q', ...args.slice(0, -1), inPool(name), args.at(-1) ?? '']);
    const register = (volume: string, change: object = {}): ReturnType<typeof registerImage> => registerImage(deps(), { pool: libvirtd.pool, volume, name: volume, ...change });
    const refusedAs = (key: string) => (error: unknown): boolean => error instanceof AppError && error.kind === 'invalid' && error.sentence.key === key;

    before(async () => { fleet.sync(await selectHosts(database.db)); });

    test('honest files are offered and become images once', async () => {
      create('demo.qcow2', '-f', 'qcow2', '2G');
      create('plain.img', '-f', 'raw', '64M');
      create('0f8fad5b-d9cb-469f-a165-70867728950e.qcow2', '-f', 'qcow2', '1G');
      create('clone.qcow2', '-f', 'qcow2', '-b', inPool('demo.qcow2'), '-F', 'qcow2', '2G');
      const [pool] = await selectPools(database.db);
      assert.ok(pool);
      const offered = async (): Promise<string[]> => (await listImageCandidates(deps(), pool)).map((each) => `${each.volume} ${each.format}`);
      assert.deepEqual(await offered(), ['demo.qcow2 qcow2', 'plain.img raw']);
      const { image, created } = await register('demo.qcow2', { format: 'qcow2', minMemoryMib: 128, cloudInit: true });
      assert.deepEqual([created, image.format, image.virtualSizeBytes, image.minMemoryMib, image.cloudInit, image.enabled], [true, 'qcow2', 2 * 1024 ** 3, 128, true, true]);
      assert.deepEqual((await register('demo.qcow2')).created, false);
      assert.equal((await register('plain.img', { format: 'raw' })).image.virtualSizeBytes, 64 * 1024 ** 2);
      assert.deepEqual(await offered(), []);
      await assert.rejects(register('later.img', { name: 'plain.img' }));
    });

    test('evil files are refused by what they are', async () => {
      create('backing.qcow2', '-f', 'qcow2', '-b', '/etc/passwd', '-F', 'raw', '-u', '1G');
      await assert.rejects(register('backing.qcow2'), refusedAs('images.refused.backing-file'));
      create('data.qcow2', '-f', 'qcow2', '-o', `data_file=${inPool('data.raw')}`, '1G');
      await assert.rejects(register('data.qcow2'), refusedAs('images.refused.data-file'));
      create('disk.vmdk', '-f', 'vmdk', '16M');
      await assert.rejects(register('disk.vmdk', { format: 'raw' }), refusedAs('images.refused.other-format'));
      create('disguise.img', '-f', 'qcow2', '1G');
      await assert.rejects(register('disguise.img', { format: 'raw' }), refusedAs('images.refused.unexpected-format'));
      create('large.qcow2', '-f', 'qcow2', '900G');
      await assert.rejects(register('large.qcow2'), refusedAs('images.refused.too-large'));
      create('locked.qcow2', '-f', 'qcow2', '1G');
      const file = openSync(inPool('locked.qcow2'), 'r+');
      writeSync(file, Buffer.from('00000002', 'hex'), 0, 4, 32);
      closeSync(file);
      await assert.rejects(register('locked.qcow2'), refusedAs('images.refused.encrypted'));
      await assert.rejects(register('0f8fad5b-d9cb-469f-a165-70867728950e.qcow2'), refusedAs('images.refused.instance-disk'));
      await assert.rejects(register('missing.qcow2'), refusedAs('images.refused.no-file'));
    });

    test('names that lead out of the pool, and links, are refused', async () => {
      for (const name of ['../../etc/passwd', '/etc/passwd', '..', 'a\0b', 'a\nb', 'a\\b', '']) await assert.rejects(register(name, { name: 'x' }), (e) => e instanceof AppError && e.kind === 'invalid' && e.sentence.key.startsWith('images.volume.'), JSON.stringify(name));
      const outside = join(mkdtempSync(join(tmpdir(), 'outside-')), 'disk.qcow2');
      execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', outside, '1G']);
      symlinkSync(outside, inPool('link.qcow2'));
      await assert.rejects(register('link.qcow2'), (e) => e instanceof AppError && e.kind === 'invalid');
    });

    test('a pool whose host is away is said so', async () => {
      const away = createFleet((uri) => openHypervisor(uri));
      await assert.rejects(registerImage({ ...deps(), hosts: away }, { pool: libvirtd.pool, volume: 'x.img', name: 'x' }), (e) => e instanceof AppError && e.kind === 'host-unavailable');
      await assert.rejects(register('x.img', { pool: 'no-such-pool' }), refusedAs('images.no-pool'));
    });
  });
});

/** The real host, but for its version. */
function withOldLibvirt(real: Hypervisor): Hypervisor {
  return Object.assign(Object.create(real, { status: { get: () => real.status } }) as Hypervisor, { node: { ...real.node, getLibVersion: () => Promise.resolve(8_009_000) } });
}
