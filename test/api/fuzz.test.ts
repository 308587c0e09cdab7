// Whatever is sent, the answer is a good one or a problem in words: never a 500, and never what the schemas do not say.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import type { Endpoint } from '../../src/web/api/endpoint.ts';
import type { Asker } from './checked-client.ts';
import { makeRecords, type Records } from './records.ts';

const runs = Number(process.env['FUZZ_RUNS'] ?? 25);

describe('the API under nonsense', () => {
  let records: Records;
  let admin: Asker;
  before(async () => {
    records = await makeRecords();
    admin = await records.api.token(records.admin.id);
  });
  after(() => records.portal.close());

  const nasty = fc.constantFrom<unknown>(
    null, '', ' ', '\u0000', "'; DROP TABLE users; --", '<script>', '{{name}}', '$form.required', '../../etc', 'a'.repeat(5000), '\ud800', '😀', -1, 0, 1.5, 1e308, 2 ** 53, '1', true, [], {}, { length: 3 }, '__proto__',
  );
  const value = fc.oneof(nasty, fc.jsonValue({ maxDepth: 2 }));
  /** right fields with wrong values, wrong fields, and things that are no objects */
  const bodyFor = (endpoint: Endpoint): fc.Arbitrary<unknown> => {
    const names = endpoint.body !== undefined && 'shape' in endpoint.body ? Object.keys(endpoint.body.shape as object) : [];
    const fields = Object.fromEntries(names.map((name) => [name, name === 'imageId' ? fc.oneof(value, fc.constant(records.imageId)) : name === 'name' ? fc.oneof(value, fc.constant('name')) : fc.oneof(value, fc.integer({ min: 0, max: 5 }))]));
    return fc.oneof(fc.record(fields, { requiredKeys: [] }), fc.record(fields), fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor', ...names)), value), fc.jsonValue());
  };
  const targetOf = (endpoint: Endpoint): string => endpoint.path.replace(':id', { instances: records.instanceId, operations: records.operationId, users: records.other.id }[endpoint.path.split('/')[1] ?? ''] ?? crypto.randomUUID());

  it('takes or refuses any body', async () => {
    for (const endpoint of records.api.endpoints.filter(({ method }) => method !== 'get')) {
      await fc.assert(fc.asyncProperty(bodyFor(endpoint), async (body) => {
        // the client itself refuses a 500 and whatever the schemas do not say
        await admin.call(endpoint.method.toUpperCase(), targetOf(endpoint), { raw: JSON.stringify(body) });
      }), { numRuns: runs });
    }
  });

  it('takes or refuses any query', async () => {
    for (const endpoint of records.api.endpoints.filter(({ method }) => method === 'get')) {
      const names = Object.keys(endpoint.query?.shape ?? {});
      const query = fc.dictionary(fc.oneof(fc.constantFrom('page', 'x', ...names), fc.string()), fc.oneof(fc.string(), fc.constantFrom('0', '1', '200', '1e3', '-1', '9'.repeat(30), 'all', 'me', '2026-01-01T00:00:00Z', '%', '\ud800')), { maxKeys: 5 });
      await fc.assert(fc.asyncProperty(query, async (parameters) => {
        const { status } = await admin.call('GET', `${targetOf(endpoint)}?${new URLSearchParams(parameters).toString()}`);
        assert.ok(status < 500, `${endpoint.id} ${status}`);
      }), { numRuns: Math.ceil(runs / 2) });
    }
  });

  it('says what is wrong with a body that is none', async () => {
    const bodies: [string, string | Uint8Array, Record<string, string>, number, string][] = [
      ['half a JSON', '{"name": ', {}, 400, 'malformed'],
      ['a string', '"x"', {}, 400, 'malformed'],
      ['bytes that are no UTF-8', new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), {}, 422, 'invalid'],
      ['a form', 'name=x', { 'content-type': 'application/x-www-form-urlencoded' }, 422, 'invalid'],
      ['text', '{"name":"x"}', { 'content-type': 'text/plain' }, 422, 'invalid'],
      ['an unknown charset', '{}', { 'content-type': 'application/json; charset=klingon' }, 400, 'malformed'],
      ['a bad compression', '{}', { 'content-encoding': 'gzip' }, 400, 'malformed'],
      ['too much', JSON.stringify({ name: 'x'.repeat(110 * 1024) }), {}, 413, 'too-large'],
      ['nothing', '', {}, 422, 'invalid'],
      ['very deep', `${'['.repeat(20_000)}${']'.repeat(20_000)}`, {}, 422, 'invalid'],
    ];
    for (const [what, raw, headers, status, kind] of bodies) {
      const problem = await admin.refused(status, 'POST', '/instances', { raw, headers });
      assert.equal(problem.kind, kind, what);
      assert.doesNotMatch(JSON.stringify(problem), /position|Unexpected token|JSON at/i, what);
    }
  });

  it('knows no other paths and methods', async () => {
    for (const [method, path] of [['GET', '/nothing'], ['PUT', '/instances'], ['DELETE', '/users/x'], ['PATCH', '/me'], ['GET', '/%ff'], ['POST', '/instances/x/actions/explode']] as const) {
      const { status } = await admin.call(method, path);
      assert.ok([200, 400, 404].includes(status), `${method} ${path} ${status}`);
    }
  });
});
