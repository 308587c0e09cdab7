// Copies what browsers load from npm packages into public/vendor, and makes one SVG sprite of the icons that pages use, so
// that no page asks another site for anything.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const files = {
  'tabler/tabler.min.css': '@tabler/core/dist/css/tabler.min.css',
  'tabler/tabler.min.js': '@tabler/core/dist/js/tabler.min.js',
  'novnc/core': '@novnc/novnc/core',
  'novnc/vendor': '@novnc/novnc/vendor',
};

rmSync(`${root}/public/vendor`, { recursive: true, force: true });
for (const [target, source] of Object.entries(files)) {
  const to = `${root}/public/vendor/${target}`;
  mkdirSync(dirname(to), { recursive: true });
  cpSync(`${root}/node_modules/${source}`, to, { recursive: true });
}
writeFileSync(`${root}/public/vendor/icons.svg`, sprite(iconNames()));

/** Every quoted word of views, pages' scripts and handlers that is also an icon's name: a few too many rather than one missing. */
function iconNames() {
  const names = new Set();
  for (const folder of ['views', 'src/web', 'src/model', 'public/js']) {
    for (const entry of readdirSync(`${root}/${folder}`, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const text = readFileSync(`${entry.parentPath ?? entry.path}/${entry.name}`, 'utf8');
      for (const match of text.matchAll(/['"#]([a-z][a-z0-9-]{1,40})['"]/g)) names.add(match[1]);
    }
  }
  return [...names].sort((a, b) => a.localeCompare(b, 'en'));
}

function sprite(names) {
  const symbols = names
    .map((name) => [name, `${root}/node_modules/@tabler/icons/icons/outline/${name}.svg`])
    .filter(([, path]) => existsSync(path))
    .map(([name, path]) => {
      const [, inner] = readFileSync(path, 'utf8').match(/<svg[^>]*>([\s\S]*)<\/svg>/);
      return `<symbol id="${name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round">${inner.trim()}</symbol>`;
    });
  return `<svg xmlns="http://www.w3.org/2000/svg">\n${symbols.join('\n')}\n</svg>\n`;
}
