// Which running instances should change hosts because of measured load. Three thresholds: a host is overloaded when it was
// above `high` in each of the last samples; the target stays under `low` with the instance on it; both hosts come closer by
// at least the minimum gain. So a move never makes the fuller one fuller, and nothing is moved back by the next look: hosts
// that took part in a move are measured anew first, and instances rest for the cool-down.
import { say, type Sentence } from '../errors.ts';
import type { Fleet } from './admission.ts';
import type { Host } from './host.ts';
import type { Instance } from './instance.ts';
import { isStale, type HostLoadSample } from './metrics.ts';
import { considerHost, type PlacementRequest } from './placement.ts';
import type { Settings } from './settings.ts';

export interface BalancingHost {
  readonly host: Host;
  /** the last ones, oldest first */
  readonly samples: readonly HostLoadSample[];
  /** a move from or to it waits or goes on */
  readonly moving: boolean;
  /** when the last move from or to it ended; null: none that matters */
  readonly movedAt: number | null;
}

/** An instance's mean over the same samples. null: not measured, or not lately. */
export interface BalancingLoad {
  readonly at: number;
  /** of the vCPUs it has */
  readonly cpuPercent: number | null;
  readonly memoryUsedMib: number | null;
}

export interface BalancingInput {
  readonly hosts: readonly BalancingHost[];
  readonly fleet: Fleet;
  /** of the whole cluster */
  readonly instances: readonly Instance[];
  /** by instance id */
  readonly loads: ReadonlyMap<string, BalancingLoad>;
  /** instance id → when it was last moved, or could not be, or an admin said no: from then on it rests for the cool-down */
  readonly touchedAt: ReadonlyMap<string, number>;
  readonly settings: Pick<Settings, 'balancing' | 'overcommit' | 'placement'>;
  /** suggested before and not decided about: they stand as long as they help, so that they do not change under a reader's hands */
  readonly open: readonly { readonly instanceId: string; readonly toHostId: string }[];
  readonly pollIntervalMs: number;
  readonly now: number;
}

export const loadMeasures = ['cpu', 'memory'] as const;
export type LoadMeasure = (typeof loadMeasures)[number];
/** percent of the host */
export type Load = Readonly<Record<LoadMeasure, number>>;

export interface BalancingMove {
  readonly instance: Instance;
  readonly fromHostId: string;
  readonly toHostId: string;
  readonly measure: LoadMeasure;
  /** points of load by which the two hosts come closer */
  readonly gainPercent: number;
  readonly why: Sentence;
}

/** A host's load, and what it would be after the moves of a plan. */
export interface HostOutlook {
  readonly now: Load;
  readonly after: Load;
  readonly overloaded: boolean;
}

export interface BalancingPlan {
  /** those of `open` that still help, first */
  readonly moves: readonly BalancingMove[];
  /** by host id; a host that was not measured lately is not in it */
  readonly loads: ReadonlyMap<string, HostOutlook>;
}

/** From here on a host has no processor time to spare: what its guests would take elsewhere does not show. */
const saturatedPercent = 97;
/** Of moves that gain about the same (points), the one with the least memory to send. */
const aboutSame = 5;

export function planBalancing(input: BalancingInput): BalancingPlan {
  const board = new Board(input);
  const moves: BalancingMove[] = [];
  const most = input.settings.balancing.movesPerRound;
  const take = (move: BalancingMove | undefined): boolean => {
    if (move === undefined || moves.length >= most) return false;
    moves.push(move);
    board.apply(move);
    return true;
  };
  for (const { instanceId, toHostId } of input.open) take(board.held(instanceId, toHostId));
  while (take(board.best()));
  return { moves, loads: board.outcome() };
}

/** A host's load over the last samples; undefined: too few, too old, or from before its last move. */
export function measuredLoad({ samples, movedAt }: BalancingHost, input: Pick<BalancingInput, 'settings' | 'pollIntervalMs' | 'now'>): { load: Load; overloaded: Readonly<Record<LoadMeasure, boolean>> } | undefined {
  const { now, pollIntervalMs, settings: { balancing } } = input;
  // one missing sample is forgiven, two are silence
  const since = now - (balancing.samples + 2) * pollIntervalMs;
  const recent = samples.filter(({ at }) => at >= since && (movedAt === null || at > movedAt)).slice(-balancing.samples);
  const last = recent.at(-1);
  if (last === undefined || recent.length < balancing.samples || isStale(last.at, now, pollIntervalMs)) return undefined;
  const cpu: number[] = [];
  const memory: number[] = [];
  for (const sample of recent) {
    if (sample.cpuPercent === null || sample.memoryUsedMib === null || !sample.memoryTotalMib) return undefined;
    cpu.push(sample.cpuPercent);
    memory.push((100 * sample.memoryUsedMib) / sample.memoryTotalMib);
  }
  return {
    load: { cpu: mean(cpu), memory: mean(memory) },
    overloaded: { cpu: cpu.every((value) => value > balancing.highCpuPercent), memory: memory.every((value) => value > balancing.highMemoryPercent) },
  };
}

