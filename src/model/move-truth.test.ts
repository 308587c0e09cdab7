import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { settlement, whereabouts, type Settlement, type Sight, type Whereabouts } from './move-truth.ts';

const sight = (state: Sight['state'], pausedBy: Sight['pausedBy'] = null, sending = false): Sight => ({ state, pausedBy, sending });
const running = sight('running');
const sent = sight('running', null, true);
const asleep = sight('paused', 'person');
const half = sight('paused', 'move');
const broken = sight('paused', 'broken');
const off = sight('stopped');
const none = sight('lost');

describe('where a machine is that was to move', () => {
  const live: readonly [source: Sight, target: Sight, Whereabouts, why: string][] = [
    [sent, none, 'moving', 'the target has not begun'],
    [sent, half, 'moving', 'memory is sent'],
    [sight('paused', 'move', true), running, 'moving', 'post-copy: it runs there and fetches the rest'],
    [running, none, 'stayed', 'not begun, or taken back'],
    [running, off, 'stayed', 'an old definition there is no machine'],
    [asleep, none, 'stayed', 'a person paused it'],
    [asleep, half, 'unsettled', 'a person paused it; the target has not noticed that it failed'],
    [running, half, 'unsettled', 'the target has not noticed that it failed'],
    [running, running, 'both', 'what may never be'],
    [asleep, running, 'both', 'the paused one lives as well'],
    [running, asleep, 'both', 'the paused one lives as well'],
    [half, running, 'unsettled', 'the source has not been told'],
    [half, none, 'unsettled', 'the source will go on in a moment'],
    [half, half, 'unsettled', 'between the two'],
    [none, half, 'unsettled', 'the source died; the target drops it'],
    [off, half, 'unsettled', 'the source was switched off and on; the target drops it'],
    [none, broken, 'unsettled', 'post-copy whose source is gone'],
    [none, running, 'arrived', 'done'],
    [none, asleep, 'arrived', 'done, paused as it was'],
    [off, running, 'arrived', 'the source came back from a power failure with its definition'],
    [none, off, 'arrived', 'it arrived and powered itself off'],
    [off, none, 'stayed', 'it powered itself off on the way'],
    [off, off, 'stayed', 'it powered itself off; the target has a definition of before'],
    [none, none, 'nowhere', 'the source died and the target dropped its half'],
  ];
  for (const [source, target, expected, why] of live) it(`${expected}: ${why}`, () => assert.equal(whereabouts(source, target, false), expected));

  const offline: readonly [source: Sight, target: Sight, Whereabouts][] = [
    [off, none, 'stayed'], [off, off, 'arrived'], [none, off, 'arrived'], [none, none, 'nowhere'], [running, none, 'stayed'], [running, running, 'both'],
  ];
  for (const [source, target, expected] of offline) it(`powered off: ${source.state} and ${target.state} is ${expected}`, () => assert.equal(whereabouts(source, target, true), expected));
});

describe('what is dropped when hosts leave it unsettled', () => {
  const cases: readonly [source: Sight, target: Sight, Settlement][] = [
    [running, half, 'drop-target'], [asleep, half, 'drop-target'], [half, running, 'drop-source'], [half, none, 'resume-source'], [half, off, 'resume-source'],
    [none, broken, 'drop-target'], [half, half, 'ask-a-person'], [none, half, 'ask-a-person'], [off, half, 'ask-a-person'], [broken, broken, 'ask-a-person'],
  ];
  for (const [source, target, expected] of cases) {
    it(`${source.state}/${source.pausedBy ?? '–'} and ${target.state}/${target.pausedBy ?? '–'}: ${expected}`, () => assert.equal(settlement(source, target), expected));
  }
});
