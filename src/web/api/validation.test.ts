import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { email } from '../forms.ts';
import { id, line, sent } from './shapes.ts';
import { parsePart } from './validation.ts';

const body = z.strictObject({
  name: line(1, 5), count: z.int().min(1).max(9), kind: z.enum(['a', 'b']).default('a'), mail: sent(email()).optional(),
  inner: z.strictObject({ on: z.boolean() }).optional(), id: id.optional(),
});

/** what is said of each field */
function complaints(raw: unknown): Record<string, string> {
  try {
    parsePart('body', body, raw);
  } catch (error) {
    assert.ok(error instanceof AppError && error.kind === 'invalid');
    return Object.fromEntries(Object.entries(error.fields).map(([name, sentence]) => [name, sentence.key]));
  }
  return {};
}

describe('what is sent', () => {
  it('is taken with its defaults', () => {
    assert.deepEqual(parsePart('body', body, { name: ' x ', count: 1 }), { name: 'x', count: 1, kind: 'a' });
  });

  const refused: [string, unknown, Record<string, string>][] = [
    ['nothing', undefined, { body: 'api.field.required' }],
    ['a list', [], { body: 'api.field.type' }],
    ['null', null, { body: 'api.field.type' }],
    ['missing fields', {}, { name: 'api.field.required', count: 'api.field.required' }],
    ['wrong types', { name: 1, count: '1', kind: 3, inner: 'x', id: 'x' }, { name: 'api.field.type', count: 'api.field.type', kind: 'api.field.choice', inner: 'api.field.type', id: 'api.field.invalid' }],
    ['out of bounds', { name: 'abcdef', count: 10 }, { name: 'form.too-long', count: 'form.too-big' }],
    ['too small', { name: '', count: 0 }, { name: 'form.too-short', count: 'form.too-small' }],
    ['line breaks', { name: 'a\nb', count: 1 }, { name: 'api.field.invalid' }],
    ['a form’s rule', { name: 'a', count: 1, mail: 'nobody' }, { mail: 'form.not-an-email' }],
    ['unknown fields by name', { name: 'a', count: 1, colour: 'red', inner: { on: true, off: 1 } }, { 'inner.off': 'api.field.unknown', colour: 'api.field.unknown' }],
    ['names that objects have anyway', JSON.parse('{"name":"a","count":1,"__proto__":1,"constructor":2}'), { ['__proto__']: 'api.field.unknown', constructor: 'api.field.unknown' }],
  ];
  for (const [what, raw, fields] of refused) it(`is refused: ${what}`, () => assert.deepEqual(new Map(Object.entries(complaints(raw))), new Map(Object.entries(fields))));

  it('is quoted back in bounds only', () => {
    const raw = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`${index}${'x'.repeat(200)}`, 1]));
    const fields = complaints(raw);
    assert.ok(Object.keys(fields).length <= 20);
    assert.ok(Object.keys(fields).every((name) => name.length <= 80));
  });

  it('may be nothing where nothing is taken', () => {
    for (const raw of [undefined, {}]) assert.doesNotThrow(() => parsePart('body', undefined, raw));
    assert.throws(() => parsePart('body', undefined, { x: 1 }), AppError);
    assert.throws(() => parsePart('query', undefined, { x: '1' }), AppError);
  });

  it('a wrong id in a path is not found', () => {
    assert.throws(() => parsePart('params', z.strictObject({ id }), { id: '../x' }), (error) => error instanceof AppError && error.kind === 'not-found');
  });

  it('is taken or refused, whatever it is', () => {
    fc.assert(fc.property(fc.jsonValue(), (raw) => void complaints(raw)), { numRuns: 500 });
  });
});
