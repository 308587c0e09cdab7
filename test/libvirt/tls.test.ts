// TLS with certificates of both sides: who is not who the URI says, or shows no certificate of our authority, is refused.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFile, cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { HostUnavailableError } from '../../src/libvirt/errors.ts';
import { openHypervisor } from '../../src/libvirt/open-hypervisor.ts';
import { startFakeLibvirtd, type FakeLibvirtd, type FakeLibvirtdOptions } from '../helpers/fake-libvirtd/index.ts';

const makeCertificates = fileURLToPath(new URL('../../scripts/make-certificates', import.meta.url));
const run = promisify(execFile);

describe('TLS', { skip: existsSync('/usr/bin/certtool') ? false : 'certtool is not installed' }, () => {
  let dir = '';
  const fakes: FakeLibvirtd[] = [];
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'pki-'));
    await run(makeCertificates, [join(dir, 'ours'), 'localhost,127.0.0.1', 'other.example']);
    await run(makeCertificates, [join(dir, 'theirs'), 'localhost,127.0.0.1']);
    await run(makeCertificates, [join(dir, 'short'), 'localhost,127.0.0.1'], { env: { ...process.env, CERTIFICATE_DAYS: '20' } });
    // our authority is right, the client's certificate is of another
    await mkdir(join(dir, 'mixed'));
    await copyFile(join(dir, 'ours/portal/cacert.pem'), join(dir, 'mixed/cacert.pem'));
    for (const name of ['clientcert.pem', 'clientkey.pem']) await copyFile(join(dir, 'theirs/portal', name), join(dir, 'mixed', name));
  });
  after(async () => {
    for (const fake of fakes) await fake.close();
    await rm(dir, { recursive: true, force: true });
  });

  async function listen(certificate: string, tls: FakeLibvirtdOptions['tls'] = {}): Promise<FakeLibvirtd> {
    const file = (name: string) => readFile(join(dir, certificate, name));
    const fake = await startFakeLibvirtd({
      domains: 1, listen: { tcpPort: 0 },
      tls: { cert: await file('servercert.pem'), key: await file('serverkey.pem'), ca: await file('cacert.pem'), requestCert: true, rejectUnauthorized: true, ...tls },
    });
    fakes.push(fake);
    return fake;
  }

  async function reasonFor(uri: string): Promise<string | null> {
    const host = openHypervisor(uri, { backoff: { firstMs: 5000, maxMs: 5000 } });
    try {
      await host.ready({ timeoutMs: 700 });
      assert.equal((await host.domain.listAll()).length, 1);
      return null;
    } catch (error) {
      assert.ok(error instanceof HostUnavailableError, String(error));
      return error.message;
    } finally {
      await host.close();
    }
  }

  const uri = (fake: FakeLibvirtd, name: string, pki: string) => `qemu+tls://${name}:${fake.port}/system?pkipath=${join(dir, pki)}`;

  it('works by name and by address', async () => {
    const fake = await listen('ours/localhost');
    assert.equal(await reasonFor(uri(fake, 'localhost', 'ours/portal')), null);
    assert.equal(await reasonFor(uri(fake, '127.0.0.1', 'ours/portal')), null);
  });

  it('tells until when the certificates of a new connection are valid, also when the open one was made with others', async () => {
    const fake = await listen('ours/localhost');
    const pki = join(dir, 'renewed');
    await cp(join(dir, 'ours/portal'), pki, { recursive: true });
    const host = openHypervisor(uri(fake, 'localhost', 'renewed'));
    try {
      await host.ready();
      const days = async (): Promise<Record<string, number>> => Object.fromEntries((await host.certificateEnds()).map(({ of, notAfter }) => [of, Math.round((notAfter - Date.now()) / 86_400_000)]));
      assert.deepEqual(await days(), { host: 1825, portal: 1825, authority: 3650 });
      await rm(join(pki, 'clientcert.pem'));
      await rm(join(pki, 'clientkey.pem'));
      await copyFile(join(dir, 'short/portal/clientcert.pem'), join(pki, 'clientcert.pem'));
      await copyFile(join(dir, 'short/portal/clientkey.pem'), join(pki, 'clientkey.pem'));
      assert.equal((await days())['portal'], 20);
      await rm(pki, { recursive: true });
      await assert.rejects(host.certificateEnds(), /cannot read the certificates/);
      assert.equal(host.status.state, 'up');
    } finally {
      await host.close();
    }
  });

  it('reads the certificate of a host that it would not connect to, and none where there are none', async () => {
    const fake = await listen('short/localhost');
    const host = openHypervisor(uri(fake, 'localhost', 'ours/portal'));
    assert.deepEqual((await host.certificateEnds()).map(({ of, notAfter }) => [of, Math.round((notAfter - Date.now()) / 86_400_000)]), [['host', 20], ['portal', 1825], ['authority', 40]]);
    await host.close();
    const plain = await startFakeLibvirtd({ listen: { tcpPort: 0 } });
    fakes.push(plain);
    const other = openHypervisor(plain.uri);
    assert.deepEqual(await other.certificateEnds(), []);
    await other.close();
  });

  it('gives up on a handshake that nobody answers', async () => {
    const silent = createServer((socket) => { socket.on('error', () => undefined).resume(); });
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const host = openHypervisor(`qemu+tls://127.0.0.1:${(silent.address() as AddressInfo).port}/system?pkipath=${join(dir, 'ours/portal')}`, { connectTimeoutMs: 200 });
    await assert.rejects(host.certificateEnds({ timeoutMs: 200 }), HostUnavailableError);
    await assert.rejects(host.certificateEnds({ signal: AbortSignal.abort() }), { name: 'AbortError' });
    await host.close();
    silent.close();
  });

  it('takes the directory of certificates from the options too', async () => {
    const fake = await listen('ours/localhost');
    const host = openHypervisor(`qemu+tls://localhost:${fake.port}/system`, { pkiPath: join(dir, 'ours/portal') });
    await host.ready();
    await host.close();
  });

  it('refuses a host of another name', async () => {
    const fake = await listen('ours/other.example');
    assert.match(await reasonFor(uri(fake, 'localhost', 'ours/portal')) ?? '', /altnames/);
    assert.match(await reasonFor(uri(fake, '127.0.0.1', 'ours/portal')) ?? '', /altnames/);
  });

  it('refuses a host of another authority', async () => {
    const fake = await listen('theirs/localhost');
    assert.match(await reasonFor(uri(fake, 'localhost', 'ours/portal')) ?? '', /self-signed certificate|unable to verify|unable to get/);
  });

  it('says so when the host does not take our certificate', async () => {
    const fake = await listen('ours/localhost');
    assert.match(await reasonFor(uri(fake, 'localhost', 'mixed')) ?? '', /did not accept our client certificate/);
  });

  it('refuses TLS 1.1', async () => {
    const fake = await listen('ours/localhost', { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' });
    assert.match(await reasonFor(uri(fake, 'localhost', 'ours/portal')) ?? '', /protocol|version|alert/i);
  });

  it('says which file it cannot read', async () => {
    const fake = await listen('ours/localhost');
    assert.match(await reasonFor(uri(fake, 'localhost', 'nowhere')) ?? '', /cannot read the certificates: ENOENT.*cacert\.pem/);
  });

  it('is given up after the deadline when the host says nothing after the handshake', async () => {
    const fake = await startFakeLibvirtd({ listen: { tcpPort: 0 } });
    fake.hang();
    fakes.push(fake);
    const host = openHypervisor(uri(fake, 'localhost', 'ours/portal'), { connectTimeoutMs: 200, backoff: { firstMs: 5000, maxMs: 5000 } });
    await assert.rejects(host.ready({ timeoutMs: 500 }), /not connected within 200 ms/);
    await host.close();
  });
});
