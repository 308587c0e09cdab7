// Measured values in words, and the marks of a chart's scales.
import type { MetricUnit } from '../../model/metric.ts';
import type { Language } from '../../model/user.ts';
import type { Format } from '../format.ts';

export function valueText(value: number | null, unit: MetricUnit, fmt: Format): string {
  if (value === null) return '–';
  switch (unit) {
    case 'percent': return fmt.percent(value);
    case 'share': return fmt.percent(100 * value);
    case 'mib': return fmt.mib(value);
    case 'bytes-per-second': return fmt.bytesPerSecond(value);
    case 'per-second': return `${fmt.number(value, value < 1 ? 2 : value < 10 ? 1 : 0)} /s`;
  }
}

/** In the head of a file's column: what its plain figures count. */
export const unitNames: Readonly<Record<MetricUnit, string>> = { percent: 'percent', share: 'share', mib: 'mib', 'bytes-per-second': 'bytes_per_second', 'per-second': 'per_second' };

/** Plain, and no longer than it was measured: some three figures that count. */
export function plainNumber(value: number): number {
  return Number(value.toPrecision(4));
}

const hour = 3_600_000;
const day = 24 * hour;
const formats = new Map<string, Intl.DateTimeFormat>();

function timeFormat(language: Language, kind: 'second' | 'minute' | 'date' | 'month'): Intl.DateTimeFormat {
  const key = `${language} ${kind}`;
  const known = formats.get(key);
  if (known !== undefined) return known;
  const toMinute = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const;
  const options: Intl.DateTimeFormatOptions = { second: { ...toMinute, second: '2-digit' } as const, minute: toMinute, date: { month: 'short', day: 'numeric' } as const, month: { year: 'numeric', month: 'short' } as const }[kind];
  const made = new Intl.DateTimeFormat(language, { ...options, timeZone: 'UTC' });
  formats.set(key, made);
  return made;
}

/** Below a mark of the time scale (UTC): the time, at midnight the date. charts.js writes the same in the reader's time zone. */
export function timeMark(at: number, stepMs: number, language: Language): string {
  if (stepMs > 28 * day) return timeFormat(language, 'month').format(at);
  return timeFormat(language, at % day === 0 ? 'date' : stepMs < 60_000 ? 'second' : 'minute').format(at);
}
