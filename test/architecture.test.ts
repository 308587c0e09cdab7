// Who may import whom, and which packages each folder owns. The table is the house's plan; see docs/architecture.md.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import path from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const source = fileURLToPath(new URL('../src', import.meta.url));
const everyone = ['errors.ts', 'log.ts', 'clock.ts', 'config.ts'];
const folders: Record<string, { imports: string[]; packages: string[] }> = {
  model: { imports: [], packages: [] },
  store: { imports: ['model'], packages: ['mysql2', 'zod'] },
  libvirt: { imports: ['model'], packages: ['xmlbuilder2', 'fast-xml-parser'] },
  fencing: { imports: ['model'], packages: ['fast-xml-parser'] },
  operations: { imports: ['model', 'store', 'libvirt', 'fencing'], packages: ['zod'] },
  // what people read in mails stands where the pages' words stand
  notify: { imports: ['model', 'store', 'operations', 'fencing', 'mail.ts', 'web/locales', 'web/paths.ts'], packages: [] },
  jobs: { imports: ['model', 'store', 'libvirt', 'operations', 'notify'], packages: ['node-cron', 'systeminformation'] },
  console: { imports: ['model', 'store'], packages: ['ws'] },
  web: {
    imports: ['model', 'store', 'operations', 'console', 'notify', 'mail.ts', 'password.ts'],
    packages: ['express', 'express-session', 'ejs', 'csrf-sync', 'helmet', 'i18next', 'zod', 'bcrypt', 'compression'],
  },
};
// XML, the wire and child processes are libvirt's; the model does no I/O at all
const builtinsOnlyFor: Record<string, string[]> = { 'node:net': ['libvirt', 'console', 'web', 'store'], 'node:tls': ['libvirt'], 'node:child_process': ['libvirt', 'fencing', 'operations'] };
const wires = new Set(['main.ts', 'app.ts', 'admin.ts']);

interface Import { readonly from: string; readonly to: string; readonly specifier: string; readonly typeOnly: boolean }

const files = readdirSync(source, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.test.ts'))
  .map((entry) => path.relative(source, `${entry.parentPath}/${entry.name}`));

const imports: Import[] = files.flatMap((file) =>
  [...readFileSync(`${source}/${file}`, 'utf8').matchAll(/^\s*(?:import|export)\s+(type\s)?[^'"`;]*?from\s+'([^']+)'|^\s*import\s+'([^']+)'|import\('([^']+)'\)/gm)].map((match) => {
    const specifier = match[2] ?? match[3] ?? match[4] ?? '';
    const to = specifier.startsWith('.') ? path.relative(source, path.resolve(source, path.dirname(file), specifier)) : specifier;
    return { from: file, to, specifier, typeOnly: match[1] !== undefined };
  }),
);
const folderOf = (file: string): string => file.split('/')[0] ?? file;

describe('the house', () => {
  it('has only the folders of the plan', () => {
    const found = new Set(files.filter((file) => file.includes('/')).map(folderOf));
    assert.deepEqual([...found].filter((folder) => !(folder in folders)), []);
    assert.deepEqual(files.filter((file) => /(?:^|\/)(?:utils?|helpers?|common|services?|managers?)(?:\/|\.ts$)/.test(file) && file !== 'web/locales/common.ts'), []);
  });

  it('imports only as the plan allows', () => {
    const wrong = imports.filter(({ from, to, specifier, typeOnly }) => {
      const folder = folderOf(from);
      const rule = folders[folder];
      if (rule === undefined || !specifier.startsWith('.')) return false;
      const target = folderOf(to);
      if (target === folder || everyone.includes(to) || rule.imports.some((each) => each === to || to.startsWith(`${each}/`))) return false;
      // the hypervisor's interface is types only: operations' dependencies name it, web passes them on unseen
      return !(typeOnly && to === 'libvirt/hypervisor.ts' && folder !== 'web' && folder !== 'model');
    });
    assert.deepEqual(wrong.map(({ from, to }) => `${from} → ${to}`), []);
  });

  it('gives every package one owner', () => {
    const builtins = new Set(builtinModules.flatMap((name) => [name, `node:${name}`]));
    const wrong = imports.filter(({ from, specifier }) => {
      const folder = folderOf(from);
      if (specifier.startsWith('.') || folders[folder] === undefined) return false;
      if (builtins.has(specifier)) return folder === 'model' ? true : builtinsOnlyFor[specifier]?.includes(folder) === false;
      const name = specifier.startsWith('@') ? specifier.split('/').slice(0, 2).join('/') : (specifier.split('/')[0] ?? '');
      return !folders[folder].packages.includes(name);
    });
    assert.deepEqual(wrong.map(({ from, specifier }) => `${from} → ${specifier}`), []);
  });

  it('has no cycles', () => {
    const next = new Map<string, string[]>();
    for (const { from, to, specifier, typeOnly } of imports) {
      if (specifier.startsWith('.') && !typeOnly) next.set(from, [...(next.get(from) ?? []), to]);
    }
    const state = new Map<string, 'open' | 'done'>();
    const cycles: string[] = [];
    const visit = (file: string, trail: readonly string[]): void => {
      if (state.get(file) === 'done') return;
      if (state.get(file) === 'open') {
        cycles.push([...trail.slice(trail.indexOf(file)), file].join(' → '));
        return;
      }
      state.set(file, 'open');
      for (const to of next.get(file) ?? []) visit(to, [...trail, file]);
      state.set(file, 'done');
    };
    for (const file of files) visit(file, []);
    assert.deepEqual(cycles, []);
  });

  it('is wired only by main, app and admin, which nobody imports', () => {
    assert.deepEqual(imports.filter(({ to }) => wires.has(to) && to !== 'app.ts').map(({ from, to }) => `${from} → ${to}`), []);
    assert.deepEqual(imports.filter(({ from, to }) => to === 'app.ts' && from !== 'main.ts').map(({ from }) => from), []);
  });

  it('reads the environment in one place, and has no default exports', () => {
    const texts = files.map((file) => [file, readFileSync(`${source}/${file}`, 'utf8')] as const);
    assert.deepEqual(texts.filter(([file, text]) => file !== 'config.ts' && /process\.env\b/.test(text)).map(([file]) => file), []);
    assert.deepEqual(texts.filter(([, text]) => /^export default/m.test(text)).map(([file]) => file), []);
    assert.deepEqual(texts.filter(([, text]) => /^export \* from/m.test(text)).map(([file]) => file), []);
  });

  it('keeps SQL in the store, without templates of values and without ENGINE', () => {
    const wrong = files
      .filter((file) => folderOf(file) !== 'store' && file !== 'admin.ts')
      .filter((file) => /['"`]\s*(?:SELECT\s.+\sFROM|INSERT INTO|UPDATE\s+\w+\s+SET|DELETE FROM)\s/.test(readFileSync(`${source}/${file}`, 'utf8')));
    assert.deepEqual(wrong, []);
  });
});
