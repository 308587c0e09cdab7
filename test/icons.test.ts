// Every icon that a view names is one of the package's: a missing one is an empty square that nobody notices.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

it('every icon named by a view exists', () => {
  const missing: string[] = [];
  for (const entry of readdirSync(`${root}views`, { recursive: true, withFileTypes: true })) {
    if (!entry.name.endsWith('.ejs')) continue;
    const text = readFileSync(`${entry.parentPath}/${entry.name}`, 'utf8');
    for (const match of text.matchAll(/\bicon:\s*'([a-z0-9-]+)'|partials\/icon', \{ name: '([a-z0-9-]+)'/g)) {
      const name = match[1] ?? match[2] ?? '';
      if (!existsSync(`${root}node_modules/@tabler/icons/icons/outline/${name}.svg`)) missing.push(`${entry.name}: ${name}`);
    }
  }
  assert.deepEqual(missing, []);
});
