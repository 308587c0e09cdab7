// Rates that are measured between two looks at a host. The moment inside a look at which a figure is read is not known: a look that
// takes long, on a machine that is busy, makes the time between two figures as uncertain as it is long.
import assert from 'node:assert/strict';

interface Span { readonly begin: number; end: number }

export interface Looks {
  look(work: () => Promise<void>): Promise<void>;
  /** within a quarter of what is expected, or what the last two looks leave open */
  near(value: number | null | undefined, expected: number): void;
}

export function createLooks(): Looks {
  const spans: Span[] = [];
  return {
    async look(work) {
      const span = { begin: performance.now(), end: NaN };
      spans.push(span);
      await work();
      span.end = performance.now();
    },
    near(value, expected) {
      const [one, two] = spans.slice(-2);
      assert.ok(one !== undefined && two !== undefined, 'two looks make a rate');
      const open = (two.end - one.begin) / (two.begin - one.end);
      const slack = Math.max(expected / 4, expected * (open - 1));
      assert.ok(value != null && Math.abs(value - expected) <= slack, `${value} is not near ${expected} (± ${slack})`);
    },
  };
}
