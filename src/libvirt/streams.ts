// Streams on connections of their own: a reader that cannot keep up stops the reading of a whole connection, and bulk
// data must not stand before the polls of the control connection.
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { CallOptions } from './hypervisor.ts';
import type { HostLink } from './host-link.ts';
import type { Args, procedures, ProcedureName, Reply } from './rpc/procedures.ts';
import type { RpcStream } from './rpc/stream.ts';

type Table = typeof procedures;
interface Opened<N extends ProcedureName> { readonly reply: Reply<Table[N]>; readonly stream: RpcStream }

/** The connection ends with the stream. `timeoutMs` is for the opening alone; the signal destroys the stream at any time. */
export async function openBidirectional<N extends ProcedureName>(link: HostLink, name: N, args: Args<Table[N]>, options: CallOptions): Promise<Opened<N>> {
  const connection = await link.openExtra(options.signal);
  try {
    const opened = await connection.openStream(name, args, options);
    const { stream } = opened;
    const { signal } = options;
    const onAbort = () => { stream.destroy(signal?.reason as Error); };
    signal?.addEventListener('abort', onAbort, { once: true });
    stream.once('close', () => {
      signal?.removeEventListener('abort', onAbort);
      void connection.close();
    });
    return opened;
  } catch (error) {
    void connection.close();
    throw error;
  }
}

/** For reading only; ends when the daemon has sent everything and has said that it could read everything. */
export async function openDownload<N extends ProcedureName>(link: HostLink, name: N, args: Args<Table[N]>, options: CallOptions): Promise<Opened<N>> {
  return openBidirectional(link, name, args, options);
}

/**
 * Sends `body`, which must have exactly `lengthBytes`. Resolves when the daemon has accepted every byte; when anything
 * fails the stream is aborted on the daemon's side too, and what it has written so far is the caller's to remove.
 */
export async function upload<N extends ProcedureName>(link: HostLink, name: N, args: Args<Table[N]>, body: Readable, lengthBytes: number, options: CallOptions): Promise<void> {
  const deadline = options.timeoutMs === undefined || options.timeoutMs === Infinity ? [] : [AbortSignal.timeout(options.timeoutMs)];
  const signal = AbortSignal.any([...deadline, ...(options.signal === undefined ? [] : [options.signal])]);
  let opened: Opened<N>;
  try {
    opened = await openBidirectional(link, name, args, { signal });
  } catch (error) {
    body.destroy();
    throw error;
  }
  opened.stream.resume();
  await pipeline(body, (chunks: AsyncIterable<Buffer>) => exactly(chunks, lengthBytes), opened.stream);
}

async function* exactly(chunks: AsyncIterable<Buffer>, lengthBytes: number): AsyncGenerator<Buffer> {
  let sent = 0;
  for await (const chunk of chunks) {
    sent += chunk.length;
    if (sent > lengthBytes) throw new RangeError(`the body is longer than the ${lengthBytes} bytes announced`);
    yield chunk;
  }
  if (sent < lengthBytes) throw new RangeError(`the body ended after ${sent} of ${lengthBytes} bytes`);
}
