// Which host takes a new instance, and why. Filters first: enabled, up, has the pool, room within the overcommit ratios.
// Then a score that spreads: the share of the host's memory and vCPUs that would stay unpromised, and its measured CPU load.
import { say, type Sentence } from '../errors.ts';
import type { Fleet, HostScore, Placement } from './admission.ts';
import { hostLimit, hostRoom, poolRoomGib } from './capacity.ts';
import type { Host } from './host.ts';
import type { Settings } from './settings.ts';
import { memoryText, type Size } from './size.ts';

// Parts of the score, together 1. Memory weighs most: it is what hosts run out of first, and it is never shared.
const weights = { memory: 0.5, vcpus: 0.2, idle: 0.3 } as const;
/** A host without samples is taken as half busy: neither preferred for its silence nor shunned. */
const unmeasuredCpuPercent = 50;

export interface PlacementResult {
  /** null: no host can take it */
  readonly placement: Placement | null;
  /** every host, best first, then those refused by name */
  readonly considered: readonly HostScore[];
}

/** Chooses a host for `request`. Pure: two portals may choose the same host, so its room is reserved by a conditional write. */
export function placeInstance(
  request: Size & { readonly poolId: string },
  fleet: Fleet,
  settings: Pick<Settings, 'overcommit'>,
): PlacementResult {
  const considered = fleet.hosts
    .map((host) => scoreHost(host, request, fleet, settings))
    .sort((a, b) => (b.score ?? -1) - (a.score ?? -1) || compareNames(a.hostName, b.hostName));
  const best = considered[0];
  const placement = best === undefined || best.score === null ? null : { hostId: best.hostId, hostName: best.hostName, considered };
  return { placement, considered };
}

function scoreHost(host: Host, request: Size & { readonly poolId: string }, fleet: Fleet, settings: Pick<Settings, 'overcommit'>): HostScore {
  const refusals = refusalsOf(host, request, fleet, settings);
  if (refusals.length > 0) return { hostId: host.id, hostName: host.name, score: null, reasons: refusals };
  const limit = hostLimit(host, settings.overcommit);
  const room = hostRoom(host, settings.overcommit);
  const memory = (room.memoryMib - request.memoryMib) / limit.memoryMib;
  const vcpus = (room.vcpus - request.vcpus) / limit.vcpus;
  const cpuPercent = fleet.hostCpuPercent.get(host.id);
  const idle = 1 - Math.min(100, cpuPercent ?? unmeasuredCpuPercent) / 100;
  const score = weights.memory * memory + weights.vcpus * vcpus + weights.idle * idle;
  return {
    hostId: host.id,
    hostName: host.name,
    score: Math.round(score * 1000) / 10,
    reasons: [
      say('placement.score.memory', { percent: Math.round(memory * 100) }),
      say('placement.score.vcpus', { percent: Math.round(vcpus * 100) }),
      cpuPercent === undefined ? say('placement.score.cpu-unmeasured') : say('placement.score.cpu', { percent: Math.round(cpuPercent) }),
    ],
  };
}

function refusalsOf(host: Host, request: Size & { readonly poolId: string }, fleet: Fleet, settings: Pick<Settings, 'overcommit'>): Sentence[] {
  // room on a host that cannot be used is of no interest
  if (host.wish !== 'enabled') return [say('placement.refused.disabled')];
  if (host.state !== 'up') return [say('placement.refused.down')];
  const reasons: Sentence[] = [];
  const pool = fleet.pools.find((each) => each.id === request.poolId);
  if (pool === undefined || !(fleet.hostPools.get(host.id)?.has(pool.id) ?? false)) {
    reasons.push(say('placement.refused.no-pool'));
  } else {
    const free = poolRoomGib(pool, settings.overcommit);
    if (request.diskGib > free) reasons.push(say('placement.refused.disk', { pool: pool.name, free }));
  }
  const room = hostRoom(host, settings.overcommit);
  if (request.vcpus > room.vcpus) reasons.push(say('placement.refused.vcpus', { free: room.vcpus }));
  if (request.memoryMib > room.memoryMib) reasons.push(say('placement.refused.memory', { free: memoryText(room.memoryMib) }));
  return reasons;
}

function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
