import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { catalogue } from '../web/locales/index.ts';
import { conditions, defaultRules, inScope, isMeasure, isQuiet, levelOf, limitsAgree, measures, ruleWords, valueText, incidentWords, manyWords } from './alert-rule.ts';
import { metrics } from './metric.ts';

describe('the level of a value', () => {
  const above = { direction: 'above', limit: 90, clear: 80 } as const;
  const below = { direction: 'below', limit: 5, clear: 10 } as const;
  for (const [rule, value, level] of [
    [above, 90.1, 'bad'], [above, 90, 'between'], [above, 80.1, 'between'], [above, 80, 'good'], [above, 0, 'good'],
    [below, 4.9, 'bad'], [below, 5, 'between'], [below, 9.9, 'between'], [below, 10, 'good'], [below, 100, 'good'],
    [{ direction: 'above', limit: 90, clear: 90 } as const, 90, 'good'],
  ] as const) {
    it(`${rule.direction} ${rule.limit}/${rule.clear}: ${value} is ${level}`, () => assert.equal(levelOf(rule, value), level));
  }
});

describe('quiet hours', () => {
  const night = { quiet: { from: 22 * 60, until: 7 * 60 } };
  const noon = { quiet: { from: 12 * 60, until: 13 * 60 } };
  for (const [rule, minute, quiet] of [
    [night, 22 * 60, true], [night, 0, true], [night, 7 * 60 - 1, true], [night, 7 * 60, false], [night, 12 * 60, false],
    [noon, 12 * 60, true], [noon, 13 * 60, false], [{ quiet: { from: 60, until: 60 } }, 60, false], [{ quiet: null }, 0, false],
  ] as const) {
    it(`${JSON.stringify(rule.quiet)} at ${minute}: ${quiet}`, () => assert.equal(isQuiet(rule, minute), quiet));
  }
});

describe('values in words', () => {
  for (const [unit, value, words] of [
    ['percent', 93.27, '93 %'], ['percent', 9.27, '9.3 %'], ['mib', 512, '512 MiB'], ['mib', 1536, '1.5 GiB'], ['mib', 0, '0 B'],
    ['bytes-per-second', 12 * 1024 ** 2, '12 MiB/s'], ['bytes-per-second', 100, '100 B/s'], ['per-second', 3, '3 /s'],
  ] as const) it(`${value} ${unit} is ${words}`, () => assert.equal(valueText(unit, value), words));
});

describe('rules', () => {
  it('that are shipped agree with themselves, and no two have one id', () => {
    for (const rule of defaultRules) assert.ok(limitsAgree(rule), rule.condition);
    assert.equal(new Set(defaultRules.map(({ id }) => id)).size, defaultRules.length);
  });

  it('have words for every condition', () => {
    for (const condition of conditions) {
      assert.ok(`alerts.condition.${condition}` in catalogue, condition);
      const rule = { condition, direction: 'above', limit: 1 } as const;
      for (const sentence of [ruleWords(rule), incidentWords(rule, 'x', 1), manyWords(rule, 2)]) assert.ok(sentence.key in catalogue, sentence.key);
    }
  });

  it('look at metrics that exist, in the order part and whole', () => {
    for (const { metrics: names, subject } of Object.values(measures)) for (const name of names) assert.equal(metrics[name].kind, subject);
    assert.ok(isMeasure('host.cpu') && !isMeasure('host.unreachable'));
  });

  it('are about all, or about those chosen', () => {
    assert.ok(inScope({ scope: [] }, 'a') && inScope({ scope: ['a'] }, 'a') && !inScope({ scope: ['a'] }, 'b'));
  });
});
