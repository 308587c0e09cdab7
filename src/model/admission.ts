// May this be created now? One pure function for wizard, API, placement and audit. It only foresees: what is promised is
// reserved in the database by conditional writes, so that a verdict that has grown old does no harm.
import { say, type Sentence } from '../errors.ts';
import { hostRoom, isOpenForNew, poolRoomGib, remainingOf } from './capacity.ts';
import type { Host, StoragePool } from './host.ts';
import { hostRefusals, placeInstance } from './placement.ts';
import type { Settings, ThresholdMeasure } from './settings.ts';
import { memoryText, sizeKeys, type Size, type SizeKey } from './size.ts';
import type { Quota, Usage } from './user.ts';

/** Load as measured over the window of the thresholds; null: no samples. The worst of the hosts is not taken: it is the cluster's. */
export interface ClusterLoad {
  readonly cpuPercent: number | null;
  readonly memoryPercent: number | null;
  readonly storagePercent: number | null;
}

/** The gate's own memory (hysteresis): closed until the load falls to the lower bound. */
export interface Gate {
  readonly closed: boolean;
  readonly since: number;
  readonly reasons: readonly Sentence[];
  /** measures that have crossed to the other side of the gate and must stay there for the hold time: since when */
  readonly turning?: Readonly<Partial<Record<ThresholdMeasure, number>>>;
}

export interface Fleet {
  readonly hosts: readonly Host[];
  readonly pools: readonly StoragePool[];
  /** hostId → ids of the pools it has */
  readonly hostPools: ReadonlyMap<string, ReadonlySet<string>>;
  /** hostId → mean CPU % over the last minutes; absent: not measured */
  readonly hostCpuPercent: ReadonlyMap<string, number>;
  /** hosts whose CPU mean is of enough time to refuse by: one guest's boot keeps processors busy for seconds */
  readonly hostCpuSettled: ReadonlySet<string>;
  /** hostId → mean of its memory in use, %; absent: not measured */
  readonly hostMemoryPercent: ReadonlyMap<string, number>;
}

export interface AdmissionInput {
  readonly request: Size & {
    readonly poolId: string; readonly minDiskGib: number; readonly minMemoryMib: number;
    /** hosts that have an instance of the group it is to belong to; absent: no group */
    readonly antiAffinityHosts?: ReadonlySet<string>;
  };
  readonly usage: Usage;
  readonly quota: Quota;
  readonly fleet: Fleet;
  readonly settings: Settings;
  readonly gate: Gate;
  /** milliseconds between polls: when the verdict is worth asking again */
  readonly pollIntervalMs: number;
  readonly now: number;
}

export interface HostScore {
  readonly hostId: string;
  readonly hostName: string;
  /** higher is better; null when refused */
  readonly score: number | null;
  readonly reasons: readonly Sentence[];
}

export interface Placement {
  readonly hostId: string;
  readonly hostName: string;
  /** every host considered, best first */
  readonly considered: readonly HostScore[];
}

export type AdmissionRefusalKind = 'invalid' | 'quota-exceeded' | 'no-capacity' | 'gate-closed';

export interface Refusal {
  readonly kind: AdmissionRefusalKind;
  readonly field: SizeKey | 'instances' | null;
  readonly sentence: Sentence;
}

export interface Verdict {
  readonly allowed: boolean;
  /** what stands against it, most useful first; empty when allowed */
  readonly reasons: readonly Refusal[];
  /** per field the largest value that could be created now with the other fields as asked; 0: none */
  readonly largest: Size;
  /** the size nearest to the one asked for, field by field no larger, that could be created now; null: none at all */
  readonly fits: Size | null;
  /** per field what a control may offer: from the image's minimum to what caps, quota and the best host leave; max 0: none */
  readonly bounds: { readonly min: Size; readonly max: Size };
  /** where it would go; null when refused */
  readonly placement: Placement | null;
  /** every host with its score or its refusals, best first, also when the answer is no */
  readonly considered: readonly HostScore[];
  /** what remains for new instances in the whole cluster (allocation, with overcommit, never below 0) */
  readonly remaining: Size;
  /** when the verdict is computed again at the latest, ms UTC */
  readonly checkAgainAt: number;
}

