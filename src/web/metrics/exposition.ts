// Prometheus' text format (https://prometheus.io/docs/instrumenting/exposition_formats/): families of samples as pieces of
// text. A family's samples stand together, so each is written from all of its rows before the next one begins.

export type Labels = Readonly<Record<string, string>>;
export type MetricType = 'gauge' | 'counter' | 'histogram';
/** Labels as text (see labelsOf), and a value; null: not known, so nothing is said. */
export type Sample = readonly [labels: string, value: number | null];

export interface Family {
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  readonly samples: Iterable<Sample>;
}

export function gauge(name: string, help: string, samples: Iterable<Sample>): Family {
  return { name, type: 'gauge', help, samples };
}

export function counter(name: string, help: string, samples: Iterable<Sample>): Family {
  return { name, type: 'counter', help, samples };
}

/**
 * One sample of each row, made when it is written and as often as it is: tens of thousands made at once would hold up other
 * requests.
 */
export function each<T>(rows: readonly T[], sampleOf: (row: T) => Sample): Iterable<Sample> {
  return {
    *[Symbol.iterator]() {
      for (const row of rows) yield sampleOf(row);
    },
  };
}

/** `{host="kvm1"}`; empty without labels. */
export function labelsOf(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escaped(value: string): string {
  return /["\\\n]/.test(value) ? value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n') : value;
}

/** Lines of one piece. Larger: other requests wait while one is made; smaller: more of them. */
const pieceLines = 1000;

/** The families as text, piece by piece. A histogram says what its samples are (`_bucket`, `_sum`) before their labels. */
export function* expose(families: Iterable<Family>): Generator<string> {
  for (const { name, type, help, samples } of families) {
    let lines = [`# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`];
    for (const [labels, value] of samples) {
      if (value === null || Number.isNaN(value)) continue;
      lines.push(`${name}${labels} ${value}\n`);
      if (lines.length < pieceLines) continue;
      yield lines.join('');
      lines = [];
    }
    yield lines.join('');
  }
}
