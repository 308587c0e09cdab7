// Screens for fake hosts: VNC servers (RFC 6143, VNC authentication) at the addresses and ports that the fakes tell of. Each host's
// are of one colour, so that a test sees in a browser's picture on which host it is; they end when the machine leaves.
import { once } from 'node:events';
import { randomBytes, randomInt } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import type { FakeLibvirtd } from './fake-libvirtd/index.ts';
import type { FakeDomain } from './fake-libvirtd/domain.ts';
import { answerTo } from './rfb.ts';

export interface Screens {
  /** of each host, in their order: what its console address is to be */
  readonly addresses: readonly string[];
  colourOf(hostIndex: number): readonly [number, number, number];
  /** from now on whoever connects is taken in and hears nothing (true), or is served (false) */
  beSilent(silent: boolean): void;
  close(): Promise<void>;
}

const colours = [[200, 40, 40], [40, 160, 60], [40, 80, 200]] as const;
const [width, height] = [64, 48];
/** machines that one host may have */
const portsPerHost = 40;
const pollMs = 20;

export async function startScreens(hosts: readonly FakeLibvirtd[]): Promise<Screens> {
  // a loopback network of the test's own: ports are the fakes' choice
  const net = `127.${randomInt(64, 128)}.${randomInt(1, 255)}`;
  const manner = { silent: false };
  const servers = await Promise.all(hosts.flatMap((host, index) =>
    Array.from({ length: portsPerHost }, (_, n) => listen(host, colours[index % colours.length] ?? colours[0], `${net}.${index + 1}`, 5900 + 1000 * index + n, manner))));
  return {
    addresses: hosts.map((_, index) => `${net}.${index + 1}`),
    colourOf: (index) => colours[index % colours.length] ?? colours[0],
    beSilent: (silent) => { manner.silent = silent; },
    close: async () => void (await Promise.all(servers.map((close) => close()))),
  };
}

async function listen(host: FakeLibvirtd, colour: readonly number[], address: string, port: number, manner: { readonly silent: boolean }): Promise<() => Promise<void>> {
  const open = new Set<Socket>();
  const server: Server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => open.delete(socket));
    const domain = [...host.domains.values()].find((each) => each.vnc?.port === port);
    if (domain === undefined) return void socket.destroy();
    if (manner.silent) return;
    const watching = setInterval(() => { if (domain.vnc?.port !== port) socket.destroy(); }, pollMs);
    socket.once('close', () => clearInterval(watching));
    serve(socket, domain, colour).catch(() => socket.destroy());
  });
  server.listen(port, address);
  await once(server, 'listening');
  return async () => {
    for (const socket of open) socket.destroy();
    server.close();
    await once(server, 'close');
  };
}

async function serve(socket: Socket, domain: FakeDomain, colour: readonly number[]): Promise<void> {
  const take = taker(socket);
  socket.write('RFB 003.008\n');
  await take(12);
  socket.write(Buffer.from([1, 2]));
  await take(1);
  const challenge = randomBytes(16);
  socket.write(challenge);
  const answer = await take(16);
  const { password, passwordValidTo } = domain.vnc ?? { password: null, passwordValidTo: null };
  const valid = password !== null && (passwordValidTo === null || Date.parse(`${passwordValidTo}Z`) > Date.now()) && answer.equals(answerTo(challenge, password));
  if (!valid) {
    const reason = 'Authentication failed';
    return void socket.end(Buffer.concat([u32(1), u32(reason.length), Buffer.from(reason)]));
  }
  socket.write(u32(0));
  await take(1);
  const name = Buffer.from(domain.name);
  socket.write(Buffer.concat([u16(width), u16(height), Buffer.from([32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 0, 8, 16, 0, 0, 0]), u32(name.length), name]));
  await answerMessages(socket, take, colour);
}

type Take = (length: number) => Promise<Buffer>;

async function answerMessages(socket: Socket, take: Take, colour: readonly number[]): Promise<void> {
  const pixel = Buffer.from([...colour, 255]);
  const picture = Buffer.concat([Buffer.from([0, 0]), u16(1), u16(0), u16(0), u16(width), u16(height), u32(0), ...Array.from({ length: width * height }, () => pixel)]);
  for (;;) {
    const [type] = await take(1);
    if (type === 0) await take(19);
    else if (type === 2) await take(4 * (await take(3)).readUInt16BE(1));
    else if (type === 3) {
      const [incremental] = await take(9);
      // what did not change need not be sent again at once
      if (incremental === 0) socket.write(picture);
      else setTimeout(() => socket.writable && socket.write(picture), 250);
    } else if (type === 4) await take(7);
    else if (type === 5) await take(5);
    else if (type === 6) await take((await take(7)).readUInt32BE(3));
    else return void socket.destroy();
  }
}

function taker(socket: Socket): Take {
  let buffer = Buffer.alloc(0);
  let wanted: { readonly length: number; readonly resolve: (bytes: Buffer) => void; readonly reject: (error: Error) => void } | undefined;
  const give = (): void => {
    if (wanted === undefined || buffer.length < wanted.length) return;
    const { length, resolve } = wanted;
    wanted = undefined;
    const bytes = buffer.subarray(0, length);
    buffer = buffer.subarray(length);
    resolve(bytes);
  };
  socket.on('data', (chunk) => { buffer = Buffer.concat([buffer, chunk]); give(); });
  socket.once('close', () => wanted?.reject(new Error('the viewer has gone')));
  return (length) => new Promise((resolve, reject) => { wanted = { length, resolve, reject }; give(); });
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}
function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
