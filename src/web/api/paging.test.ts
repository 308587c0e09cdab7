import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { linkHeader, pageQuery, slicePage } from './paging.ts';

const query = z.strictObject(pageQuery);

describe('pages of a list', () => {
  const accepted: [Record<string, unknown>, object][] = [
    [{}, { page: 1, pageSize: 50 }],
    [{ page: '7', pageSize: '200' }, { page: 7, pageSize: 200 }],
  ];
  for (const [raw, parsed] of accepted) it(`takes ${JSON.stringify(raw)}`, () => assert.deepEqual(query.parse(raw), parsed));
  for (const raw of [{ page: '0' }, { page: '-1' }, { page: '1e2' }, { page: ' 1' }, { page: '' }, { page: ['1', '2'] }, { pageSize: '201' }, { pageSize: '1.5' }, { sort: 'name' }]) {
    it(`refuses ${JSON.stringify(raw)}`, () => assert.equal(query.safeParse(raw).success, false));
  }

  const links: [string, object, string | undefined][] = [
    ['/l?page=2&pageSize=10&owner=all', { items: [], page: 2, pageSize: 10, total: 25 },
      '</l?page=1&pageSize=10&owner=all>; rel="first", </l?page=3&pageSize=10&owner=all>; rel="last", </l?page=1&pageSize=10&owner=all>; rel="prev", </l?page=3&pageSize=10&owner=all>; rel="next"'],
    ['/l', { items: [], page: 1, pageSize: 50, total: 0 }, '</l?page=1&pageSize=50>; rel="first", </l?page=1&pageSize=50>; rel="last"'],
    ['/l?page=9', { items: [], page: 9, pageSize: 50, total: 60 }, '</l?page=1&pageSize=50>; rel="first", </l?page=2&pageSize=50>; rel="last", </l?page=2&pageSize=50>; rel="prev"'],
    ['/one', { id: 'x' }, undefined],
    ['//evil.example/l', { items: [], page: 1, pageSize: 50, total: 1 }, '</l?page=1&pageSize=50>; rel="first", </l?page=1&pageSize=50>; rel="last"'],
  ];
  for (const [url, body, header] of links) it(`links ${url}`, () => assert.equal(linkHeader(url, body), header));

  it('cuts a list', () => {
    assert.deepEqual(slicePage([1, 2, 3, 4, 5], { page: 2, pageSize: 2 }), { items: [3, 4], page: 2, pageSize: 2, total: 5 });
    assert.deepEqual(slicePage([1], { page: 5, pageSize: 2 }), { items: [], page: 5, pageSize: 2, total: 1 });
  });
});
