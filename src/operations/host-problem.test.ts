import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HostUnavailableError, InvalidUriError, LibvirtError } from '../libvirt/errors.ts';
import { problemOf } from './host-problem.ts';

test('the words of sockets, TLS and ssh become a problem that an admin can act on', () => {
  const cases: [string, string][] = [
    ['connect ECONNREFUSED 192.0.2.1:16509', 'refused'],
    ['connect ENOENT /run/libvirt/libvirt-sock', 'no-socket'],
    ['connect EACCES /run/libvirt/libvirt-sock', 'socket-denied'],
    ['getaddrinfo ENOTFOUND kvm9.lab', 'unknown-name'],
    ['connect EHOSTUNREACH 192.0.2.1:16514', 'unreachable'],
    ['not connected within 10000 ms', 'hung'],
    ["Hostname/IP does not match certificate's altnames: Host: kvm1. is not in the cert's altnames: DNS:kvm2", 'certificate-name'],
    ['certificate has expired', 'certificate-expired'],
    ['certificate is not yet valid', 'certificate-not-yet-valid'],
    ['self-signed certificate in certificate chain', 'certificate-untrusted'],
    ['unable to verify the first certificate', 'certificate-untrusted'],
    ["cannot read the certificates: ENOENT: no such file or directory, open '/etc/pki/CA/cacert.pem'", 'certificates-missing'],
    ['the host did not accept our client certificate: read ECONNRESET', 'certificate-refused'],
    ['the host wants authentication by SASL, which is not supported (none, polkit)', 'auth'],
    ['ssh ended (255): root@kvm1: Permission denied (publickey).', 'ssh-denied'],
    ['ssh ended (255): Host key verification failed.', 'ssh-host-key'],
    ['ssh ended (127): bash: line 1: virt-ssh-helper: command not found', 'ssh-helper'],
    ['ssh ended (255): ssh: connect to host kvm1 port 22: Connection refused', 'refused'],
    ['ssh ended (255): ssh: connect to host kvm1 port 22: No route to host', 'unreachable'],
    ['cannot run ssh: spawn ssh ENOENT', 'ssh'],
    ['something nobody has seen before', 'failed'],
  ];
  for (const [reason, kind] of cases) assert.equal(problemOf(new HostUnavailableError(reason)).kind, kind, reason);
  assert.equal(problemOf(new InvalidUriError('not a libvirt URI: x')).kind, 'invalid-uri');
  assert.equal(problemOf(new LibvirtError(45, 7, 'authentication failed: access denied by policy', 'AUTH_POLKIT')).kind, 'auth');
});
