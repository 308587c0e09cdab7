// Views escape: `<%-` stands only before include(…) and the layout's body; nothing inline that the CSP would refuse.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import ejs from 'ejs';

const directory = fileURLToPath(new URL('../views', import.meta.url));
const files = readdirSync(directory, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.name.endsWith('.ejs'))
  .map((entry) => `${entry.parentPath}/${entry.name}`);

describe('views', () => {
  for (const file of files) {
    const name = file.slice(directory.length + 1);
    const text = readFileSync(file, 'utf8');

    it(`${name}: compiles`, () => {
      assert.equal(typeof ejs.compile(text, { filename: file, root: directory, views: [directory] }), 'function');
    });
    it(`${name}: unescaped output only for include(…)`, () => {
      const raw = [...text.matchAll(/<%-\s*([^%]*?)\s*%>/g)].map((match) => match[1] ?? '');
      const other = raw.filter((code) => !code.startsWith('include(') && !(name === 'layout.ejs' && code === 'body'));
      assert.deepEqual(other, []);
    });
    it(`${name}: no inline script, style or handler`, () => {
      const html = text.replace(/<%[\s\S]*?%>/g, '');
      assert.doesNotMatch(html, /<script(?![^>]*\bsrc=)/i);
      assert.doesNotMatch(html, /<style/i);
      assert.doesNotMatch(html, /\sstyle=/i);
      assert.doesNotMatch(html, /\son[a-z]+=/i);
    });
    it(`${name}: every posted form carries the CSRF token`, () => {
      for (const form of text.match(/<form\b[\s\S]*?<\/form>/gi) ?? []) {
        if (/method="post"/i.test(form)) assert.match(form, /partials\/csrf/, form.slice(0, 200));
      }
    });
  }
});
