// Where the instances of hosts that go away would run: what a recovery does, what a drain aims at, and what the N−1 meter
// foresees. Important ones first, of equals the large ones, so that small ones fill what is left. Hosts are spread over as
// placement would, calm ones first; when something does not fit that way, all of it is packed tightly instead, if more fits then.
import { say, type Sentence } from '../errors.ts';
import type { Fleet, HostScore } from './admission.ts';
import { hostRoom } from './capacity.ts';
import type { Host, StoragePool } from './host.ts';
import type { Instance } from './instance.ts';
import { considerHost, hostRefusals, newDiskPool, roomRefusals, scoreOf, type PlacementRequest, type PlacementSettings } from './placement.ts';
import { memoryText } from './size.ts';

export interface FailoverInput {
  readonly fleet: Fleet;
  readonly settings: PlacementSettings;
  /** of the whole cluster: those that stay decide about groups that are kept apart */
  readonly instances: readonly Instance[];
  readonly deadHostIds: ReadonlySet<string>;
  /** which of the dead hosts' instances need a place; absent: all that have a domain */
  readonly which?: (instance: Instance) => boolean;
  /** restart: they start anew elsewhere · move: they go on, with their disks where those are local */
  readonly mode?: 'restart' | 'move';
  /** false: hosts above the limits of measured load take none; absent: they take what nobody else has room for */
  readonly overload?: boolean;
}

export interface FailoverPlan {
  /** in the order in which they should be started */
  readonly restarts: readonly { readonly instance: Instance; readonly hostId: string; readonly considered: readonly HostScore[] }[];
  readonly unfit: readonly { readonly instance: Instance; readonly reasons: readonly Sentence[] }[];
}

/** Plans without touching anything. Pure: what it plans is reserved one by one, by conditional writes. */
export function planFailover(input: FailoverInput): FailoverPlan {
  const { placed, unfit } = chosenAssignment(input);
  return { restarts: placed.map(explain), unfit: unfit.map(({ instance, reasons }) => ({ instance, reasons: reasons() })) };
}

function chosenAssignment(input: FailoverInput): Assignment {
  const spread = assign(input, input.settings);
  const tight = spread.unfit.length === 0 ? spread : assign(input, packed(input.settings));
  return rank(tight) > rank(spread) ? tight : spread;
}

/** Packing wholly by what is promised: the tightest fit. */
function packed(settings: PlacementSettings): PlacementSettings {
  return { ...settings, placement: { ...settings.placement, strategy: 'pack', loadWeightPercent: 0 } };
}

interface Placed { readonly instance: Instance; readonly hostId: string; readonly request: PlacementRequest; readonly fleet: () => Fleet; readonly settings: PlacementSettings }
interface Assignment { readonly placed: readonly Placed[]; readonly unfit: readonly { readonly instance: Instance; readonly reasons: () => Sentence[] }[] }

/** More of high priority is better, whatever the others; then more in all. */
function rank({ placed }: Assignment): number {
  return placed.reduce((sum, { instance }) => sum + 1_000_000 ** instance.haPriority, 0);
}

function explain({ instance, hostId, request, fleet, settings }: Placed): FailoverPlan['restarts'][number] {
  const then = fleet();
  const considered = then.hosts.map((host) => considerHost(host, request, then, settings))
    .sort((a, b) => Number(b.hostId === hostId) - Number(a.hostId === hostId) || (b.score ?? -1) - (a.score ?? -1) || (a.hostName < b.hostName ? -1 : 1));
  return { instance, hostId, considered };
}

function assign(input: FailoverInput, settings: PlacementSettings): Assignment {
  const filling = new Filling(input, settings);
  const groups = new Groups(input);
  const placed: Placed[] = [];
  const unfit: { instance: Instance; reasons: () => Sentence[] }[] = [];
  for (const instance of inOrder(input)) {
    const strict = requestOf(instance, input, groups);
    const calmest = filling.best(strict);
    const request = calmest >= 0 || input.overload === false ? strict : { ...strict, despiteLoad: true };
    const at = calmest >= 0 ? calmest : filling.best(request);
    const fleet = filling.remember();
    const hostId = filling.hosts[at]?.id;
    if (hostId === undefined) {
      unfit.push({ instance, reasons: () => unfitReasons(request, fleet(), settings) });
      continue;
    }
    placed.push({ instance, hostId, request, fleet, settings });
    filling.take(at, request);
    groups.add(instance, hostId);
  }
  return { placed, unfit };
}

