// No input harms the decoder: whatever bytes a host sends, reading them ends at once with a value or an XdrError, and
// costs no memory beyond what arrived. FUZZ_RUNS sets the runs of each property (default 2,000).
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodeDomainEvent } from '../../src/libvirt/events.ts';
import type { AnyCodec } from '../../src/libvirt/rpc/codec.ts';
import { FrameReader, headerBytes, maxFrameBytes } from '../../src/libvirt/rpc/frame.ts';
import { domainEvents, procedures } from '../../src/libvirt/rpc/procedures.ts';
import { remoteError } from '../../src/libvirt/rpc/wire-types.ts';
import { XdrError, XdrReader, XdrWriter } from '../../src/libvirt/rpc/xdr.ts';
import { allProcedures } from '../helpers/fake-libvirtd/extra-procedures.ts';
import { startFakeLibvirtd } from '../helpers/fake-libvirtd/index.ts';
import { openHypervisor } from '../../src/libvirt/open-hypervisor.ts';

const numRuns = Number(process.env['FUZZ_RUNS'] ?? 2000);

const codecs: AnyCodec[] = [remoteError, ...Object.values(procedures).flatMap(({ args, reply }) => [args, reply]), ...Object.values(domainEvents).map(({ message }) => message)];
const anyCodec = fc.constantFrom(...codecs);

/** Words such as lengths and counts are made of, among noise: pure noise ends at the first length. */
const word = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 8 }) },
  { weight: 1, arbitrary: fc.constantFrom(16_384, 16_385, 65_536, 262_144, 4_194_304, 4_194_305, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 0xffff_ffff }) },
).map((value) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
});
const message = fc.oneof(
  fc.array(word, { maxLength: 200 }).map((words) => Buffer.concat(words)),
  fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
);

/** Undefined when it was refused as it should be. */
function readOrRefuse<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    assert.ok(error instanceof XdrError, String(error));
    return undefined;
  }
}

/** A value of the codec's own making: what was read from any bytes is written, and so well-formed. */
function rewritten(codec: AnyCodec, bytes: Buffer): Buffer | undefined {
  const value = readOrRefuse(() => codec.read(new XdrReader(bytes)));
  if (value === undefined) return undefined;
  const writer = new XdrWriter();
  try {
    codec.write(writer, value);
  } catch {
    // typed parameters are read as values and written with their types
    return undefined;
  }
  return writer.finish();
}

