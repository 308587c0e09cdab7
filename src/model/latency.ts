// How long it takes from a measurement to somebody's eyes, over the last hour.

export interface Latency {
  readonly count: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
}

const keptMs = 3_600_000;
/** At one confirmation each ten seconds an hour has 360. */
const most = 1000;

/** The last hour's confirmations of one portal, in its memory. */
export class LatencyLog {
  readonly #entries: { readonly at: number; readonly elapsedMs: number }[] = [];

  add(elapsedMs: number, now: number): void {
    this.#entries.push({ at: now, elapsedMs: Math.max(0, elapsedMs) });
    this.#forget(now);
  }

  /** undefined: nobody has confirmed anything in the last hour */
  summary(now: number): Latency | undefined {
    this.#forget(now);
    const sorted = this.#entries.map(({ elapsedMs }) => elapsedMs).sort((a, b) => a - b);
    if (sorted.length === 0) return undefined;
    // nearest rank: a value that was measured
    const percentile = (percent: number): number => sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? 0;
    return { count: sorted.length, p50Ms: percentile(50), p95Ms: percentile(95), p99Ms: percentile(99) };
  }

  #forget(now: number): void {
    while (this.#entries.length > most || (this.#entries[0] !== undefined && this.#entries[0].at < now - keptMs)) this.#entries.shift();
  }
}
