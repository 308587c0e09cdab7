// The attacks: every ten to twenty seconds one part more is taken away for a while, chosen by a seed.
import { setTimeout as delay } from 'node:timers/promises';
import { groups, type Group, type Target } from './target.ts';

export interface Attack {
  readonly target: string;
  readonly group: Group;
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
  readonly random: () => number;
  readonly everyMs: readonly [least: number, most: number];
  readonly awayMs: readonly [least: number, most: number];
  readonly signal: AbortSignal;
  log(line: string): void;
}

/** Attacks until the signal aborts; resolves when everything works again. */
export async function attack(options: AttackOptions, attacks: Attack[]): Promise<void> {
  const { targets, random, signal, log } = options;
  const between = ([least, most]: readonly [number, number]): number => least + random() * (most - least);
  const away = new Map<Group, Promise<void>>();
  const strike = async (target: Target): Promise<void> => {
    const record: Attack = { target: target.name, group: target.group, how: random() < 0.5 ? 'killed' : 'frozen', at: Date.now(), restoredAt: null };
    const awayMs = between(options.awayMs);
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
    const open = groups.filter((group) => !away.has(group) && targets.some((target) => target.group === group));
    const group = open[Math.floor(random() * open.length)];
    const choice = targets.filter((target) => target.group === group);
    const target = choice[Math.floor(random() * choice.length)];
    if (target !== undefined) {
      const over = strike(target).catch((error: unknown) => { failure = error; }).finally(() => away.delete(target.group));
      away.set(target.group, over);
    }
    await delay(between(options.everyMs), undefined, { signal }).catch(() => undefined);
  }
  await Promise.all(away.values());
  if (failure !== undefined) throw failure;
}
