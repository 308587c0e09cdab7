// Numbers, sizes and times as a reader of one language expects them.
import type { Language } from '../model/user.ts';
import type { Translate } from './locales/index.ts';

export interface Format {
  number(value: number, digits?: number): string;
  percent(value: number | null): string;
  /** KiB, MiB, GiB, TiB: powers of two */
  bytes(value: number | null): string;
  bytesPerSecond(value: number | null): string;
  mib(value: number | null): string;
  gib(value: number | null): string;
  money(amount: number, currency: string): string;
  /** UTC, to the second; a script shows the reader's own time zone */
  dateTime(at: number | null): string;
  iso(at: number): string;
  duration(elapsedMs: number): string;
  age(at: number, now: number): string;
}

const dash = '–';

// making a NumberFormat takes as long as formatting a hundred numbers with it
const numberFormats = new Map<string, Intl.NumberFormat>();

function numberFormat(language: Language, minimum: number, maximum: number): Intl.NumberFormat {
  const key = `${language} ${minimum} ${maximum}`;
  const known = numberFormats.get(key);
  if (known !== undefined) return known;
  const made = new Intl.NumberFormat(language, { minimumFractionDigits: minimum, maximumFractionDigits: maximum });
  numberFormats.set(key, made);
  return made;
}

export function formatFor(language: Language, t: Translate): Format {
  const number = (value: number, digits = 0): string => numberFormat(language, 0, digits).format(value);
  const bytes = (value: number | null): string => {
    if (value === null) return dash;
    const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
    let scaled = value;
    let unit = 0;
    while (Math.abs(scaled) >= 1024 && unit < units.length - 1) {
      scaled /= 1024;
      unit++;
    }
    return `${number(scaled, scaled < 10 && unit > 0 ? 1 : 0)} ${units[unit]}`;
  };
  const duration = (elapsedMs: number): string => {
    const seconds = Math.max(0, Math.round(elapsedMs / 1000));
    if (seconds < 120) return t('unit.seconds', { n: seconds });
    if (seconds < 7200) return t('unit.minutes', { n: Math.round(seconds / 60) });
    if (seconds < 172_800) return t('unit.hours', { n: Math.round(seconds / 3600) });
    return t('unit.days', { n: Math.round(seconds / 86_400) });
  };
  return {
    number,
    bytes,
    duration,
    percent: (value) => (value === null ? dash : `${number(value, value < 10 ? 1 : 0)} %`),
    bytesPerSecond: (value) => (value === null ? dash : `${bytes(value)}/s`),
    mib: (value) => (value === null ? dash : bytes(value * 1024 ** 2)),
    gib: (value) => (value === null ? dash : bytes(value * 1024 ** 3)),
    money: (amount, currency) => `${currency}${numberFormat(language, Number.isInteger(amount) ? 0 : 2, 2).format(amount)}`,
    dateTime: (at) => (at === null ? dash : `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`),
    iso: (at) => new Date(at).toISOString(),
    age: (at, now) => duration(now - at),
  };
}
