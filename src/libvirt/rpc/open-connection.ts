// From a URI to a connection that is ready for calls: dial, authenticate, agree on keepalive, open the driver.
import { AbortError, HostUnavailableError } from '../errors.ts';
import type { CallOptions, HypervisorOptions } from '../hypervisor.ts';
import { linkSignals } from '../link-signals.ts';
import type { LibvirtUri } from '../uri.ts';
import { RpcConnection } from './connection.ts';
import { dial } from './transport.ts';

/** milliseconds for the whole of it. Too small: busy hosts never come up; too large: a hung host is called "connecting" for long. */
export const defaultConnectTimeoutMs = 10_000;
/** Silence is noticed after 20 s: 5 s × (3 + 1). */
const defaultKeepalive = { intervalSeconds: 5, count: 3 };
const keepaliveFeature = 10;
const authType = { none: 0, polkit: 2 } as const;
const authNames = new Map([[1, 'SASL']]);

export interface ConnectOptions extends Pick<HypervisorOptions, 'keepalive' | 'connectTimeoutMs' | 'pkiPath'> {
  /** any of them gives up */
  readonly signals?: readonly (AbortSignal | undefined)[];
}

/** Rejects with HostUnavailableError, LibvirtError (the daemon refused) or AbortError. */
export async function openConnection(uri: LibvirtUri, options: ConnectOptions = {}): Promise<RpcConnection> {
  const timeoutMs = options.connectTimeoutMs ?? defaultConnectTimeoutMs;
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), timeoutMs);
  const { signal, release } = linkSignals([deadline.signal, ...(options.signals ?? [])]);
  const within = { signal, timeoutMs: Infinity };
  let connection: RpcConnection | undefined;
  try {
    connection = new RpcConnection(await dial(uri, { pkiPath: options.pkiPath, signal }));
    await authenticate(connection, within);
    const { supported } = await connection.call('CONNECT_SUPPORTS_FEATURE', { feature: keepaliveFeature }, within);
    await connection.call('CONNECT_OPEN', { name: uri.remoteUri, flags: 0 }, within);
    if (supported !== 0) connection.startKeepalive(options.keepalive ?? defaultKeepalive);
    return connection;
  } catch (error) {
    const gaveUp = options.signals?.some((one) => one?.aborted === true) ?? false;
    const reason = error instanceof AbortError && deadline.signal.aborted && !gaveUp
      ? new HostUnavailableError(`not connected within ${timeoutMs} ms`) : error as Error;
    connection?.fail(reason);
    throw reason;
  } finally {
    clearTimeout(timer);
    release();
  }
}

/** The daemon lists what it accepts; an empty list or "none" asks for nothing. */
async function authenticate(connection: RpcConnection, within: CallOptions): Promise<void> {
  const { types } = await connection.call('AUTH_LIST', {}, within);
  if (types.length === 0 || types.includes(authType.none)) return;
  if (types.includes(authType.polkit)) {
    await connection.call('AUTH_POLKIT', {}, within);
    return;
  }
  const wanted = types.map((type) => authNames.get(type) ?? `type ${type}`).join(', ');
  throw new HostUnavailableError(`the host wants authentication by ${wanted}, which is not supported (none, polkit)`);
}
