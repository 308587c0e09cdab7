// Several AbortSignals as one, for as long as a piece of work takes.

/**
 * Aborts when the first of them does, with its reason. Call `release` when the work is over. AbortSignal.any would do, but
 * in Node 20 it leaves more than a kilobyte behind on every long-lived signal each time it is used.
 */
export function linkSignals(signals: readonly (AbortSignal | undefined)[]): { readonly signal: AbortSignal; release(): void } {
  const linked = new AbortController();
  const abort = (event: Event) => linked.abort((event.target as AbortSignal).reason);
  const present = signals.filter((signal) => signal !== undefined);
  for (const signal of present) {
    if (signal.aborted) linked.abort(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
  }
  return {
    signal: linked.signal,
    release: () => {
      for (const signal of present) signal.removeEventListener('abort', abort);
    },
  };
}
