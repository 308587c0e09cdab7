import assert from 'node:assert/strict';
import { test } from 'node:test';
import { say } from '../errors.ts';
import type { ClusterLoad, Gate } from './admission.ts';
import { defaultSettings } from './settings.ts';
import { isClosedAt, nextGate, replayGate, type LoadStep } from './threshold.ts';

const thresholds = { ...defaultSettings.thresholds, holdSeconds: 0 }; // CPU closes at 90 and opens at 80, memory 95/90, storage 90/85
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

// ── hold time ───────────────────────────────────────────────────────────────────────────────────────────────────────

const patient = { ...thresholds, holdSeconds: 60 };

/** CPU load at each 10 s → "." open, "#" closed. */
function trace(values: readonly (number | null)[], rules = patient): string {
  let gate = open;
  return values.map((value, tick) => {
    gate = nextGate(gate, load(value), rules, tick * 10_000);
    return gate.closed ? '#' : '.';
  }).join('');
}

// each tick is ten seconds: six of them are the hold time
const traces: readonly (readonly [name: string, values: readonly (number | null)[], gate: string])[] = [
  ['closes when it was above for the hold time', [95, 95, 95, 95, 95, 95, 95, 95], '......##'],
  ['a storm shorter than that does not close it', [95, 95, 95, 95, 95, 95, 50, 95, 95, 95, 95, 95, 95], '.............'],
  ['a value between the bounds is not above', [95, 95, 95, 85, 95, 95, 95, 95, 95, 95, 95], '..........#'],
  ['opens when it was below for the hold time', [95, 95, 95, 95, 95, 95, 95, 70, 70, 70, 70, 70, 70, 70], '......#######.'],
  ['a lull shorter than that does not open it', [95, 95, 95, 95, 95, 95, 95, 70, 70, 70, 85, 70, 70, 70, 70, 70, 70, 70], '......###########.'],
  ['time without samples does not count, either way', [95, 95, 95, null, 95, 95, 95, 95, 95, 95, 95, null, 70, 70, 70, null, 70, 70, 70, 70, 70, 70, 70], '..........############.'],
];
for (const [name, values, expected] of traces) test(`hold time: ${name}`, () => assert.equal(trace(values), expected));

test('hold time: each measure has its own', () => {
  let gate: Gate = open;
  const closed = Array.from({ length: 24 }, (_, tick) => {
    // CPU is high until tick 6, memory from tick 9
    gate = nextGate(gate, load(tick <= 6 ? 95 : 70, tick < 9 ? 10 : 96), patient, tick * 10_000);
    return gate.closed ? (gate.reasons[0]?.key.endsWith('cpuPercent') === true ? 'C' : 'M') : '.';
  });
  assert.equal(closed.join(''), '......CCCCCCC..MMMMMMMMM');
});

test('hold time: 0 is at once', () => assert.equal(trace([50, 95, 85, 70], thresholds), '.##.'));

// ── replay ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const minute = 60_000;
const steps = (values: readonly (number | null)[], stepMs: number, from = 0): LoadStep[] => values.map((cpuPercent, i) => ({ at: from + i * stepMs, stepMs, ...load(cpuPercent) }));
const times = (closings: ReturnType<typeof replayGate>): (number | null)[][] => closings.map(({ from, to }) => [from / minute, to === null ? null : to / minute]);
const replays: readonly (readonly [name: string, steps: readonly LoadStep[], closings: readonly (readonly (number | null)[])[]])[] = [
  ['a quiet week', steps([10, 20, 30, 20], 15 * minute), []],
  ['quarters of an hour: the hold time ends within a step', steps([10, 95, 95, 20, 20], 15 * minute), [[16, 46]]],
  ['closed to this day', steps([10, 95, 95], 15 * minute), [[16, null]]],
  ['nothing measured while closed', steps([10, 95, null, null, 20], 15 * minute), [[16, 61]]],
  // the mean of 2 minutes is 95 with the third minute and 72.5 with the sixth; each must last for one
  ['minutes: the window and the hold time', steps([60, 95, 95, 95, 95, 50, 50, 50, 50], minute), [[3, 6]]],
  ['a peak within a minute', steps([10, 95, 10, 10], minute), []],
  ['two storms', steps([95, 95, 20, 20, 95, 95, 20], 15 * minute), [[1, 31], [61, 91]]],
  ['a finer tier after a coarser one', [...steps([10, 95, 95], 15 * minute), ...steps([95, 95, 20, 20, 20, 20, 20], minute, 45 * minute)], [[16, 48]]],
];
for (const [name, given, expected] of replays) test(`replay: ${name}`, () => assert.deepEqual(times(replayGate(given, patient)), expected));

test('replay: is what the gate does tick by tick', () => {
  const day = Array.from({ length: 8640 }, (_, i) => 50 + 45 * Math.sin(i / 700) + 20 * Math.sin(i / 13));
  const rules = { ...patient, windowSeconds: 20 };
  let gate: Gate = open;
  const closed: boolean[] = [];
  day.forEach((value, i) => {
    const mean = i === 0 ? value : (value + (day[i - 1] ?? value)) / 2;
    gate = nextGate(gate, load(mean), rules, i * 10_000);
    closed.push(gate.closed);
  });
  const closings = replayGate(steps(day, 10_000), rules);
  assert.ok(closings.length > 1);
  assert.deepEqual(day.map((_, i) => isClosedAt(closings, i * 10_000)), closed);
});

test('replay: thresholds that are switched off close nothing', () => assert.deepEqual(replayGate(steps([99, 99], 15 * minute), { ...patient, enabled: false }), []));
