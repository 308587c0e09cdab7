// Golden traces: a small cluster lives for some minutes (test/golden/balancing/*.json says who wants how much when), the
// planner looks every minute, what it decides is done, and the decisions must be those written down. UPDATE_GOLDEN=1 writes them.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { aFleet, aHost, anInstance, aPool } from '../../test/helpers/fleet.ts';
import { planBalancing, type BalancingInput, type BalancingMove, type BalancingPlan } from './balancing.ts';
import type { Host } from './host.ts';
import type { Instance } from './instance.ts';
import type { HostLoadSample } from './metrics.ts';
import { defaultSettings, type Settings } from './settings.ts';

const directory = fileURLToPath(new URL('../../test/golden/balancing', import.meta.url));
const tickMs = 10_000;
const ticksPerLook = 6;

interface Trace {
  readonly about: string;
  /** differences from the defaults */
  readonly balancing?: Partial<Settings['balancing']>;
  readonly hosts: readonly (Partial<Host> & { readonly name: string; /** [from tick, to tick] without samples */ readonly silent?: readonly [number, number] })[];
  readonly instances: readonly (Partial<Instance> & {
    readonly name: string; readonly host: string;
    /** cores it wants from a tick on: [[0, 0.5], [60, 2]] */
    readonly cores: readonly (readonly [number, number])[];
    /** of its memory, in use; default half */
    readonly usedMib?: number;
    /** its disk is on one host alone */
    readonly local?: boolean;
    /** held by an operation from tick to tick */
    readonly busy?: readonly [number, number];
  })[];
  readonly ticks: number;
  /** suggest: nothing is moved, suggestions stay open; absent: act */
  readonly suggest?: boolean;
  /** ticks that a move takes; default 2 */
  readonly moveTicks?: number;
  /** moves of these instances come to nothing */
  readonly failing?: readonly string[];
  /** tick → "instance from→to why" */
  readonly decisions?: Readonly<Record<string, readonly string[]>>;
}

/** The cluster: instances share a host's processors fairly, each up to what it wants. */
class World {
  readonly hosts: readonly Host[];
  readonly trace: Trace;
  instances: Instance[];
  readonly #samples = new Map<string, HostLoadSample[]>();
  readonly #cores = new Map<string, number[]>();
  readonly #movedAt = new Map<string, number>();
  readonly #touchedAt = new Map<string, number>();
  #moving: { readonly move: BalancingMove; readonly endsAt: number }[] = [];

  constructor(trace: Trace) {
    this.trace = trace;
    this.hosts = trace.hosts.map(({ name, ...over }) => aHost(name, over));
    this.instances = trace.instances.map(({ host, name, local, ...over }) => anInstance(name, host, { vcpus: 2, poolId: local === true ? 'local' : 'p', ...over }));
  }

