// Copies what browsers load from npm packages into public/vendor, so that no page asks another site for anything.
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const files = {
  'tabler/tabler.min.css': '@tabler/core/dist/css/tabler.min.css',
  'tabler/tabler.min.js': '@tabler/core/dist/js/tabler.min.js',
  'uplot/uPlot.min.css': 'uplot/dist/uPlot.min.css',
  'uplot/uPlot.esm.js': 'uplot/dist/uPlot.esm.js',
  'novnc/core': '@novnc/novnc/core',
  'novnc/vendor': '@novnc/novnc/vendor',
};

rmSync(`${root}/public/vendor`, { recursive: true, force: true });
for (const [target, source] of Object.entries(files)) {
  const to = `${root}/public/vendor/${target}`;
  mkdirSync(dirname(to), { recursive: true });
  cpSync(`${root}/node_modules/${source}`, to, { recursive: true });
}
