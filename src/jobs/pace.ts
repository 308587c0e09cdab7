// Many hosts side by side, but not all at once: what comes back at one moment is worked through in one turn of the event loop.

export interface Pace {
  readonly places: number;
  /** a place is given up after that long, so that hosts that are silent do not hold up the others */
  readonly patienceMs: number;
}

/** Resolves when all work has ended. `work` never rejects. */
export async function inPace<T>(items: readonly T[], { places, patienceMs }: Pace, work: (item: T) => Promise<void>): Promise<void> {
  const all: Promise<void>[] = [];
  let taken = 0;
  let wake: () => void = () => undefined;
  for (const item of items) {
    while (taken >= places) await new Promise<void>((resolve) => { wake = resolve; });
    taken += 1;
    let isHeld = true;
    const leave = (): void => {
      if (!isHeld) return;
      isHeld = false;
      taken -= 1;
      wake();
    };
    const timer = setTimeout(leave, patienceMs);
    all.push(work(item).finally(() => {
      clearTimeout(timer);
      leave();
    }));
  }
  await Promise.all(all);
}
