import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FrameReader, frameStatus, frameType, headerBytes, maxFrameBytes, remoteProgram, writeHeader, type Frame } from './frame.ts';
import { XdrError } from './xdr.ts';

function frame(serial: number, body: Buffer): Buffer {
  const header = { program: remoteProgram, procedure: 7, type: frameType.reply, serial, status: frameStatus.ok };
  return writeHeader(Buffer.concat([Buffer.alloc(headerBytes), body]), header);
}

/** What comes out when the bytes arrive in pieces of that size. */
function read(bytes: Buffer, pieceBytes: number): Frame[] {
  const frames: Frame[] = [];
  const reader = new FrameReader((whole) => frames.push({ ...whole, body: Buffer.from(whole.body) }));
  for (let at = 0; at < bytes.length; at += pieceBytes) reader.push(bytes.subarray(at, at + pieceBytes));
  return frames;
}

describe('frames', () => {
  const bodies = [Buffer.alloc(0), Buffer.from('hello'), Buffer.alloc(100_000, 7), Buffer.from('x')];
  const bytes = Buffer.concat(bodies.map((body, i) => frame(i + 1, body)));
  for (const pieceBytes of [1, 2, 3, 5, 27, 28, 29, 31, 1000, 65_536, bytes.length]) {
    it(`come out whole when they arrive in pieces of ${pieceBytes}`, () => {
      const frames = read(bytes, pieceBytes);
      assert.deepEqual(frames.map(({ serial }) => serial), [1, 2, 3, 4]);
      frames.forEach((one, i) => assert.ok(one.body.equals(bodies[i] ?? Buffer.alloc(0))));
    });
  }

  for (const length of [0, 27, maxFrameBytes + 1, 0xffff_ffff]) {
    for (const pieceBytes of [1, 4]) {
      it(`of ${length} bytes are refused as soon as the length is there (pieces of ${pieceBytes})`, () => {
        const word = Buffer.alloc(4);
        word.writeUInt32BE(length);
        assert.throws(() => read(word, pieceBytes), XdrError);
      });
    }
  }

  it('cost memory for what has arrived, not for what was announced', () => {
    const reader = new FrameReader(() => undefined);
    const start = Buffer.alloc(100);
    start.writeUInt32BE(maxFrameBytes);
    const before = process.memoryUsage().arrayBuffers;
    reader.push(start);
    assert.ok(process.memoryUsage().arrayBuffers - before < 1_000_000);
  });
});
