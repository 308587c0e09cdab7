// A VNC viewer's handshake (RFC 6143, RFB 3.8 with VNC authentication): enough to know whether a password opens a screen.
import { createCipheriv } from 'node:crypto';
import { connect } from 'node:net';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';

export interface RfbScreen {
  readonly width: number;
  readonly height: number;
  readonly name: string;
  /** asks for the whole picture and resolves when its first bytes come */
  update(): Promise<void>;
  /** presses and releases a key (X11 keysym) */
  pressKey(keysym: number): void;
  close(): void;
}

export type RfbTarget = ({ readonly host: string; readonly port: number } | { readonly stream: Duplex }) & {
  readonly password: string;
  readonly timeoutMs?: number;
};

/** Connects and logs in. Rejects with "authentication failed …" for a password that does not open it. */
export async function openRfb(target: RfbTarget): Promise<RfbScreen> {
  const stream = 'stream' in target ? target.stream : connect({ host: target.host, port: target.port, noDelay: true });
  const deadline = setTimeout(() => stream.destroy(new Error('no RFB handshake within the time given')), target.timeoutMs ?? 10_000);
  try {
    return await handshake(stream, target.password);
  } catch (error) {
    stream.destroy();
    throw error;
  } finally {
    clearTimeout(deadline);
  }
}

async function handshake(stream: Duplex, password: string): Promise<RfbScreen> {
  const read = reader(stream);
  const version = (await read(12)).toString('latin1');
  if (!/^RFB 003\.00[3-8]\n$/.test(version)) throw new Error(`not an RFB server: ${JSON.stringify(version)}`);
  stream.write('RFB 003.008\n');
  const count = (await read(1)).readUInt8();
  if (count === 0) throw new Error(`refused: ${await text(read)}`);
  const types = [...(await read(count))];
  // 2 is VNC authentication, 1 is none at all: a server that offers 1 has no password
  if (!types.includes(2)) throw new Error(`no VNC authentication among security types ${types.join(', ')}`);
  stream.write(Buffer.from([2]));
  stream.write(answerTo(await read(16), password));
  if ((await read(4)).readUInt32BE() !== 0) throw new Error(`authentication failed: ${await text(read)}`);
  // 1: shared, other viewers stay connected
  stream.write(Buffer.from([1]));
  const init = await read(24);
  const [width, height] = [init.readUInt16BE(0), init.readUInt16BE(2)];
  const name = (await read(init.readUInt32BE(20))).toString('utf8');
  return {
    width, height, name,
    async update() {
      const request = Buffer.alloc(10);
      request.writeUInt8(3, 0);
      request.writeUInt16BE(width, 6);
      request.writeUInt16BE(height, 8);
      stream.write(request);
      await read(4);
    },
    pressKey(keysym) {
      for (const down of [1, 0]) {
        const event = Buffer.alloc(8);
        event.writeUInt8(4, 0);
        event.writeUInt8(down, 1);
        event.writeUInt32BE(keysym, 4);
        stream.write(event);
      }
    },
    close: () => void stream.destroy(),
  };
}

/** The challenge under DES, the password as the key, each of its bytes with its bits in reverse (a quirk of the first VNC). */
export function answerTo(challenge: Buffer, password: string): Buffer {
  const key = Buffer.alloc(8);
  key.write(password.slice(0, 8), 'latin1');
  for (const [index, byte] of key.entries()) key[index] = reverseBits(byte);
  // triple DES with one key three times is DES, which OpenSSL 3 keeps in a provider that is off by default
  const cipher = createCipheriv('des-ede3-ecb', Buffer.concat([key, key, key]), null).setAutoPadding(false);
  return Buffer.concat([cipher.update(challenge), cipher.final()]);
}

function reverseBits(byte: number): number {
  return Number.parseInt(byte.toString(2).padStart(8, '0').split('').reverse().join(''), 2);
}

type Read = (length: number) => Promise<Buffer>;

async function text(read: Read): Promise<string> {
  return (await read((await read(4)).readUInt32BE())).toString('utf8');
}

/** Reads exactly so many bytes; rejects when the stream ends before. */
function reader(stream: Duplex): Read {
  let failure: Error | undefined;
  stream.on('error', (error) => { failure = error; });
  return async (length) => {
    if (length === 0) return Buffer.alloc(0);
    for (;;) {
      const chunk = stream.read(length) as Buffer | null;
      if (chunk !== null && chunk.length === length) return chunk;
      if (failure !== undefined) throw failure;
      if (chunk !== null || stream.readableEnded || stream.destroyed) throw new Error('the connection ended during the handshake');
      const waiting = new AbortController();
      await Promise.race(['readable', 'end', 'close'].map((event) => once(stream, event, { signal: waiting.signal }))).finally(() => waiting.abort());
    }
  };
}
