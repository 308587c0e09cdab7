// Files that want to be images, made by the real qemu-img: what their own bytes say. Through a real libvirtd they are looked
// at in hosts-and-images.test.ts.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, symlinkSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { AppError } from '../../src/errors.ts';
import { diskHeaderBytes } from '../../src/model/disk-header.ts';
import type { ImageFormat } from '../../src/model/image.ts';
import { judgeHead } from '../../src/operations/image-check.ts';
import { qemuImgInfo } from '../../src/operations/qemu-img.ts';

let directory: string;
before(() => { directory = mkdtempSync(join(tmpdir(), 'images-')); });
after(() => rmSync(directory, { recursive: true }));

function make(name: string, ...args: string[]): string {
  const path = join(directory, name);
  execFileSync('qemu-img', ['create', '-q', ...args.slice(0, -1), path, args.at(-1) ?? ''].filter((each) => each !== ''));
  return path;
}

function judge(path: string, libvirtFormat: string, wanted?: ImageFormat): ReturnType<typeof judgeHead> {
  const bytes = new Uint8Array(diskHeaderBytes);
  const file = openSync(path, 'r');
  const length = readSync(file, bytes);
  closeSync(file);
  return judgeHead(bytes.subarray(0, length), { format: libvirtFormat, capacityBytes: 1024 ** 3 }, wanted);
}

function refusedAs(key: string): (error: unknown) => boolean {
  return (error) => error instanceof AppError && error.kind === 'invalid' && error.sentence.key === `images.refused.${key}`;
}

test('an honest qcow2 and an honest raw file pass, with the size of the disk inside', async () => {
  const qcow2 = make('good.qcow2', '-f', 'qcow2', '3G');
  assert.deepEqual(judge(qcow2, 'qcow2'), { format: 'qcow2', virtualSizeBytes: 3 * 1024 ** 3 });
  assert.deepEqual(await qemuImgInfo(qcow2, 'qcow2'), { format: 'qcow2', virtualSizeBytes: 3 * 1024 ** 3, hasBackingFile: false, hasDataFile: false, isEncrypted: false });
  assert.deepEqual(judge(make('old.qcow2', '-f', 'qcow2', '-o', 'compat=0.10', '1G'), 'qcow2', 'qcow2'), { format: 'qcow2', virtualSizeBytes: 1024 ** 3 });
  const raw = make('good.img', '-f', 'raw', '1G');
  assert.deepEqual(judge(raw, 'raw', 'raw'), { format: 'raw', virtualSizeBytes: 1024 ** 3 });
  assert.equal((await qemuImgInfo(raw, 'raw'))?.virtualSizeBytes, 1024 ** 3);
});

test('a backing file is refused, also one that libvirt did not tell of', async () => {
  const path = make('backing.qcow2', '-f', 'qcow2', '-b', '/etc/passwd', '-F', 'raw', '-u', '1G');
  assert.throws(() => judge(path, 'qcow2'), refusedAs('backing-file'));
  assert.equal((await qemuImgInfo(path, 'qcow2'))?.hasBackingFile, true);
  assert.throws(() => judge(make('json.qcow2', '-f', 'qcow2', '-b', 'json:{"driver":"raw","file.filename":"/etc/shadow"}', '-F', 'raw', '-u', '1G'), 'qcow2'), refusedAs('backing-file'));
});

test('a data file is refused', () => {
  const path = make('data.qcow2', '-f', 'qcow2', '-o', `data_file=${join(directory, 'data.raw')},data_file_raw=on`, '1G');
  assert.throws(() => judge(path, 'qcow2'), refusedAs('data-file'));
});

