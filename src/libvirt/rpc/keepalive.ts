// Finds out that a peer went silent (power gone, cable out, machine hung), which TCP alone notices after many minutes.

export interface KeepaliveOptions {
  /** seconds of silence before a ping. Smaller: more traffic over many hosts. */
  readonly intervalSeconds: number;
  /** pings without an answer before the connection is given up, after interval × (count + 1) seconds of silence */
  readonly count: number;
}

export interface Keepalive {
  /** call for everything that arrives */
  heard(): void;
  stop(): void;
}

export function startKeepalive(options: KeepaliveOptions, peer: { ping(): void; isPaused(): boolean; lost(reason: string): void }): Keepalive {
  let pings = 0;
  // Rounds are counted, not milliseconds: after a long turn of our own event loop the answers still lie unread in the
  // socket, and the clock would call every host dead.
  const timer = setInterval(() => {
    // While a slow reader has us not read, silence is our own doing.
    if (peer.isPaused()) return;
    if (pings >= options.count) {
      clearInterval(timer);
      peer.lost(`no answer to ${pings} keepalive messages in ${options.intervalSeconds * (options.count + 1)} s`);
      return;
    }
    pings += 1;
    peer.ping();
  }, options.intervalSeconds * 1000);
  return {
    heard: () => { pings = 0; },
    stop: () => clearInterval(timer),
  };
}
