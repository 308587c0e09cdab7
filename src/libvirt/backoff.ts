// How long to wait before connecting again.

/** Smaller: a daemon that restarts is asked too often. Larger: a host that is back is noticed late. */
export interface BackoffOptions { readonly firstMs: number; readonly maxMs: number }
export const defaultBackoff: BackoffOptions = { firstMs: 250, maxMs: 15_000 };

/**
 * Doubles with every failed attempt (0, 1, …) and is spread over half of its length, so that a thousand connections cut
 * at once do not come back at once: libvirtd takes only 20 unauthenticated clients (max_anonymous_clients).
 */
export function backoffMs(attempt: number, options: BackoffOptions = defaultBackoff, random: () => number = Math.random): number {
  const full = Math.min(options.maxMs, options.firstMs * 2 ** Math.min(attempt, 20));
  return full * (0.5 + random() / 2);
}
