// What thresholds that are not saved yet would have done in the last days: to the gate, and to those who asked for machines.
import { clusterOwnerId, type MetricName } from '../../../model/metric.ts';
import type { Settings } from '../../../model/settings.ts';
import { isClosedAt, replayGate, type Closing, type LoadStep } from '../../../model/threshold.ts';
import type { Db } from '../../../store/db.ts';
import { selectCreationsSince } from '../../../store/operations.ts';
import { selectOptionalSampleSubject } from '../../../store/sample-subjects.ts';
import { selectSeries } from '../../../store/series.ts';
import { selectSettings } from '../../../store/settings.ts';
import { selectUserNames } from '../../../store/users.ts';
import type { WebDeps } from '../../deps.ts';

export const previewDays = 7;
const dayMs = 86_400_000;
const hourMs = 3_600_000;
/** Steps of one tier. Fewer than a tier has: they are put together, and what is short is not seen. */
const tierPoints = 4000;

export interface GatePreview {
  readonly enabled: boolean;
  /** newest first */
  readonly closings: readonly Closing[];
  readonly closedMs: number;
  readonly measuredMs: number;
  readonly minuteDays: number;
  /** machines asked for in these days */
  readonly asked: number;
  /** those who would have been refused, the most often first */
  readonly refused: readonly { readonly name: string | undefined; readonly machines: number; readonly lastAt: number }[];
}

export async function loadGatePreview({ db, clock }: WebDeps, thresholds: Settings['thresholds']): Promise<GatePreview> {
  const now = clock.now();
  const from = now - previewDays * dayMs;
  const { monitoring: { minuteDays } } = await selectSettings(db);
  const [steps, creations] = await Promise.all([loadSteps(db, from, now, minuteDays), selectCreationsSince(db, from)]);
  const closings = replayGate(steps, thresholds);
  const refused = new Map<string | null, { machines: number; lastAt: number }>();
  for (const { userId, at } of creations) {
    if (isClosedAt(closings, at)) refused.set(userId, { machines: (refused.get(userId)?.machines ?? 0) + 1, lastAt: at });
  }
  const names = await selectUserNames(db, [...refused.keys()].flatMap((id) => id ?? []));
  return {
    enabled: thresholds.enabled, closings: [...closings].reverse(), minuteDays,
    closedMs: closings.reduce((sum, each) => sum + (each.to ?? now) - each.from, 0),
    measuredMs: steps.reduce((sum, step) => sum + (isMeasured(step) ? step.stepMs : 0), 0),
    asked: creations.length,
    refused: [...refused].map(([id, each]) => ({ name: id === null ? undefined : names.get(id), ...each })).sort((a, b) => b.machines - a.machines || b.lastAt - a.lastAt),
  };
}

const isMeasured = (step: LoadStep): boolean => step.cpuPercent !== null || step.memoryPercent !== null || step.storagePercent !== null;

/** The cluster's load from each tier as far back as it goes: coarse and old first. */
async function loadSteps(db: Db, from: number, now: number, minuteDays: number): Promise<LoadStep[]> {
  const subjectId = await selectOptionalSampleSubject(db, clusterOwnerId);
  if (subjectId === undefined) return [];
  // a little inside each tier, so that its edge is still there when it is read
  const cuts = [from, now - minuteDays * dayMs + hourMs, now - 2 * hourMs + 5 * 60_000, now].map((at) => Math.max(from, at));
  const steps: LoadStep[] = [];
  for (const [i, start] of cuts.slice(0, -1).entries()) {
    const end = cuts[i + 1] ?? now;
    if (end > start) steps.push(...(await stepsOf(db, subjectId, start, end, now)).filter((step) => step.at >= (steps.at(-1)?.at ?? -Infinity) + (steps.at(-1)?.stepMs ?? 0)));
  }
  return steps;
}

async function stepsOf(db: Db, subjectId: number, from: number, to: number, now: number): Promise<LoadStep[]> {
  const read = (metric: MetricName) => selectSeries(db, { subjectId, metric, from, to, now, points: tierPoints });
  const [cpu, memory, memoryTotal, used, capacity] = await Promise.all([read('host.cpu'), read('host.memory-used'), read('host.memory-total'), read('pool.used'), read('pool.capacity')]);
  return cpu.at.map((at, i) => ({
    at, stepMs: cpu.stepMs, cpuPercent: cpu.avg[i] ?? null, memoryPercent: percentOf(memory.avg[i], memoryTotal.avg[i]), storagePercent: percentOf(used.avg[i], capacity.avg[i]),
  }));
}

function percentOf(part: number | null | undefined, whole: number | null | undefined): number | null {
  return part === null || part === undefined || whole === null || whole === undefined || whole <= 0 ? null : (100 * part) / whole;
}
