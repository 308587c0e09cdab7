// A host's fence agent as it is set: opened for use, described for the form, changed, tried out.
import { AppError, say, type Sentence } from '../errors.ts';
import type { FenceTarget } from '../fencing/fencing.ts';
import type { AgentDescription, AgentParameter } from '../fencing/metadata.ts';
import type { Host } from '../model/host.ts';
import { jsonToColumn } from '../store/columns.ts';
import { fenceLimits, selectOptionalFence, updateFence } from '../store/fences.ts';
import type { OperationDeps } from './deps.ts';

export { isFenceSecret, isFenceValue } from '../fencing/fencing.ts';
export type FenceParameter = AgentParameter;

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

export interface FenceAgents {
  /** what is installed here */
  readonly agents: readonly string[];
  readonly description?: AgentDescription;
  /** why there is no description of it */
  readonly problem?: Sentence;
}

/** What may be chosen, and the parameters of one of them. */
export async function describeFenceAgents({ fencing }: Pick<OperationDeps, 'fencing'>, agent: string | undefined): Promise<FenceAgents> {
  const agents = await fencing.listAgents();
  if (agent === undefined || agent === '') return { agents };
  try {
    return { agents, description: await fencing.describeAgent(agent) };
  } catch (error) {
    if (error instanceof AppError) return { agents, problem: error.sentence };
    throw error;
  }
}

/** Which secrets are stored for this agent of the host; `problem`: they cannot be read any more. */
export async function fenceSecretNames({ db, fencing }: FenceDeps, hostId: string, agent: string): Promise<{ readonly names: ReadonlySet<string>; readonly problem?: Sentence }> {
  const fence = await selectOptionalFence(db, hostId);
  if (fence === undefined || fence.agent !== agent || fence.sealed === null) return { names: new Set() };
  try {
    return { names: new Set(Object.keys(fencing.open(hostId, fence.sealed))) };
  } catch (error) {
    if (error instanceof AppError) return { names: new Set(), problem: error.sentence };
    throw error;
  }
}

export interface FenceChange {
  readonly agent: string;
  readonly parameters: Readonly<Record<string, string>>;
  /** null: the one that is stored stays */
  readonly secrets: Readonly<Record<string, string | null>>;
}

/** Throws invalid when there is more of it than can be stored. */
export async function setFence({ db, fencing }: FenceDeps, host: Pick<Host, 'id'>, { agent, parameters, secrets }: FenceChange): Promise<void> {
  const stored = Object.values(secrets).includes(null) ? (await loadFenceTarget({ db, fencing }, host.id))?.secrets : undefined;
  const all = Object.fromEntries(Object.entries(secrets).map(([name, value]) => [name, value ?? stored?.[name] ?? '']));
  const sealed = Object.keys(all).length === 0 ? null : fencing.seal(host.id, all);
  if (jsonToColumn(parameters).length > fenceLimits.parameters || (sealed?.length ?? 0) > fenceLimits.sealed) throw new AppError('invalid', say('fencing.too-long'));
  await updateFence(db, host.id, { agent, parameters, sealed });
}
