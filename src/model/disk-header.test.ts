import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diskHeaderBytes, formatOf, readQcow2Header } from './disk-header.ts';
import { volumeNameRefuses } from './image.ts';

function head(text: string, at = 0): Uint8Array {
  const bytes = new Uint8Array(diskHeaderBytes);
  bytes.set(Uint8Array.from(text, (c) => c.charCodeAt(0)), at);
  return bytes;
}

test('marks of other formats are seen wherever QEMU looks for them', () => {
  const cases: [string, Uint8Array][] = [
    ['raw', head('')], ['raw', head('\xeb\x63\x90')], ['qcow2', head('QFI\xfb\0\0\0\x03')], ['qed', head('QED\0')], ['vmdk', head('KDMV')], ['vmdk', head('COWD')],
    ['vmdk', head('# Disk DescriptorFile\nversion=1\n')], ['vmdk', head('# a comment\n#\n\nversion=1\nCID=fffffffe\n')], ['vmdk', head('  \n# Disk DescriptorFile')],
    ['vdi', head('\x7f\x10\xda\xbe', 64)], ['vpc', head('conectix')], ['vhdx', head('vhdxfile')], ['luks', head('LUKS\xba\xbe\0\x02')],
    ['iso', head('CD001', 32_769)], ['tar', head('ustar', 257)], ['gzip', head('\x1f\x8b\x08')], ['xz', head('\xfd7zXZ\0')], ['zip', head('PK\x03\x04')],
  ];
  for (const [format, bytes] of cases) assert.equal(formatOf(bytes), format);
  assert.equal(formatOf(new Uint8Array(0)), 'raw');
});

test('no bytes make the header reader throw or loop', () => {
  let seed = 1;
  for (let round = 0; round < 3000; round++) {
    const bytes = head('QFI\xfb\0\0\0\x03').slice(0, 8 + (round % 600));
    for (let at = 8; at < bytes.length; at++) bytes[at] = (seed = (seed * 1103515245 + 12345) & 0x7fffffff) >> 16;
    readQcow2Header(bytes);
  }
});

test('names of files in a pool are one name and nothing hidden', () => {
  for (const good of ['debian 12.qcow2', '示範.img', '.hidden', '-f', 'a..b', 'json:{}', "it's & <b>"]) assert.equal(volumeNameRefuses(good), undefined, good);
  const bad = ['', '.', '..', '../etc/passwd', '/etc/passwd', 'a/b', 'a\\b', 'a\0b', 'a\nb', 'a\u0085b', 'a\u202egpj.exe', '\ufeffa', '\ud800', 'x'.repeat(256), '漢'.repeat(86)];
  for (const name of bad) assert.notEqual(volumeNameRefuses(name), undefined, JSON.stringify(name));
});
