// The ways to a daemon's bytes: unix socket, TCP, TLS with certificates of both sides, and the system's ssh.
import { readFile } from 'node:fs/promises';
import { isIP, connect as connectSocket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { AbortError, HostUnavailableError } from '../errors.ts';
import type { LibvirtUri } from '../uri.ts';
import { spawnSsh } from './ssh.ts';

export const defaultPort = { tcp: 16_509, tls: 16_514 } as const;

export interface DialOptions {
  readonly pkiPath?: string | undefined;
  /** gives up; the half-made connection is destroyed */
  readonly signal: AbortSignal;
}

/** Rejects with HostUnavailableError, whose message is the system's own words, or with AbortError. */
export async function dial(uri: LibvirtUri, options: DialOptions): Promise<Duplex> {
  switch (uri.transport) {
    case 'unix': return connected(connectSocket(uri.socket), 'connect', options.signal);
    case 'tcp': {
      const socket = connectSocket({ host: uri.host ?? '', port: uri.port ?? defaultPort.tcp, noDelay: true });
      return connected(socket, 'connect', options.signal);
    }
    case 'tls': return dialTls(uri, options);
    case 'ssh': return spawnSsh(uri, options.signal);
  }
}

/** Waits for `event`; an error, an early end or the signal destroys the socket. */
function connected<S extends Duplex>(socket: S, event: 'connect' | 'secureConnect' | 'readable', signal: AbortSignal): Promise<S> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      socket.off(event, onReady).off('error', onError).off('close', onClose);
      signal.removeEventListener('abort', onAbort);
    };
    const giveUp = (error: Error) => {
      stop();
      socket.on('error', () => undefined);
      socket.destroy();
      reject(error);
    };
    const onReady = () => { stop(); resolve(socket); };
    const onError = (error: Error) => giveUp(new HostUnavailableError(error.message, { cause: error }));
    const onClose = () => giveUp(new HostUnavailableError('the host closed the connection'));
    const onAbort = () => giveUp(new AbortError(signal));
    socket.on(event, onReady).on('error', onError).on('close', onClose);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
}

/** Where libvirt itself looks when neither the URI nor the configuration names a directory. */
const systemPki = { ca: '/etc/pki/CA/cacert.pem', cert: '/etc/pki/libvirt/clientcert.pem', key: '/etc/pki/libvirt/private/clientkey.pem' };

export interface Pki { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer }

export async function loadPki(directory: string | undefined): Promise<Pki> {
  const files = directory === undefined ? systemPki
    : { ca: `${directory}/cacert.pem`, cert: `${directory}/clientcert.pem`, key: `${directory}/clientkey.pem` };
  try {
    const [ca, cert, key] = await Promise.all([readFile(files.ca), readFile(files.cert), readFile(files.key)]);
    return { ca, cert, key };
  } catch (error) {
    throw new HostUnavailableError(`cannot read the certificates: ${(error as Error).message}`, { cause: error });
  }
}

export async function handshake(uri: LibvirtUri, pki: Pki, signal: AbortSignal, options: ConnectionOptions): Promise<TLSSocket> {
  const host = uri.host ?? '';
  const socket = connectTls({
    ...pki, host, port: uri.port ?? defaultPort.tls, minVersion: 'TLSv1.2', ...(isIP(host) === 0 ? { servername: host } : {}), ...options,
  });
  socket.setNoDelay(true);
  return connected(socket, 'secureConnect', signal);
}

/** After the handshake libvirtd sends one byte, 1, once it has accepted our certificate; only then does it speak RPC. */
async function dialTls(uri: LibvirtUri, options: DialOptions): Promise<TLSSocket> {
  const socket = await handshake(uri, await loadPki(uri.pkiPath ?? options.pkiPath), options.signal, { rejectUnauthorized: true });
  // Each message in a TLS record of its own: of a record with two libvirtd reads the first, and comes back to the second only
  // when something else arrives, which may be its own keepalive timer's 5 s. Without this method writes are not gathered.
  Object.defineProperty(socket, '_writev', { value: undefined });
  await connected(socket, 'readable', options.signal).catch((error: unknown) => {
    if (error instanceof AbortError) throw error;
    throw new HostUnavailableError(`the host did not accept our client certificate: ${(error as Error).message}`, { cause: error });
  });
  const verdict = socket.read(1) as Buffer | null;
  if (verdict?.[0] === 1) return socket;
  socket.destroy();
  throw new HostUnavailableError('the host did not accept our client certificate');
}
