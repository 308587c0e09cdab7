// libvirt's URIs (https://libvirt.org/uri.html): driver[+transport]://[user@][host][:port]/path[?parameters]
import { InvalidUriError } from './errors.ts';

export type TransportName = 'unix' | 'tcp' | 'tls' | 'ssh';

export interface LibvirtUri {
  readonly transport: TransportName;
  /** what the daemon is asked to open: the URI without transport, host and our own parameters */
  readonly remoteUri: string;
  /** absent for unix; an IPv6 address without its brackets */
  readonly host: string | null;
  readonly port: number | null;
  readonly user: string | null;
  /** unix: path of the daemon's socket */
  readonly socket: string;
  /** tls: directory with cacert.pem, clientcert.pem and clientkey.pem */
  readonly pkiPath: string | null;
  /** ssh: private key and known_hosts files, and whether a host never seen before is trusted */
  readonly keyFile: string | null;
  readonly knownHosts: string | null;
  readonly trustNewHost: boolean;
}

/** The socket of libvirtd, and of virtproxyd where the daemons are modular; it serves every driver. */
const systemSocket = '/run/libvirt/libvirt-sock';

const pattern = /^(?<driver>[a-z][a-z0-9]*)(?:\+(?<transport>[a-z0-9]+))?:\/\/(?:(?<user>[^@/?#]*)@)?(?<host>\[[^\]/?#]*\]|[^:/?#[\]]*)(?::(?<port>\d*))?(?<path>\/[^?#]*)?(?:\?(?<query>[^#]*))?$/;
// A leading '-' would be read as an option by ssh.
const hostName = /^[A-Za-z0-9_.][A-Za-z0-9_.-]*$/;
const ipv6 = /^[0-9A-Fa-f:.]+(%[A-Za-z0-9_.-]+)?$/;
const userName = /^[A-Za-z0-9_.][A-Za-z0-9_.@-]*$/;

const ownParameters = new Set(['name', 'socket', 'pkipath', 'keyfile', 'known_hosts', 'known_hosts_verify', 'mode', 'no_tty']);
/** Each would run something of the URI's choosing or switch a check off; whoever may type a URI must not get that. */
const refusedParameters = new Map([
  ['command', 'it names a program to run here'],
  ['netcat', 'only virt-ssh-helper is spoken'],
  ['proxy', 'only virt-ssh-helper is spoken'],
  ['no_verify', 'names are always verified'],
  ['no_sanity', 'certificates are always checked'],
]);

export function parseUri(uri: string): LibvirtUri {
  const parts = pattern.exec(uri)?.groups;
  if (parts === undefined) throw new InvalidUriError(`not a libvirt URI: ${withoutSecrets(uri)}`);
  const host = parseHost(parts['host'] ?? '');
  const transport = parseTransport(parts['transport'], host);
  const { own, rest } = splitParameters(parts['query']);
  if (transport !== 'unix' && host === null) throw new InvalidUriError(`${transport} needs a host name`);
  if (transport === 'unix' && host !== null) throw new InvalidUriError('unix connects to this machine; leave the host out');
  const path = parts['path'] ?? '/';
  return {
    transport, host,
    remoteUri: own.get('name') ?? `${parts['driver']}://${path}${rest}`,
    port: parsePort(parts['port']),
    user: parseUser(parts['user'], transport),
    socket: parseSocket(own.get('socket'), transport, path),
    pkiPath: own.get('pkipath') ?? null,
    keyFile: own.get('keyfile') ?? null,
    knownHosts: own.get('known_hosts') ?? null,
    trustNewHost: parseVerify(own.get('known_hosts_verify')),
  };
}

/**
 * The URI by which another host reaches this one: without keys, certificates and files, whose paths are those of this
 * machine. undefined: it leads to this machine itself, or names no host.
 */
export function peerUri(uri: string): string | undefined {
  const { transport, host, port, user, remoteUri } = parseUri(uri);
  if (host === null || host === 'localhost' || host === '::1' || host.startsWith('127.')) return undefined;
  const [driver, path] = remoteUri.split('://');
  const address = `${user === null ? '' : `${encodeURIComponent(user)}@`}${host.includes(':') ? `[${host}]` : host}${port === null ? '' : `:${port}`}`;
  return `${driver}+${transport}://${address}${path}`;
}

/** A password in a URI is refused, and must not come back in the refusal. */
function withoutSecrets(uri: string): string {
  return uri.replace(/\/\/[^@/]*@/, '//…@');
}

function parseTransport(name: string | undefined, host: string | null): TransportName {
  // libvirt's rule: no transport means unix without a host, and tls with one
  const transport = name ?? (host === null ? 'unix' : 'tls');
  if (transport === 'unix' || transport === 'tcp' || transport === 'tls' || transport === 'ssh') return transport;
  throw new InvalidUriError(`transport ${transport} is not supported (unix, tcp, tls, ssh)`);
}

function parseHost(host: string): string | null {
  if (host === '') return null;
  if (host.startsWith('[')) {
    const address = decode(host.slice(1, -1));
    if (!ipv6.test(address) || !address.includes(':')) throw new InvalidUriError(`not an IPv6 address: ${address}`);
    return address;
  }
  if (!hostName.test(host)) throw new InvalidUriError(`not a host name: ${host}`);
  return host;
}

function parsePort(port: string | undefined): number | null {
  if (port === undefined || port === '') return null;
  const number = Number(port);
  if (number < 1 || number > 65_535) throw new InvalidUriError(`not a port: ${port}`);
  return number;
}

function parseUser(text: string | undefined, transport: TransportName): string | null {
  if (text === undefined || text === '') return null;
  if (text.includes(':')) throw new InvalidUriError('a password does not belong into a URI');
  const user = decode(text);
  if (transport !== 'ssh') throw new InvalidUriError(`${transport} has no users`);
  if (!userName.test(user)) throw new InvalidUriError(`not a user name: ${user}`);
  return user;
}

function parseSocket(socket: string | undefined, transport: TransportName, path: string): string {
  if (socket !== undefined && !socket.startsWith('/')) throw new InvalidUriError('socket must be an absolute path');
  if (socket === undefined && transport === 'unix' && path === '/session') {
    throw new InvalidUriError('a session daemon has no fixed place: say where with ?socket=');
  }
  return socket ?? systemSocket;
}

function parseVerify(value: string | undefined): boolean {
  if (value === undefined || value === 'normal') return false;
  if (value === 'auto') return true;
  throw new InvalidUriError(`known_hosts_verify=${value} is not supported (normal, auto)`);
}

/** Our own parameters, and the others as they were: those are the remote driver's to understand. */
function splitParameters(query: string | undefined): { own: Map<string, string>; rest: string } {
  const own = new Map<string, string>();
  const rest: string[] = [];
  for (const pair of (query ?? '').split(/[&;]/).filter((text) => text !== '')) {
    const [name = '', ...value] = pair.split('=');
    // libvirt does not tell capitals from small letters here
    const why = refusedParameters.get(decode(name).toLowerCase());
    if (why !== undefined) throw new InvalidUriError(`parameter ${name} is refused: ${why}`);
    if (ownParameters.has(name)) own.set(name, decode(value.join('=')));
    else rest.push(pair);
  }
  return { own, rest: rest.length === 0 ? '' : `?${rest.join('&')}` };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new InvalidUriError(`bad escape in ${text}`);
  }
}
