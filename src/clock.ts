// Time as an argument: pages, operations and jobs ask this, tests move it.

export interface Clock {
  /** milliseconds since 1970 UTC */
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };
