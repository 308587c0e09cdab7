// A connection through which a storage pool can be looked at: any host that has the pool will do.
import { AppError, say } from '../errors.ts';
import { AbortError, HostUnavailableError, toAppError } from '../libvirt/errors.ts';
import type { Hypervisor } from '../libvirt/hypervisor.ts';
import { parseUri } from '../libvirt/uri.ts';
import type { Host, StoragePool } from '../model/host.ts';
import { selectHostPools, selectHosts } from '../store/hosts.ts';
import type { OperationDeps } from './deps.ts';
import { HostFencedError } from './failure.ts';
import type { StepRun } from './step.ts';

export interface PoolAccess {
  readonly host: Host;
  readonly hypervisor: Hypervisor;
  /** the host is this machine: the pool's files can perhaps be opened here too */
  readonly isLocal: boolean;
}

/** Runs `work` on a host that has the pool, one that is up and of this machine first. Throws AppError host-unavailable. */
export async function withPool<T>(deps: Pick<OperationDeps, 'db' | 'hosts'>, pool: StoragePool, work: (access: PoolAccess) => Promise<T>): Promise<T> {
  const [hosts, hostPools] = await Promise.all([selectHosts(deps.db), selectHostPools(deps.db)]);
  const candidates = hosts
    .filter((host) => host.state !== 'fenced' && hostPools.get(host.id)?.has(pool.id) === true && deps.hosts.has(host.id))
    .map((host) => ({ host, isLocal: isLocalUri(host.uri), rank: (host.state === 'up' ? 2 : 0) + (isLocalUri(host.uri) ? 1 : 0) }))
    .sort((a, b) => b.rank - a.rank);
  const best = candidates[0];
  if (best === undefined) throw new AppError('host-unavailable', say('images.no-host', { pool: pool.name }));
  try {
    return await work({ host: best.host, hypervisor: deps.hosts.host(best.host.id), isLocal: best.isLocal });
  } catch (error) {
    // the deadline of the whole, which `work` gave to its calls
    if (error instanceof AbortError) throw new AppError('host-unavailable', say('images.host-slow', { host: best.host.name }), { cause: error });
    throw toAppError(error, best.host.name);
  }
}

/**
 * For removing what an operation's host made in a pool: that host, or another one with the same files when it is fenced.
 * undefined: nobody else has them, they are gone with the host. Throws HostUnavailableError while those that have them are away.
 */
export async function hypervisorForPool(run: StepRun, poolId: string): Promise<Hypervisor | undefined> {
  try {
    return (await run.host()).hypervisor;
  } catch (error) {
    if (!(error instanceof HostFencedError)) throw error;
  }
  const { db, hosts: fleet } = run.deps;
  const [hosts, hostPools] = await Promise.all([selectHosts(db), selectHostPools(db)]);
  const others = hosts.filter((host) => host.state !== 'fenced' && hostPools.get(host.id)?.has(poolId) === true);
  if (others.length === 0) return undefined;
  const reached = others.find((host) => fleet.has(host.id) && fleet.host(host.id).status.state === 'up');
  if (reached === undefined) throw new HostUnavailableError('no other host that has the pool answers');
  return fleet.host(reached.id);
}

function isLocalUri(uri: string): boolean {
  try {
    return parseUri(uri).transport === 'unix';
  } catch {
    return false;
  }
}
