// Frames of libvirt's RPC: a length that counts itself, six words of header, and the body
// (https://libvirt.org/kbase/internals/rpc.html, src/rpc/virnetprotocol.x).
import { XdrError } from './xdr.ts';

export const remoteProgram = 0x2000_8086;
export const keepaliveProgram = 0x6b65_6570;
export const frameType = { call: 0, reply: 1, message: 2, stream: 3, streamHole: 6 } as const;
export const frameStatus = { ok: 0, error: 1, continue: 2 } as const;

/** length word and header */
export const headerBytes = 28;
/** VIR_NET_MESSAGE_MAX and the length word. Larger: a broken peer makes us allocate more. Smaller: lists of thousands of domains fail. */
export const maxFrameBytes = 33_554_432 + 4;
/** Most stream data in one frame (VIR_NET_MESSAGE_LEGACY_PAYLOAD_MAX); old daemons refuse more. */
export const maxStreamDataBytes = 262_120;

export interface Frame {
  readonly program: number;
  readonly procedure: number;
  readonly type: number;
  readonly serial: number;
  readonly status: number;
  readonly body: Buffer;
}
export type FrameHeader = Omit<Frame, 'body'>;

/** Fills in the header of a frame whose first `headerBytes` were left free; `bodyBytes` may follow in a buffer of their own. */
export function writeHeader(frame: Buffer, header: FrameHeader, bodyBytes = frame.length - headerBytes): Buffer {
  frame.writeUInt32BE(headerBytes + bodyBytes, 0);
  frame.writeUInt32BE(header.program, 4);
  frame.writeUInt32BE(1, 8); // protocol version of both programs
  frame.writeInt32BE(header.procedure, 12);
  frame.writeInt32BE(header.type, 16);
  frame.writeUInt32BE(header.serial, 20);
  frame.writeInt32BE(header.status, 24);
  return frame;
}

function parseFrame(bytes: Buffer): Frame {
  return {
    program: bytes.readUInt32BE(4),
    procedure: bytes.readInt32BE(12),
    type: bytes.readInt32BE(16),
    serial: bytes.readUInt32BE(20),
    status: bytes.readInt32BE(24),
    body: bytes.subarray(headerBytes),
  };
}

/**
 * The buffer for a frame that comes in pieces grows with what really arrives, not with what was announced. Few large steps:
 * every step copies what is there, and several megabytes at once would be felt.
 */
const firstPieceBytes = 65_536;
const growth = 32;

/** Cuts the bytes of a connection into frames. Throws XdrError on a length that cannot be true. */
export class FrameReader {
  private partial: Buffer = Buffer.alloc(0);
  private held = 0;

  constructor(private readonly onFrame: (frame: Frame) => void) {}

  /** Frames that lie whole in `chunk` are not copied; their bodies share its memory. */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.held === 0 && chunk.length - at >= 4) {
        const length = checkedLength(chunk.readUInt32BE(at));
        if (chunk.length - at >= length) {
          this.onFrame(parseFrame(chunk.subarray(at, at + length)));
          at += length;
          continue;
        }
      }
      at += this.hold(chunk, at);
    }
  }

  /** Keeps a piece of a frame; returns how much of the chunk it used. */
  private hold(chunk: Buffer, at: number): number {
    const length = this.held >= 4 ? checkedLength(this.partial.readUInt32BE(0)) : 4;
    const used = Math.min(length - this.held, chunk.length - at);
    this.reserve(this.held + used, length);
    chunk.copy(this.partial, this.held, at, at + used);
    this.held += used;
    if (this.held === length && length > 4) {
      const whole = this.partial.subarray(0, length);
      this.partial = Buffer.alloc(0);
      this.held = 0;
      this.onFrame(parseFrame(whole));
    } else if (this.held === 4) {
      checkedLength(this.partial.readUInt32BE(0));
    }
    return used;
  }

  private reserve(bytes: number, length: number): void {
    if (bytes <= this.partial.length) return;
    const capacity = length === 4 ? firstPieceBytes : Math.min(length, Math.max(bytes, this.partial.length * growth));
    const larger = Buffer.allocUnsafeSlow(capacity);
    this.partial.copy(larger, 0, 0, this.held);
    this.partial = larger;
  }
}

function checkedLength(length: number): number {
  if (length < headerBytes || length > maxFrameBytes) throw new XdrError(`frame of ${length} bytes`);
  return length;
}
