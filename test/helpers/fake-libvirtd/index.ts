// A libvirtd for tests: real sockets, libvirt's own protocol, a host that exists only in memory, and failures on demand.
// Real clients accept it: virsh -c 'qemu+unix:///system?socket=PATH' list --all
//
//   const fake = await startFakeLibvirtd({ domains: 3 });
//   fake.fail('DOMAIN_CREATE_WITH_FLAGS', { code: 1, message: 'internal error: no' }, { once: true });
//   fake.hang(); fake.resume(); fake.refuse(); fake.accept();
//   await fake.close();
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { createServer as createTlsServer, type TlsOptions, type TLSSocket } from 'node:tls';
import type { AnyProcedureName } from './extra-procedures.ts';
import { Faults, type Fault, type FaultOptions } from './faults.ts';
import { domainHandlers } from './handlers-domain.ts';
import { hostHandlers } from './handlers-host.ts';
import { FakeHost, type FakeHostOptions } from './host.ts';
import { reachable } from './migration.ts';
import type { FakeDomain } from './domain.ts';
import { Session, type Handlers } from './session.ts';

export interface FakeLibvirtdOptions extends FakeHostOptions {
  /** default: a unix socket in the temporary folder */
  readonly listen?: { readonly unixPath?: string } | { readonly tcpPort: number; readonly host?: string };
  /** TLS on the TCP port, as libvirtd does it (a byte 1 after the handshake) */
  readonly tls?: TlsOptions;
  /** instead of the usual answers, e.g. another list of authentication types */
  readonly handlers?: Handlers;
  /** remember every call in `requests`; off for large fleets */
  readonly keepRequests?: boolean;
}

export class FakeLibvirtd {
  readonly host: FakeHost;
  readonly requests: { readonly procedure: AnyProcedureName; readonly args: unknown }[] = [];
  readonly sessions = new Set<Session>();
  readonly keepsRequests: boolean;
  readonly handlers: Handlers;
  readonly faults = new Faults();
  hung = false;
  /** most calls that one connection had under way at once */
  mostInFlight = 0;
  /** how many connections were taken */
  connections = 0;
  uri = '';
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  private address: { readonly path: string } | { readonly port: number; readonly host: string };

  constructor(private readonly options: FakeLibvirtdOptions) {
    this.host = new FakeHost(options);
    this.host.onEvent = (event) => { for (const session of this.sessions) session.tell(event); };
    this.handlers = { ...hostHandlers(this.host), ...domainHandlers(this.host), ...options.handlers };
    this.keepsRequests = options.keepRequests ?? true;
    this.server = options.tls === undefined ? createServer({ noDelay: true }, (socket) => this.admit(socket)) : this.tlsServer(options.tls);
    this.server.on('connection', (socket: Socket) => this.track(socket));
    const { listen = {} } = options;
    this.address = 'tcpPort' in listen ? { port: listen.tcpPort, host: listen.host ?? '127.0.0.1' } : { path: listen.unixPath ?? join(tmpdir(), `fake-${randomUUID().slice(0, 13)}`) };
  }

  get domains(): ReadonlyMap<string, FakeDomain> {
    return this.host.domains;
  }

  get socketPath(): string {
    if ('path' in this.address) return this.address.path;
    throw new Error('this fake listens on TCP');
  }

  get port(): number {
    if ('port' in this.address) return this.address.port;
    throw new Error('this fake listens on a unix socket');
  }

  async start(): Promise<void> {
    await this.accept();
    if ('port' in this.address) {
      const transport = this.options.tls === undefined ? 'tcp' : 'tls';
      this.uri = `qemu+${transport}://${this.address.host.includes(':') ? `[${this.address.host}]` : this.address.host}:${this.address.port}/system`;
    } else this.uri = `qemu+unix:///system?socket=${this.address.path}`;
    reachable.set(this.uri, this.host);
  }

  // --- failures

  /** The procedure is refused with this error. The returned function takes it back. */
  fail(procedure: AnyProcedureName, error: { readonly code: number; readonly domain?: number; readonly message: string }, options: FaultOptions = {}): () => void {
    return this.faults.plan(procedure, { type: 'error', ...error }, options);
  }

  fault(procedure: AnyProcedureName, fault: Fault, options: FaultOptions = {}): () => void {
    return this.faults.plan(procedure, fault, options);
  }

  /** Like a daemon that was stopped: connections are taken, bytes are read, nothing is answered. */
  hang(): void {
    this.hung = true;
  }

  /** Goes on, beginning with what came meanwhile. */
  resume(): void {
    this.hung = false;
    for (const session of this.sessions) session.wake();
  }

  /** Like a machine without libvirtd: every connection ends, new ones are refused. */
  async refuse(): Promise<void> {
    const closed = new Promise<void>((resolve) => { this.server.close(() => resolve()); });
    this.dropConnections();
    await closed;
  }

  /** Listens again, at the same address. */
  async accept(): Promise<void> {
    if ('path' in this.address) await rm(this.address.path, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(this.address, () => {
        this.server.off('error', reject);
        resolve();
      });
    });
    if ('port' in this.address) this.address = { ...this.address, port: (this.server.address() as AddressInfo).port };
  }

  /** The machine loses its power: its guests are gone, its definitions stay. */
  async powerOff(): Promise<void> {
    this.host.powerOff();
    await this.refuse();
  }

  async powerOn(): Promise<void> {
    this.host.off = false;
    await this.accept();
  }

  dropConnections(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  /** Names of the procedures called so far. */
  called(procedure: AnyProcedureName): number {
    return this.requests.filter((request) => request.procedure === procedure).length;
  }

  async close(): Promise<void> {
    reachable.delete(this.uri);
    if (this.server.listening) await this.refuse();
  }

  onInFlight(count: number): void {
    this.mostInFlight = Math.max(this.mostInFlight, count);
  }

  private track(socket: Socket): void {
    this.connections += 1;
    this.sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => this.sockets.delete(socket));
  }

  private admit(socket: Duplex): void {
    const session = new Session(socket, this);
    this.sessions.add(session);
    socket.once('close', () => this.sessions.delete(session));
  }

  private tlsServer(tls: TlsOptions): Server {
    const server = createTlsServer(tls, (socket: TLSSocket) => {
      socket.write(Buffer.from([1]));
      this.admit(socket);
    });
    server.on('tlsClientError', () => undefined);
    return server;
  }
}

export async function startFakeLibvirtd(options: FakeLibvirtdOptions = {}): Promise<FakeLibvirtd> {
  const fake = new FakeLibvirtd(options);
  await fake.start();
  return fake;
}
