// The attacks: every ten to twenty seconds one part more is taken away for a while, chosen by a seed.
import { setTimeout as delay } from 'node:timers/promises';
import { groups, type Group, type Target } from './target.ts';

export interface Attack {
  readonly target: string;
  readonly group: Group;
  /** names of all that it takes away: the target's own, or a machine's parts' */
  readonly parts: readonly string[];
  readonly how: 'killed' | 'frozen';
  /** ms UTC */
  readonly at: number;
  /** when it worked again */
  restoredAt: number | null;
}

/** Numbers from 0 to 1 that follow from the seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export interface AttackOptions {
  readonly targets: readonly Target[];
  /** nobody else's: what others take of it would change the order */
  readonly random: () => number;
  readonly everyMs: readonly [least: number, most: number];
  readonly awayMs: readonly [least: number, most: number];
  readonly signal: AbortSignal;
  log(line: string): void;
}

/** A machine boots longer than a service starts; longer than its host is waited for before it is fenced. */
const machineFactor = 2;

/** Attacks until the signal aborts; resolves when everything works again. */
export async function attack(options: AttackOptions, attacks: Attack[]): Promise<void> {
  const { targets, random, signal, log } = options;
  const between = ([least, most]: readonly [number, number]): number => least + random() * (most - least);
  const next = dealer(targets, random);
  const away = new Map<Group, Promise<void>>();
  const strike = async (target: Target): Promise<void> => {
    const record: Attack = {
      target: target.name, group: target.group, parts: (target.parts ?? [target]).map(({ name }) => name), how: random() < 0.5 ? 'killed' : 'frozen', at: Date.now(), restoredAt: null,
    };
    const awayMs = between(options.awayMs) * (target.parts === undefined ? 1 : machineFactor);
    attacks.push(record);
    log(`${target.name} ${record.how} for ${(awayMs / 1000).toFixed(0)} s`);
    await (record.how === 'killed' ? target.kill() : target.freeze());
    await delay(awayMs, undefined, { signal }).catch(() => undefined);
    await target.restore();
    record.restoredAt = Date.now();
    log(`${target.name} works again`);
  };
  let failure: unknown;
  while (!signal.aborted && failure === undefined) {
    const target = next();
    if (target === undefined) break;
    const taken = groupsOf(target);
    await Promise.all(taken.flatMap((group) => away.get(group) ?? []));
    if (signal.aborted) break;
    const over = strike(target).catch((error: unknown) => { failure = error; }).finally(() => taken.forEach((group) => away.delete(group)));
    for (const group of taken) away.set(group, over);
    await delay(between(options.everyMs), undefined, { signal }).catch(() => undefined);
  }
  await Promise.all(away.values());
  if (failure !== undefined) throw failure;
}

/** Of these nothing else may be away while it is: of what there are two of, never both. */
function groupsOf({ group, parts = [] }: Target): readonly Group[] {
  return [group, ...parts.map((part) => part.group)];
}

/** Deals like cards: every kind comes once before any comes again, and the order follows from the seed alone, however long an attack takes. */
function dealer(targets: readonly Target[], random: () => number): () => Target | undefined {
  const oneOf = <T>(all: T[]): T | undefined => all.splice(Math.floor(random() * all.length), 1)[0];
  let kinds: Group[] = [];
  return () => {
    if (kinds.length === 0) kinds = groups.filter((group) => targets.some((target) => target.group === group));
    const kind = oneOf(kinds);
    return oneOf(targets.filter(({ group }) => group === kind));
  };
}