  #wants(instance: Instance, tick: number): number {
    const steps = this.trace.instances.find(({ name }) => name === instance.id)?.cores ?? [];
    return Math.min(instance.vcpus, steps.filter(([from]) => from <= tick).at(-1)?.[1] ?? 0);
  }

  usedMib(instance: Instance): number {
    return this.trace.instances.find(({ name }) => name === instance.id)?.usedMib ?? instance.memoryMib / 2;
  }

  tick(tick: number): void {
    const at = tick * tickMs;
    for (const { move } of this.#moving.filter((each) => each.endsAt <= tick)) {
      const failed = this.trace.failing?.includes(move.instance.id) === true;
      this.instances = this.instances.map((instance) => (instance.id === move.instance.id ? { ...instance, operationId: null, ...(failed ? {} : { hostId: move.toHostId, movedAt: at }) } : instance));
      for (const id of [move.fromHostId, move.toHostId]) this.#movedAt.set(id, at);
      this.#touchedAt.set(move.instance.id, at);
    }
    this.#moving = this.#moving.filter((each) => each.endsAt > tick);
    this.instances = this.instances.map((instance) => {
      const busy = this.trace.instances.find(({ name }) => name === instance.id)?.busy;
      if (busy === undefined) return instance;
      return { ...instance, operationId: tick >= busy[0] && tick < busy[1] ? 'another' : null };
    });
    for (const host of this.hosts) this.#sample(host, tick, at);
  }

  #sample(host: Host, tick: number, at: number): void {
    const here = this.instances.filter(({ hostId }) => hostId === host.id);
    // max-min fairness: who wants less than an equal share gets it, the rest is shared again
    let left = host.cpus;
    const wants = here.map((instance) => ({ instance, wants: this.#wants(instance, tick) })).sort((a, b) => a.wants - b.wants);
    wants.forEach((each, index) => {
      const gets = Math.min(each.wants, left / (wants.length - index));
      left -= gets;
      this.#cores.set(each.instance.id, [...(this.#cores.get(each.instance.id) ?? []), gets].slice(-12));
    });
    const silent = this.trace.hosts.find(({ name }) => name === host.id)?.silent;
    if (silent !== undefined && tick >= silent[0] && tick < silent[1]) return;
    const sample = { subjectId: 1, at, cpuPercent: (100 * (host.cpus - left)) / host.cpus, memoryUsedMib: 1000 + here.reduce((sum, instance) => sum + this.usedMib(instance), 0), memoryTotalMib: host.memoryMib };
    this.#samples.set(host.id, [...(this.#samples.get(host.id) ?? []), sample].slice(-200));
  }

  look(tick: number, settings: Settings, open: BalancingInput['open']): BalancingPlan {
    const input: BalancingInput = {
      hosts: this.hosts.map((host) => ({
        host: this.#reserved(host), samples: this.#samples.get(host.id) ?? [], movedAt: this.#movedAt.get(host.id) ?? null,
        moving: this.#moving.some(({ move }) => move.fromHostId === host.id || move.toHostId === host.id),
      })),
      fleet: aFleet(this.hosts.map((host) => this.#reserved(host)), [aPool('p'), aPool('local', { shared: false })]),
      instances: this.instances,
      loads: new Map(this.instances.map((instance) => {
        const cores = (this.#cores.get(instance.id) ?? []).slice(-settings.balancing.samples);
        const mean = cores.reduce((sum, value) => sum + value, 0) / cores.length;
        return [instance.id, { at: tick * tickMs, cpuPercent: (100 * mean) / instance.vcpus, memoryUsedMib: this.usedMib(instance) }];
      })),
      touchedAt: this.#touchedAt, settings, open, pollIntervalMs: tickMs, now: tick * tickMs,
    };
    return planBalancing(input);
  }

  #reserved(host: Host): Host {
    const there = this.instances.filter(({ hostId }) => hostId === host.id);
    return { ...host, usedVcpus: there.reduce((sum, { vcpus }) => sum + vcpus, 0), usedMemoryMib: there.reduce((sum, { memoryMib }) => sum + memoryMib, 0) };
  }

  begin(move: BalancingMove, tick: number): void {
    this.instances = this.instances.map((instance) => (instance.id === move.instance.id ? { ...instance, operationId: 'move' } : instance));
    this.#moving.push({ move, endsAt: tick + (this.trace.moveTicks ?? 2) });
  }
}

function checkPlan({ moves, loads }: BalancingPlan, { balancing }: Settings): void {
  for (const measure of ['cpu', 'memory'] as const) {
    const [before, after] = (['now', 'after'] as const).map((when) => Math.max(0, ...[...loads.values()].map((load) => load[when][measure])));
    assert.ok((after ?? 0) <= (before ?? 0) + 1e-9 || (after ?? 0) < (measure === 'cpu' ? balancing.lowCpuPercent : balancing.lowMemoryPercent), `${measure}: the fullest host got fuller`);
  }
  assert.ok(moves.length <= balancing.movesPerRound);
  for (const { toHostId } of moves) {
    const after = loads.get(toHostId)?.after;
    assert.ok(after !== undefined && after.cpu < balancing.lowCpuPercent && after.memory < balancing.lowMemoryPercent, 'the target stays below');
  }
}

interface Run { readonly decisions: Record<string, string[]>; readonly world: World; readonly movesOf: Map<string, number[]> }

function run(trace: Trace): Run {
  const settings: Settings = { ...defaultSettings, balancing: { ...defaultSettings.balancing, ...trace.balancing } };
  const world = new World(trace);
  const decisions: Record<string, string[]> = {};
  const movesOf = new Map<string, number[]>();
  let open: BalancingInput['open'] = [];
  for (let tick = 0; tick < trace.ticks; tick++) {
    world.tick(tick);
    if (tick % ticksPerLook !== ticksPerLook - 1) continue;
    const plan = world.look(tick, settings, open);
    checkPlan(plan, settings);
    const words = plan.moves.map(({ instance, fromHostId, toHostId, gainPercent, why }) => {
      const { load, fromAfter, toBefore, toAfter } = why.params ?? {};
      return `${instance.name} ${fromHostId}→${toHostId} ${why.key.split('.').at(-1)} ${load}→${fromAfter}, ${toBefore}→${toAfter}: ${Math.round(gainPercent)}`;
    });
    if (trace.suggest === true) {
      const same = JSON.stringify(open) === JSON.stringify(plan.moves.map(({ instance, toHostId }) => ({ instanceId: instance.id, toHostId })));
      if (!same) decisions[tick] = words;
      open = plan.moves.map(({ instance, toHostId }) => ({ instanceId: instance.id, toHostId }));
      continue;
    }
    if (words.length > 0) decisions[tick] = words;
    for (const move of plan.moves) {
      world.begin(move, tick);
      movesOf.set(move.instance.id, [...(movesOf.get(move.instance.id) ?? []), tick]);
    }
  }
  return { decisions, world, movesOf };
}

describe('golden traces', () => {
  for (const file of readdirSync(directory).sort()) {
    const trace = JSON.parse(readFileSync(`${directory}/${file}`, 'utf8')) as Trace;
    it(`${file.replace('.json', '')}: ${trace.about}`, () => {
      const { decisions } = run(trace);
      if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(`${directory}/${file}`, `${JSON.stringify({ ...trace, decisions }, null, 1)}\n`);
      else assert.deepEqual(decisions, trace.decisions);
    });
  }
});

describe('planBalancing', () => {
  it('settles on any cluster with a steady load, and never moves one instance twice within its cool-down', () => {
    const anyInstance = fc.record({ host: fc.integer({ min: 0, max: 3 }), cores: fc.integer({ min: 0, max: 40 }), vcpus: fc.integer({ min: 1, max: 4 }), usedMib: fc.integer({ min: 100, max: 4000 }) });
    const anyHost = fc.record({ cpus: fc.constantFrom(2, 4, 8, 16), memoryMib: fc.constantFrom(8192, 16384, 32768) });
    fc.assert(fc.property(fc.array(anyHost, { minLength: 2, maxLength: 4 }), fc.array(anyInstance, { maxLength: 24 }), fc.integer({ min: 1, max: 4 }), (hosts, instances, movesPerRound) => {
      const trace: Trace = {
        about: 'any', ticks: 6 * 40, balancing: { samples: 3, cooldownSeconds: 600, movesPerRound },
        hosts: hosts.map((host, index) => ({ name: `h${index}`, ...host })),
        instances: instances.map(({ host, cores, ...over }, index) => ({ name: `i${index}`, host: `h${host % hosts.length}`, cores: [[0, cores / 10]] as const, memoryMib: 4096, ...over })),
      };
      const { decisions, movesOf } = run(trace);
      for (const ticks of movesOf.values()) ticks.reduce((before, tick) => { assert.ok((tick - before) * tickMs >= 600_000); return tick; }, -Infinity);
      const late = Object.keys(decisions).filter((tick) => Number(tick) > 6 * 30);
      assert.deepEqual(late, [], 'still moving after half an hour of the same load');
    }), { numRuns: 100 });
  });
});