/** A machine with less memory does not boot anything we know of. */
const smallestMemoryMib = 32;

/** May `request` be created now, why not, and what would fit. */
export function decideAdmission(input: AdmissionInput): Verdict {
  const { request, fleet, settings } = input;
  const min = minimumOf(input);
  const rooms = roomsOf(input);
  const allowance = allowanceOf(input);
  const mayHaveOne = input.usage.instances < input.quota.instances && !input.gate.closed;
  const max = mapSize((key) => atLeast(min[key], Math.min(allowance[key], Math.max(0, ...rooms.map((room) => room[key])))));
  const { placement, considered } = placeInstance(request, fleet, settings);
  const reasons = [...invalidReasons(input, min), ...quotaReasons(input), ...gateReasons(input), ...capacityReasons(input, max, rooms, placement)];
  return {
    allowed: reasons.length === 0,
    reasons,
    largest: mayHaveOne ? mapSize((key) => largestOf(key, request, min, allowance, rooms)) : nothing,
    fits: mayHaveOne ? fittingSize(request, min, allowance, rooms) : null,
    bounds: { min, max: input.usage.instances < input.quota.instances ? max : nothing },
    placement: reasons.length === 0 ? placement : null,
    considered,
    remaining: remainingOf(fleet, settings),
    checkAgainAt: input.now + input.pollIntervalMs,
  };
}

const nothing: Size = { vcpus: 0, memoryMib: 0, diskGib: 0 };

function mapSize(value: (key: SizeKey) => number): Size {
  return { vcpus: value('vcpus'), memoryMib: value('memoryMib'), diskGib: value('diskGib') };
}

/** `value` when it reaches the minimum, else 0: a size below the minimum is no size. */
function atLeast(minimum: number, value: number): number {
  return value >= minimum ? value : 0;
}

function minimumOf({ request }: AdmissionInput): Size {
  return { vcpus: 1, memoryMib: Math.max(smallestMemoryMib, request.minMemoryMib), diskGib: Math.max(1, request.minDiskGib) };
}

/** What caps and quota leave to this user for one more instance; never below 0. */
function allowanceOf({ settings, quota, usage }: AdmissionInput): Size {
  return mapSize((key) => Math.max(0, Math.min(settings.caps[key], quota[key] - usage[key])));
}

/** What each host that would take an instance of some size could take at once. */
function roomsOf({ request, fleet, settings }: AdmissionInput): Size[] {
  const pool = fleet.pools.find((each) => each.id === request.poolId);
  if (pool === undefined) return [];
  const diskGib = poolRoomGib(pool, settings.overcommit);
  return fleet.hosts
    .filter((host) => hostRefusals(host, request, fleet, settings).length === 0)
    .map((host) => ({ ...hostRoom(host, settings.overcommit), diskGib }));
}

function largestOf(key: SizeKey, request: Size, min: Size, allowance: Size, rooms: readonly Size[]): number {
  const others = sizeKeys.filter((other) => other !== key);
  // while another field is too small or too large by itself, no value of this one helps
  if (!others.every((other) => request[other] >= min[other] && request[other] <= allowance[other])) return 0;
  const taking = rooms.filter((room) => others.every((other) => request[other] <= room[other]));
  return atLeast(min[key], Math.min(allowance[key], Math.max(0, ...taking.map((room) => room[key]))));
}

/** The request cut down to what one host can take; of several hosts the one that keeps most of it. */
function fittingSize(request: Size, min: Size, allowance: Size, rooms: readonly Size[]): Size | null {
  const wanted = mapSize((key) => Math.max(min[key], Math.floor(request[key]) || 0));
  const candidates = rooms
    .map((room) => mapSize((key) => Math.min(wanted[key], allowance[key], room[key])))
    .filter((size) => sizeKeys.every((key) => size[key] >= min[key]));
  const kept = (size: Size): number => sizeKeys.reduce((sum, key) => sum + size[key] / wanted[key], 0);
  return candidates.reduce<Size | null>((best, size) => (best === null || kept(size) > kept(best) ? size : best), null);
}

