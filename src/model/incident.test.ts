// Golden traces: what is seen each half minute, and what becomes of it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { countFirings, step, type AlertState, type Reading, type Transition, type Verdict } from './incident.ts';

const tickMs = 30_000;
const limits = { calmMs: 600_000, mostOpen: 500 };

/** b bad · g good (not read at all) · e between · m missing · h held · o off · x gone */
const verdicts: Record<string, Verdict> = { b: 'bad', e: 'between', m: 'missing', h: 'held', o: 'off', x: 'gone' };
const marks: Record<Transition['to'], string> = { pend: 'p', see: 's', open: 'O', reopen: 'R', calm: 'C', end: 'E', drop: 'd' };

function next(state: AlertState | undefined, transition: Transition | undefined, now: number): AlertState | undefined {
  switch (transition?.to) {
    case undefined: return state;
    case 'pend': return { subjectId: 's', phase: 'pending', since: transition.since, seenAt: now, incidentId: null };
    case 'see': return { ...transition.state, seenAt: now };
    case 'open': return { subjectId: 's', phase: 'open', since: now, seenAt: now, incidentId: 'i' };
    case 'reopen': return { ...transition.state, phase: 'open', since: now, seenAt: now };
    case 'calm': return { ...transition.state, phase: 'calm', since: now };
    default: return undefined;
  }
}

/** One letter a tick; '.' for "nothing happens". */
function trace(seen: string, holdSeconds: number): string {
  let state: AlertState | undefined;
  return [...seen].map((letter, tick) => {
    const now = tick * tickMs;
    const verdict = verdicts[letter];
    const readings = new Map<string, Reading>(verdict === undefined ? [] : [['s', { subject: { kind: 'host', id: 's', name: 's' }, verdict, value: null }]]);
    const { transitions } = step({ holdSeconds, enabled: letter !== '!' }, new Map(state === undefined ? [] : [['s', state]]), readings, now, limits);
    assert.ok(transitions.length <= 1);
    state = next(state, transitions[0], now);
    return transitions[0] === undefined ? '.' : marks[transitions[0].to];
  }).join('');
}

describe('one subject', () => {
  for (const [name, holdSeconds, seen, expected] of [
    ['opens at once without a hold time', 0, 'gb', '.O'],
    ['opens when it held for long enough', 60, 'bbbb', 'psO.'],
    ['is forgotten when it gets well before', 60, 'bbgb', 'psdp'],
    ['counts anew after a moment on the edge', 60, 'bebb', 'pdps'],
    ['stays open on the edge (hysteresis)', 0, 'beeeg', 'O...C'],
    ['is over for others after the calm time', 0, `bg${'g'.repeat(20)}g`, `OC${'.'.repeat(19)}E.`],
    ['comes back as the same incident: a flapping host', 0, 'bgbgbgbgb', 'OCRCRCRCR'],
    ['comes back without waiting for the hold time again', 60, 'bbbgb', 'psOCR'],
    ['comes back as a new one after the calm time', 0, `bg${'g'.repeat(20)}b`, `OC${'.'.repeat(19)}EO`],
    ['is not over because nothing is measured', 0, `b${'m'.repeat(40)}g`, `O${'.'.repeat(40)}C`],
    ['is not judged while its host is away', 0, 'bhhhhg', 'O....C'],
    ['pending, survives a lost poll', 60, 'bmb', 'p.O'],
    ['pending, is forgotten without samples for minutes', 600, `b${'m'.repeat(12)}`, `p${'.'.repeat(10)}d.`],
    ['ends when the machine is switched off', 0, 'bo', 'OC'],
    ['ends when it is deleted', 0, 'bx', 'OC'],
    ['ends when the rule is switched off, and stays so', 0, 'b!!', 'OC.'],
    ['that is only missing never opens', 0, 'mmhh', '....'],
  ] as const) it(name, () => assert.equal(trace(seen, holdSeconds), expected));

  it('is counted from when it really began', () => {
    const reading: Reading = { subject: { kind: 'host', id: 's', name: 's' }, verdict: 'bad', value: null, since: 0 };
    const [transition] = step({ holdSeconds: 300, enabled: true }, new Map(), new Map([['s', reading]]), 300_000, limits).transitions;
    assert.equal(transition?.to, 'open');
  });
});

describe('many', () => {
  const readings = new Map(Array.from({ length: 20_000 }, (_, index): [string, Reading] => [`s${index}`, { subject: { kind: 'instance', id: `s${index}`, name: 'x' }, verdict: 'bad', value: 99 }]));

  it('open as many incidents as are kept, and are a number beyond', () => {
    const { transitions, overflow } = step({ holdSeconds: 0, enabled: true }, new Map(), readings, 0, limits);
    assert.deepEqual([transitions.length, overflow], [500, 19_500]);
  });

  it('that are open already leave no room for more', () => {
    const states = new Map(Array.from({ length: 500 }, (_, index): [string, AlertState] => [`s${index}`, { subjectId: `s${index}`, phase: 'open', since: 0, seenAt: 0, incidentId: 'i' }]));
    assert.deepEqual(step({ holdSeconds: 0, enabled: true }, states, readings, 0, limits), { transitions: [], overflow: 19_500 });
  });
});

describe('the preview', () => {
  const levels = (text: string): Parameters<typeof countFirings>[1] => [...text].map((letter, index) => ({ at: index * 60_000, level: letter === 'b' ? 'bad' : letter === 'g' ? 'good' : letter === 'e' ? 'between' : null }));
  for (const [text, holdSeconds, fired] of [['gggg', 0, 0], ['gbg', 0, 1], [`gb${'g'.repeat(15)}b`, 0, 2], ['gbgbgb', 0, 1], ['gbbbg', 300, 0], ['gbbbbbbg', 300, 1], ['----', 0, 0], ['bb--bbbb', 300, 1]] as const) {
    it(`${text} held for ${holdSeconds} s fires ${fired} times`, () => assert.equal(countFirings({ holdSeconds }, levels(text), 600_000), fired));
  }
});
