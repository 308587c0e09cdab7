import assert from 'node:assert/strict';
import { test } from 'node:test';
import { say } from '../errors.ts';
import type { ClusterLoad, Gate } from './admission.ts';
import { defaultSettings } from './settings.ts';
import { nextGate } from './threshold.ts';

const thresholds = defaultSettings.thresholds; // CPU closes at 90 and opens at 80, memory 95/90, storage 90/85
const open: Gate = { closed: false, since: 1, reasons: [] };
const closedBy = (...measures: string[]): Gate => ({ closed: true, since: 1, reasons: measures.map((measure) => say(`admission.gate.${measure}`, { value: 92, close: 90, open: 80 })) });
const load = (cpuPercent: number | null, memoryPercent: number | null = 10, storagePercent: number | null = 10): ClusterLoad => ({ cpuPercent, memoryPercent, storagePercent });

const table: readonly (readonly [name: string, before: Gate, load: ClusterLoad, reasons: readonly string[]])[] = [
  ['an easy cluster stays open', open, load(50), []],
  ['just below the bound stays open', open, load(89.9), []],
  ['reaching the bound closes', open, load(90), ['cpuPercent']],
  ['between the bounds an open gate stays open', open, load(85), []],
  ['between the bounds a closed gate stays closed', closedBy('cpuPercent'), load(85), ['cpuPercent']],
  ['at the lower bound it opens', closedBy('cpuPercent'), load(80), []],
  ['just above the lower bound it stays closed', closedBy('cpuPercent'), load(80.1), ['cpuPercent']],
  ['another measure between its bounds does not join', closedBy('cpuPercent'), load(85, 92), ['cpuPercent']],
  ['another measure takes over', closedBy('cpuPercent'), load(70, 96), ['memoryPercent']],
  ['all that is too much is said', open, load(99, 99, 99), ['cpuPercent', 'memoryPercent', 'storagePercent']],
  ['no samples at all do not close', open, load(null, null, null), []],
  ['no samples do not open what they had closed', closedBy('cpuPercent'), load(null), ['cpuPercent']],
  ['a measure without samples does not hide another', open, load(null, 97), ['memoryPercent']],
];

for (const [name, before, measured, reasons] of table) {
  test(name, () => {
    const after = nextGate(before, measured, thresholds, 5);
    assert.deepEqual(after.reasons.map((reason) => reason.key), reasons.map((measure) => `admission.gate.${measure}`));
    assert.equal(after.closed, reasons.length > 0);
    assert.equal(after.since, after.closed === before.closed ? before.since : 5);
  });
}

test('thresholds that are switched off open the gate', () => {
  assert.deepEqual(nextGate(closedBy('cpuPercent'), load(99), { ...thresholds, enabled: false }, 5), { closed: false, since: 5, reasons: [] });
  assert.equal(nextGate(open, load(99), { ...thresholds, enabled: false }, 5), open);
});

test('a load that swings between the bounds moves the gate once', () => {
  let gate = open;
  let moves = 0;
  for (let tick = 0; tick < 50; tick++) {
    const next = nextGate(gate, load(tick === 0 ? 95 : tick % 2 === 0 ? 89 : 82), thresholds, tick);
    if (next.closed !== gate.closed) moves++;
    gate = next;
  }
  assert.equal(moves, 1);
});
