// The OpenAPI 3.1 document, made from the endpoints' own schemas.
import { z } from 'zod';
import type { Translate } from '../locales/index.ts';
import { sentenceText } from '../locales/index.ts';
import { paths } from '../paths.ts';
import type { Endpoint } from './endpoint.ts';
import { problemSchema } from './problem.ts';

type Json = Record<string, unknown>;

/** The schemas that have a name of their own in the document. */
export const namedSchemas = z.registry<{ id: string }>();

/** Gives a schema its name in the document. */
export function named<T extends z.ZodType>(id: string, schema: T): T {
  namedSchemas.add(schema, { id });
  return schema;
}

named('Problem', problemSchema);

export function openApiDocument(endpoints: readonly Endpoint[], t: Translate, publicUrl: string): Json {
  return {
    openapi: '3.1.0',
    info: { title: t('api.document.title'), version: '1', description: t('api.document.description') },
    servers: [{ url: publicUrl + paths.api }],
    security: [{ token: [] }, { session: [] }],
    paths: pathItems(endpoints, t),
    components: {
      schemas: componentSchemas(),
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: t('api.document.token') },
        session: { type: 'apiKey', in: 'cookie', name: publicUrl.startsWith('https:') ? '__Host-session' : 'session', description: t('api.document.session') },
      },
      responses: {
        Problem: { description: t('api.document.problem'), content: { 'application/problem+json': { schema: reference('Problem') } } },
      },
    },
  };
}

/** /instances/:id → /instances/{id} */
export function openApiPath(path: string): string {
  return path.replace(/:(\w+)/g, '{$1}');
}

function pathItems(endpoints: readonly Endpoint[], t: Translate): Json {
  const items = new Map<string, Json>();
  for (const endpoint of endpoints) {
    const path = openApiPath(endpoint.path);
    items.set(path, { ...items.get(path), [endpoint.method]: operationObject(endpoint, t) });
  }
  return Object.fromEntries(items);
}

function operationObject(endpoint: Endpoint, t: Translate): Json {
  const { response, body, status } = endpoint;
  return {
    operationId: endpoint.id,
    summary: sentenceText(t, endpoint.summary),
    tags: [endpoint.path.split('/')[1]],
    'x-access': endpoint.access,
    'x-scope': endpoint.scope,
    ...(endpoint.scope === 'session' ? { security: [{ session: [] }] } : {}),
    parameters: [
      ...parameters('path', endpoint.params),
      ...parameters('query', endpoint.query),
      ...(endpoint.method === 'post' ? [idempotencyParameter(t)] : []),
    ],
    ...(body === undefined ? {} : { requestBody: { required: !body.safeParse(undefined).success, content: { 'application/json': { schema: schemaOf(body, 'input') } } } }),
    responses: {
      [status]: {
        description: t(`api.document.status.${status}`),
        ...(response === undefined ? {} : { content: { 'application/json': { schema: schemaOf(response, 'output') } } }),
      },
      default: { $ref: '#/components/responses/Problem' },
    },
  };
}

function parameters(place: 'path' | 'query', schema: z.ZodObject | undefined): Json[] {
  return Object.entries(schema?.shape ?? {}).map(([name, part]) => ({
    name,
    in: place,
    required: !z.safeParse(part, undefined).success,
    schema: schemaOf(part as z.ZodType, 'output'),
  }));
}

function idempotencyParameter(t: Translate): Json {
  return { name: 'Idempotency-Key', in: 'header', required: false, description: t('api.document.idempotency-key'), schema: { type: 'string', pattern: '^[!-~]{1,128}$' } };
}

const reference = (id: string): Json => ({ $ref: `#/components/schemas/${id}` });

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const known = namedSchemas.get(schema);
  return known === undefined ? plain(z.toJSONSchema(schema, { io, override })) : reference(known.id);
}

function componentSchemas(): Json {
  const { schemas } = z.toJSONSchema(namedSchemas, { uri: (id) => `#/components/schemas/${id}`, io: 'output', override });
  return Object.fromEntries(Object.entries(schemas).map(([id, schema]) => [id, plain(schema)]));
}

// inside the document `$schema` and `$id` say nothing, and a self-made `$id` would change what `$ref` is relative to
function plain(schema: object): Json {
  const { $schema: _schema, $id: _id, '~standard': _standard, ...rest } = schema as Json;
  return rest;
}

/** zod's regular expressions for ids and times are long and follow from the format. */
function override({ jsonSchema }: { jsonSchema: Json }): void {
  if (jsonSchema['format'] !== undefined) delete jsonSchema['pattern'];
}
