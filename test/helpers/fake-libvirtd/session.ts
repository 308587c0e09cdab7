// One client's connection to the fake daemon: frames in, calls to handlers, replies, events and streams out.
import type { Duplex } from 'node:stream';
import type { Out } from '../../../src/libvirt/rpc/codec.ts';
import { frameStatus, frameType, FrameReader, headerBytes, keepaliveProgram, remoteProgram, writeHeader, type Frame } from '../../../src/libvirt/rpc/frame.ts';
import { domainEvents } from '../../../src/libvirt/rpc/procedures.ts';
import { remoteError } from '../../../src/libvirt/rpc/wire-types.ts';
import { XdrReader, XdrWriter } from '../../../src/libvirt/rpc/xdr.ts';
import { FakeError, refuse } from './errors.ts';
import { allProcedures, procedureNames, type AnyProcedureName } from './extra-procedures.ts';
import type { Fault, Faults } from './faults.ts';
import type { HostEvent } from './host.ts';

/** The daemon's side of a stream. */
export interface FakeStream {
  onData?(data: Buffer): void;
  /** the client has no more to say; throwing refuses to end well */
  onFinish?(): void;
  onAbort?(): void;
}
export interface StreamChannel {
  send(data: Buffer): Promise<void>;
  /** no more data; the client then finishes */
  end(): void;
}
export interface CallContext {
  readonly session: Session;
  /** opens the stream that belongs to this call; it starts after the reply */
  stream(open: (channel: StreamChannel) => FakeStream): void;
}
export type Handler = (args: never, context: CallContext) => unknown;
export type Handlers = { readonly [N in AnyProcedureName]?: (args: Out<(typeof allProcedures)[N]['args']>, context: CallContext) => unknown };

export interface SessionOwner {
  readonly handlers: Handlers;
  readonly faults: Faults;
  readonly requests: { readonly procedure: AnyProcedureName; readonly args: unknown }[];
  /** set while the daemon hangs */
  readonly hung: boolean;
  readonly keepsRequests: boolean;
  onInFlight(count: number): void;
}

/** largest piece of stream data that libvirtd sends */
const streamPieceBytes = 262_120;

export class Session {
  uri = 'qemu:///system';
  private readonly frames = new FrameReader((frame) => this.receive(frame));
  private readonly callbacks = new Map<number, number>();
  private readonly streams = new Map<number, FakeStream>();
  private held: Buffer[] = [];
  private lastCallback = 0;
  private inFlight = 0;

