// Streams on connections of their own: a reader that cannot keep up stops the reading of a whole connection, and bulk
// data must not stand before the polls of the control connection.
import { Transform, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AbortError, HostUnavailableError } from './errors.ts';
import type { CallOptions } from './hypervisor.ts';
import type { HostLink } from './host-link.ts';
import { linkSignals } from './link-signals.ts';
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
    const onAbort = () => { stream.destroy(new AbortError(signal as AbortSignal)); };
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
  const { timeoutMs = Infinity } = options;
  const deadline = timeoutMs === Infinity ? undefined : AbortSignal.timeout(timeoutMs);
  const { signal, release } = linkSignals([deadline, options.signal]);
  try {
    const { stream } = await openBidirectional(link, name, args, { signal });
    stream.resume();
    await pipeline(body, exactly(lengthBytes), stream);
  } catch (error) {
    body.destroy();
    if (deadline?.aborted === true && options.signal?.aborted !== true) {
      throw new HostUnavailableError(`the upload did not end within ${timeoutMs} ms`, { cause: error });
    }
    throw error;
  } finally {
    release();
  }
}

/** Passes bytes through and fails when they are not as many as announced. */
function exactly(lengthBytes: number): Transform {
  let sent = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      sent += chunk.length;
      if (sent > lengthBytes) done(new RangeError(`the body is longer than the ${lengthBytes} bytes announced`));
      else done(null, chunk);
    },
    flush(done) {
      done(sent < lengthBytes ? new RangeError(`the body ended after ${sent} of ${lengthBytes} bytes`) : null);
    },
  });
}
