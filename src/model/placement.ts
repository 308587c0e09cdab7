// Which host takes an instance, new or moved, and why. Filters first, each refusal in words: the host's state, pool and disk,
// CPU, measured load, the owner's other instances of the group, room within the overcommit ratios. Then a score of what is
// promised (spread: the emptiest first; pack: the fullest that fits) and of the measured load.
import { say, type Sentence } from '../errors.ts';
import type { Fleet, HostScore, Placement } from './admission.ts';
import { hostLimit, hostRoom, poolRoomGib } from './capacity.ts';
import type { Host, StoragePool } from './host.ts';
import type { Settings } from './settings.ts';
import { memoryText, type Size } from './size.ts';

export interface PlacementRequest extends Size {
  /** where its disk is, or will be */
  readonly poolId: string;
  /** hosts that are out of the question, with the reason: the one it is on, one that has just refused it */
  readonly except?: ReadonlyMap<string, Sentence>;
  /** hosts that have, or will have, another instance of its group */
  readonly antiAffinityHosts?: ReadonlySet<string>;
  /** it exists and comes from this host; absent: it is new */
  readonly from?: Pick<Host, 'id' | 'arch' | 'virtType' | 'cpuModel'>;
  /** it goes on running while it moves, so the other CPU must be of the same kind */
  readonly live?: boolean;
  /** its disk is copied along, into the pool of that name of the other host */
  readonly withDisk?: boolean;
  /** measured load refuses nothing: for restarts, where the alternative is a machine that is off */
  readonly despiteLoad?: boolean;
}

export type PlacementSettings = Pick<Settings, 'overcommit' | 'placement'>;

/** Memory weighs most of what is promised: it is what hosts run out of first, and it is never shared. */
const memoryWeight = 5 / 7;
/** A host without samples is taken as half busy: neither preferred for its silence nor shunned. */
const unmeasuredPercent = 50;

export interface PlacementResult {
  /** null: no host can take it */
  readonly placement: Placement | null;
  /** every host, best first, then those refused by name */
  readonly considered: readonly HostScore[];
}

/** Chooses a host for `request`. Pure: two portals may choose the same host, so its room is reserved by a conditional write. */
export function placeInstance(request: PlacementRequest, fleet: Fleet, settings: PlacementSettings): PlacementResult {
  const considered = fleet.hosts
    .map((host) => considerHost(host, request, fleet, settings))
    .sort((a, b) => (b.score ?? -1) - (a.score ?? -1) || compareNames(a.hostName, b.hostName));
  const best = considered[0];
  const placement = best === undefined || best.score === null ? null : { hostId: best.hostId, hostName: best.hostName, considered };
  return { placement, considered };
}

/** One host's verdict on `request`: its score, or why not. */
export function considerHost(host: Host, request: PlacementRequest, fleet: Fleet, settings: PlacementSettings): HostScore {
  const open = hostRefusals(host, request, fleet, settings);
  // room on a host that cannot be used is of no interest
  const refusals = open.length > 0 ? open : roomRefusals(host, request, fleet, settings);
  if (refusals.length > 0) return { hostId: host.id, hostName: host.name, score: null, reasons: refusals };
  const { memory, vcpus } = sharesLeft(host, request, settings);
  return {
    hostId: host.id,
    hostName: host.name,
    score: scoreOf(host, request, fleet, settings),
    reasons: [
      say('placement.score.memory', { percent: Math.round(memory * 100) }),
      say('placement.score.vcpus', { percent: Math.round(vcpus * 100) }),
      ...loadReasons(host, fleet),
    ],
  };
}

/** 0 to 100, higher is better; of a host that refuses nothing. */
export function scoreOf(host: Host, request: Size, fleet: Fleet, { overcommit, placement }: PlacementSettings): number {
  const { memory, vcpus } = sharesLeft(host, request, { overcommit });
  const left = memoryWeight * memory + (1 - memoryWeight) * vcpus;
  const promised = placement.strategy === 'spread' ? left : 1 - left;
  const loadWeight = placement.loadWeightPercent / 100;
  const idle = 1 - Math.min(100, loadPercent(host, fleet)) / 100;
  return Math.round(((1 - loadWeight) * promised + loadWeight * idle) * 1000) / 10;
}

/** Of what may be promised on the host, the shares that would be left. */
function sharesLeft(host: Host, request: Size, { overcommit }: Pick<Settings, 'overcommit'>): { memory: number; vcpus: number } {
  const limit = hostLimit(host, overcommit);
  const room = hostRoom(host, overcommit);
  return { memory: (room.memoryMib - request.memoryMib) / limit.memoryMib, vcpus: (room.vcpus - request.vcpus) / limit.vcpus };
}

/** The busier of CPU and memory: whichever is scarce is what a newcomer would feel. */
function loadPercent(host: Host, fleet: Fleet): number {
  const cpu = fleet.hostCpuPercent.get(host.id);
  const memory = fleet.hostMemoryPercent.get(host.id);
  return cpu === undefined && memory === undefined ? unmeasuredPercent : Math.max(cpu ?? 0, memory ?? 0);
}

