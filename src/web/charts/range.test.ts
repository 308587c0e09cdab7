import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fieldsOf, isAsAsked, rangeOf, rangeQuery, stepsFrom } from './range.ts';

const now = Date.UTC(2026, 10, 23, 12);
const hour = 3_600_000;
const day = 24 * hour;

describe('what an address asks for', () => {
  for (const [name, query, from, to] of [
    ['nothing: the last hour', {}, now - hour, now],
    ['a year', { range: '1y' }, now - 365 * day, now],
    ['a range that is none', { range: '5 minutes' }, now - hour, now],
    ['two moments', { from: '2026-11-22T00:00:00Z', to: '2026-11-22T06:00:00Z' }, now - 36 * hour, now - 30 * hour],
    ['two moments as a form writes them', { from: '2026-11-22T00:00', to: '2026-11-22T06:00' }, now - 36 * hour, now - 30 * hour],
    ['the wrong way round', { from: '2026-11-22T06:00', to: '2026-11-22T00:00' }, now - 36 * hour, now - 30 * hour],
    ['the future', { from: '2026-11-23T11:00', to: '2027-11-23T11:00' }, now - 365 * day, now],
    ['before all history', { from: '1999-01-01T00:00', to: '1999-01-02T00:00' }, now - 1200 * day, now - 1199 * day],
    ['all of time', { from: '0001-01-01T00:00', to: '9999-01-01T00:00' }, now - 1200 * day, now],
    ['an instant', { from: '2026-11-22T00:00:00Z', to: '2026-11-22T00:00:01Z' }, now - 36 * hour, now - 36 * hour + 60_000],
    ['one moment alone', { from: '2026-11-22T00:00:00Z' }, now - hour, now],
    ['a day that is none', { from: '2026-02-31T00:00', to: '2026-03-02T00:00' }, now - hour, now],
    ['no moment', { from: '2026-13-45T99:99', to: 'now' }, now - hour, now],
    ['several at once', { from: ['2026-11-22T00:00', '2026-11-22T01:00'], range: ['1d', '1w'] }, now - hour, now],
  ] as const) {
    it(`${name}`, () => {
      const range = rangeOf(query, now);
      assert.deepEqual([range.from, range.to], [from, to]);
    });
  }

  it('survives being written into an address', () => {
    for (const range of [rangeOf({ range: '1mo' }, now), rangeOf({ from: '2026-11-22T00:00', to: '2026-11-22T06:00' }, now)]) assert.deepEqual(rangeOf(rangeQuery(range), now), range);
  });
});

describe('what is shown instead', () => {
  const fields = (query: Readonly<Record<string, unknown>>): unknown => fieldsOf(query, rangeOf(query, now));
  const asAsked = (query: Readonly<Record<string, unknown>>): boolean => isAsAsked(query, rangeOf(query, now));
  it('is said of what cannot be shown', () => {
    for (const query of [
      { from: '2026-11-24T00:00', to: '2026-11-25T00:00' }, { from: '2026-11-22T00:00', to: '2026-11-22T00:00' }, { from: 'x', to: 'y' }, { from: '2026-02-31T00:00', to: '2026-03-02T00:00' },
      { from: '2026-11-22T06:00', to: '2026-11-22T00:00' }, { from: '2026-11-22T06:00' }, { from: ['2026-11-22T06:00'], to: '2026-11-22T07:00' }, { range: '99y' }, { range: ['1d', '1w'] },
    ]) assert.equal(asAsked(query), false, JSON.stringify(query));
  });
  it('is not said of what is shown as asked', () => {
    for (const query of [{}, { range: '' }, { range: '1y' }, { from: '', to: '' }, { from: '2026-11-22T00:00', to: '2026-11-22T06:00' }, { from: '2026-11-22T00:00:00Z', to: '2026-11-22T00:00:59Z' }]) {
      assert.equal(asAsked(query), true, JSON.stringify(query));
    }
  });
  it('leaves in the fields what was typed, where it is a moment', () => {
    assert.deepEqual(fields({ from: '2026-11-24T00:00', to: '2026-11-25T00:00' }), { from: '2026-11-24T00:00', to: '2026-11-25T00:00' });
    assert.deepEqual(fields({ from: '2026-02-31T00:00', to: '2026-03-02T00:00' }), { from: '2026-11-23T11:00', to: '2026-03-02T00:00' });
    assert.deepEqual(fields({}), { from: '2026-11-23T11:00', to: '2026-11-23T12:00' });
  });
});

describe('steps from a range', () => {
  it('leave the present only backwards', () => {
    const { earlier, later, wider, closer } = stepsFrom(rangeOf({ range: '6h' }, now), now);
    assert.deepEqual([earlier.from, earlier.to], [now - 12 * hour, now - 6 * hour]);
    assert.equal(later, null);
    assert.deepEqual([wider?.from, wider?.to], [now - 12 * hour, now]);
    assert.deepEqual([closer?.from, closer?.to], [now - 3 * hour, now], 'closer to the present');
  });
  it('look closer at the middle of what is over', () => {
    const { closer } = stepsFrom(rangeOf({ from: '2026-11-23T06:00', to: '2026-11-23T10:00' }, now), now);
    assert.deepEqual([closer?.from, closer?.to], [now - 5 * hour, now - 3 * hour]);
  });
  it('come back to it', () => {
    const range = rangeOf({ from: '2026-11-23T06:00', to: '2026-11-23T09:00' }, now);
    assert.equal(stepsFrom(range, now).later?.to, now);
  });
  it('end where there is nothing shorter or longer', () => {
    assert.equal(stepsFrom(rangeOf({ from: '2026-11-23T06:00', to: '2026-11-23T06:01' }, now), now).closer, null);
    assert.equal(stepsFrom(rangeOf({ from: '2023-10-01T06:00', to: '2026-11-23T06:01' }, now), now).wider, null);
  });
});
