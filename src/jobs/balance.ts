// A look at the hosts' load every minute. What is done about it is the settings' word: nothing, suggestions, or moves. It asks
// for moves as anybody does; reserving, queueing and doing them is their own affair.
import { randomUUID } from 'node:crypto';
import type { Config } from '../config.ts';
import { AppError } from '../errors.ts';
import { planBalancing, type BalancingMove } from '../model/balancing.ts';
import { loadBalancing } from '../operations/balancing.ts';
import type { OperationDeps } from '../operations/deps.ts';
import { submitMove } from '../operations/instance-migrate.ts';
import type { Db } from '../store/db.ts';
import { selectSettings } from '../store/settings.ts';
import { claimSuggestionEnded, insertSuggestion, selectOpenSuggestions, type Suggestion } from '../store/suggestions.ts';

/** One round: suggestions that do not hold any more go; new ones are made, or moves, as the settings say. */
export async function balance(deps: OperationDeps, config: Pick<Config, 'pollIntervalMs'>): Promise<void> {
  const { db, clock, log } = deps;
  const settings = await selectSettings(db, log);
  const { mode } = settings.balancing;
  const now = clock.now();
  if (mode === 'off') return expireExcept(db, await selectOpenSuggestions(db), [], now);
  const input = await loadBalancing(db, config, settings, now);
  const open = await selectOpenSuggestions(db);
  if (mode === 'act') {
    // what was suggested before is decided anew
    const { moves } = planBalancing({ ...input, open: [] });
    await expireExcept(db, open, [], now);
    for (const move of moves) await act(deps, move);
    return;
  }
  const { moves } = planBalancing(input);
  await expireExcept(db, open, moves, now);
  for (const move of moves) {
    if (open.some((suggestion) => isOf(suggestion, move))) continue;
    await insertSuggestion(db, { id: randomUUID(), instanceId: move.instance.id, fromHostId: move.fromHostId, toHostId: move.toHostId, why: move.why, gainPercent: move.gainPercent, createdAt: now });
    log.info({ instance: move.instance.id, from: move.fromHostId, to: move.toHostId, gain: move.gainPercent }, 'move suggested');
  }
}

const isOf = (suggestion: Suggestion, move: BalancingMove): boolean =>
  suggestion.instanceId === move.instance.id && suggestion.fromHostId === move.fromHostId && suggestion.toHostId === move.toHostId;

async function expireExcept(db: Db, open: readonly Suggestion[], moves: readonly BalancingMove[], now: number): Promise<void> {
  for (const suggestion of open) if (!moves.some((move) => isOf(suggestion, move))) await claimSuggestionEnded(db, suggestion.id, 'expired', now);
}

/** A move that cannot be had now is none: the next round decides anew. */
async function act(deps: OperationDeps, { instance, toHostId, why }: BalancingMove): Promise<void> {
  try {
    await submitMove(deps, { instance, toHostId, trigger: 'balancing', why, actor: null });
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    deps.log.info({ instance: instance.id, to: toHostId, err: error }, 'balancing could not move');
  }
}
