// Forms: text in, typed values out. Every complaint is a Sentence beside its field, and what was typed is kept.
import { z } from 'zod';
import { say, type Sentence } from '../errors.ts';

export type FormResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly fields: Readonly<Record<string, Sentence>>; readonly text: Readonly<Record<string, string>> };

/** Parses a posted form. Unknown fields are dropped (browsers send buttons' names); a field sent twice counts as its first. */
export function parseForm<T extends z.ZodRawShape>(schema: z.ZodObject<T>, body: unknown): FormResult<z.output<z.ZodObject<T>>> {
  const text = formText(body);
  const parsed = schema.safeParse(text);
  if (parsed.success) return { ok: true, value: parsed.data };
  return { ok: false, fields: fieldSentences(parsed.error), text };
}

/** What was typed, as text by field name. */
export function formText(body: unknown): Record<string, string> {
  const text: Record<string, string> = {};
  if (typeof body !== 'object' || body === null) return text;
  for (const [name, value] of Object.entries(body)) {
    const first: unknown = Array.isArray(value) ? value[0] : value;
    if (typeof first === 'string') text[name] = first;
  }
  return text;
}

/** The first complaint of each field. Issues made by the builders below carry their Sentence; zod's own become a plain one. */
export function fieldSentences(error: z.ZodError): Record<string, Sentence> {
  const fields: Record<string, Sentence> = {};
  for (const issue of error.issues) {
    const name = issue.path.join('.') || '_';
    if (name in fields) continue;
    fields[name] = issue.code === 'custom' && isSentence(issue.params?.['sentence']) ? issue.params['sentence'] : say('form.required');
  }
  return fields;
}

const chosenField = /^instance:([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/;

/** Machines that were ticked in a list: each is a field of its own, `instance:ID`. */
export function chosenIds(body: unknown): string[] {
  return Object.keys(formText(body)).flatMap((name) => chosenField.exec(name)?.[1] ?? []);
}

function isSentence(value: unknown): value is Sentence {
  return typeof value === 'object' && value !== null && 'key' in value && typeof value.key === 'string';
}

/** Adds a complaint inside a zod `transform` or `superRefine`. */
export function complain(context: z.RefinementCtx, sentence: Sentence): void {
  context.addIssue({ code: 'custom', params: { sentence }, message: sentence.key });
}

const controlCharacters = /[\u0000-\u001f\u007f\u0085\u2028\u2029]/u;
const controlCharactersButLines = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/u;

export interface TextRules {
  readonly min?: number;
  readonly max: number;
  /** may have line breaks (textarea) */
  readonly lines?: boolean;
  readonly pattern?: { readonly test: RegExp; readonly sentence: Sentence };
}

/** Trimmed text. Without `min` it may be empty. */
export function text(rules: TextRules) {
  return z.string().default('').transform((raw, context) => {
    const value = (rules.lines === true ? raw.replace(/\r\n?/g, '\n') : raw).trim().normalize('NFC');
    const length = [...value].length;
    if (value === '' && (rules.min ?? 0) > 0) complain(context, say('form.required'));
    else if (length < (rules.min ?? 0)) complain(context, say('form.too-short', { min: rules.min ?? 0 }));
    else if (length > rules.max) complain(context, say('form.too-long', { max: rules.max }));
    else if ((rules.lines === true ? controlCharactersButLines : controlCharacters).test(value)) complain(context, say('form.bad-characters', { allowed: '$form.control-characters' }));
    else if (value !== '' && rules.pattern !== undefined && !rules.pattern.test.test(value)) complain(context, rules.pattern.sentence);
    return value;
  });
}

/** A number in decimal digits; `digits` places after the point, none by default. */
export function number(rules: { readonly min: number; readonly max: number; readonly digits?: number }) {
  return z.string().default('').transform((raw, context) => {
    const value = raw.trim();
    const parsed = Number(value);
    if (value === '') complain(context, say('form.required'));
    else if (!/^[+-]?\d+(?:\.\d+)?$/.test(value)) complain(context, say('form.not-a-number'));
    else if ((rules.digits ?? 0) === 0 && !Number.isInteger(parsed)) complain(context, say('form.not-whole'));
    else if (parsed < rules.min) complain(context, say('form.too-small', { min: rules.min }));
    else if (parsed > rules.max) complain(context, say('form.too-big', { max: rules.max }));
    return parsed;
  });
}

/** Like number, and empty means null ("the default holds"). */
export function optionalNumber(rules: { readonly min: number; readonly max: number; readonly digits?: number }) {
  const filled = number(rules);
  return z.string().default('').transform((raw, context): number | null => {
    if (raw.trim() === '') return null;
    const parsed = filled.safeParse(raw);
    if (parsed.success) return parsed.data;
    const sentence = fieldSentences(parsed.error)['_'];
    if (sentence !== undefined) complain(context, sentence);
    return null;
  });
}

export function choice<const T extends readonly [string, ...string[]]>(values: T) {
  return z.string().default('').transform((raw, context): T[number] => {
    if (!values.includes(raw)) complain(context, say('form.not-a-choice'));
    return raw;
  });
}

/** A checkbox: absent means not ticked. */
export function checkbox() {
  return z.string().default('').transform((raw) => raw === 'on' || raw === 'true' || raw === '1');
}

/** RFC 5321's lengths and the everyday form; whether it exists only a mail can tell. */
export function email() {
  return text({ min: 3, max: 254, pattern: { test: /^[^\s@<>"(),:;[\]\\]{1,64}@[^\s@<>"(),:;[\]\\]+\.[^\s@<>"(),:;[\]\\]+$/, sentence: say('form.not-an-email') } });
}

/** One of our ids (a UUID); whether it exists is the operation's question. */
export function id() {
  return text({ min: 1, max: 36, pattern: { test: /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/, sentence: say('form.not-an-id') } });
}
