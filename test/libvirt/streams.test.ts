// Streams against the fake daemon: volumes up and down, console, screenshot, each on a connection of its own.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { HostUnavailableError } from '../../src/libvirt/errors.ts';
import type { Hypervisor } from '../../src/libvirt/hypervisor.ts';
import { openHypervisor } from '../../src/libvirt/open-hypervisor.ts';
import { buildVolumeXml } from '../../src/libvirt/volume-xml.ts';
import { startFakeLibvirtd, type FakeLibvirtd } from '../helpers/fake-libvirtd/index.ts';

const md5 = (data: Buffer) => createHash('md5').update(data).digest('hex');
const bytes = randomBytes(3_000_001);

describe('streams', () => {
  let fake: FakeLibvirtd;
  let host: Hypervisor;
  let uuid = '';
  before(async () => {
    fake = await startFakeLibvirtd({ domains: 1 });
    host = openHypervisor(fake.uri, { backoff: { firstMs: 10, maxMs: 50 } });
    uuid = (await host.domain.listAll())[0]?.uuid ?? '';
    await host.storageVolume.createXML('default', buildVolumeXml({ name: 'a.img', capacityBytes: bytes.length, format: 'raw' }));
  });
  beforeEach(() => fake.faults.clear());
  after(async () => {
    await host.close();
    await fake.close();
  });
  const stored = () => fake.host.pool('default').volume('a.img').data;
  const settled = async () => {
    for (const end = Date.now() + 20_000; fake.sessions.size > 1 && Date.now() < end;) await delay(5);
    assert.equal(fake.sessions.size, 1, 'connections are closed');
  };

  it('carry a volume up and down unchanged', async () => {
    await host.storageVolume.upload('default', 'a.img', Readable.from([bytes]), bytes.length);
    assert.equal(md5(stored()), md5(bytes));
    assert.equal(md5(await buffer(await host.storageVolume.download('default', 'a.img'))), md5(bytes));
    await settled();
  });

  it('hold the sender back while the reader is slow', async () => {
    fake.host.pool('default').volume('a.img').data = Buffer.alloc(64 * 2 ** 20);
    const before = process.memoryUsage().arrayBuffers;
    const download = await host.storageVolume.download('default', 'a.img');
    download.once('readable', () => undefined);
    await delay(300);
    // The fake lives in this process too: what it has written but we have not read is in the system's socket buffers.
    assert.ok(download.readableLength < 2 * 2 ** 20, `${download.readableLength} bytes waiting`);
    assert.ok(process.memoryUsage().arrayBuffers - before < 32 * 2 ** 20);
    let read = 0;
    for await (const chunk of download) read += (chunk as Buffer).length;
    assert.equal(read, 64 * 2 ** 20);
    await settled();
  });

  it('refuse a body of another length than announced', async () => {
    await assert.rejects(host.storageVolume.upload('default', 'a.img', Readable.from([bytes.subarray(0, 10)]), 11), /ended after 10 of 11 bytes/);
    await assert.rejects(host.storageVolume.upload('default', 'a.img', Readable.from([bytes.subarray(0, 12)]), 11), /longer than the 11 bytes/);
    await settled();
  });

  it('end when the body fails, and the daemon learns of it', async () => {
    const body = new PassThrough();
    body.write('begin');
    const upload = host.storageVolume.upload('default', 'a.img', body, 100);
    setTimeout(() => body.destroy(new Error('the browser went away')), 30);
    await assert.rejects(upload, /browser went away/);
    await settled();
  });

  it('end by the signal and by the timeout', async () => {
    const stop = new AbortController();
    const upload = host.storageVolume.upload('default', 'a.img', new PassThrough(), 100, { signal: stop.signal });
    setTimeout(() => stop.abort(), 30);
    await assert.rejects(upload, (error: unknown) => /abort/i.test(String((error as Error).name)));
    await assert.rejects(host.storageVolume.upload('default', 'a.img', new PassThrough(), 100, { timeoutMs: 30 }), HostUnavailableError);
    await settled();
  });

  it('reject when the daemon refuses to open or to end', async () => {
    await assert.rejects(host.storageVolume.upload('default', 'none', Readable.from(['x']), 1), /no storage vol/);
    await assert.rejects(host.storageVolume.download('default', 'none'), /no storage vol/);
    await assert.rejects(host.domain.openConsole('00000000-0000-4000-8000-000000000000', null), /no domain/);
    await settled();
  });

  it('fail when the connection is cut in the middle', async () => {
    fake.host.pool('default').volume('a.img').data = Buffer.alloc(16 * 2 ** 20);
    const download = await host.storageVolume.download('default', 'a.img');
    await assert.rejects(async () => {
      for await (const _ of download) fake.dropConnections();
    }, /closed the connection|ECONNRESET/);
    await host.ready();
  });

  it('carry a console both ways, until we hang up', async () => {
    const console = await host.domain.openConsole(uuid, null);
    let text = '';
    console.setEncoding('utf8').on('data', (chunk: string) => { text += chunk; });
    console.write('root\n');
    for (const end = Date.now() + 20_000; !text.includes('root') && Date.now() < end;) await delay(5);
    assert.equal(text, 'vm-00000 login: root\n');
    console.end();
    await new Promise((resolve) => console.once('close', resolve));
    await settled();
  });

  it('end when the guest does', async () => {
    const console = await host.domain.openConsole(uuid, null);
    console.resume();
    const ended = new Promise((resolve) => console.once('end', resolve));
    await host.domain.destroy(uuid);
    await ended;
    await host.domain.create(uuid);
    await settled();
  });

  it('are torn down when they are destroyed', async () => {
    const console = await host.domain.openConsole(uuid, null);
    console.destroy();
    await settled();
  });

  it('bring a picture of the screen with its type', async () => {
    const { mimeType, body } = await host.domain.screenshot(uuid, 0);
    assert.equal(mimeType, 'image/x-portable-pixmap');
    assert.equal((await buffer(body)).subarray(0, 2).toString(), 'P6');
    await settled();
  });

  it('end with the hypervisor', async () => {
    const another = openHypervisor(fake.uri);
    const console = await another.domain.openConsole(uuid, null);
    const closed = new Promise((resolve) => { console.once('error', () => undefined).once('close', resolve); });
    await another.close();
    await closed;
    await settled();
  });
});
