// Why a host cannot be used, in words an admin can act on: what was seen, and what to do about it. The words of sockets,
// TLS and ssh are recognised here and nowhere else.
import { say, type Sentence } from '../errors.ts';
import { InvalidUriError, LibvirtError } from '../libvirt/errors.ts';

export const hostProblemKinds = [
  'invalid-uri', 'unknown-name', 'refused', 'unreachable', 'no-socket', 'socket-denied', 'hung',
  'certificates-missing', 'certificate-name', 'certificate-expired', 'certificate-not-yet-valid', 'certificate-untrusted', 'certificate-refused', 'not-tls',
  'auth', 'ssh-denied', 'ssh-host-key', 'ssh-helper', 'ssh', 'not-libvirt',
  'not-qemu', 'too-old', 'known-host', 'other-machine', 'name-taken', 'no-pool', 'pool-inactive', 'pool-in-use', 'no-network', 'network-inactive', 'failed',
  'bridge-missing', 'bridge-unknown', 'clock-ahead', 'clock-behind', 'no-kvm', 'virt-differs', 'cpu-differs', 'cpu-to-only', 'cpu-from-only', 'network-differs',
  'certificate-ends', 'certificate-ended', 'pool-not-shared', 'pool-is-shared', 'pool-unverified', 'migration-local', 'migration-unreachable', 'migration-other-machine',
] as const;
export type HostProblemKind = (typeof hostProblemKinds)[number];

export interface HostProblem {
  readonly kind: HostProblemKind;
  /** the field of the form it stands beside */
  readonly field: 'uri' | 'name' | 'pools' | 'network' | 'migrationUri';
  readonly sentence: Sentence;
  readonly fix: Sentence;
}

export function hostProblem(kind: HostProblemKind, params: Readonly<Record<string, string | number>> = {}, field: HostProblem['field'] = 'uri'): HostProblem {
  return { kind, field, sentence: say(`hosts.problem.${kind}`, params), fix: say(`hosts.fix.${kind}`, params) };
}

// In this order: ssh's words contain those of sockets ("Connection refused").
const words: readonly (readonly [RegExp, HostProblemKind])[] = [
  [/another machine answers/i, 'other-machine'],
  [/^cannot run ssh/i, 'ssh'],
  [/ssh ended.*(host key verification failed|remote host identification has changed|no .* host key is known)/is, 'ssh-host-key'],
  [/ssh ended.*permission denied/is, 'ssh-denied'],
  [/ssh ended.*(virt-ssh-helper.*not found|command not found|not found.*virt-ssh-helper)/is, 'ssh-helper'],
  [/ssh ended.*(could not resolve|name or service not known)/is, 'unknown-name'],
  [/ssh ended.*connection refused/is, 'refused'],
  [/ssh ended.*(timed out|no route to host|network is unreachable)/is, 'unreachable'],
  [/ssh ended/i, 'ssh'],
  [/cannot read the certificates/i, 'certificates-missing'],
  [/did not accept our client certificate/i, 'certificate-refused'],
  [/does not match certificate's altnames|Hostname\/IP/i, 'certificate-name'],
  // one of the two clocks is off, by more than the certificate's age
  [/certificate is not yet valid/i, 'certificate-not-yet-valid'],
  [/certificate has expired/i, 'certificate-expired'],
  [/self.signed certificate|unable to (verify|get)|unable to get (local )?issuer|certificate signature failure|certificate revoked/i, 'certificate-untrusted'],
  [/alert (bad certificate|unknown ca|certificate required|access denied|handshake failure)|tlsv1.*alert/i, 'certificate-refused'],
  [/wrong version number|packet length too long|EPROTO/i, 'not-tls'],
  [/wants authentication|authentication (failed|unavailable)|polkit/i, 'auth'],
  [/ECONNREFUSED/, 'refused'],
  [/ENOENT/, 'no-socket'],
  [/EACCES|EPERM/, 'socket-denied'],
  [/ENOTFOUND|EAI_AGAIN|getaddrinfo/, 'unknown-name'],
  [/EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|EHOSTDOWN/, 'unreachable'],
  [/not connected within|timed out|no answer|not answered/i, 'hung'],
  [/frame|protocol|program|not a libvirt/i, 'not-libvirt'],
];

/** Why a managed host is not reached, from what was written down of it. */
export function explainReason(reason: string, name: string): HostProblem {
  const problem = problemOf(new Error(reason));
  return { ...problem, sentence: { ...problem.sentence, params: { ...problem.sentence.params, name } }, fix: { ...problem.fix, params: { ...problem.fix.params, name } } };
}

/** A failure to connect or of a call, as a problem. `reason` is libvirt's or the system's own words. */
export function problemOf(error: unknown): HostProblem {
  const reason = error instanceof Error ? error.message : String(error);
  if (error instanceof InvalidUriError) return hostProblem('invalid-uri', { reason });
  if (error instanceof LibvirtError) return hostProblem(/authentication|polkit|access denied/i.test(reason) ? 'auth' : 'failed', { reason });
  const kind = words.find(([pattern]) => pattern.test(reason))?.[1] ?? 'failed';
  return hostProblem(kind, { reason: reason.slice(0, 500) });
}
