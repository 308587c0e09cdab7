// A module of ours as a process of its own: compiled where the tests themselves are (scripts/test compiles them), else through tsx.
import { fileURLToPath } from 'node:url';

export interface OwnModule { readonly path: string; readonly execArgv: string[] }

/** `name` without its extension, relative to the module whose import.meta.url is `importer`. */
export function ownModule(name: string, importer: string): OwnModule {
  return moduleAt(fileURLToPath(new URL(`${name}${importer.endsWith('.ts') ? '.ts' : '.js'}`, importer)));
}

export function moduleAt(path: string): OwnModule {
  return { path, execArgv: path.endsWith('.ts') ? ['--import', 'tsx'] : [] };
}
