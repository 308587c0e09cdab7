// zod's issues → AppError with a Sentence a field. A wrong id in the path is simply not found.
import { z } from 'zod';
import { AppError, say, type Sentence } from '../../errors.ts';

type Part = 'params' | 'query' | 'body';

/** Complaints in one answer. Too many: a body of 50,000 unknown fields comes back as big as it was. */
const maxComplaints = 20;
/** Characters of a field's name that are quoted back. */
const maxNameLength = 80;

/** Parses one part of a request. Throws not-found for the path, invalid (422, by field) for the rest. Without a schema nothing may be sent. */
export function parsePart<T extends z.ZodType>(part: Part, schema: T | undefined, raw: unknown): z.output<T> {
  const parsed = (schema ?? nothing(part)).safeParse(raw, { reportInput: true });
  // without a schema T is the type of an empty part
  if (parsed.success) return parsed.data as z.output<T>;
  if (part === 'params') throw new AppError('not-found', say('errors.not-found'));
  throw new AppError('invalid', say('api.errors.invalid'), { fields: fieldsOf(parsed.error) });
}

function nothing(part: Part): z.ZodType {
  return part === 'body' ? z.strictObject({}).optional() : z.strictObject({});
}

function fieldsOf(error: z.ZodError): Record<string, Sentence> {
  const complaints = error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.slice(0, maxComplaints).map((key) => complaint([...issue.path, key], say('api.field.unknown')))
      : [complaint(issue.path, sentenceOf(issue))],
  );
  // fromEntries defines own properties, whatever their names: "__proto__" is a name like any other here
  return Object.fromEntries(complaints.slice(0, maxComplaints).reverse());
}

function complaint(path: readonly PropertyKey[], sentence: Sentence): [string, Sentence] {
  return [path.map(String).join('.').slice(0, maxNameLength) || 'body', sentence];
}

function sentenceOf(issue: z.core.$ZodIssue): Sentence {
  if (issue.input === undefined && issue.code !== 'custom') return say('api.field.required');
  switch (issue.code) {
    case 'invalid_type':
      return say('api.field.type', { type: `$api.type.${issue.expected}` });
    case 'too_small':
      return say(issue.origin === 'string' ? 'form.too-short' : 'form.too-small', { min: Number(issue.minimum) });
    case 'too_big':
      return say(issue.origin === 'string' ? 'form.too-long' : 'form.too-big', { max: Number(issue.maximum) });
    case 'invalid_value':
      return say('api.field.choice', { values: issue.values.map(String).join(', ') });
    case 'custom':
      return isSentence(issue.params?.['sentence']) ? issue.params['sentence'] : say('api.field.invalid');
    default:
      return say('api.field.invalid');
  }
}

function isSentence(value: unknown): value is Sentence {
  return typeof value === 'object' && value !== null && 'key' in value && typeof value.key === 'string';
}
