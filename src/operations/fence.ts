// A host's fence agent as it is set: opened for use, described for the form, tried out.
import { AppError, say } from '../errors.ts';
import type { FenceTarget } from '../fencing/fencing.ts';
import type { Host } from '../model/host.ts';
import { selectOptionalFence } from '../store/fences.ts';
import type { OperationDeps } from './deps.ts';

type FenceDeps = Pick<OperationDeps, 'db' | 'fencing'>;

/** undefined: it has none. Throws conflict when its password cannot be read any more. */
export async function loadFenceTarget({ db, fencing }: FenceDeps, hostId: string): Promise<FenceTarget | undefined> {
  const fence = await selectOptionalFence(db, hostId);
  if (fence === undefined) return undefined;
  return { agent: fence.agent, parameters: fence.parameters, secrets: fence.sealed === null ? {} : fencing.open(hostId, fence.sealed) };
}

/** Asks the agent for the host's power, and changes nothing. Throws the agent's failure. */
export async function testFence(deps: FenceDeps, host: Pick<Host, 'id' | 'name'>): Promise<'on' | 'off'> {
  const target = await loadFenceTarget(deps, host.id);
  if (target === undefined) throw new AppError('conflict', say('fencing.none', { host: host.name }));
  return deps.fencing.status(target);
}
