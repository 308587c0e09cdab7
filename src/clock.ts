// Time as an argument: pages, operations and jobs ask this, tests move it. And whether this process stood still.
import { performance } from 'node:perf_hooks';

export interface Clock {
  /** milliseconds since 1970 UTC */
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };

/** how often the process notes that it is alive */
const pulseMs = 250;
/** Longer than that without a pulse: it was frozen, or something kept the event loop. */
const standstillMs = 1500;
let pulsedAt: number | undefined;

/**
 * A process that was frozen (SIGSTOP, a paused machine) handles the answers that came meanwhile before its timers, which would
 * tell it that its leases have ended. Resolves when overdue timers have run; undefined: it did not stand still. To be asked
 * before what cannot be taken back.
 */
export function afterStandstill(): Promise<void> | undefined {
  if (pulsedAt === undefined) {
    const pulse = (): void => {
      pulsedAt = performance.now();
    };
    pulse();
    setInterval(pulse, pulseMs).unref();
    return undefined;
  }
  if (performance.now() - pulsedAt < standstillMs) return undefined;
  // timers run in the order of their times: this one after all that are overdue
  return new Promise((resolve) => setTimeout(resolve, 1));
}
