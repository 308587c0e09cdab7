// Every string in one catalogue, in both languages, and every key that the sources and views use is in it.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { say } from '../src/errors.ts';
import { catalogue, sentenceText, translator } from '../src/web/locales/index.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

function filesBelow(directory: string, ends: string): string[] {
  return readdirSync(`${root}${directory}`, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ends) && !entry.name.endsWith('.test.ts'))
    .map((entry) => `${entry.parentPath}/${entry.name}`);
}

const placeholders = (text: string): string[] => [...text.matchAll(/{{(\w+)}}/g)].map((match) => match[1] ?? '').sort();

describe('the catalogue', () => {
  for (const [key, [english, chinese]] of Object.entries(catalogue)) {
    if (english.trim() === '' || chinese.trim() === '') it(`${key} is filled in both languages`, () => assert.fail(`${key}: "${english}" / "${chinese}"`));
    const same = JSON.stringify([...new Set(placeholders(english))]) === JSON.stringify([...new Set(placeholders(chinese))]);
    if (!same) it(`${key} has the same parameters in both languages`, () => assert.deepEqual(placeholders(chinese), placeholders(english)));
  }

  it('has text in both languages with the same parameters for every key', () => {
    assert.ok(Object.keys(catalogue).length > 300, `${Object.keys(catalogue).length} keys`);
    const latinOnly = Object.entries(catalogue).filter(([, [english, chinese]]) => /[a-z]{4}/i.test(english.replace(/{{\w+}}/g, '')) && english === chinese).map(([key]) => key);
    // names and technical words are the same in both; sentences are not
    assert.deepEqual(latinOnly.filter((key) => (catalogue[key]?.[0] ?? '').includes(' ') && !/^[\w@.:/{}<>\- ]{0,40}$/.test(catalogue[key]?.[0] ?? '')), []);
  });

  it('keeps what people typed as they typed it', () => {
    const words = '$5 saved, $t(nav.home) {{why}} $nav';
    assert.equal(sentenceText(translator('en'), say('moves.why.words', { words })), words);
  });

  it('knows every key that sources, views and scripts name', () => {
    const missing: string[] = [];
    for (const file of [...filesBelow('src', '.ts'), ...filesBelow('views', '.ejs')]) {
      const text = readFileSync(file, 'utf8');
      for (const match of text.matchAll(/\b(?:say|t)\(\s*'([^'\n]+)'\s*([,)+])/g)) {
        const [, key = '', follow] = match;
        if (follow !== '+' && !(key in catalogue)) missing.push(`${file.slice(root.length)}: ${key}`);
        // 'prefix.' + variable: some key must begin so
        if (follow === '+' && !Object.keys(catalogue).some((each) => each.startsWith(key))) missing.push(`${file.slice(root.length)}: ${key}…`);
      }
      for (const match of text.matchAll(/\b(?:say|t)\(\s*`([^`$\n]*)\$\{/g)) {
        if (!Object.keys(catalogue).some((each) => each.startsWith(match[1] ?? ''))) missing.push(`${file.slice(root.length)}: ${match[1]}…`);
      }
      for (const match of text.matchAll(/'\$([a-z][a-z-]*\.[\w.-]+)'/g)) {
        if (!((match[1] ?? '') in catalogue)) missing.push(`${file.slice(root.length)}: $${match[1]}`);
      }
    }
    assert.deepEqual(missing, []);
  });
});
