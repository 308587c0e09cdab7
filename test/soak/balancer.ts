// What stands in front of several portals: asks their health, goes to one that is ready, and to the next when that fails. So
// does every proxy; a change is sent again only under its Idempotency-Key.
import { setTimeout as delay } from 'node:timers/promises';
import type { PortalProcess } from '../helpers/portal-process.ts';

/** An answer that takes longer is as good as none: the proxy asks another. Shorter than an SQL node's death takes: it throws answers away that were almost there, and asks for more of them. */
const answerMs = 15_000;
const healthEveryMs = 1000;
const healthMs = 1500;

export interface Answer { readonly status: number; readonly text: string; readonly elapsedMs: number }

export class Balancer {
  readonly #portals: readonly PortalProcess[];
  readonly #ready = new Set<PortalProcess>();
  readonly #stopping = new AbortController();
  readonly #watching: Promise<unknown>;
  #turn = 0;

  constructor(portals: readonly PortalProcess[]) {
    this.#portals = portals;
    for (const portal of portals) this.#ready.add(portal);
    this.#watching = Promise.all(portals.map((portal) => this.#watch(portal)));
  }

  /** undefined: nobody answered within `withinMs`. */
  async request(path: string, init: RequestInit, withinMs: number): Promise<Answer | undefined> {
    const began = performance.now();
    while (performance.now() - began < withinMs) {
      const portal = this.#next();
      try {
        const { status, text } = await ask(`${portal.url}${path}`, { redirect: 'manual', ...init }, answerMs);
        if (status !== 502 && status !== 503) return { status, text, elapsedMs: performance.now() - began };
      } catch {
        this.#ready.delete(portal);
      }
      await delay(100);
    }
    return undefined;
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#watching;
  }

  #next(): PortalProcess {
    const choice = this.#ready.size > 0 ? this.#portals.filter((portal) => this.#ready.has(portal)) : this.#portals;
    const portal = choice[this.#turn++ % choice.length];
    if (portal === undefined) throw new Error('there are no portals');
    return portal;
  }

  async #watch(portal: PortalProcess): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const answer = await ask(`${portal.url}/healthz`, {}, healthMs).catch(() => undefined);
      if (answer?.status === 200) this.#ready.add(portal);
      else this.#ready.delete(portal);
      await delay(healthEveryMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

/** Rejects after `withinMs` whatever becomes of the connection: fetch alone may wait for ever when its server is killed at the wrong moment. */
async function ask(url: string, init: RequestInit, withinMs: number): Promise<{ readonly status: number; readonly text: string }> {
  const late = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const asked = fetch(url, { ...init, signal: late.signal }).then(async (response) => ({ status: response.status, text: await response.text() }));
  const overdue = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`no answer within ${withinMs} ms`));
      late.abort();
    }, withinMs);
  });
  try {
    return await Promise.race([asked, overdue]);
  } finally {
    clearTimeout(timer);
  }
}