  constructor(private readonly socket: Duplex, private readonly owner: SessionOwner) {
    socket.on('data', (chunk: Buffer) => {
      if (this.owner.hung) this.held.push(chunk);
      else this.receiveBytes(chunk);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => { for (const stream of this.streams.values()) stream.onAbort?.(); });
  }

  /** What came while the daemon hung is done now. */
  wake(): void {
    const held = this.held;
    this.held = [];
    for (const chunk of held) this.receiveBytes(chunk);
  }

  drop(): void {
    this.socket.destroy();
  }

  addCallback(eventId: number): number {
    const callbackId = this.lastCallback++;
    this.callbacks.set(callbackId, eventId);
    return callbackId;
  }

  removeCallback(callbackId: number): void {
    this.callbacks.delete(callbackId);
  }

  /** A ping, as libvirtd sends when it has not heard of us for a while. */
  ping(): void {
    this.write(writeHeader(Buffer.alloc(headerBytes), { program: keepaliveProgram, procedure: 1, type: frameType.message, serial: 0, status: frameStatus.ok }));
  }

  tell(event: HostEvent): void {
    for (const [callbackId, eventId] of this.callbacks) {
      const dom = event.domain;
      if (event.type === 'lifecycle' && eventId === domainEvents.lifecycle.eventId) this.sendEvent(domainEvents.lifecycle, { callbackId, dom, event: event.event, detail: event.detail });
      if (event.type === 'reboot' && eventId === domainEvents.reboot.eventId) this.sendEvent(domainEvents.reboot, { callbackId, dom });
      if (event.type === 'migration-iteration' && eventId === domainEvents.migrationIteration.eventId) this.sendEvent(domainEvents.migrationIteration, { callbackId, dom, iteration: event.iteration });
      if (event.type === 'job-completed' && eventId === domainEvents.jobCompleted.eventId) this.sendEvent(domainEvents.jobCompleted, { callbackId, dom, params: event.params });
    }
  }

  private sendEvent<E extends { number: number; message: { write(writer: XdrWriter, value: never): void } }>(event: E, value: Parameters<E['message']['write']>[1]): void {
    const writer = new XdrWriter(headerBytes);
    event.message.write(writer, value);
    this.write(writeHeader(writer.finish(), { program: remoteProgram, procedure: event.number, type: frameType.message, serial: 0, status: frameStatus.ok }));
  }

  private receiveBytes(chunk: Buffer): void {
    try {
      this.frames.push(chunk);
    } catch {
      this.socket.destroy();
    }
  }

  private receive(frame: Frame): void {
    if (frame.program === keepaliveProgram) {
      if (frame.procedure === 1) this.write(writeHeader(Buffer.alloc(headerBytes), { ...frame, procedure: 2 }));
    } else if (frame.type === frameType.stream) this.receiveStream(frame);
    else if (frame.type === frameType.call) void this.answer(frame);
  }

  private async answer(frame: Frame): Promise<void> {
    this.owner.onInFlight(++this.inFlight);
    try {
      await this.answerCall(frame);
    } finally {
      this.inFlight -= 1;
    }
  }

  private async answerCall(frame: Frame): Promise<void> {
    const name = frame.program === remoteProgram ? procedureNames.get(frame.procedure) : undefined;
    if (name === undefined) return this.replyError(frame, refuse.unsupported(`procedure ${frame.program.toString(16)}/${frame.procedure}`));
    let fault: Fault | undefined;
    try {
      const args: unknown = allProcedures[name].args.read(new XdrReader(frame.body));
      if (this.owner.keepsRequests) this.owner.requests.push({ procedure: name, args });
      fault = this.owner.faults.next(name, args);
      if (fault?.type === 'silence') return await new Promise<void>(() => undefined);
      if (fault?.type === 'close') return this.drop();
      if (fault?.type === 'error') throw new FakeError(fault.code, fault.domain ?? 10, fault.message);
      const body = await this.call(name, args, frame);
      await this.replyWith(frame, body, fault);
    } catch (error) {
      if (fault?.type === 'late') await new Promise((resolve) => setTimeout(resolve, fault?.type === 'late' ? fault.ms : 0).unref());
      this.replyError(frame, error instanceof FakeError ? error : new FakeError(1, 10, `internal error: ${(error as Error).message}`));
    }
  }

  private async call(name: AnyProcedureName, args: unknown, frame: Frame): Promise<Buffer> {
    const handler = this.owner.handlers[name] as Handler | undefined;
    if (handler === undefined) throw refuse.unsupported(name);
    let open: ((channel: StreamChannel) => FakeStream) | undefined;
    const reply = await handler(args as never, { session: this, stream: (opener) => { open = opener; } });
    // a body that was made before, for measurements that must not count the making
    if (Buffer.isBuffer(reply)) return Buffer.concat([Buffer.alloc(headerBytes), reply]);
    const writer = new XdrWriter(headerBytes);
    allProcedures[name].reply.write(writer, (reply ?? {}) as never);
    // after the reply, which is written before the next turn
    if (open !== undefined) setImmediate(() => this.startStream(frame, open as (channel: StreamChannel) => FakeStream));
    return writer.finish();
  }

  private async replyWith(frame: Frame, body: Buffer, fault: Fault | undefined): Promise<void> {
    const whole = writeHeader(body, { program: remoteProgram, procedure: frame.procedure, type: frameType.reply, serial: frame.serial, status: frameStatus.ok });
    switch (fault?.type) {
      case 'late':
        await new Promise((resolve) => setTimeout(resolve, fault.ms).unref());
        return this.write(whole);
      case 'lost': return this.drop();
      case 'cut':
        this.socket.end(whole.subarray(0, Math.floor(whole.length / 2)));
        return;
      case 'frame-length':
        whole.writeUInt32BE(fault.bytes, 0);
        return this.write(whole);
      case 'garbage': {
        const header = writeHeader(Buffer.alloc(headerBytes), { program: remoteProgram, procedure: frame.procedure, type: frameType.reply, serial: frame.serial, status: frameStatus.ok }, fault.body.length);
        return this.write(Buffer.concat([header, fault.body]));
      }
      default: return this.write(whole);
    }
  }

  private replyError(frame: Frame, error: FakeError, type: number = frameType.reply): void {
    const writer = new XdrWriter(headerBytes);
    const { code, domain, message } = error;
    remoteError.write(writer, { code, domain, message, level: 2, dom: null, str1: null, str2: null, str3: null, int1: 0, int2: 0, net: null });
    this.write(writeHeader(writer.finish(), { program: frame.program, procedure: frame.procedure, type, serial: frame.serial, status: frameStatus.error }));
  }

  private write(data: Buffer, done?: () => void): void {
    // A hung daemon sends nothing either; what it would have said is lost on the way.
    if (this.owner.hung || this.socket.destroyed) done?.();
    else this.socket.write(data, () => done?.());
  }

  // --- streams

  private startStream(call: Frame, open: (channel: StreamChannel) => FakeStream): void {
    const stream = open({
      send: async (data) => {
        for (let at = 0; at < data.length; at += streamPieceBytes) {
          await new Promise<void>((resolve) => this.sendStream(call, frameStatus.continue, data.subarray(at, at + streamPieceBytes), resolve));
        }
      },
      end: () => this.sendStream(call, frameStatus.continue, Buffer.alloc(0)),
    });
    this.streams.set(call.serial, stream);
  }

  private sendStream(call: Frame, status: number, data: Buffer, done?: () => void): void {
    if (status === frameStatus.continue && !this.streams.has(call.serial) && data.length > 0 && this.socket.destroyed) return done?.();
    const header = writeHeader(Buffer.alloc(headerBytes), { program: remoteProgram, procedure: call.procedure, type: frameType.stream, serial: call.serial, status }, data.length);
    this.write(Buffer.concat([header, data]), done);
  }

  private receiveStream(frame: Frame): void {
    const stream = this.streams.get(frame.serial);
    if (stream === undefined) return;
    try {
      if (frame.status === frameStatus.continue) return stream.onData?.(Buffer.from(frame.body));
      this.streams.delete(frame.serial);
      if (frame.status === frameStatus.ok) stream.onFinish?.();
      else stream.onAbort?.();
      this.sendStream(frame, frameStatus.ok, Buffer.alloc(0));
    } catch (error) {
      this.streams.delete(frame.serial);
      this.replyError(frame, error instanceof FakeError ? error : new FakeError(1, 38, (error as Error).message), frameType.stream);
    }
  }
}

