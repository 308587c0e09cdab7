// A client of the API that believes nothing: every answer is held against the endpoint's own schema, or the problem's.
import assert from 'node:assert/strict';
import { apiEndpoints } from '../../src/web/api/endpoints.ts';
import type { Endpoint } from '../../src/web/api/endpoint.ts';
import { problemSchema } from '../../src/web/api/problem.ts';
import { createApiToken, type TokenScope } from '../../src/store/api-tokens.ts';
import type { Client, TestPortal } from '../helpers/portal.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** parsed JSON; undefined: no body */
  readonly body: never;
  readonly text: string;
}

export interface CallOptions {
  readonly body?: unknown;
  /** as it stands, instead of `body` */
  readonly raw?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Problem { status: number; kind: string; title: string; detail: string; fields?: Record<string, string>; retryAfter?: number }

export class CheckedClient {
  /** endpoints that have answered with success, by operationId */
  readonly seen = new Set<string>();
  readonly #portal: TestPortal;
  readonly #endpoints: readonly Endpoint[];

  constructor(portal: TestPortal) {
    this.#portal = portal;
    this.#endpoints = apiEndpoints(portal.deps);
  }

  get endpoints(): readonly Endpoint[] {
    return this.#endpoints;
  }

  /** Someone who asks with these headers. */
  as(headers: Readonly<Record<string, string>>): Asker {
    return new Asker(this, this.#portal.url, headers);
  }

  visitor(): Asker {
    return this.as({});
  }

  /** A token of this user's, made for the test. */
  async token(userId: string, scope: TokenScope = 'write', lifeMs = 3_600_000): Promise<Asker> {
    const now = this.#portal.deps.clock.now();
    const { secret } = await createApiToken(this.#portal.deps.db, { userId, name: 'test', scope, expiresAt: now + lifeMs }, now);
    return this.as({ authorization: `Bearer ${secret}` });
  }

  /** A logged-in browser, with the CSRF token of its pages. */
  async session(client: Client): Promise<Asker> {
    await client.get('/account');
    return this.as({ cookie: [...client.cookies].map(([name, value]) => `${name}=${value}`).join('; '), 'x-csrf-token': client.csrfToken });
  }

  check(method: string, path: string, answer: Answer): void {
    const endpoint = this.#endpoints.find((each) => each.method === method.toLowerCase() && pattern(each.path).test(path));
    const where = `${method} ${path}: ${answer.status} ${answer.text.slice(0, 500)}`;
    assert.ok(answer.status < 500 || answer.status === 503 || answer.status === 507, where);
    if (answer.status >= 400) {
      assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/, where);
      const problem = problemSchema.parse(answer.body);
      assert.equal(problem.status, answer.status, where);
      for (const text of [problem.title, problem.detail, ...Object.values(problem.fields ?? {})]) assert.doesNotMatch(text, /^[a-z-]+\.[a-z0-9.-]+$|\{\{/, `${where}: a key instead of a sentence`);
      return;
    }
    assert.ok(endpoint !== undefined, `${where}: no endpoint`);
    assert.equal(answer.status, endpoint.status, where);
    if (endpoint.response === undefined) assert.equal(answer.text, '', where);
    else {
      const parsed = endpoint.response.safeParse(answer.body);
      assert.ok(parsed.success, `${where}: ${parsed.error?.message}`);
    }
    this.seen.add(endpoint.id);
  }
}

function pattern(path: string): RegExp {
  return new RegExp(`^${path.replace(/:\w+/g, '[^/]+')}$`);
}

export class Asker {
  readonly #checked: CheckedClient;
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(checked: CheckedClient, url: string, headers: Readonly<Record<string, string>>) {
    this.#checked = checked;
    this.#url = url;
    this.#headers = headers;
  }

  async call(method: string, target: string, options: CallOptions = {}): Promise<Answer> {
    const body = options.raw ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
    const response = await fetch(`${this.#url}/api/v1${target}`, {
      method,
      redirect: 'manual',
      headers: { ...this.#headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...options.headers },
      ...(body === undefined ? {} : { body }),
    });
    const text = await response.text();
    const answer = { status: response.status, headers: response.headers, text, body: (text === '' ? undefined : JSON.parse(text)) as never };
    this.#checked.check(method, target.replace(/\?.*$/, ''), answer);
    return answer;
  }

  /** Success, or the test ends here. */
  async ok<T>(method: string, target: string, options: CallOptions = {}): Promise<T> {
    const answer = await this.call(method, target, options);
    assert.ok(answer.status < 300, `${method} ${target}: ${answer.status} ${answer.text}`);
    return answer.body;
  }

  /** Failure with this status, or the test ends here. */
  async refused(status: number, method: string, target: string, options: CallOptions = {}): Promise<Problem> {
    const answer = await this.call(method, target, options);
    assert.equal(answer.status, status, `${method} ${target}: ${answer.text}`);
    return answer.body;
  }
}
