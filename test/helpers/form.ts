// What a browser without JavaScript would send for a form of a page: hidden fields, texts, chosen radios and options.

const entities: Readonly<Record<string, string>> = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&#34;': '"', '&#39;': "'", '&quot;': '"' };
export const unescapeHtml = (text: string): string => text.replace(/&(?:amp|lt|gt|#34|#39|quot);/g, (entity) => entities[entity] ?? entity);

function attribute(tag: string, name: string): string | undefined {
  const value = new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1];
  return value === undefined ? undefined : unescapeHtml(value);
}

/** The fields of the form whose opening tag matches `opening`; without the CSRF token, which the client adds. */
export function formFields(html: string, opening: RegExp): Record<string, string> {
  const start = html.search(opening);
  if (start < 0) throw new Error(`no form matches ${opening}`);
  const form = html.slice(start, html.indexOf('</form>', start));
  const fields: Record<string, string> = {};
  for (const [tag] of form.matchAll(/<input\s[^>]*>/g)) {
    const name = attribute(tag, 'name');
    const type = attribute(tag, 'type') ?? 'text';
    if (name === undefined || ((type === 'radio' || type === 'checkbox') && !/\schecked[\s>]/.test(tag))) continue;
    fields[name] = attribute(tag, 'value') ?? '';
  }
  for (const [, tag = '', contents = ''] of form.matchAll(/<textarea(\s[^>]*)>([^<]*)<\/textarea>/g)) {
    const name = attribute(tag, 'name');
    // parsers drop a line break right after the tag
    if (name !== undefined) fields[name] = unescapeHtml(contents.replace(/^\r?\n/, ''));
  }
  for (const [, tag = '', options = ''] of form.matchAll(/<select(\s[^>]*)>([\s\S]*?)<\/select>/g)) {
    const name = attribute(tag, 'name');
    const chosen = /<option value="([^"]*)"\s+selected/.exec(options)?.[1] ?? /<option value="([^"]*)"/.exec(options)?.[1];
    if (name !== undefined) fields[name] = unescapeHtml(chosen ?? '');
  }
  delete fields['_csrf'];
  return fields;
}
