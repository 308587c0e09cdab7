import assert from 'node:assert/strict';
import { test } from 'node:test';
import { say } from '../errors.ts';
import type { CertificateEnd } from '../model/host-check.ts';
import { warningsOf } from './host-findings.ts';

const now = Date.UTC(2026, 10, 23);
const dayMs = 86_400_000;
const ofCertificates = (...certificates: CertificateEnd[]) =>
  warningsOf({ networks: [], pools: [], clock: null, certificates, cpus: [], otherNetworks: [] }, { virtType: 'kvm', hasVmxOrSvm: true, hasKvmDomains: true }, { network: null, pools: [] }, now);

test('a certificate is told of a month before it ends, and when it has ended', () => {
  assert.deepEqual(ofCertificates({ of: 'host', notAfter: now + 30 * dayMs }, { of: 'authority', notAfter: now + 3650 * dayMs }), []);
  assert.deepEqual(ofCertificates({ of: 'host', notAfter: now + 30 * dayMs - 1 }, { of: 'portal', notAfter: now - 1 }).map(({ sentence }) => sentence), [
    say('hosts.problem.certificate-ends', { whose: '$hosts.certificate.host', date: '2026-12-22' }),
    say('hosts.problem.certificate-ended', { whose: '$hosts.certificate.portal', date: '2026-11-22' }),
  ]);
});