const hasDomain = ({ state }: Instance): boolean => state === 'running' || state === 'paused' || state === 'stopped';

function inOrder({ instances, deadHostIds, which = hasDomain }: FailoverInput): Instance[] {
  return instances
    .filter((instance) => instance.hostId !== null && instance.poolId !== null && deadHostIds.has(instance.hostId) && which(instance))
    .sort((a, b) => b.haPriority - a.haPriority || b.memoryMib - a.memoryMib || b.vcpus - a.vcpus || (a.id < b.id ? -1 : 1));
}

function requestOf(instance: Instance, { fleet, mode = 'restart' }: FailoverInput, groups: Groups): PlacementRequest {
  const { vcpus, memoryMib, diskGib } = instance;
  const poolId = instance.poolId ?? '';
  const from = fleet.hosts.find((host) => host.id === instance.hostId);
  const antiAffinityHosts = groups.hostsOf(instance);
  // what is gone cannot be copied from
  const withDisk = mode === 'move' && fleet.pools.find((pool) => pool.id === poolId)?.shared === false;
  return {
    vcpus, memoryMib, diskGib, poolId, withDisk, live: mode === 'move' && instance.state !== 'stopped',
    ...(from === undefined ? {} : { from }), ...(antiAffinityHosts === undefined ? {} : { antiAffinityHosts }),
  };
}

/** Which hosts have instances of which groups, as the plan goes on. */
class Groups {
  readonly #hosts = new Map<string, Set<string>>();

  constructor({ instances, deadHostIds }: FailoverInput) {
    for (const instance of instances) if (instance.hostId !== null && !deadHostIds.has(instance.hostId)) this.add(instance, instance.hostId);
  }

  #keyOf({ userId, antiAffinity }: Instance): string | undefined {
    return antiAffinity === null ? undefined : `${userId} ${antiAffinity.toLowerCase()}`;
  }

  add(instance: Instance, hostId: string): void {
    const key = this.#keyOf(instance);
    if (key !== undefined) this.#hosts.set(key, new Set(this.#hosts.get(key)).add(hostId));
  }

  hostsOf(instance: Instance): ReadonlySet<string> | undefined {
    const key = this.#keyOf(instance);
    return key === undefined ? undefined : this.#hosts.get(key);
  }
}

/** Hosts and pools as they fill up while the plan is made. */
class Filling {
  readonly hosts: Host[];
  readonly #pools: StoragePool[];
  readonly #fleet: Fleet;
  readonly #settings: PlacementSettings;
  /** what refuses an instance whatever its size is the same for many */
  readonly #open = new Map<string, readonly number[]>();

  constructor({ fleet, deadHostIds }: FailoverInput, settings: PlacementSettings) {
    this.#settings = settings;
    this.hosts = fleet.hosts.map((host) => (deadHostIds.has(host.id) ? { ...host, state: 'fenced' } : host));
    this.#pools = [...fleet.pools];
    // a view of what fills up, not a copy
    this.#fleet = { ...fleet, hosts: this.hosts, pools: this.#pools };
  }

