// Starts a portal that is made to be killed (doomed-portal.ts); it begins when it is sent its doom.
import { fork, type ChildProcess } from 'node:child_process';
import { ownModule } from '../helpers/own-module.ts';

export type { Doom, KillPoint } from './doomed-portal.ts';

export function forkDoomedPortal(): ChildProcess {
  const { path, execArgv } = ownModule('doomed-portal', import.meta.url);
  return fork(path, { execArgv, stdio: 'inherit' });
}
