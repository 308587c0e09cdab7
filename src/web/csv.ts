// Tables as files for table programs (RFC 4180).

/** Tells table programs that the file is UTF-8. */
export const csvMark = '\uFEFF';

/** A text that begins like a formula is one for a table program: a quote before it keeps it text. */
export function csvField(value: string | number | null): string {
  if (value === null) return '';
  const text = typeof value === 'string' && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function csvLine(values: readonly (string | number | null)[]): string {
  return `${values.map(csvField).join(',')}\r\n`;
}

/** A file's name of plain letters: quotes, slashes and other scripts mean different things to different systems. */
export function fileName(...parts: readonly string[]): string {
  return parts.map((part) => part.replace(/[^\w.-]+/g, '-').replace(/^[.-]+|-+$/g, '').slice(0, 80)).filter((part) => part !== '').join('_');
}
