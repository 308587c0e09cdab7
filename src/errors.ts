// The one error class that may reach a person. Everything else that is thrown is a bug and becomes a 500 with a
// reference id. What a person reads is a Sentence: a key of the catalogue (src/web/locales) with its parameters, so
// that a failure stored today by a job can be read tomorrow in the reader's own language.

/** A sentence for people, in no language yet. `params` fill `{{name}}` in the catalogue's text. */
export interface Sentence {
  readonly key: string;
  readonly params?: Readonly<Record<string, string | number>>;
}

/** Makes a Sentence. A test finds every call of it in the sources and looks its key up in the catalogue. */
export function say(key: string, params?: Readonly<Record<string, string | number>>): Sentence {
  return params === undefined ? { key } : { key, params };
}

/** Kinds of expected failure. `web/middleware/error-handler.ts` maps each to a status, a page and a log level. */
export const errorKinds = [
  'invalid', // 422: what was typed is wrong; `fields` says where
  'unauthenticated', // 401
  'forbidden', // 403
  'not-found', // 404: missing, or not yours
  'conflict', // 409: not possible in the present state
  'quota-exceeded', // 409
  'too-many', // 429
  'no-capacity', // 507: nothing in the cluster can take it
  'host-unavailable', // 503: the host is silent, or the database is
] as const;
export type ErrorKind = (typeof errorKinds)[number];

export interface AppErrorOptions {
  readonly cause?: unknown;
  /** field name of the form or the API body → what is wrong with it */
  readonly fields?: Readonly<Record<string, Sentence>>;
  /** seconds after which trying again makes sense (429, 503) */
  readonly retryAfterSeconds?: number;
}

/** An expected failure. `sentence` is for the user; `cause` and the stack are for the log only. */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly kind: ErrorKind;
  readonly sentence: Sentence;
  readonly fields: Readonly<Record<string, Sentence>>;
  readonly retryAfterSeconds: number | undefined;

  constructor(kind: ErrorKind, sentence: Sentence, options: AppErrorOptions = {}) {
    super(`${kind}: ${sentence.key}${sentence.params ? ` ${JSON.stringify(sentence.params)}` : ''}`, {
      cause: options.cause,
    });
    this.kind = kind;
    this.sentence = sentence;
    this.fields = options.fields ?? {};
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}
