// Values that do not fit a column as they are: sentences and JSON. Each row stays within NDB's 30,000 bytes, so what
// is too long is cut here and never by the database.
import type { Sentence } from '../errors.ts';

/** A sentence as JSON of at most `maxLength` characters; its longest parameters are cut to fit. */
export function sentenceToColumn(sentence: Sentence | null, maxLength: number): string | null {
  if (sentence === null) return null;
  for (let keep = maxLength; keep > 8; keep = Math.floor(keep / 2)) {
    const text = JSON.stringify(cutParams(sentence, keep));
    if (text.length <= maxLength) return text;
  }
  return JSON.stringify({ key: sentence.key });
}

function cutParams(sentence: Sentence, keep: number): Sentence {
  if (sentence.params === undefined) return sentence;
  const cut = Object.entries(sentence.params).map(([name, value]) => {
    return [name, typeof value === 'string' && value.length > keep ? `${value.slice(0, keep - 1)}…` : value] as const;
  });
  return { key: sentence.key, params: Object.fromEntries(cut) };
}

export function columnToSentence(column: string | null): Sentence | null {
  return column === null ? null : (JSON.parse(column) as Sentence);
}

/** JSON for a VARBINARY column. */
export function jsonToColumn(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value), 'utf8');
}

/** The type is the caller's word: only what jsonToColumn wrote stands there. */
export function columnToJson<T>(column: Buffer): T {
  return JSON.parse(column.toString('utf8')) as T;
}

/** Can stand in a column of ascii. Anything else is in none of them, and comparing it with one is an error of the server. */
export function isAscii(text: string): boolean {
  return /^[\u0000-\u007f]*$/.test(text);
}

/** A LIKE pattern for "contains", with the pattern's own signs taken literally. */
export function containing(text: string): string {
  return `%${text.replace(/[\\%_]/g, '\\$&')}%`;
}
