import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { csvField, fileName } from './csv.ts';

describe('a field of a CSV file', () => {
  for (const [name, value, written] of [
    ['a plain word', 'web1', 'web1'],
    ['nothing', null, ''],
    ['a figure, also a negative one', -1.5, '-1.5'],
    ['a comma', 'a, b', '"a, b"'],
    ['a quote', 'say "no"', '"say ""no"""'],
    ['a line break', 'a\nb', '"a\nb"'],
    ['a text that a table program would calculate', '=HYPERLINK("x")', '"\'=HYPERLINK(""x"")"'],
    ['another one', '@SUM(1)', "'@SUM(1)"],
    ['Chinese', '維護', '維護'],
  ] as const) {
    it(`keeps ${name}`, () => assert.equal(csvField(value), written));
  }
});

describe('a file’s name', () => {
  it('is made of plain letters alone', () => assert.equal(fileName('../web "1"', 'cpu', '維護', '2026-11-23'), 'web-1_cpu_2026-11-23'));
});
