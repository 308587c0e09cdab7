// Where instances could go, before anything is moved: placement plans for all of them together, then the hosts are asked
// what stands against each move. Changes nothing. What is planned is reserved one by one, when the moves are asked for.
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { AppError, say, type Sentence } from '../errors.ts';
import type { Fleet } from '../model/admission.ts';
import { isOpenForNew } from '../model/capacity.ts';
import { planFailover } from '../model/failover.ts';
import type { Host } from '../model/host.ts';
import { instanceCan, instanceRefuses, type Instance } from '../model/instance.ts';
import type { MoveRefusal } from '../model/maintenance.ts';
import { considerHost, newDiskPool, type PlacementRequest } from '../model/placement.ts';
import type { Settings } from '../model/settings.ts';
import { selectPlacedInstances } from '../store/instances.ts';
import { selectSettings } from '../store/settings.ts';
import { loadFleet } from './admission.ts';
import type { OperationDeps } from './deps.ts';
import { checkMove, type MigrationCheck } from './migration-check.ts';

export interface MovePlanning {
  readonly fleet: Fleet;
  readonly settings: Settings;
  /** of the whole cluster: those that stay decide about groups that are kept apart */
  readonly instances: readonly Instance[];
}

export async function loadMovePlanning({ db, clock }: OperationDeps): Promise<MovePlanning> {
  const settings = await selectSettings(db);
  const [fleet, instances] = await Promise.all([loadFleet(db, settings, clock.now()), selectPlacedInstances(db)]);
  return { fleet, settings, instances };
}

export interface PlannedMove {
  readonly instance: Instance;
  /** hosts with room for it, best first */
  readonly candidates: readonly Host[];
  /** why the other hosts are out of the question */
  readonly refusals: readonly MoveRefusal[];
}

/** Plans for all of `chosen` together, in the order in which they should move. `toHostId` null: placement chooses for each. */
export function planMoves(planning: MovePlanning, chosen: readonly Instance[], toHostId: string | null): PlannedMove[] {
  return toHostId === null ? planAnywhere(planning, chosen) : planOnto(planning, chosen, toHostId);
}

/** Each host's instances in turn: a host is no target for its own, but may be one for another's. */
function planAnywhere({ fleet, settings, instances }: MovePlanning, chosen: readonly Instance[]): PlannedMove[] {
  const ids = new Set(chosen.map(({ id }) => id));
  const planned: PlannedMove[] = [];
  let filling = fleet;
  for (const sourceId of new Set(chosen.map(({ hostId }) => hostId))) {
    if (sourceId === null) continue;
    const plan = planFailover({ fleet: filling, settings, instances, deadHostIds: new Set([sourceId]), which: ({ id }) => ids.has(id), mode: 'move' });
    for (const { instance, considered } of plan.restarts) {
      const candidates = considered.flatMap(({ hostId, score }) => (score === null ? [] : fleet.hosts.filter((host) => host.id === hostId)));
      const refusals = considered.filter(({ hostId, score }) => score === null && hostId !== sourceId).map(({ hostName, reasons }) => ({ hostName, reasons }));
      planned.push({ instance, candidates, refusals });
      filling = withMoved(filling, requestOf(filling, instance), candidates[0]?.id);
    }
    for (const { instance, reasons } of plan.unfit) planned.push({ instance, candidates: [], refusals: [{ hostName: null, reasons }] });
  }
  return planned;
}

/** All onto one host that somebody chose, who knows how busy it is. */
function planOnto({ fleet, settings, instances }: MovePlanning, chosen: readonly Instance[], toHostId: string): PlannedMove[] {
  let filling = fleet;
  return chosen.map((instance) => {
    const host = filling.hosts.find(({ id }) => id === toHostId);
    const group = hostsOfGroup(instances, instance);
    const request = { ...requestOf(filling, instance), live: instance.state !== 'stopped', despiteLoad: true, antiAffinityHosts: group };
    const refuse = (reasons: readonly Sentence[]): PlannedMove => ({ instance, candidates: [], refusals: [{ hostName: host?.name ?? null, reasons }] });
    if (host === undefined || !isOpenForNew(host)) return refuse([say('moves.new.target-closed')]);
    if (instance.hostId === toHostId) return refuse([say('moves.new.here-already')]);
    const { score, reasons } = considerHost(host, request, filling, settings);
    if (score === null) return refuse(reasons);
    filling = withMoved(filling, request, toHostId);
    return { instance, candidates: [host], refusals: [] };
  });
}

