// One endpoint of the API, said once: from these come the routes, the validation and the OpenAPI document, so that
// what is documented and what happens cannot differ.
import type { z } from 'zod';
import type { Sentence } from '../../errors.ts';
import type { Access } from '../../model/access.ts';
import type { User } from '../../model/user.ts';
import type { Context } from '../context.ts';
import { parsePart } from './validation.ts';

export type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';

/** What a handler is given: already checked, and nothing of the request besides. */
export interface Call<P, Q, B> {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  readonly user: User;
  readonly context: Context;
  /** words for the audit row: what was acted on, what was done; never a secret */
  readonly note: (note: { target?: string; detail?: string }) => void;
  /** id for what this request makes: the same one when it is done again under its Idempotency-Key after a crash */
  readonly newId: string;
}

export interface Reply<R> {
  readonly body: R;
  /** URL of what was made, for the Location header */
  readonly location?: string;
}

interface Description {
  readonly method: Method;
  /** below /api/v1, Express style: /instances/:id */
  readonly path: string;
  /** OpenAPI's operationId */
  readonly id: string;
  readonly access: Exclude<Access, 'visitor'>;
  /** what a token needs; `session`: no token will do, only a logged-in person */
  readonly scope: 'read' | 'write' | 'session';
  /** the audit log's name of the change */
  readonly audit?: string;
  readonly summary: Sentence;
  /** 202 for a change that goes on as an operation */
  readonly status: 200 | 201 | 202 | 204;
  /** the answer holds a secret that is shown once: never kept, so a repeated Idempotency-Key is refused */
  readonly secret?: boolean;
}

interface Spec<P extends z.ZodObject, Q extends z.ZodObject, B extends z.ZodType, R extends z.ZodType> extends Description {
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  /** absent only with status 204 */
  readonly response?: R;
  readonly handler: (call: Call<z.output<P>, z.output<Q>, z.output<B>>) => Promise<Reply<z.input<R>>>;
}

export interface Endpoint extends Description {
  readonly params: z.ZodObject | undefined;
  readonly query: z.ZodObject | undefined;
  readonly body: z.ZodType | undefined;
  readonly response: z.ZodType | undefined;
  /** Checks all parts (throws AppError), and gives what remains to be done. */
  readonly prepare: (raw: RawCall) => (newId: string) => Promise<Reply<unknown>>;
}

export type RawCall = Omit<Call<unknown, unknown, unknown>, 'newId'>;

/** Nothing is taken in this part. */
type None = z.ZodObject<Record<never, z.ZodType>>;

export function endpoint<P extends z.ZodObject = None, Q extends z.ZodObject = None, B extends z.ZodType = z.ZodUndefined, R extends z.ZodType = z.ZodUndefined>(
  spec: Spec<P, Q, B, R>,
): Endpoint {
  return {
    ...spec,
    params: spec.params,
    query: spec.query,
    body: spec.body,
    response: spec.response,
    prepare(raw) {
      const call = {
        ...raw,
        params: parsePart('params', spec.params, raw.params),
        query: parsePart('query', spec.query, raw.query),
        body: parsePart('body', spec.body, raw.body),
      };
      return (newId) => spec.handler({ ...call, newId });
    },
  };
}
