// One connection to a daemon: calls and their replies, events, streams. It lives once; whoever wants another connects anew.
import type { Duplex } from 'node:stream';
import { AbortError, HostUnavailableError, LibvirtError } from '../errors.ts';
import type { CallOptions } from '../hypervisor.ts';
import { frameStatus, frameType, FrameReader, headerBytes, keepaliveProgram, remoteProgram, writeHeader, type Frame } from './frame.ts';
import { startKeepalive, type Keepalive, type KeepaliveOptions } from './keepalive.ts';
import { procedures, type Args, type ProcedureName, type Reply } from './procedures.ts';
import { RpcStream } from './stream.ts';
import { remoteError } from './wire-types.ts';
import { XdrReader, XdrWriter } from './xdr.ts';

/** milliseconds; see CallOptions */
export const defaultTimeoutMs = 15_000;
/** The daemon reads no sixth request of a connection (max_client_requests = 5); one place stays free for keepalive. */
const defaultMaxInFlight = 4;
/** Replies larger than this are decoded in turns: those of many small hosts at once are as much work as that of a large one. */
const decodeAtOnceBytes = 8192;
const ping = { procedure: 1, pong: 2 } as const;

interface Call {
  readonly name: ProcedureName;
  readonly serial: number;
  readonly frame: Buffer;
  readonly stream: RpcStream | undefined;
  /** the caller has its answer (deadline, abort); the daemon still works on it and the place stays taken */
  abandoned: boolean;
  resolve(body: Buffer): void;
  reject(error: Error): void;
}

export class RpcConnection {
  private readonly inFlight = new Map<number, Call>();
  private readonly queue: Call[] = [];
  private readonly streams = new Map<number, RpcStream>();
  private readonly frames = new FrameReader((frame) => this.receive(frame));
  private lastSerial = 0;
  private keepalive: Keepalive | undefined;
  private failure: Error | undefined;
  private reportClosed: (reason: Error) => void = () => undefined;
  /** resolves, with the reason, when the connection has ended for whatever reason */
  readonly closed = new Promise<Error>((resolve) => { this.reportClosed = resolve; });
  /** events: procedure number of the message and its body */
  onMessage: (procedure: number, body: Buffer) => void = () => undefined;

  constructor(private readonly socket: Duplex, private readonly maxInFlight = defaultMaxInFlight) {
    socket.on('data', (chunk: Buffer) => this.receiveBytes(chunk));
    socket.on('error', (error) => this.fail(new HostUnavailableError(error.message, { cause: error })));
    socket.on('close', () => this.fail(new HostUnavailableError('the host closed the connection')));
  }

  get isOpen(): boolean {
    return this.failure === undefined;
  }

  /** Rejects with LibvirtError, HostUnavailableError or AbortError. `timeoutMs` Infinity waits as long as the connection lives. */
  async call<N extends ProcedureName>(name: N, args: Args<(typeof procedures)[N]>, options: CallOptions = {}): Promise<Reply<(typeof procedures)[N]>> {
    const body = await this.request(name, args, options, undefined);
    return this.decode(name, body);
  }

  /** A call that opens a stream. The caller owns the stream and must consume or destroy it. */
  async openStream<N extends ProcedureName>(name: N, args: Args<(typeof procedures)[N]>, options: CallOptions = {}): Promise<{ reply: Reply<(typeof procedures)[N]>; stream: RpcStream }> {
    const serial = this.nextSerial();
    const stream = this.newStream(name, serial);
    // a connection that ends destroys its streams in the same turn, before whoever asked for one can listen: without a
    // listener Node ends the process
    stream.on('error', () => undefined);
    try {
      const body = await this.request(name, args, options, stream, serial);
      return { reply: await this.decode(name, body), stream };
    } catch (error) {
      this.streams.delete(serial);
      stream.receiveError(error as Error);
      throw error;
    }
  }

  startKeepalive(options: KeepaliveOptions): void {
    this.keepalive = startKeepalive(options, {
      ping: () => this.send(this.keepaliveFrame(ping.procedure)),
      isPaused: () => this.socket.isPaused(),
      lost: (reason) => this.fail(new HostUnavailableError(reason)),
    });
  }

