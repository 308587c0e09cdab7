// One group of settings as a form: which fields it has, how its value becomes text and typed text becomes its value.
// What may be typed follows from model/settings.ts; the group's schema in store/settings.ts has the last word.
import { z } from 'zod';
import type { Sentence } from '../../../errors.ts';
import type { Settings, SettingsGroup } from '../../../model/settings.ts';
import { settingsSchemas } from '../../../store/settings.ts';
import { checkbox, choice, number, parseForm, text, type FormResult } from '../../forms.ts';

type Bounds = readonly [number, number];
interface FieldBase {
  /** where the value stands in the group: 'cpuPercent.close' */
  readonly path: string;
}
export type SettingsField = FieldBase & (
  | { readonly kind: 'number'; readonly bounds: Bounds; readonly digits?: number; readonly suffix?: string }
  | { readonly kind: 'text'; readonly bounds: Bounds }
  | { readonly kind: 'choice'; readonly values: readonly [string, ...string[]] }
  | { readonly kind: 'checkbox' }
);

export interface GroupForm<G extends SettingsGroup = SettingsGroup> {
  readonly group: G;
  readonly fields: readonly SettingsField[];
  /** rules across fields: field path → what is wrong */
  readonly complaints?: (value: Settings[G]) => Readonly<Record<string, Sentence>>;
}

/** Types hold inside a group; a page that has several sees them as forms of any group. */
export function groupForm<G extends SettingsGroup>(form: GroupForm<G>): GroupForm {
  return form as unknown as GroupForm;
}

/** Name of the field in the posted form; it tells the groups of one page apart. */
export function fieldName(form: GroupForm, field: SettingsField): string {
  return `${form.group}.${field.path}`;
}

export function textOf(form: GroupForm, value: Settings[SettingsGroup]): Record<string, string> {
  return Object.fromEntries(form.fields.map((field) => {
    const at = field.path.split('.').reduce<unknown>((part, key) => (part as Record<string, unknown>)[key], value);
    return [fieldName(form, field), at === true ? 'on' : at === false ? '' : String(at)];
  }));
}

export function parseGroup(form: GroupForm, body: unknown): FormResult<Settings[SettingsGroup]> {
  const schema = z.object(Object.fromEntries(form.fields.map((field) => [fieldName(form, field), schemaOf(field)])));
  const parsed = parseForm(schema, body);
  if (!parsed.ok) return parsed;
  const value = settingsSchemas[form.group].safeParse(compose(form, parsed.value));
  const complaints = value.success ? {} : (form.complaints?.(compose(form, parsed.value) as Settings[SettingsGroup]) ?? {});
  if (value.success) return { ok: true, value: value.data };
  const named = Object.entries(complaints).map(([path, sentence]) => [`${form.group}.${path}`, sentence] as const);
  if (named.length === 0) throw new Error(`the form of ${form.group} lets through what its schema refuses: ${value.error.message}`);
  return { ok: false, fields: Object.fromEntries(named), text: body as Record<string, string> };
}

function schemaOf(field: SettingsField) {
  switch (field.kind) {
    case 'number': return number({ min: field.bounds[0], max: field.bounds[1], digits: field.digits ?? 0 });
    case 'text': return text({ min: field.bounds[0], max: field.bounds[1] });
    case 'choice': return choice(field.values);
    case 'checkbox': return checkbox();
  }
}

/** Flat fields back into the group's shape. */
function compose(form: GroupForm, values: Readonly<Record<string, unknown>>): unknown {
  const group: Record<string, unknown> = {};
  for (const field of form.fields) {
    const keys = field.path.split('.');
    const last = keys.pop() ?? '';
    const parent = keys.reduce<Record<string, unknown>>((part, key) => (part[key] ??= {}) as Record<string, unknown>, group);
    parent[last] = values[fieldName(form, field)];
  }
  return group;
}
