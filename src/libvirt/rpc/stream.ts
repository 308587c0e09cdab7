// A data stream of libvirt (console, volume up or down, screenshot) as a Node stream.
// Flow control is the connection's: a reader that is full stops the reading of the whole connection, which is why
// streams get a connection of their own.
import { Duplex } from 'node:stream';
import type { LibvirtError } from '../errors.ts';
import { maxStreamDataBytes } from './frame.ts';

/** What a stream needs of its connection. */
export interface StreamChannel {
  /** `sent` is called when the bytes are with the system */
  sendData(data: Buffer, sent: (error?: Error | null) => void): void;
  sendFinish(): void;
  sendAbort(): void;
  pauseReading(): void;
  resumeReading(): void;
  release(): void;
}

export class RpcStream extends Duplex {
  private finishSent = false;
  private over = false;
  private onConfirmed: ((error?: Error | null) => void) | undefined;

  constructor(private readonly channel: StreamChannel) {
    super({ allowHalfOpen: true });
  }

  override _read(): void {
    this.channel.resumeReading();
  }

  override _write(data: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    if (data.length <= maxStreamDataBytes) {
      this.channel.sendData(data, done);
      return;
    }
    this.channel.sendData(data.subarray(0, maxStreamDataBytes), (error) => {
      if (error) done(error);
      else this._write(data.subarray(maxStreamDataBytes), _encoding, done);
    });
  }

  /** Done when the daemon confirms, so that 'finish' means it has accepted every byte. */
  override _final(done: (error?: Error | null) => void): void {
    if (this.over) return done();
    this.onConfirmed = done;
    this.sendFinish();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.over) this.channel.sendAbort();
    this.over = true;
    this.channel.resumeReading();
    this.channel.release();
    done(error);
  }

  /** From the connection: bytes, or none at the end of what the daemon had to send. */
  receiveData(data: Buffer): void {
    if (this.over) return;
    // After the end both sides still agree on having finished; only then does an error of the daemon's reader show.
    if (data.length === 0) this.sendFinish();
    else if (!this.push(data)) this.channel.pauseReading();
  }

  /** From the connection: the daemon confirmed our finish, or finished by itself. */
  receiveFinish(): void {
    this.over = true;
    this.push(null);
    this.onConfirmed?.();
    this.onConfirmed = undefined;
    if (!this.writableEnded) this.end();
  }

  /** From the connection: the daemon's error, or the connection's own end. */
  receiveError(error: LibvirtError | Error): void {
    this.over = true;
    this.destroy(error);
  }

  private sendFinish(): void {
    if (this.finishSent) return;
    this.finishSent = true;
    this.channel.sendFinish();
  }
}