function loadReasons(host: Host, fleet: Fleet): Sentence[] {
  const cpu = fleet.hostCpuPercent.get(host.id);
  const memory = fleet.hostMemoryPercent.get(host.id);
  return [
    cpu === undefined ? say('placement.score.cpu-unmeasured') : say('placement.score.cpu', { percent: Math.round(cpu) }),
    ...(memory === undefined ? [] : [say('placement.score.memory-used', { percent: Math.round(memory) })]),
  ];
}

/** Why the host takes no instance like this of whatever size; empty: it does. */
export function hostRefusals(host: Host, request: Omit<PlacementRequest, keyof Size>, fleet: Fleet, settings: PlacementSettings): Sentence[] {
  const state = stateRefusal(host);
  if (state !== undefined) return [state];
  const except = request.except?.get(host.id);
  if (except !== undefined) return [except];
  const reasons: Sentence[] = [];
  if (poolAt(host.id, request, fleet) === undefined) reasons.push(say(request.withDisk === true ? 'placement.refused.no-pool-named' : 'placement.refused.no-pool'));
  if (request.from !== undefined) reasons.push(...cpuRefusals(host, request.from, request.live === true));
  if (request.antiAffinityHosts?.has(host.id) === true) reasons.push(say('placement.refused.anti-affinity'));
  if (request.despiteLoad !== true) reasons.push(...loadRefusals(host, fleet, settings.placement));
  return reasons;
}

function stateRefusal(host: Host): Sentence | undefined {
  if (host.state === 'fenced') return say('placement.refused.fenced');
  if (host.wish === 'maintenance') return say('placement.refused.maintenance');
  if (host.wish !== 'enabled') return say('placement.refused.disabled');
  return host.state === 'up' ? undefined : say('placement.refused.down');
}

/**
 * What runs by KVM does not run without it, and a machine that goes on running has seen which CPU it is on. The hosts' own
 * word on two different CPUs comes with the check before a move; a choice made here should not depend on it.
 */
function cpuRefusals(host: Host, from: NonNullable<PlacementRequest['from']>, live: boolean): Sentence[] {
  if (from.arch !== null && host.arch !== null && from.arch !== host.arch) return [say('placement.refused.arch', { arch: host.arch })];
  const needsKvm = from.virtType === 'kvm';
  if (needsKvm && host.virtType !== 'kvm') return [say('placement.refused.no-kvm')];
  const differs = from.cpuModel !== null && host.cpuModel !== null && from.cpuModel !== host.cpuModel;
  return live && needsKvm && differs ? [say('placement.refused.cpu-model', { model: host.cpuModel ?? '' })] : [];
}

function loadRefusals(host: Host, fleet: Fleet, { maxCpuPercent, maxMemoryPercent }: Settings['placement']): Sentence[] {
  const cpu = fleet.hostCpuSettled.has(host.id) ? (fleet.hostCpuPercent.get(host.id) ?? 0) : 0;
  const memory = fleet.hostMemoryPercent.get(host.id) ?? 0;
  return [
    ...(cpu > maxCpuPercent ? [say('placement.refused.cpu-busy', { percent: Math.round(cpu), max: maxCpuPercent })] : []),
    ...(memory > maxMemoryPercent ? [say('placement.refused.memory-busy', { percent: Math.round(memory), max: maxMemoryPercent })] : []),
  ];
}

/** What of the request's size the host has no room for. */
export function roomRefusals(host: Host, request: PlacementRequest, fleet: Fleet, { overcommit }: Pick<Settings, 'overcommit'>): Sentence[] {
  const reasons: Sentence[] = [];
  const pool = newDiskPool(host.id, request, fleet);
  if (pool !== undefined) {
    const free = poolRoomGib(pool, overcommit);
    if (request.diskGib > free) reasons.push(say('placement.refused.disk', { pool: pool.name, free }));
  }
  const room = hostRoom(host, overcommit);
  if (request.vcpus > room.vcpus) reasons.push(say('placement.refused.vcpus', { free: room.vcpus }));
  if (request.memoryMib > room.memoryMib) reasons.push(say('placement.refused.memory', { free: memoryText(room.memoryMib) }));
  return reasons;
}

/** The pool that holds its disk when it is on this host; undefined: the host has none. */
export function poolAt(hostId: string, { poolId, withDisk }: Pick<PlacementRequest, 'poolId' | 'withDisk'>, fleet: Fleet): StoragePool | undefined {
  const here = fleet.hostPools.get(hostId);
  if (here === undefined) return undefined;
  if (withDisk !== true) return here.has(poolId) ? fleet.pools.find((pool) => pool.id === poolId) : undefined;
  const name = fleet.pools.find((pool) => pool.id === poolId)?.name;
  return fleet.pools.find((pool) => pool.name === name && here.has(pool.id));
}

/** The pool that must find room for its disk; undefined: the disk is there already, in a pool that both hosts have. */
export function newDiskPool(hostId: string, request: Pick<PlacementRequest, 'poolId' | 'withDisk' | 'from'>, fleet: Fleet): StoragePool | undefined {
  const pool = poolAt(hostId, request, fleet);
  return request.from !== undefined && pool?.id === request.poolId ? undefined : pool;
}

function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
