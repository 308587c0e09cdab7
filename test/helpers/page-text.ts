// Looking for words in a page, with a failure that shows the page's words instead of its markup.
import assert from 'node:assert/strict';

export function visibleText(html: string): string {
  const main = html.slice(Math.max(0, html.indexOf('<main')));
  return main.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ').slice(0, 3000);
}

export function assertShows(html: string, pattern: RegExp): void {
  assert.ok(pattern.test(html), `${pattern} is not in: ${visibleText(html)}`);
}

export function assertHides(html: string, pattern: RegExp): void {
  assert.ok(!pattern.test(html), `${pattern} is in: ${visibleText(html)}`);
}

/** A status, with the page's words where it is another one. */
export function assertStatus(answer: { readonly status: number; readonly text: string }, status: number): void {
  assert.equal(answer.status, status, visibleText(answer.text));
}
