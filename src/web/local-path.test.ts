import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { localPath } from './local-path.ts';

describe('localPath', () => {
  for (const next of ['/', '/account', '/instances?page=2&q=%E7%8E%8B', '/instances/1#console', '/a/../account']) {
    it(`goes to ${next}`, () => assert.equal(localPath(next, '/fallback'), next === '/a/../account' ? '/account' : next));
  }

  const evil = [
    undefined, 7, ['/account'], '', 'account', ' /account', '//evil.example', '///evil.example', '/\\evil.example', '\\\\evil.example', 'https://evil.example',
    'https:/evil.example', 'javascript:alert(1)', '@evil.example', '/.//evil.example', '/..//evil.example/x', '/a/..//evil.example', '/%2e//evil.example',
    '/\t/evil.example', '\t//evil.example', '/\r\nLocation:x', '/a\\b', '/\u2028', '/王',
  ];
  for (const next of evil) {
    it(`does not go to ${JSON.stringify(next)}`, () => assert.equal(localPath(next, '/fallback'), '/fallback'));
  }
});