  /** Says goodbye and ends; never rejects. */
  async close(): Promise<void> {
    if (!this.isOpen) return;
    await this.call('CONNECT_CLOSE', {}, { timeoutMs: 1000 }).catch(() => undefined);
    this.fail(new HostUnavailableError('the connection was closed'));
  }

  /** Ends the connection at once; every call and stream on it fails with `reason`. */
  fail(reason: Error): void {
    if (this.failure !== undefined) return;
    this.failure = reason;
    this.keepalive?.stop();
    for (const call of [...this.inFlight.values(), ...this.queue]) call.reject(reason);
    this.inFlight.clear();
    this.queue.length = 0;
    for (const stream of this.streams.values()) stream.receiveError(reason);
    this.streams.clear();
    this.socket.destroy();
    this.reportClosed(reason);
  }

  // --- sending

  private nextSerial(): number {
    this.lastSerial = this.lastSerial >= 0x7fff_ffff ? 1 : this.lastSerial + 1;
    return this.lastSerial;
  }

  private request<N extends ProcedureName>(name: N, args: Args<(typeof procedures)[N]>, options: CallOptions, stream: RpcStream | undefined, serial = this.nextSerial()): Promise<Buffer> {
    const { signal, timeoutMs = defaultTimeoutMs } = options;
    return new Promise((resolve, reject) => {
      if (this.failure !== undefined) return reject(new HostUnavailableError(this.failure.message, { cause: this.failure }));
      if (signal?.aborted) return reject(new AbortError(signal));
      const settled = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
      };
      const call: Call = {
        name, serial, stream, abandoned: false,
        frame: this.encode(name, args, serial),
        resolve: (body) => { settled(); resolve(body); },
        reject: (error) => { settled(); reject(error); },
      };
      const onAbort = () => this.abandon(call, new AbortError(signal as AbortSignal));
      signal?.addEventListener('abort', onAbort, { once: true });
      const timer = timeoutMs === Infinity ? undefined
        : setTimeout(() => this.abandon(call, new HostUnavailableError(`${name} was not answered within ${timeoutMs} ms`)), timeoutMs);
      if (options.urgent === true) return this.sendCall(call);
      this.queue.push(call);
      this.sendNext();
    });
  }

  private encode(name: ProcedureName, args: unknown, serial: number): Buffer {
    const { number, args: codec } = procedures[name];
    const writer = new XdrWriter(headerBytes);
    codec.write(writer, args as never);
    return writeHeader(writer.finish(), { program: remoteProgram, procedure: number, type: frameType.call, serial, status: frameStatus.ok });
  }

  private sendNext(): void {
    while (this.inFlight.size < this.maxInFlight) {
      const call = this.queue.shift();
      if (call === undefined) return;
      this.sendCall(call);
    }
  }

  private sendCall(call: Call): void {
    this.inFlight.set(call.serial, call);
    this.send(call.frame);
  }

  /**
   * The caller waits no longer. A request that was sent keeps its place, because the daemon still counts it; when all
   * places are held by such requests the connection is of no more use to anybody.
   */
  private abandon(call: Call, error: Error): void {
    call.reject(error);
    const queued = this.queue.indexOf(call);
    if (queued >= 0) {
      this.queue.splice(queued, 1);
      return;
    }
    call.abandoned = true;
    if (this.inFlight.size < this.maxInFlight) return;
    for (const other of this.inFlight.values()) if (!other.abandoned) return;
    this.fail(new HostUnavailableError(`${this.inFlight.size} requests in a row were not answered`));
  }

  private send(frame: Buffer): void {
    if (this.isOpen) this.socket.write(frame);
  }

  private keepaliveFrame(procedure: number): Buffer {
    return writeHeader(Buffer.alloc(headerBytes), { program: keepaliveProgram, procedure, type: frameType.message, serial: 0, status: frameStatus.ok });
  }

  // --- receiving

  private receiveBytes(chunk: Buffer): void {
    this.keepalive?.heard();
    try {
      this.frames.push(chunk);
    } catch (error) {
      this.fail(new HostUnavailableError(`the host does not speak libvirt's protocol: ${(error as Error).message}`, { cause: error }));
    }
  }

  private receive(frame: Frame): void {
    if (!this.isOpen) return;
    if (frame.program === keepaliveProgram) {
      if (frame.procedure === ping.procedure) this.send(this.keepaliveFrame(ping.pong));
    } else if (frame.program !== remoteProgram) {
      // some other program's event (QEMU monitor, LXC): we never register for any
    } else if (frame.type === frameType.reply) this.receiveReply(frame);
    else if (frame.type === frameType.stream) this.receiveStream(frame);
    else if (frame.type === frameType.message) this.onMessage(frame.procedure, frame.body);
  }

  private receiveReply(frame: Frame): void {
    const call = this.inFlight.get(frame.serial);
    if (call === undefined) return;
    this.inFlight.delete(frame.serial);
    if (call.abandoned) {
      // A stream nobody waits for any more must be taken down on the daemon's side too.
      if (call.stream !== undefined && frame.status === frameStatus.ok) this.sendStream(call.name, call.serial, frameStatus.error);
    } else if (frame.status === frameStatus.ok) call.resolve(frame.body);
    else call.reject(readError(frame.body, call.name));
    this.sendNext();
  }

  private receiveStream(frame: Frame): void {
    const stream = this.streams.get(frame.serial);
    if (stream === undefined) return;
    if (frame.status === frameStatus.continue) return stream.receiveData(frame.body);
    this.streams.delete(frame.serial);
    if (frame.status === frameStatus.ok) stream.receiveFinish();
    else stream.receiveError(readError(frame.body, procedureName(frame.procedure)));
  }

  /** A body that does not say what it should means that nothing more from this peer can be believed. */
  private async decode<N extends ProcedureName>(name: N, body: Buffer): Promise<Reply<(typeof procedures)[N]>> {
    const codec = procedures[name].reply;
    const reader = new XdrReader(body);
    try {
      const inTurns = body.length > decodeAtOnceBytes ? codec.readInTurns : undefined;
      const value = inTurns === undefined ? codec.read(reader) : await inTurns(reader);
      reader.end();
      return value as Reply<(typeof procedures)[N]>;
    } catch (error) {
      const reason = new HostUnavailableError(`the reply to ${name} makes no sense: ${(error as Error).message}`, { cause: error });
      this.fail(reason);
      throw reason;
    }
  }

  // --- streams

  private newStream(name: ProcedureName, serial: number): RpcStream {
    const stream = new RpcStream({
      sendData: (data, sent) => this.sendStream(name, serial, frameStatus.continue, data, sent),
      sendFinish: () => this.sendStream(name, serial, frameStatus.ok),
      sendAbort: () => this.sendStream(name, serial, frameStatus.error),
      pauseReading: () => { this.socket.pause(); },
      resumeReading: () => { if (this.socket.isPaused()) this.socket.resume(); },
      release: () => { this.streams.delete(serial); },
    });
    this.streams.set(serial, stream);
    return stream;
  }

  private sendStream(name: ProcedureName, serial: number, status: number, data?: Buffer, sent?: (error?: Error | null) => void): void {
    if (this.failure !== undefined) return sent?.(this.failure);
    const header = { program: remoteProgram, procedure: procedures[name].number, type: frameType.stream, serial, status };
    const frame = writeHeader(Buffer.allocUnsafe(headerBytes), header, data?.length ?? 0);
    if (data === undefined) {
      this.socket.write(frame, sent);
      return;
    }
    this.socket.cork();
    this.socket.write(frame);
    this.socket.write(data, sent);
    this.socket.uncork();
  }
}

function readError(body: Buffer, procedure: string): Error {
  try {
    const error = remoteError.read(new XdrReader(body));
    return new LibvirtError(error.code, error.domain, error.message ?? 'unknown error', procedure);
  } catch (cause) {
    return new HostUnavailableError(`the error reply to ${procedure} makes no sense`, { cause });
  }
}

function procedureName(number: number): string {
  return Object.entries(procedures).find(([, entry]) => entry.number === number)?.[0] ?? `procedure ${number}`;
}
