import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { buildPoolXml, buildVolumeXml } from './volume-xml.ts';

const golden = (name: string) => readFileSync(new URL(`../../test/golden/${name}.xml`, import.meta.url), 'utf8').trimEnd();

describe('volume and pool XML', () => {
  const cases: [name: string, xml: string][] = [
    ['volume-clone', buildVolumeXml({ name: 'i-1.qcow2', capacityBytes: 10 * 2 ** 30, format: 'qcow2', backing: { path: '/srv/vms/a&b.qcow2', format: 'qcow2' } })],
    ['volume-raw', buildVolumeXml({ name: 'data.img', capacityBytes: 2 ** 30, format: 'raw' })],
    ['pool-dir', buildPoolXml({ kind: 'dir', name: 'local', path: '/srv/local', uuid: '11111111-2222-4333-8444-555555555555' })],
    ['pool-nfs', buildPoolXml({ kind: 'netfs', name: 'shared', path: '/srv/vms', server: 'nfs.example', exportPath: '/export/vms' })],
  ];
  for (const [name, xml] of cases) it(name, () => assert.equal(xml, golden(name)));
});
