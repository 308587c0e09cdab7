// The admission gate on measured load, with hysteresis and a hold time so that it does not flap, and what it would have
// done in the past.
import { say, type Sentence } from '../errors.ts';
import type { ClusterLoad, Gate } from './admission.ts';
import { thresholdMeasures, type Settings, type ThresholdMeasure } from './settings.ts';

type Thresholds = Settings['thresholds'];

/**
 * The gate's next state. It closes when any mean has been at `close` or above for the hold time; once closed it stays so
 * until every mean has been at its `open` or below for that time. A measure without samples does not close the gate; one
 * that had closed it holds it closed, because what is not seen has not fallen; and in both cases its time begins anew.
 */
export function nextGate(gate: Gate, load: ClusterLoad, thresholds: Thresholds, now: number): Gate {
  if (!thresholds.enabled) return gate.closed ? { closed: false, since: now, reasons: [] } : isStill(gate) ? gate : { ...gate, turning: {} };
  const reasons: Sentence[] = [];
  const turning: Partial<Record<ThresholdMeasure, number>> = {};
  for (const measure of thresholdMeasures) {
    const value = load[measure];
    const before = gate.closed ? reasonOf(gate, measure) : undefined;
    if (value === null) {
      if (before !== undefined) reasons.push(before);
      continue;
    }
    const { close, open } = thresholds[measure];
    const wasHeld = before !== undefined;
    const isHeld = wasHeld ? value > open : value >= close;
    const since = gate.turning?.[measure] ?? now;
    const turns = isHeld !== wasHeld && now - since >= thresholds.holdSeconds * 1000;
    if (isHeld !== wasHeld && !turns) turning[measure] = since;
    if (turns ? isHeld : wasHeld) reasons.push(say(`admission.gate.${measure}`, { value: Math.round(value), close, open }));
  }
  const closed = reasons.length > 0;
  return { closed, since: closed === gate.closed ? gate.since : now, reasons, ...(Object.keys(turning).length === 0 ? {} : { turning }) };
}

const isStill = (gate: Gate): boolean => Object.keys(gate.turning ?? {}).length === 0;

function reasonOf(gate: Gate, measure: string): Sentence | undefined {
  return gate.reasons.find((reason) => reason.key === `admission.gate.${measure}`);
}

/** Mean load from `at` for `stepMs`. */
export interface LoadStep extends ClusterLoad {
  readonly at: number;
  readonly stepMs: number;
}

/** A time in which the gate was closed. */
export interface Closing {
  readonly from: number;
  /** null: it was still closed at the end */
  readonly to: number | null;
  /** what closed it */
  readonly reasons: readonly Sentence[];
}

/**
 * When the gate would have been closed with these thresholds. It begins open. Steps shorter than the window are averaged
 * over it as the gate does; longer ones are taken as they are: a peak shorter than a step is not seen.
 */
export function replayGate(steps: readonly LoadStep[], thresholds: Thresholds): Closing[] {
  const closings: Closing[] = [];
  let gate: Gate = { closed: false, since: 0, reasons: [] };
  const holdMs = thresholds.holdSeconds * 1000;
  const smooth = windowMeans(steps, thresholds.windowSeconds * 1000);
  for (const { at, stepMs, ...load } of smooth) {
    // a step is its value from its beginning to its end: the hold time may end within it
    for (const moment of holdMs > 0 && holdMs < stepMs ? [at, at + holdMs] : [at]) {
      const next = nextGate(gate, load, thresholds, moment);
      if (next.closed && !gate.closed) closings.push({ from: moment, to: null, reasons: next.reasons });
      const last = closings.at(-1);
      if (!next.closed && gate.closed && last !== undefined) closings[closings.length - 1] = { ...last, to: moment };
      gate = next;
    }
  }
  return closings;
}

/** Each step with the means of the window that ends with it. */
function windowMeans(steps: readonly LoadStep[], windowMs: number): LoadStep[] {
  const sums = Object.fromEntries(thresholdMeasures.map((measure) => [measure, { sum: 0, count: 0 }])) as Record<ThresholdMeasure, { sum: number; count: number }>;
  const put = (step: LoadStep, sign: 1 | -1): void => {
    for (const measure of thresholdMeasures) {
      const value = step[measure];
      if (value === null) continue;
      sums[measure].sum += sign * value;
      sums[measure].count += sign;
    }
  };
  let first = 0;
  return steps.map((step) => {
    put(step, 1);
    const windowFrom = step.at + step.stepMs - Math.max(windowMs, step.stepMs);
    for (let oldest = steps[first]; oldest !== undefined && oldest.at + oldest.stepMs <= windowFrom; oldest = steps[++first]) put(oldest, -1);
    const mean = (measure: ThresholdMeasure): number | null => (sums[measure].count === 0 ? null : sums[measure].sum / sums[measure].count);
    return { at: step.at, stepMs: step.stepMs, cpuPercent: mean('cpuPercent'), memoryPercent: mean('memoryPercent'), storagePercent: mean('storagePercent') };
  });
}

/** Whether the gate would have been closed at this moment. */
export function isClosedAt(closings: readonly Closing[], at: number): boolean {
  return closings.some(({ from, to }) => from <= at && (to === null || at < to));
}