  /** The fleet as it is at this moment of the plan, for later. */
  remember(): () => Fleet {
    const [hosts, pools] = [[...this.hosts], [...this.#pools]];
    return () => ({ ...this.#fleet, hosts, pools });
  }

  /** Index of the best host that has room; -1: none. */
  best(request: PlacementRequest): number {
    let best = -1;
    let bestScore = -1;
    for (const index of this.#openFor(request)) {
      const host = this.hosts[index];
      if (host === undefined || request.antiAffinityHosts?.has(host.id) === true) continue;
      if (roomRefusals(host, request, this.#fleet, this.#settings).length > 0) continue;
      const score = scoreOf(host, request, this.#fleet, this.#settings);
      if (score <= bestScore) continue;
      best = index;
      bestScore = score;
    }
    return best;
  }

  #openFor(asked: PlacementRequest): readonly number[] {
    const request = { ...asked, antiAffinityHosts: new Set<string>() };
    const key = `${request.poolId} ${request.from?.id ?? ''} ${request.live === true} ${request.despiteLoad === true}`;
    const known = this.#open.get(key);
    if (known !== undefined) return known;
    const open = this.hosts.flatMap((host, index) => (hostRefusals(host, request, this.#fleet, this.#settings).length === 0 ? [index] : []));
    this.#open.set(key, open);
    return open;
  }

  take(index: number, request: PlacementRequest): void {
    const host = this.hosts[index];
    if (host === undefined) return;
    const pool = newDiskPool(host.id, request, this.#fleet);
    this.hosts[index] = { ...host, usedVcpus: host.usedVcpus + request.vcpus, usedMemoryMib: host.usedMemoryMib + request.memoryMib };
    if (pool !== undefined) this.#pools[this.#pools.indexOf(pool)] = { ...pool, usedGib: pool.usedGib + request.diskGib };
  }
}

/** Why no host takes it, in the fewest words: of the hosts that would take one of its kind, what they lack; else what stands against all of them. */
function unfitReasons(request: PlacementRequest, fleet: Fleet, settings: PlacementSettings): Sentence[] {
  const up = fleet.hosts.filter((host) => host.state === 'up' && host.wish === 'enabled');
  if (up.length === 0) return [say('failover.unfit.no-hosts')];
  const open = up.filter((host) => hostRefusals(host, request, fleet, settings).length === 0);
  if (open.length === 0) {
    const first = up.flatMap((host) => hostRefusals(host, request, fleet, settings).slice(0, 1));
    return [...new Set(first.map(({ key }) => key.slice('placement.refused.'.length)))].map((why) => say(`failover.unfit.${why}`));
  }
  const rooms = open.map((host) => hostRoom(host, settings.overcommit));
  const [vcpus, memoryMib] = [Math.max(...rooms.map((room) => room.vcpus)), Math.max(...rooms.map((room) => room.memoryMib))];
  const short = [
    ...(request.memoryMib > memoryMib ? [say('failover.unfit.memory', { need: memoryText(request.memoryMib), largest: memoryText(memoryMib) })] : []),
    ...(request.vcpus > vcpus ? [say('failover.unfit.vcpus', { need: request.vcpus, largest: vcpus })] : []),
  ];
  if (short.length > 0) return short;
  const copied = open.every((host) => newDiskPool(host.id, request, fleet) !== undefined);
  return [copied ? say('failover.unfit.disk', { need: request.diskGib }) : say('failover.unfit.together')];
}

/** What the end of one host would mean now. */
export interface HostLoss {
  readonly host: Host;
  /** machines that would be started elsewhere, with room or without */
  readonly restarts: number;
  readonly unfit: FailoverPlan['unfit'];
  /** running machines whose owners want no restart elsewhere: they would stay off */
  readonly withoutHa: number;
}

const isRunning = ({ state }: Instance): boolean => state === 'running' || state === 'paused';
/** What a recovery starts elsewhere. */
export const restartsElsewhere = (instance: Instance): boolean => instance.ha && isRunning(instance);

/** One that is silent or proven gone: it cannot die any more, and what ran there needs room as well. */
export const isLostHost = ({ state }: Pick<Host, 'state'>): boolean => state === 'unreachable' || state === 'fenced';

/** For each host that is not lost: if it died now too, what would and what would not fit. */
export function nMinusOne(input: Pick<FailoverInput, 'fleet' | 'settings' | 'instances'>): HostLoss[] {
  return [...eachHostLoss(input)];
}

/** The same one by one: of a thousand hosts it takes seconds, and who serves pages meanwhile looks up in between. */
export function* eachHostLoss({ fleet, settings, instances }: Pick<FailoverInput, 'fleet' | 'settings' | 'instances'>): Generator<HostLoss> {
  const lost = fleet.hosts.filter(isLostHost).map(({ id }) => id);
  for (const host of fleet.hosts.filter((each) => !isLostHost(each))) {
    const deadHostIds = new Set([...lost, host.id]);
    const there = instances.filter((instance) => instance.hostId !== null && deadHostIds.has(instance.hostId) && isRunning(instance));
    const { placed, unfit } = chosenAssignment({ fleet, settings, instances, deadHostIds, which: restartsElsewhere });
    yield {
      host, restarts: placed.length + unfit.length, withoutHa: there.filter((instance) => !instance.ha).length,
      unfit: unfit.map(({ instance, reasons }) => ({ instance, reasons: reasons() })),
    };
  }
}
