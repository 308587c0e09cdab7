// The admission gate on measured load, with hysteresis so that it does not flap.
import { say, type Sentence } from '../errors.ts';
import type { ClusterLoad, Gate } from './admission.ts';
import type { Settings } from './settings.ts';

const measures = ['cpuPercent', 'memoryPercent', 'storagePercent'] as const;

/**
 * The gate's next state. It closes when any mean reaches `close`; once closed it stays so until every mean has fallen
 * to its `open`. A measure without samples does not close the gate; one that had closed it holds it closed, because what
 * is not seen has not fallen.
 */
export function nextGate(gate: Gate, load: ClusterLoad, thresholds: Settings['thresholds'], now: number): Gate {
  if (!thresholds.enabled) return gate.closed ? { closed: false, since: now, reasons: [] } : gate;
  const reasons: Sentence[] = [];
  for (const measure of measures) {
    const value = load[measure];
    const before = gate.closed ? reasonOf(gate, measure) : undefined;
    if (value === null) {
      if (before !== undefined) reasons.push(before);
      continue;
    }
    const { close, open } = thresholds[measure];
    const holds = before !== undefined ? value > open : value >= close;
    if (holds) reasons.push(say(`admission.gate.${measure}`, { value: Math.round(value), close, open }));
  }
  const closed = reasons.length > 0;
  return { closed, since: closed === gate.closed ? gate.since : now, reasons };
}

function reasonOf(gate: Gate, measure: string): Sentence | undefined {
  return gate.reasons.find((reason) => reason.key === `admission.gate.${measure}`);
}
