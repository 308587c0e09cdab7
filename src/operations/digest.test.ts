import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { say } from '../errors.ts';
import { fittingDigest, type DigestContent } from './digest.ts';

const digest = (over: Partial<DigestContent>): DigestContent => ({
  from: 0, to: 1, opened: [], stillOpen: 0, open: [], failedOperations: 0, hosts: { up: 1, total: 1 }, instances: { running: 1, total: 1 },
  remaining: { vcpus: 1, memoryMib: 1, diskGib: 1 }, outlook: [], outlookTotal: 0, lastBackupAt: null, ...over,
});
const incident = (index: number, reason: string): DigestContent['open'][number] => ({
  id: `id${index}`, subject: { kind: 'host', id: `id${index}`, name: `kvm${index}` }, sentence: say('alerts.said.host.unreachable', { subject: `kvm${index}`, reason }), openedAt: 0, resolvedAt: null,
});
const bytes = (content: DigestContent): number => Buffer.byteLength(JSON.stringify(content));

describe('a digest', () => {
  it('of a calm day stays as it is', () => {
    const calm = digest({ stillOpen: 2, open: [incident(0, 'no route'), incident(1, 'no route')], outlook: [say('alerts.digest.full', { what: 'default' })], outlookTotal: 1 });
    assert.deepEqual(fittingDigest(calm), calm);
  });

  it('fits into its row: long words are cut before lines are left out', () => {
    const long = fittingDigest(digest({ stillOpen: 20, open: Array.from({ length: 20 }, (_, i) => incident(i, 'no route '.repeat(200))) }));
    assert.equal(long.open.length, 20);
    assert.match(String(long.open[0]?.sentence.params?.['reason']), /^no route .*…$/);
    assert.ok(bytes(long) <= 15_000);
  });

  it('fits into its row with hundreds of pools, and knows how many there were', () => {
    const outlook = Array.from({ length: 800 }, (_, i) => say('alerts.digest.runs-out', { what: `漢${'字'.repeat(60)}${i}`, at: '2027-01-01', earliest: '2026-12-01' }));
    const many = fittingDigest(digest({ stillOpen: 20, open: Array.from({ length: 20 }, (_, i) => incident(i, '漢'.repeat(1500))), outlook, outlookTotal: outlook.length }));
    assert.ok(bytes(many) <= 15_000);
    assert.ok(many.open.length > 0 && many.open.length < 20);
    assert.deepEqual([many.outlook, many.outlookTotal], [outlook.slice(0, many.open.length), 800]);
  });
});