test('an encrypted disk is refused', () => {
  const path = make('luks.qcow2', '-f', 'qcow2', '1G');
  const file = openSync(path, 'r+');
  // crypt_method 2: LUKS. qemu-img's own way needs a second of key stretching, and a clock that some machines do not have
  writeSync(file, Buffer.from('00000002', 'hex'), 0, 4, 32);
  closeSync(file);
  assert.throws(() => judge(path, 'qcow2'), refusedAs('encrypted'));
  const luks = make('plain.luks', '-f', 'raw', '1M');
  const plain = openSync(luks, 'r+');
  writeSync(plain, Buffer.from('4c554b53babe0002', 'hex'));
  closeSync(plain);
  assert.throws(() => judge(luks, 'raw'), refusedAs('other-format'));
});

test('a raw file that begins like another format is refused, whoever calls it raw', () => {
  for (const format of ['vmdk', 'vdi', 'vpc', 'vhdx', 'qed', 'parallels']) {
    assert.throws(() => judge(make(`a.${format}`, '-f', format, '16M'), 'raw', 'raw'), refusedAs('other-format'), format);
  }
  const disguised = make('disguised.img', '-f', 'raw', '1M');
  const file = openSync(disguised, 'r+');
  writeSync(file, readFileSync(make('inner.qcow2', '-f', 'qcow2', '-b', '/etc/passwd', '-F', 'raw', '-u', '1G')), 0);
  closeSync(file);
  assert.throws(() => judge(disguised, 'raw', 'raw'), refusedAs('unexpected-format'));
  assert.throws(() => judge(disguised, 'raw'), refusedAs('unexpected-format'));
  const descriptor = join(directory, 'descriptor.img');
  writeFileSync(descriptor, '# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="monolithicFlat"\nRW 2048 FLAT "/etc/passwd" 0\n');
  assert.throws(() => judge(descriptor, 'raw', 'raw'), refusedAs('other-format'));
});

test('a file of another format than was said is refused', () => {
  assert.throws(() => judge(make('b.qcow2', '-f', 'qcow2', '1G'), 'qcow2', 'raw'), refusedAs('unexpected-format'));
  assert.throws(() => judge(make('b.img', '-f', 'raw', '1G'), 'raw', 'qcow2'), refusedAs('unexpected-format'));
});

test('empty, cut and damaged files are refused', () => {
  const empty = join(directory, 'empty');
  writeFileSync(empty, '');
  assert.throws(() => judge(empty, 'raw'), refusedAs('empty'));
  const cut = make('cut.qcow2', '-f', 'qcow2', '1G');
  truncateSync(cut, 50);
  assert.throws(() => judge(cut, 'qcow2'), refusedAs('damaged'));
  const huge = make('huge.qcow2', '-f', 'qcow2', '1G');
  const file = openSync(huge, 'r+');
  writeSync(file, Buffer.from('ffffffffffffffff', 'hex'), 0, 8, 24);
  closeSync(file);
  assert.throws(() => judge(huge, 'qcow2'), refusedAs('damaged'));
});

test('qemu-img is asked for nothing but regular files, and its refusals are errors', async () => {
  const good = make('target.qcow2', '-f', 'qcow2', '1G');
  const link = join(directory, 'link.qcow2');
  symlinkSync(good, link);
  await assert.rejects(qemuImgInfo(link, 'qcow2'), /not a regular file/);
  assert.equal(await qemuImgInfo(join(directory, 'none'), 'raw'), undefined);
  await assert.rejects(qemuImgInfo(make('c.img', '-f', 'raw', '1M'), 'qcow2'));
});

test('a header with absurd tables costs QEMU no more than its limits', async () => {
  const path = make('bomb.qcow2', '-f', 'qcow2', '1G');
  const file = openSync(path, 'r+');
  // the L1 table: 32 Mi entries, as many as QEMU takes, in a file that is as long as that
  writeSync(file, Buffer.from('02000000', 'hex'), 0, 4, 36);
  closeSync(file);
  truncateSync(path, 1024 ** 3);
  const startedAt = Date.now();
  await qemuImgInfo(path, 'qcow2').catch(() => undefined);
  assert.ok(Date.now() - startedAt < 15_000);
});