/** Where the owner has others of its group. */
function hostsOfGroup(instances: readonly Instance[], { id, userId, antiAffinity }: Instance): Set<string> {
  const group = antiAffinity?.toLowerCase();
  return new Set(instances.flatMap((other) => (
    group !== undefined && other.id !== id && other.userId === userId && other.antiAffinity?.toLowerCase() === group && other.hostId !== null ? [other.hostId] : []
  )));
}

function requestOf(fleet: Fleet, { vcpus, memoryMib, diskGib, poolId, hostId }: Instance): PlacementRequest {
  const from = fleet.hosts.find((host) => host.id === hostId);
  const withDisk = fleet.pools.find((pool) => pool.id === poolId)?.shared === false;
  return { vcpus, memoryMib, diskGib, poolId: poolId ?? '', withDisk, ...(from === undefined ? {} : { from }) };
}

/** The fleet as it will be with one more instance on that host. */
function withMoved(fleet: Fleet, request: PlacementRequest, hostId: string | undefined): Fleet {
  if (hostId === undefined) return fleet;
  const diskPool = newDiskPool(hostId, request, fleet);
  return {
    ...fleet,
    hosts: fleet.hosts.map((host) => (host.id === hostId ? { ...host, usedVcpus: host.usedVcpus + request.vcpus, usedMemoryMib: host.usedMemoryMib + request.memoryMib } : host)),
    pools: fleet.pools.map((pool) => (pool.id === diskPool?.id ? { ...pool, usedGib: pool.usedGib + request.diskGib } : pool)),
  };
}

export interface CheckedMove {
  readonly instance: Instance;
  /** null: no host takes it, for these reasons */
  readonly to: Host | null;
  /** of the host it would go to */
  readonly check: MigrationCheck | null;
  readonly refusals: readonly MoveRefusal[];
}

/** Asks the candidates in their order, until nothing stands against one of them. */
export async function checkPlannedMove(deps: OperationDeps, { instance, candidates, refusals }: PlannedMove, timeoutMs: number): Promise<CheckedMove> {
  const against: MoveRefusal[] = [];
  for (const to of candidates) {
    const check = await checkWithin(deps, instance, to, timeoutMs);
    if (check.obstacles.length === 0) return { instance, to, check, refusals: [] };
    against.push({ hostName: to.name, reasons: check.obstacles.map(({ sentence }) => sentence) });
  }
  return { instance, to: null, check: null, refusals: [...against, ...refusals] };
}

export interface PreviewTimes {
  /** for both hosts' answers about one move */
  readonly eachMs: number;
  /** for all of them: a page is waited for by a person */
  readonly allMs: number;
}

/** What would happen if these were moved now. What cannot be told in time is an obstacle by itself. */
export async function previewMoves(
  deps: OperationDeps, instances: readonly Instance[], toHostId: string | null, times: PreviewTimes, planning?: MovePlanning,
): Promise<CheckedMove[]> {
  const idle = instances.filter((instance) => instanceCan('migrate', instance));
  const results = instances.filter((instance) => !idle.includes(instance)).map((instance) => refused(instance, instanceRefuses('migrate', instance) ?? say('instances.refused.busy')));
  const until = performance.now() + times.allMs;
  for (const plan of planMoves(planning ?? (await loadMovePlanning(deps)), idle, toHostId)) {
    const leftMs = Math.min(times.eachMs, until - performance.now());
    results.push(leftMs > 0 ? await checkPlannedMove(deps, plan, leftMs) : refused(plan.instance, say('moves.new.no-answer')));
  }
  return results.sort((a, b) => Number(a.to !== null) - Number(b.to !== null) || (a.instance.name < b.instance.name ? -1 : 1));
}

function refused(instance: Instance, reason: Sentence): CheckedMove {
  return { instance, to: null, check: null, refusals: [{ hostName: null, reasons: [reason] }] };
}

/** A host that hangs is an obstacle like any other. */
async function checkWithin(deps: OperationDeps, instance: Instance, to: Host, timeoutMs: number): Promise<MigrationCheck> {
  const late: MigrationCheck = { obstacles: [{ kind: 'unreachable', sentence: say('moves.new.no-answer') }], withDisk: false, live: false };
  const waited = new AbortController();
  try {
    return await Promise.race([checkMove(deps, instance, to), delay(timeoutMs, late, { signal: waited.signal })]);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { ...late, obstacles: [{ kind: 'unreachable', sentence: error.sentence }] };
  } finally {
    waited.abort();
  }
}
