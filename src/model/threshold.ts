// The admission gate on measured load, with hysteresis so that it does not flap.
import { say, type Sentence } from '../errors.ts';
import type { ClusterLoad, Gate } from './admission.ts';
import type { Settings } from './settings.ts';

const measures = ['cpuPercent', 'memoryPercent', 'storagePercent'] as const;

/**
 * The gate's next state. It closes when any mean reaches `close`; once closed it stays so until every mean has fallen
 * to its `open`. A measure without samples neither closes the gate nor keeps it closed.
 */
export function nextGate(gate: Gate, load: ClusterLoad, thresholds: Settings['thresholds'], now: number): Gate {
  if (!thresholds.enabled) return gate.closed ? { closed: false, since: now, reasons: [] } : gate;
  const reasons: Sentence[] = [];
  for (const measure of measures) {
    const value = load[measure];
    if (value === null) continue;
    const { close, open } = thresholds[measure];
    const holds = gate.closed && wasReason(gate, measure) ? value > open : value >= close;
    if (holds) reasons.push(say(`admission.gate.${measure}`, { value: Math.round(value), close, open }));
  }
  const closed = reasons.length > 0;
  return { closed, since: closed === gate.closed ? gate.since : now, reasons };
}

function wasReason(gate: Gate, measure: string): boolean {
  return gate.reasons.some((reason) => reason.key === `admission.gate.${measure}`);
}
