import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InvalidUriError } from './errors.ts';
import { parseUri } from './uri.ts';

describe('a libvirt URI', () => {
  const accepted: [uri: string, parts: Record<string, unknown>][] = [
    ['qemu:///system', { transport: 'unix', socket: '/run/libvirt/libvirt-sock', remoteUri: 'qemu:///system', host: null }],
    ['qemu+unix:///system?socket=/a/b%20c', { transport: 'unix', socket: '/a/b c', remoteUri: 'qemu:///system' }],
    ['test:///default', { transport: 'unix', remoteUri: 'test:///default' }],
    ['test+unix:///default?socket=/s', { transport: 'unix', socket: '/s', remoteUri: 'test:///default' }],
    ['qemu://host/system', { transport: 'tls', host: 'host', port: null, remoteUri: 'qemu:///system' }],
    ['qemu+tls://host.example:16515/system?pkipath=/etc/pki/a', { transport: 'tls', host: 'host.example', port: 16515, pkiPath: '/etc/pki/a', remoteUri: 'qemu:///system' }],
    ['qemu+tcp://10.0.0.1/system', { transport: 'tcp', host: '10.0.0.1', port: null }],
    ['qemu+tcp://[fd00::1]:16509/system', { transport: 'tcp', host: 'fd00::1', port: 16509 }],
    ['qemu+tls://[fe80::1%25eth0]/system', { transport: 'tls', host: 'fe80::1%eth0' }],
    ['qemu+ssh://root@host/system', { transport: 'ssh', user: 'root', host: 'host', remoteUri: 'qemu:///system', trustNewHost: false }],
    ['qemu+ssh://host:2222/system?keyfile=/k&known_hosts=/h&known_hosts_verify=auto&no_tty=1', { transport: 'ssh', port: 2222, keyFile: '/k', knownHosts: '/h', trustNewHost: true, remoteUri: 'qemu:///system' }],
    ['qemu+ssh://host/session', { transport: 'ssh', remoteUri: 'qemu:///session' }],
    ['qemu+unix:///session?socket=/s', { remoteUri: 'qemu:///session' }],
    ['qemu+tcp://host/system?name=test:///default', { remoteUri: 'test:///default' }],
    ['qemu+tcp://host/system?foo=1&pkipath=/p&bar=a%20b', { remoteUri: 'qemu:///system?foo=1&bar=a%20b', pkiPath: '/p' }],
  ];
  for (const [uri, parts] of accepted) {
    it(`is understood: ${uri}`, () => {
      const parsed = { ...parseUri(uri) } as Record<string, unknown>;
      assert.deepEqual(Object.fromEntries(Object.keys(parts).map((key) => [key, parsed[key]])), parts);
    });
  }

  const refused: [uri: string, words: RegExp][] = [
    ['', /not a libvirt URI/], ['qemu', /not a libvirt URI/], ['http:/x', /not a libvirt URI/], ['qemu+tcp:///system', /needs a host/],
    ['qemu+unix://host/system', /leave the host out/], ['qemu+libssh2://host/system', /transport libssh2/], ['qemu:///session', /say where/],
    ['qemu+tcp://host:0/system', /not a port/], ['qemu+tcp://host:70000/system', /not a port/], ['qemu+tcp://[zz]/system', /not an IPv6/],
    ['qemu+tcp://user@host/system', /no users/], ['qemu+ssh://user:secret@host/system', /password does not belong/],
    ['qemu+ssh://-oProxyCommand=x/system', /not a host name/], ['qemu+ssh://-l@host/system', /not a user name/],
    ['qemu+ssh://host/system?command=/bin/sh', /command is refused/], ['qemu+ssh://host/system?netcat=nc', /netcat is refused/],
    ['qemu+ssh://host/system?proxy=netcat', /proxy is refused/], ['qemu+tls://host/system?no_verify=1', /no_verify is refused/],
    ['qemu+tls://host/system?n%6f_verify=1', /refused/], ['qemu+ssh://host/system?COMMAND=/bin/sh', /refused/], ['qemu+ssh://host/system?a=1;Net%43at=nc', /refused/], ['qemu+ssh://host/system?known_hosts_verify=ignore', /not supported/],
    ['qemu+unix:///system?socket=relative', /absolute/], ['qemu+tcp://host/system?name=%zz', /bad escape/],
  ];
  for (const [uri, words] of refused) {
    it(`is refused: ${uri}`, () => {
      assert.throws(() => parseUri(uri), (error) => error instanceof InvalidUriError && words.test(error.message));
    });
  }

  it('never shows a password in its refusal', () => {
    assert.throws(() => parseUri('qemu+ssh://user:secret@host:x/system'), (error) => !(error as Error).message.includes('secret'));
  });
});
