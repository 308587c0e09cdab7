// An agent's parameters as fields, and typed text as parameters. What is not typed is not set: the agent's default holds.
import { say, type Sentence } from '../../../errors.ts';
import { isFenceSecret, isFenceValue, type FenceParameter } from '../../../operations/fence.ts';

export interface FenceField extends FenceParameter {
  /** in the posted form */
  readonly field: string;
  readonly value: string;
  /** a secret that is stored, and stays when nothing is typed */
  readonly kept: boolean;
  /** shown at once; the others are folded away */
  readonly common: boolean;
}

/** What nearly every machine needs; agents have up to sixty parameters. */
const common = /^(?:ip|ipport|plug|username|password|lanplus|auth|method|ssl|ssl_insecure|ssh|identity_token|community|directory|systems_uri)$/;

/** What changes neither whom the agent logs in to nor how: with any other change a stored password would go where its owner did not send it. */
const harmless = /^(?:plug|method|retry_on|[a-z_]+_(?:timeout|wait))$/;

const nameOf = (parameter: string): string => `parameter:${parameter}`;

export function fieldOf(
  parameter: FenceParameter, typed: Readonly<Record<string, string>> | undefined, stored: Readonly<Record<string, string>>, secretNames: ReadonlySet<string>,
): FenceField {
  const field = nameOf(parameter.name);
  const value = parameter.secret ? '' : ((typed === undefined ? stored[parameter.name] : typed[field]) ?? '');
  return { ...parameter, field, value, kept: secretNames.has(parameter.name), common: parameter.required || common.test(parameter.name) || value !== '' };
}

export type FenceFormResult =
  | { readonly ok: true; readonly parameters: Record<string, string>; /** null: the stored one stays */ readonly secrets: Record<string, string | null> }
  | { readonly ok: false; readonly fields: Record<string, Sentence> };

export interface StoredFence {
  readonly parameters: Readonly<Record<string, string>>;
  readonly secretNames: ReadonlySet<string>;
}

export function parseFenceForm(description: { readonly parameters: readonly FenceParameter[] }, typed: Readonly<Record<string, string>>, stored: StoredFence): FenceFormResult {
  const fields: Record<string, Sentence> = {};
  const parameters: Record<string, string> = {};
  const secrets: Record<string, string | null> = {};
  for (const parameter of description.parameters) {
    const field = nameOf(parameter.name);
    // spaces may be part of a password
    const value = parameter.secret ? (typed[field] ?? '') : (typed[field] ?? '').trim();
    const complaint = value === '' ? undefined : complaintOf(parameter, value);
    if (complaint !== undefined) fields[field] = complaint;
    else if (value === '') {
      if (parameter.secret && stored.secretNames.has(parameter.name)) secrets[parameter.name] = null;
      else if (parameter.required && parameter.default === null) fields[field] = say('form.required');
    } else if (parameter.secret) secrets[parameter.name] = value;
    else parameters[parameter.name] = value;
  }
  if (goesElsewhere(stored.parameters, parameters)) {
    for (const [name, value] of Object.entries(secrets)) if (value === null) fields[nameOf(name)] = say('fencing.retype');
  }
  return Object.keys(fields).length > 0 ? { ok: false, fields } : { ok: true, parameters, secrets };
}

function goesElsewhere(before: Readonly<Record<string, string>>, after: Readonly<Record<string, string>>): boolean {
  return Object.keys({ ...before, ...after }).some((name) => !harmless.test(name) && before[name] !== after[name]);
}

function complaintOf({ type, options, secret }: FenceParameter, value: string): Sentence | undefined {
  if (!(secret ? isFenceSecret(value) : isFenceValue(value))) return say('fencing.bad-value');
  if ((type === 'integer' || type === 'second') && !/^-?\d{1,9}$/.test(value)) return say('form.not-a-number');
  if (type === 'boolean' && !/^[01]$/.test(value)) return say('form.not-a-choice');
  if (type === 'select' && options.length > 0 && !options.includes(value)) return say('form.not-a-choice');
  return undefined;
}
