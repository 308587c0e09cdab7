// The first words of a VNC server (RFC 6143, 7.1): enough to know that one answers, and that it wants a password.
import { connect } from 'node:net';

export interface VncGreeting {
  /** '003.008' */
  readonly version: string;
  /** 1 none at all, 2 VNC password, 19 VeNCrypt, … */
  readonly securityTypes: readonly number[];
}

/** Something answered that is not a VNC server of version 3.7 or later. */
export class NotVncError extends Error {}

/** Reads the greeting and hangs up. Rejects with the system's error or NotVncError. */
export function readVncGreeting(host: string, port: number, { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal }): Promise<VncGreeting> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true });
    let received = Buffer.alloc(0);
    let answered = false;
    const end = (error?: Error): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      if (error !== undefined) reject(error);
    };
    const onAbort = (): void => end(new Error('given up', { cause: signal.reason }));
    const timer = setTimeout(() => end(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('error', end);
    socket.on('close', () => end(new NotVncError(received.toString('latin1').slice(0, 40))));
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 12) return;
      const version = /^RFB (\d{3}\.\d{3})\n/.exec(received.toString('latin1', 0, 12))?.[1];
      if (version === undefined || version < '003.007') return end(new NotVncError(received.toString('latin1', 0, 12)));
      if (!answered) socket.write('RFB 003.008\n');
      answered = true;
      const count = received[12];
      if (count === undefined || received.length < 13 + count) return;
      resolve({ version, securityTypes: [...received.subarray(13, 13 + count)] });
      end();
    });
  });
}