/** A figure of a field as people read it. */
function textOf(key: SizeKey, value: number): string {
  if (key === 'vcpus') return String(value);
  return key === 'memoryMib' ? memoryText(value) : `${value} GiB`;
}

function invalidReasons({ request, settings }: AdmissionInput, min: Size): Refusal[] {
  return sizeKeys.flatMap((key): Refusal[] => {
    const asked = request[key];
    const refuse = (sentence: Sentence): Refusal[] => [{ kind: 'invalid', field: key, sentence }];
    if (!Number.isSafeInteger(asked) || asked < 1) return refuse(say(`admission.whole.${key}`));
    if (asked < min[key]) return refuse(say(`admission.minimum.${key}`, { minimum: textOf(key, min[key]) }));
    if (asked > settings.caps[key]) return refuse(say(`admission.cap.${key}`, { cap: textOf(key, settings.caps[key]) }));
    return [];
  });
}

function quotaReasons({ request, quota, usage }: AdmissionInput): Refusal[] {
  const reasons: Refusal[] = [];
  if (usage.instances + 1 > quota.instances) {
    reasons.push({ kind: 'quota-exceeded', field: 'instances', sentence: say('admission.quota.instances', { quota: quota.instances, used: usage.instances }) });
  }
  for (const key of sizeKeys) {
    if (!(usage[key] + request[key] > quota[key])) continue;
    const left = textOf(key, Math.max(0, quota[key] - usage[key]));
    reasons.push({ kind: 'quota-exceeded', field: key, sentence: say(`admission.quota.${key}`, { left, quota: textOf(key, quota[key]), used: textOf(key, usage[key]) }) });
  }
  return reasons;
}

function gateReasons({ gate }: AdmissionInput): Refusal[] {
  if (!gate.closed) return [];
  const sentences = gate.reasons.length > 0 ? gate.reasons : [say('admission.gate.closed')];
  return sentences.map((sentence) => ({ kind: 'gate-closed', field: null, sentence }));
}

function capacityReasons({ request, fleet, settings }: AdmissionInput, max: Size, rooms: readonly Size[], placement: Placement | null): Refusal[] {
  if (placement !== null) return [];
  const refuse = (field: Refusal['field'], sentence: Sentence): Refusal => ({ kind: 'no-capacity', field, sentence });
  if (!fleet.hosts.some(isOpenForNew)) return [refuse(null, say(fleet.hosts.length === 0 ? 'admission.capacity.no-hosts' : 'admission.capacity.no-open-hosts'))];
  if (rooms.length === 0) return [refuse(null, say(noHostKey(request, fleet, settings)))];
  const best = mapSize((key) => Math.max(...rooms.map((room) => room[key])));
  const short = sizeKeys.filter((key) => request[key] > best[key]);
  if (short.length > 0) return short.map((key) => refuse(key, say(`admission.capacity.${key}`, { largest: textOf(key, best[key]) })));
  // every figure fits on some host, but not all of them on one
  return [refuse(null, say('admission.capacity.together', { vcpus: max.vcpus, memory: memoryText(max.memoryMib) }))];
}

/** Why no open host would take an instance of whatever size: the reason that most of them give. */
function noHostKey(request: AdmissionInput['request'], fleet: Fleet, settings: Settings): string {
  const refusals = fleet.hosts.filter(isOpenForNew).map((host) => hostRefusals(host, request, fleet, settings)[0]?.key);
  const count = (keys: readonly string[]): number => refusals.filter((key) => key !== undefined && keys.includes(key)).length;
  const apart = count(['placement.refused.anti-affinity']);
  const busy = count(['placement.refused.cpu-busy', 'placement.refused.memory-busy']);
  if (apart + busy === 0) return 'admission.capacity.no-pool';
  return apart >= busy ? 'admission.capacity.anti-affinity' : 'admission.capacity.busy';
}