describe('whatever a host sends', () => {
  it('is read or refused, the same at once as in turns', async () => {
    await fc.assert(fc.asyncProperty(anyCodec, message, async (codec, bytes) => {
      const atOnce = readOrRefuse(() => codec.read(new XdrReader(bytes)));
      if (codec.readInTurns === undefined) return;
      const inTurns = await codec.readInTurns(new XdrReader(bytes)).catch((error: unknown) => {
        assert.ok(error instanceof XdrError, String(error));
        return undefined;
      });
      assert.deepEqual(inTurns, atOnce);
    }), { numRuns });
  });

  it('is read the same when it is written again', () => {
    fc.assert(fc.property(anyCodec, message, (codec, bytes) => {
      const again = rewritten(codec, bytes);
      if (again === undefined) return;
      assert.deepEqual(codec.read(new XdrReader(again)), codec.read(new XdrReader(bytes)));
    }), { numRuns });
  });

  it('is refused or read when good replies are cut, changed or lengthened', async () => {
    const replies = await realReplies();
    fc.assert(fc.property(fc.constantFrom(...replies), fc.nat(), fc.nat({ max: 255 }), fc.boolean(), ({ codec, bytes }, at, value, cut) => {
      const broken = Buffer.from(cut ? bytes.subarray(0, at % (bytes.length + 1)) : bytes);
      if (!cut && broken.length > 0) broken[at % broken.length] = value;
      readOrRefuse(() => codec.read(new XdrReader(broken)));
    }), { numRuns });
  });

  it('as an event is told, ignored or refused', () => {
    const numbers = fc.oneof(fc.constantFrom(...Object.values(domainEvents).map(({ number }) => number)), fc.integer());
    fc.assert(fc.property(numbers, message, (number, bytes) => {
      readOrRefuse(() => decodeDomainEvent(number, bytes));
    }), { numRuns });
  });

  it('is cut into the same frames in whatever pieces it comes', () => {
    fc.assert(fc.property(fc.array(fc.oneof(message, fc.constant(frameOf(20)), fc.constant(frameOf(0))), { maxLength: 6 }), fc.integer({ min: 1, max: 64 }), (parts, pieceBytes) => {
      const bytes = Buffer.concat(parts);
      assert.deepEqual(framesOf(bytes, pieceBytes), framesOf(bytes, Math.max(1, bytes.length)));
    }), { numRuns });
  });

  it('costs no more memory than it has bytes, whatever it announces', () => {
    const liar = Buffer.alloc(64, 0xff);
    const before = process.memoryUsage();
    for (const codec of codecs) for (let i = 0; i < 50; i++) readOrRefuse(() => codec.read(new XdrReader(liar)));
    for (const count of [16_384, 65_536, 262_144]) {
      liar.writeUInt32BE(count, 0);
      for (const codec of codecs) for (let i = 0; i < 50; i++) readOrRefuse(() => codec.read(new XdrReader(liar)));
    }
    const readers = Array.from({ length: 100 }, () => new FrameReader(() => undefined));
    const start = Buffer.alloc(32);
    start.writeUInt32BE(maxFrameBytes);
    for (const reader of readers) reader.push(start);
    const used = process.memoryUsage();
    assert.ok(used.arrayBuffers - before.arrayBuffers < 20 * 2 ** 20, `${used.arrayBuffers - before.arrayBuffers} bytes of buffers`);
    assert.ok(used.heapUsed - before.heapUsed < 100 * 2 ** 20);
  });
});

function frameOf(bodyBytes: number): Buffer {
  const frame = Buffer.alloc(headerBytes + bodyBytes, 1);
  frame.writeUInt32BE(frame.length);
  return frame;
}

function framesOf(bytes: Buffer, pieceBytes: number): { readonly frames: string[]; readonly refused: boolean } {
  const frames: string[] = [];
  const reader = new FrameReader(({ serial, body }) => frames.push(`${serial} ${body.toString('hex')}`));
  let refused = false;
  for (let at = 0; at < bytes.length && !refused; at += pieceBytes) {
    refused = readOrRefuse(() => { reader.push(bytes.subarray(at, at + pieceBytes)); return true; }) === undefined;
  }
  return { frames, refused };
}

/** Replies as the fake daemon really sends them. */
async function realReplies(): Promise<{ readonly codec: AnyCodec; readonly bytes: Buffer }[]> {
  const fake = await startFakeLibvirtd({ domains: 2 });
  const host = openHypervisor(fake.uri);
  const { dom } = { dom: (await host.domain.listAll())[0] };
  await host.close();
  await fake.close();
  const calls: [name: keyof typeof procedures, args: unknown][] = [
    ['CONNECT_LIST_ALL_DOMAINS', { needResults: 1, flags: 0 }], ['CONNECT_GET_ALL_DOMAIN_STATS', { doms: [], stats: 0, flags: 0 }], ['DOMAIN_GET_XML_DESC', { dom, flags: 0 }],
    ['NODE_GET_INFO', {}], ['NODE_GET_CPU_STATS', { cpuNum: -1, nparams: 0, flags: 0 }], ['DOMAIN_GET_JOB_STATS', { dom, flags: 0 }], ['CONNECT_LIST_ALL_STORAGE_POOLS', { needResults: 1, flags: 0 }],
  ];
  return calls.map(([name, args]) => {
    const handler = fake.handlers[name] as (args: unknown, context: unknown) => unknown;
    const writer = new XdrWriter();
    allProcedures[name].reply.write(writer, handler(args, {}) as never);
    return { codec: procedures[name].reply, bytes: writer.finish() };
  });
}
