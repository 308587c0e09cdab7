// Failures of the API as RFC 9457 problem details, in the request's language.
import type { Request, Response } from 'express';
import { z } from 'zod';
import { errorKinds, type AppError, type Sentence } from '../../errors.ts';
import { optionalContext } from '../context.ts';
import { sentenceFor } from '../locales/index.ts';
import { apiLanguage, apiTranslate } from './language.ts';

/** What a program switches on: our kinds, and those of HTTP itself (unreadable, too large, a bug of ours). */
export const problemKinds = [...errorKinds, 'malformed', 'too-large', 'internal'] as const;
type ProblemKind = (typeof problemKinds)[number];

export const problemSchema = z.strictObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  kind: z.enum(problemKinds),
  detail: z.string(),
  fields: z.record(z.string(), z.string()).optional(),
  retryAfter: z.int().optional(),
});
type Problem = z.output<typeof problemSchema>;

function kindOf(error: AppError, status: number): ProblemKind {
  if (status === 400) return 'malformed';
  if (status === 413) return 'too-large';
  return status === 500 ? 'internal' : error.kind;
}

/** Answers an error that a handler under /api threw. The parser's own words never go out: they quote what was sent. */
export function sendProblem(req: Request, res: Response, error: AppError, status: number): void {
  const t = apiTranslate(req);
  const words = (sentence: Sentence): string => sentenceFor(optionalContext(req)?.user?.role, t, sentence);
  const kind = kindOf(error, status);
  const fields = Object.entries(error.fields).map(([name, sentence]) => [name, words(sentence)] as const);
  const problem: Problem = {
    type: `urn:cloud-at-hpc:problem:${kind}`,
    title: t(`errors.title.${status}`),
    status,
    kind,
    detail: words(error.sentence),
    ...(fields.length === 0 ? {} : { fields: Object.fromEntries(fields) }),
    ...(error.retryAfterSeconds === undefined ? {} : { retryAfter: error.retryAfterSeconds }),
  };
  if (status === 401) res.set('www-authenticate', 'Bearer realm="api"');
  res.vary('Accept-Language').set('content-language', apiLanguage(req));
  res.status(status).type('application/problem+json').send(JSON.stringify(problem));
}
