// Around the planner of balancing: what it needs from the database, what it makes of it for a page, and a suggestion taken up.
import { randomUUID } from 'node:crypto';
import { AppError, say } from '../errors.ts';
import { measuredLoad, planBalancing, type BalancingHost, type BalancingInput, type BalancingPlan } from '../model/balancing.ts';
import type { Instance } from '../model/instance.ts';
import type { Move } from '../model/move.ts';
import type { Settings } from '../model/settings.ts';
import type { User } from '../model/user.ts';
import type { Config } from '../config.ts';
import type { Db } from '../store/db.ts';
import { selectOptionalInstance, selectPlacedInstances } from '../store/instances.ts';
import { selectMovesEndedSince, selectOpenMoves, selectOptionalMove } from '../store/moves.ts';
import { selectHostSampleRanges, selectInstanceMeans } from '../store/samples.ts';
import { claimSuggestionApplied, claimSuggestionEnded, reopenSuggestion, selectDismissedSince, selectOpenSuggestions, type Suggestion } from '../store/suggestions.ts';
import { loadFleet } from './admission.ts';
import type { OperationDeps } from './deps.ts';
import { submitMove } from './instance-migrate.ts';

type BalancingConfig = Pick<Config, 'pollIntervalMs'>;

export async function loadBalancing(db: Db, { pollIntervalMs }: BalancingConfig, settings: Settings, now: number): Promise<BalancingInput> {
  const { balancing } = settings;
  const from = now - (balancing.samples + 2) * pollIntervalMs;
  const restSince = Math.min(from, now - balancing.cooldownSeconds * 1000);
  const [fleet, instances, openMoves, ended, dismissed, open] = await Promise.all([
    loadFleet(db, settings, now), selectPlacedInstances(db), selectOpenMoves(db), selectMovesEndedSince(db, restSince),
    selectDismissedSince(db, restSince), selectOpenSuggestions(db),
  ]);
  const samples = await selectHostSampleRanges(db, fleet.hosts.map((host) => host.subjectId), from, now);
  const hosts: BalancingHost[] = fleet.hosts.map((host) => ({
    host,
    samples: samples.get(host.subjectId) ?? [],
    moving: openMoves.some((move) => involves(move, host.id)),
    movedAt: latest(ended.filter((move) => involves(move, host.id)).map((move) => move.endedAt)),
  }));
  const input = { hosts, fleet, instances, settings, open, pollIntervalMs, now, loads: new Map(), touchedAt: touched(ended, dismissed) };
  return { ...input, loads: await loadGuests(db, input, from) };
}

const involves = (move: Move, hostId: string): boolean => move.fromHostId === hostId || move.toHostId === hostId;

function latest(times: readonly (number | null)[]): number | null {
  return times.reduce<number | null>((last, at) => (at === null || (last !== null && last >= at) ? last : at), null);
}

function touched(ended: readonly Move[], dismissed: ReadonlyMap<string, number>): Map<string, number> {
  const at = new Map(dismissed);
  for (const { instanceId, endedAt } of ended) at.set(instanceId, Math.max(at.get(instanceId) ?? 0, endedAt ?? 0));
  return at;
}

/** What instances use, of those that may be moved: on overloaded hosts, or suggested. Of the others nobody asks. */
async function loadGuests(db: Db, input: BalancingInput, from: number): Promise<BalancingInput['loads']> {
  const hot = new Set(input.hosts.filter((each) => Object.values(measuredLoad(each, input)?.overloaded ?? {}).includes(true)).map(({ host }) => host.id));
  const wanted = input.instances.filter((instance) => hot.has(instance.hostId ?? '') || input.open.some(({ instanceId }) => instanceId === instance.id));
  const means = await selectInstanceMeans(db, wanted.map((instance) => instance.subjectId), from, input.now);
  return new Map(wanted.flatMap((instance) => {
    const mean = means.get(instance.subjectId);
    return mean === undefined ? [] : [[instance.id, mean] as const];
  }));
}

/** An admin takes a suggestion up, once for an `operationId`. Throws conflict when it is decided already or does not hold any more, and what submitMove throws. */
export async function applySuggestion(deps: OperationDeps, suggestion: Suggestion, actor: Pick<User, 'id'>, operationId: string = randomUUID()): Promise<{ move: Move; instance: Instance }> {
  const { db, clock } = deps;
  const [instance, before] = await Promise.all([selectOptionalInstance(db, suggestion.instanceId), selectOptionalMove(db, operationId)]);
  if (instance !== undefined && before !== undefined) return { move: before, instance };
  if (instance === undefined || instance.hostId !== suggestion.fromHostId) {
    await claimSuggestionEnded(db, suggestion.id, 'expired', clock.now());
    throw new AppError('conflict', say('balancing.expired'));
  }
  if (!(await claimSuggestionApplied(db, suggestion.id, operationId, clock.now()))) throw new AppError('conflict', say('balancing.decided'));
  try {
    const { move } = await submitMove(deps, { instance, toHostId: suggestion.toHostId, trigger: 'balancing', why: suggestion.why, actor, operationId });
    return { move, instance };
  } catch (error) {
    await reopenSuggestion(db, suggestion.id, operationId);
    throw error;
  }
}

/** The plan as it is now, for a page: the loads of the hosts, and what they would be after the open suggestions. */
export async function viewBalancing(db: Db, config: BalancingConfig, settings: Settings, now: number): Promise<Pick<BalancingPlan, 'loads'>> {
  const input = await loadBalancing(db, config, settings, now);
  // nothing new is thought of while somebody reads
  const { loads } = planBalancing({ ...input, settings: { ...settings, balancing: { ...settings.balancing, movesPerRound: input.open.length } } });
  return { loads };
}
