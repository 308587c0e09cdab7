// Bytes between one browser's WebSocket and one VNC server, as they are. Both directions hold back: a slow reader on one
// side stops the reading on the other, so that a screen costs a fixed amount of memory.
import { connect, type Socket } from 'node:net';
import { createWebSocketStream, type WebSocket } from 'ws';

/** Reasons a screen ends, as WebSocket close codes (4000–4999 are free for use); public/js/console.js has words for each. */
export const closeCode = {
  /** the VNC server ended it: powered off, another viewer took over */
  ended: 4000,
  /** the machine is on another host now: the page follows it */
  moved: 4010,
  sessionOver: 4401,
  gone: 4404,
  idle: 4408,
  hostUnreachable: 4503,
} as const;

export interface ProxyLimits {
  readonly connectTimeoutMs: number;
  /** without a byte in either direction */
  readonly idleTimeoutMs: number;
  readonly pingIntervalMs: number;
}

export const defaultLimits: ProxyLimits = {
  connectTimeoutMs: 5000,
  // shorter: a person who reads a quiet screen loses it; longer: forgotten tabs hold connections overnight
  idleTimeoutMs: 30 * 60_000,
  // shorter than the 60 s after which common reverse proxies cut quiet connections
  pingIntervalMs: 25_000,
};

/** Joins the two until either ends. Resolves when both are closed; never rejects. */
export function joinScreen(socket: WebSocket, target: { readonly host: string; readonly port: number }, limits: ProxyLimits = defaultLimits): Promise<void> {
  const vnc: Socket = connect({ host: target.host, port: target.port, noDelay: true });
  const browser = createWebSocketStream(socket, { highWaterMark: 256 * 1024 });
  let connected = false;
  let answered = true;
  let movedAt = performance.now();

  // the first reason wins; a closed WebSocket ignores further ones
  const end = (code: number): void => {
    vnc.destroy();
    closeSocket(socket, code);
  };
  const connecting = setTimeout(() => end(closeCode.hostUnreachable), limits.connectTimeoutMs);
  const pinging = setInterval(() => {
    if (performance.now() - movedAt > limits.idleTimeoutMs) return end(closeCode.idle);
    if (!answered) return socket.terminate();
    answered = false;
    socket.ping();
  }, Math.min(limits.pingIntervalMs, limits.idleTimeoutMs));

  vnc.once('connect', () => {
    connected = true;
    clearTimeout(connecting);
    vnc.pipe(browser, { end: false });
    browser.pipe(vnc, { end: false });
  });
  const moved = (): void => void (movedAt = performance.now());
  vnc.on('data', moved);
  socket.on('message', moved);
  socket.on('pong', () => void (answered = true));
  vnc.on('error', () => end(closeCode.hostUnreachable));
  vnc.on('end', () => end(closeCode.ended));
  vnc.on('close', () => end(connected ? closeCode.ended : closeCode.hostUnreachable));
  // too large a message, a broken frame, a vanished peer: ws closes by itself
  browser.on('error', () => vnc.destroy());

  return new Promise((resolve) => {
    socket.once('close', () => {
      clearTimeout(connecting);
      clearInterval(pinging);
      vnc.destroy();
      browser.destroy();
      resolve();
    });
  });
}

/** A close that a peer who does not answer cannot hold up. */
export function closeSocket(socket: WebSocket, code: number): void {
  if (socket.readyState !== socket.OPEN) return;
  socket.close(code);
  const kill = setTimeout(() => socket.terminate(), 2000);
  socket.once('close', () => clearTimeout(kill));
}