interface Node {
  readonly host: Host;
  readonly memoryMib: number;
  readonly before: Load;
  readonly overloaded: Readonly<Record<LoadMeasure, boolean>>;
  /** running instances, for their fair share of a saturated host */
  readonly guests: number;
  load: Load;
}

/** The cluster's loads as they become while moves are chosen. */
class Board {
  readonly #input: BalancingInput;
  readonly #nodes = new Map<string, Node>();
  /** instance id → the host it is to move to */
  readonly #moved = new Map<string, string>();
  #fleet: Fleet;

  constructor(input: BalancingInput) {
    this.#input = input;
    this.#fleet = input.fleet;
    for (const each of input.hosts) {
      const measured = each.moving || each.host.state !== 'up' ? undefined : measuredLoad(each, input);
      if (measured === undefined) continue;
      const { load, overloaded } = measured;
      const guests = input.instances.filter(({ hostId, state }) => hostId === each.host.id && state === 'running').length;
      this.#nodes.set(each.host.id, { host: each.host, memoryMib: each.samples.at(-1)?.memoryTotalMib ?? each.host.memoryMib, before: load, overloaded, guests, load });
    }
  }

  /** A move that was suggested before, if it still helps: the host may have calmed down a little, and the gain have shrunk. */
  held(instanceId: string, toHostId: string): BalancingMove | undefined {
    const instance = this.#input.instances.find(({ id }) => id === instanceId);
    const { balancing } = this.#input.settings;
    const target = this.#nodes.get(toHostId);
    const source = this.#nodes.get(instance?.hostId ?? '');
    if (instance === undefined || source === undefined || target === undefined || source.host.wish === 'maintenance' || !this.#mayMove(instance)) return undefined;
    const measures = loadMeasures.filter((measure) => source.load[measure] > lowOf(measure, balancing));
    return measures.map((measure) => this.#weigh(instance, source, target, measure)).find((move) => move !== undefined && move.gainPercent >= balancing.minGainPercent / 2);
  }

  /** The move that helps most, from the host that needs it most. */
  best(): BalancingMove | undefined {
    const { balancing } = this.#input.settings;
    // a host in maintenance is being emptied anyway
    const sources = [...this.#nodes.values()].filter(({ host }) => host.wish !== 'maintenance');
    const needs = sources.flatMap((source) => loadMeasures
      .filter((measure) => source.overloaded[measure] && source.load[measure] > highOf(measure, balancing))
      .map((measure) => ({ source, measure, excess: source.load[measure] - highOf(measure, balancing) })));
    needs.sort((a, b) => b.excess - a.excess || compare(a.source.host.name, b.source.host.name));
    for (const { source, measure } of needs) {
      const move = this.#bestFrom(source, measure);
      if (move !== undefined) return move;
    }
    return undefined;
  }

  #bestFrom(source: Node, measure: LoadMeasure): BalancingMove | undefined {
    const candidates = this.#input.instances.filter((instance) => instance.hostId === source.host.id && this.#mayMove(instance));
    const moves = candidates.flatMap((instance) => this.#bestTarget(instance, source, measure) ?? []);
    const most = Math.max(...moves.map(({ gainPercent }) => gainPercent));
    return moves
      .filter(({ gainPercent }) => gainPercent >= most - aboutSame)
      .sort((a, b) => a.instance.memoryMib - b.instance.memoryMib || b.gainPercent - a.gainPercent || compare(a.instance.id, b.instance.id))[0];
  }

  /** Of hosts that gain about the same, the one that would be least loaded with it. */
  #bestTarget(instance: Instance, source: Node, measure: LoadMeasure): BalancingMove | undefined {
    const moves = [...this.#nodes.values()].flatMap((target) => this.#weigh(instance, source, target, measure) ?? []);
    const most = Math.max(this.#input.settings.balancing.minGainPercent, ...moves.map(({ gainPercent }) => gainPercent - aboutSame));
    const loadOf = ({ toHostId }: BalancingMove): number => this.#nodes.get(toHostId)?.load[measure] ?? 0;
    return moves.filter(({ gainPercent }) => gainPercent >= most).sort((a, b) => loadOf(a) - loadOf(b) || compare(this.#nameOf(a.toHostId), this.#nameOf(b.toHostId)))[0];
  }

  /** Running, free, with a disk that both hosts can have, measured lately, and rested. */
  #mayMove(instance: Instance): boolean {
    const { fleet, settings: { balancing }, now } = this.#input;
    if (instance.state !== 'running' || instance.operationId !== null || this.#moved.has(instance.id)) return false;
    if (fleet.pools.find(({ id }) => id === instance.poolId)?.shared !== true) return false;
    const touchedAt = Math.max(instance.movedAt ?? -Infinity, this.#input.touchedAt.get(instance.id) ?? -Infinity);
    return now - touchedAt >= balancing.cooldownSeconds * 1000;
  }

  /** What moving it there would do; undefined: it is refused there, would be too much, or brings nothing. */
  #weigh(instance: Instance, source: Node, target: Node, measure: LoadMeasure): BalancingMove | undefined {
    const { settings } = this.#input;
    const demand = this.#demandOf(instance, source);
    if (target === source || demand === undefined) return undefined;
    const gone = { cpu: (100 * demand.cores) / source.host.cpus, memory: (100 * demand.memoryMib) / source.memoryMib };
    const come = { cpu: (100 * demand.grownCores) / target.host.cpus, memory: (100 * demand.memoryMib) / target.memoryMib };
    const after = { source: minus(source.load, gone), target: plus(target.load, come) };
    if (loadMeasures.some((each) => after.target[each] >= lowOf(each, settings.balancing))) return undefined;
    const gainPercent = source.load[measure] - target.load[measure] - Math.abs(after.source[measure] - after.target[measure]);
    if (gainPercent <= 0 || considerHost(target.host, this.#requestOf(instance, source), this.#fleet, settings).score === null) return undefined;
    const points = (value: number): number => Math.round(value);
    return {
      instance, fromHostId: source.host.id, toHostId: target.host.id, measure, gainPercent,
      why: say(`balancing.why.${measure}`, {
        from: source.host.name, to: target.host.name, load: points(source.load[measure]), high: highOf(measure, settings.balancing), samples: settings.balancing.samples,
        fromAfter: points(after.source[measure]), toBefore: points(target.load[measure]), toAfter: points(after.target[measure]),
      }),
    };
  }

  /** What it uses, in cores and MiB; on a host without processor time to spare, one that gets no more than its share may want all its vCPUs. */
  #demandOf(instance: Instance, source: Node): { cores: number; grownCores: number; memoryMib: number } | undefined {
    const { loads, now, pollIntervalMs } = this.#input;
    const load = loads.get(instance.id);
    if (load === undefined || load.cpuPercent === null || load.memoryUsedMib === null || isStale(load.at, now, pollIntervalMs)) return undefined;
    const cores = (load.cpuPercent / 100) * instance.vcpus;
    const share = Math.min(instance.vcpus, source.host.cpus / Math.max(1, source.guests));
    const isStarved = source.before.cpu >= saturatedPercent && cores >= 0.8 * share;
    return { cores, grownCores: isStarved ? instance.vcpus : cores, memoryMib: load.memoryUsedMib };
  }

  #requestOf(instance: Instance, source: Node): PlacementRequest {
    const { vcpus, memoryMib, diskGib, poolId, userId, antiAffinity } = instance;
    const group = antiAffinity?.toLowerCase();
    const others = group === undefined ? [] : this.#input.instances.filter((other) => other.id !== instance.id && other.userId === userId && other.antiAffinity?.toLowerCase() === group);
    return {
      vcpus, memoryMib, diskGib, poolId: poolId ?? '', from: source.host, live: true,
      except: new Map([[source.host.id, say('placement.refused.here')]]), antiAffinityHosts: new Set(others.flatMap(({ id, hostId }) => this.#moved.get(id) ?? hostId ?? [])),
    };
  }

  apply({ instance, fromHostId, toHostId }: BalancingMove): void {
    const [source, target] = [this.#nodes.get(fromHostId), this.#nodes.get(toHostId)];
    const demand = source && this.#demandOf(instance, source);
    if (source === undefined || target === undefined || demand === undefined) return;
    source.load = minus(source.load, { cpu: (100 * demand.cores) / source.host.cpus, memory: (100 * demand.memoryMib) / source.memoryMib });
    target.load = plus(target.load, { cpu: (100 * demand.grownCores) / target.host.cpus, memory: (100 * demand.memoryMib) / target.memoryMib });
    this.#moved.set(instance.id, toHostId);
    const hosts = this.#fleet.hosts.map((host) => (host.id === toHostId ? { ...host, usedVcpus: host.usedVcpus + instance.vcpus, usedMemoryMib: host.usedMemoryMib + instance.memoryMib } : host));
    this.#fleet = { ...this.#fleet, hosts };
    // its room is weighed on the host as it would be
    const host = hosts.find(({ id }) => id === toHostId);
    if (host !== undefined) this.#nodes.set(toHostId, { ...target, host });
  }

  outcome(): BalancingPlan['loads'] {
    return new Map([...this.#nodes].map(([id, { before, load, overloaded }]) => [id, { now: before, after: load, overloaded: overloaded.cpu || overloaded.memory }]));
  }

  #nameOf(hostId: string): string {
    return this.#nodes.get(hostId)?.host.name ?? '';
  }
}

function highOf(measure: LoadMeasure, balancing: Settings['balancing']): number {
  return measure === 'cpu' ? balancing.highCpuPercent : balancing.highMemoryPercent;
}

function lowOf(measure: LoadMeasure, balancing: Settings['balancing']): number {
  return measure === 'cpu' ? balancing.lowCpuPercent : balancing.lowMemoryPercent;
}

const minus = (a: Load, b: Load): Load => ({ cpu: Math.max(0, a.cpu - b.cpu), memory: Math.max(0, a.memory - b.memory) });
const plus = (a: Load, b: Load): Load => ({ cpu: a.cpu + b.cpu, memory: a.memory + b.memory });
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
