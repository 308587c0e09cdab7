import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { describe, it } from 'node:test';
import { buildIso9660 } from '../../src/operations/iso9660.ts';
import { buildSeedImage } from '../../src/operations/seed.ts';

const instance = { id: '6d5d24d0-2c0a-4b0e-9d3c-0f3d5b6f7a10', name: 'web-1', createdAt: Date.UTC(2026, 0, 2, 3, 4, 5) };

function isoinfo(image: Buffer, ...args: string[]): string | undefined {
  const directory = mkdtempSync(`${tmpdir()}/seed-`);
  try {
    writeFileSync(`${directory}/seed.iso`, image);
    return execFileSync('isoinfo', ['-i', `${directory}/seed.iso`, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

describe('the NoCloud seed', () => {
  const image = buildSeedImage(instance, { sshKey: 'ssh-ed25519 AAAA someone@here\n', userData: '#cloud-config\npackages: [vim]\n' });

  it('is whole sectors and the same each time', () => {
    assert.equal(image.length % 2048, 0);
    assert.deepEqual(image, buildSeedImage(instance, { sshKey: 'ssh-ed25519 AAAA someone@here', userData: '#cloud-config\npackages: [vim]\n' }));
  });

  it('carries the label cidata in both volume descriptors', () => {
    assert.equal(image.toString('latin1', 16 * 2048 + 40, 16 * 2048 + 46), 'cidata');
    assert.equal(Buffer.from(image.subarray(17 * 2048 + 40, 17 * 2048 + 52)).swap16().toString('utf16le'), 'cidata');
  });

  it('is read by isoinfo, with its names and contents', (t) => {
    const listing = isoinfo(image, '-J', '-f');
    if (listing === undefined) return t.skip('isoinfo (package genisoimage) is not here');
    assert.deepEqual(listing.trim().split('\n').sort(), ['/meta-data', '/user-data']);
    assert.deepEqual(JSON.parse(isoinfo(image, '-J', '-x', '/meta-data') ?? ''), {
      'instance-id': instance.id, 'local-hostname': 'web-1', 'public-keys': ['ssh-ed25519 AAAA someone@here'],
    });
    assert.equal(isoinfo(image, '-J', '-x', '/user-data'), '#cloud-config\npackages: [vim]\n');
  });

  it('holds files of every length around a sector', (t) => {
    for (const length of [0, 1, 2047, 2048, 2049, 16_000]) {
      const contents = Buffer.alloc(length, 'x');
      const iso = buildIso9660('cidata', [{ name: 'a', contents: Buffer.from('first') }, { name: 'user-data', contents }, { name: 'z', contents: Buffer.from('last') }], 0);
      const read = isoinfo(iso, '-J', '-x', '/user-data');
      if (read === undefined) return t.skip('isoinfo (package genisoimage) is not here');
      assert.equal(read, contents.toString('latin1'), `${length} bytes`);
      assert.equal(isoinfo(iso, '-J', '-x', '/z'), 'last');
    }
  });
});
