// A stand-in for an SQL node: a TCP proxy to a real server that understands just enough of MySQL's protocol to see statements
// go by. It dies, hangs, and loses the answer to a COMMIT, which real servers do too seldom to be tested with.
import { connect, createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

/** What becomes of a COMMIT: it never arrives; it is done and nobody hears of it; it is cut while on its way. */
export type Fate = 'pass' | 'lost' | 'unheard' | 'cut';

export interface SqlProxy {
  readonly url: string;
  /** statements that went by */
  readonly seen: { count: number };
  /** asked before each COMMIT of a transaction that left a mark, with the mark, which stays the same when it is run again */
  fate: (mark: string) => Fate;
  /** as a power cut: connections are reset, new ones refused */
  kill(): Promise<void>;
  revive(): Promise<void>;
  /** connections are accepted, nothing passes any more in either direction; what was sent stays on its way */
  freeze(): void;
  thaw(): void;
  close(): Promise<void>;
}

interface Link { readonly client: Socket; readonly server: Socket; mark: string }

export async function startSqlProxy(target: string): Promise<SqlProxy> {
  const to = new URL(target);
  const path = to.searchParams.get('socketPath');
  const links = new Set<Link>();
  let frozen = false;

  const listener = createServer((client) => {
    const link: Link = { client, server: path === null ? connect(Number(to.port || 3306), to.hostname) : connect(path), mark: '' };
    links.add(link);
    for (const socket of [client, link.server]) socket.on('error', () => undefined).once('close', () => { if (!frozen) end(link); });
    client.on('data', (data: Buffer) => { if (forwards(link, data)) link.server.write(data); });
    link.server.on('data', (data: Buffer) => client.write(data));
    if (frozen) hold(link);
  });

  /** false: the statement was dealt with here. mysql2 sends one statement at a time and waits for its answer. */
  function forwards(link: Link, data: Buffer): boolean {
    if (data.length < 5 || data[3] !== 0 || data[4] !== 3) return true;
    // MySQL takes query attributes, of which there are none, before the statement; MariaDB does not know them
    const sql = data.subarray(data[5] === 0 && data[6] === 1 ? 7 : 5).toString('latin1');
    proxy.seen.count++;
    link.mark = sql === 'START TRANSACTION' ? '' : (/^INSERT INTO transaction_marks .*?[xX]'([0-9a-fA-F]+)'/.exec(sql)?.[1] ?? link.mark);
    if (sql !== 'COMMIT' || link.mark === '') return true;
    const fate = proxy.fate(link.mark);
    if (fate === 'lost') link.client.resetAndDestroy();
    if (fate === 'unheard') link.server.removeAllListeners('data').once('data', () => link.client.resetAndDestroy());
    if (fate === 'cut') link.server.write(data, () => link.client.resetAndDestroy());
    return fate === 'pass' || fate === 'unheard';
  }

  function end(link: Link): void {
    links.delete(link);
    link.client.destroy();
    // what had been sent to the server still reaches it, as from a machine that went down
    link.server.end();
  }

  const hold = ({ client, server }: Link): void => { client.pause(); server.pause(); };
  const listen = (port: number): Promise<void> => new Promise((resolve, reject) => { listener.once('error', reject).listen(port, '127.0.0.1', resolve); });
  await listen(0);
  const { port } = listener.address() as AddressInfo;
  const url = new URL(to);
  url.hostname = '127.0.0.1';
  url.port = String(port);
  url.search = '';

  const proxy: SqlProxy = {
    url: url.href,
    seen: { count: 0 },
    fate: () => 'pass',
    async kill() {
      const closed = new Promise((resolve) => { listener.close(resolve); });
      for (const { client } of links) client.resetAndDestroy();
      await closed;
    },
    revive: () => listen(port),
    freeze() {
      frozen = true;
      for (const link of links) hold(link);
    },
    thaw() {
      frozen = false;
      for (const link of links) {
        link.client.resume();
        link.server.resume();
        // it went while nobody looked
        if (link.client.destroyed) end(link);
      }
    },
    async close() {
      proxy.thaw();
      for (const { client, server } of links) {
        client.destroy();
        server.destroy();
      }
      if (listener.listening) await new Promise((resolve) => { listener.close(resolve); });
    },
  };
  return proxy;
}
