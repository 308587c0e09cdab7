// The OpenAPI document and the routes say the same, both ways.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { apiEndpoints } from '../../src/web/api/endpoints.ts';
import type { Endpoint } from '../../src/web/api/endpoint.ts';
import { namedSchemas, openApiPath } from '../../src/web/api/openapi.ts';
import { apiRoutes } from '../../src/web/api/routes.ts';
import { allRoutes } from '../../src/web/routes.ts';
import { startTestPortal, type TestPortal } from '../helpers/portal.ts';

interface Document {
  openapi: string;
  paths: Record<string, Record<string, { operationId: string; summary: string; parameters: { name: string; in: string }[]; requestBody?: unknown; responses: Record<string, unknown> }>>;
  components: { schemas: Record<string, unknown>; responses: Record<string, unknown> };
}

describe('the OpenAPI document', () => {
  let portal: TestPortal;
  let document: Document;
  let endpoints: Endpoint[];
  before(async () => {
    portal = await startTestPortal({ runner: false });
    endpoints = apiEndpoints(portal.deps);
    document = (await (await fetch(`${portal.url}/api/v1/openapi.json`)).json()) as Document;
  });
  after(() => portal.close());

  it('describes every route and no other', () => {
    assert.equal(document.openapi, '3.1.0');
    const documented = Object.entries(document.paths).flatMap(([path, item]) => Object.keys(item).map((method) => `${method} /api/v1${path}`));
    const served = allRoutes(portal.deps).filter((route) => route.path.startsWith('/api/')).map((route) => `${route.method} ${openApiPath(route.path)}`);
    assert.deepEqual(documented.sort(), served.filter((route) => route !== 'get /api/v1/openapi.json').sort());
    assert.equal(apiRoutes(portal.deps).length, endpoints.length + 1);
  });

  it('is complete in docs/api.md', () => {
    const page = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8');
    const missing = endpoints.map((endpoint) => `${endpoint.method.toUpperCase()} ${openApiPath(endpoint.path)}`).filter((name) => !page.includes(`\`${name}\``));
    assert.deepEqual(missing, []);
  });

  it('has a handler behind each description', async () => {
    for (const [path, item] of Object.entries(document.paths)) {
      for (const method of Object.keys(item)) {
        const response = await fetch(`${portal.url}/api/v1${path.replace(/\{\w+\}/g, crypto.randomUUID())}`, { method: method.toUpperCase() });
        assert.equal(response.status, 401, `${method} ${path}`);
        await response.text();
      }
    }
  });

  it('names every operation once, and every part of a path', () => {
    const operations = Object.values(document.paths).flatMap((item) => Object.values(item));
    assert.equal(new Set(operations.map((operation) => operation.operationId)).size, operations.length);
    assert.deepEqual(operations.filter((operation) => operation.summary === '' || operation.summary.startsWith('api.')), []);
    for (const [path, item] of Object.entries(document.paths)) {
      const wanted = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
      for (const operation of Object.values(item)) assert.deepEqual(operation.parameters.filter((parameter) => parameter.in === 'path').map((parameter) => parameter.name), wanted);
    }
  });

  it('refers only to what is in it', () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/(schemas|responses)\/(\w+)"/g)];
    assert.ok(references.length > endpoints.length);
    for (const [, kind = '', name = ''] of references) assert.ok(name in document.components[kind as 'schemas' | 'responses'], `${kind}/${name}`);
    assert.equal([...JSON.stringify(document).matchAll(/"\$ref"/g)].length, references.length);
  });

  it('closes every object: what is not described is neither taken nor given', () => {
    const open: string[] = [];
    const visit = (value: unknown, where: string): void => {
      if (typeof value !== 'object' || value === null) return;
      if ('type' in value && value.type === 'object' && (!('additionalProperties' in value) || value.additionalProperties === true)) open.push(where);
      for (const [key, inner] of Object.entries(value)) visit(inner, `${where}/${key}`);
    };
    visit(document.components.schemas, '');
    visit(document.paths, '');
    assert.deepEqual(open, []);
  });

  it('gives every answer a name and every change an audit entry', () => {
    for (const endpoint of endpoints) {
      if (endpoint.status !== 204) assert.ok(endpoint.response !== undefined && namedSchemas.get(endpoint.response) !== undefined, endpoint.id);
      assert.equal(endpoint.audit !== undefined, endpoint.method !== 'get', endpoint.id);
      assert.equal(endpoint.scope === 'read', endpoint.method === 'get', endpoint.id);
    }
  });

  it('speaks the language that is asked for', async () => {
    const summary = async (language: string): Promise<string> => {
      const response = await fetch(`${portal.url}/api/v1/openapi.json`, { headers: { 'accept-language': language } });
      return ((await response.json()) as Document).paths['/me']?.['get']?.summary ?? '';
    };
    assert.equal(await summary('zh-TW,zh;q=0.9'), '您的帳號');
    assert.equal(await summary('de'), 'Your own account');
  });
});
