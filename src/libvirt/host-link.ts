// The life of a host's control connection: connect, tell when it is up or down and why, connect again.
// Calls go through here; long work gets connections of its own, which end with the link.
import { setTimeout as delay } from 'node:timers/promises';
import { afterStandstill } from '../clock.ts';
import { backoffMs, defaultBackoff, type BackoffOptions } from './backoff.ts';
import { AbortError, HostUnavailableError, LibvirtError } from './errors.ts';
import type { CallOptions, ConnectionState, ConnectionStatus, HypervisorOptions } from './hypervisor.ts';
import { defaultTimeoutMs, type RpcConnection } from './rpc/connection.ts';
import { openConnection } from './rpc/open-connection.ts';
import type { Args, procedures, ProcedureName, Reply } from './rpc/procedures.ts';
import { parseUri } from './uri.ts';

export class HostLink {
  private connection: RpcConnection | undefined;
  readonly target;
  private readonly backoff: BackoffOptions;
  private readonly ending = new AbortController();
  private readonly listeners = new Set<(status: ConnectionStatus) => void>();
  private readonly extraConnections = new Set<RpcConnection>();
  private readonly running: Promise<void>;
  private currentStatus: ConnectionStatus = { state: 'connecting', since: Date.now(), reason: null };
  /** called with each new connection before it counts as up; a failure is a failed attempt */
  prepare: (connection: RpcConnection) => Promise<void> = async () => undefined;

  constructor(readonly uri: string, private readonly options: HypervisorOptions) {
    this.target = parseUri(uri);
    this.backoff = { ...defaultBackoff, ...options.backoff };
    this.running = this.stayConnected();
  }

  get status(): ConnectionStatus {
    return this.currentStatus;
  }

  /** the open control connection, if there is one */
  get current(): RpcConnection | undefined {
    return this.connection;
  }

  onStatus(listener: (status: ConnectionStatus) => void): () => void {
    this.listeners.add(listener);
    return () => { this.listeners.delete(listener); };
  }

  /** A call on the control connection. Waits for the first attempt to connect; fails at once while the host is down. */
  async call<N extends ProcedureName>(name: N, args: Args<(typeof procedures)[N]>, options: CallOptions = {}): Promise<Reply<(typeof procedures)[N]>> {
    // a portal that was frozen learns first that the work is another's by now: its signal is asked below
    await afterStandstill();
    if (this.status.state === 'connecting') await this.ready(options);
    const connection = this.connection;
    if (connection === undefined) throw new HostUnavailableError(this.status.reason ?? 'the host is not connected');
    return connection.call(name, args, options);
  }

  ready(options: CallOptions = {}): Promise<void> {
    const { timeoutMs = defaultTimeoutMs, signal } = options;
    if (this.status.state === 'up') return Promise.resolve();
    if (this.status.state === 'closed') return Promise.reject(new HostUnavailableError('closed'));
    if (signal?.aborted) return Promise.reject(new AbortError(signal));
    return new Promise((resolve, reject) => {
      const finish = (error?: Error) => {
        stopListening();
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        if (error) reject(error);
        else resolve();
      };
      const onAbort = () => finish(new AbortError(signal as AbortSignal));
      const timer = timeoutMs === Infinity ? undefined
        : setTimeout(() => finish(new HostUnavailableError(this.status.reason ?? `not connected within ${timeoutMs} ms`)), timeoutMs);
      const stopListening = this.onStatus((status) => {
        if (status.state === 'up') finish();
        else if (status.state === 'closed') finish(new HostUnavailableError('closed'));
      });
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** A connection for one long piece of work; the caller closes it. It is not made anew when it breaks. */
  async openExtra(signal?: AbortSignal): Promise<RpcConnection> {
    await afterStandstill();
    if (this.ending.signal.aborted) throw new HostUnavailableError('closed');
    const connection = await openConnection(this.target, { ...this.options, signals: [this.ending.signal, signal] });
    this.extraConnections.add(connection);
    void connection.closed.then(() => this.extraConnections.delete(connection));
    return connection;
  }

  async close(): Promise<void> {
    if (!this.ending.signal.aborted) {
      this.ending.abort();
      this.setStatus('closed', null);
      const open = [this.connection, ...this.extraConnections].filter((connection) => connection !== undefined);
      await Promise.all(open.map((connection) => connection.close()));
    }
    await this.running;
  }

  private async stayConnected(): Promise<void> {
    // Whoever made us sets `prepare` first.
    await Promise.resolve();
    for (let attempt = 0; !this.ending.signal.aborted; attempt++) {
      let reason: Error;
      try {
        this.connection = await this.connect();
        this.setStatus('up', null);
        reason = await this.connection.closed;
        // One that was cut at once counts as a failed attempt: a daemon that takes us and drops us is not asked at full speed.
        if (Date.now() - this.status.since > this.backoff.maxMs) attempt = 0;
      } catch (error) {
        reason = error as Error;
      }
      this.connection = undefined;
      if (this.ending.signal.aborted) return;
      this.setStatus('down', reason instanceof LibvirtError ? `libvirt: ${reason.message}` : reason.message);
      await delay(backoffMs(attempt, this.backoff), undefined, { signal: this.ending.signal }).catch(() => undefined);
    }
  }

  private async connect(): Promise<RpcConnection> {
    const connection = await openConnection(this.target, { ...this.options, signals: [this.ending.signal] });
    try {
      await this.prepare(connection);
      return connection;
    } catch (error) {
      connection.fail(error as Error);
      throw error;
    }
  }

  private setStatus(state: ConnectionState, reason: string | null): void {
    const before = this.currentStatus;
    if (before.state === 'closed' || (before.state === state && before.reason === reason)) return;
    // A host that stays down for another reason has been down since the first one.
    const since = before.state === state ? before.since : Date.now();
    this.currentStatus = { state, since, reason };
    const about = { uri: this.uri, state, reason };
    if (state === 'down') this.options.log?.warn(about, 'hypervisor connection is down');
    else this.options.log?.debug(about, 'hypervisor connection changed');
    for (const listener of [...this.listeners]) listener(this.currentStatus);
  }
}
