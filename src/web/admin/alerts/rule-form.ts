// A rule as a form: text in the units that people think in (percent, MiB/s, minutes), and names for the chosen ones.
import { z } from 'zod';
import { say, type Sentence } from '../../../errors.ts';
import { conditions, directions, hasScope, isMeasure, limitsAgree, measures, ruleBounds, severities, subjectOf, type AlertRule, type Condition, type Measure, type Unit } from '../../../model/alert-rule.ts';
import { minuteOf, minuteText } from '../../../model/notification.ts';
import { selectAlertSubjects, selectAlertSubjectsNamed, type ScopedKind } from '../../../store/alert-readings.ts';
import type { Db } from '../../../store/db.ts';
import { checkbox, choice, formText, number, parseForm, text } from '../../forms.ts';

/** What one of the form's units is in the rule's. */
const scales: Record<Unit, { readonly factor: number; readonly suffix: string }> = {
  percent: { factor: 1, suffix: '%' }, mib: { factor: 1, suffix: 'MiB' }, 'bytes-per-second': { factor: 1024 ** 2, suffix: 'MiB/s' }, 'per-second': { factor: 1, suffix: '/s' },
};

export interface RuleForm { readonly values: Readonly<Record<string, string>>; readonly fields: Readonly<Record<string, Sentence>> }
export type ParsedRule = { readonly ok: true; readonly rule: AlertRule } | ({ readonly ok: false } & RuleForm);

export function suffixOf(condition: Condition): string {
  return isMeasure(condition) ? scales[measures[condition].unit].suffix : '';
}

/** Of its limits, in the form's unit: no share is more than all. */
export function mostOf(condition: Condition): number {
  return isMeasure(condition) && measures[condition].unit === 'percent' ? 100 : ruleBounds.limit[1];
}

/** A rule of this condition as one might want it. */
export function draftRule(condition: Condition): AlertRule {
  const percent = isMeasure(condition) && measures[condition].unit === 'percent';
  return {
    id: '', name: '', condition, direction: 'above', limit: percent ? 90 : 0, clear: percent ? 80 : 0, holdSeconds: 300, scope: [], severity: 'warning', enabled: true, quiet: null, updatedAt: 0,
  };
}

export async function textOfRule(db: Db, rule: AlertRule): Promise<Record<string, string>> {
  const factor = isMeasure(rule.condition) ? scales[measures[rule.condition].unit].factor : 1;
  const chosen = rule.scope.length === 0 ? [] : (await selectAlertSubjects(db, subjectOf(rule.condition) as ScopedKind, rule.scope, ruleBounds.scope[1])).subjects;
  const names = chosen.map(({ id, name }) => (chosen.filter((each) => each.name === name).length > 1 ? id : name));
  return {
    condition: rule.condition, name: rule.name, direction: rule.direction, limit: String(rule.limit / factor), clear: String(rule.clear / factor),
    holdMinutes: String(Math.round((rule.holdSeconds / 60) * 100) / 100), scope: names.join('\n'), severity: rule.severity, enabled: rule.enabled ? 'on' : '',
    quietFrom: rule.quiet === null ? '' : minuteText(rule.quiet.from), quietUntil: rule.quiet === null ? '' : minuteText(rule.quiet.until), version: String(rule.updatedAt),
  };
}

const timeOfDay = () => text({ max: 5, pattern: { test: /^(?:[01]\d|2[0-3]):[0-5]\d$/, sentence: say('alerts.form.not-a-time') } });
const common = {
  name: text({ max: ruleBounds.nameLength[1] }), holdMinutes: number({ min: 0, max: ruleBounds.holdSeconds[1] / 60, digits: 2 }), severity: choice(severities), enabled: checkbox(),
  quietFrom: timeOfDay(), quietUntil: timeOfDay(), scope: text({ max: 8000, lines: true }),
};
const limitFields = (condition: Measure) => {
  const value = () => number({ min: ruleBounds.limit[0], max: mostOf(condition), digits: 2 });
  return { direction: choice(directions), limit: value(), clear: value() };
};
const versionForm = z.object({ condition: choice(conditions), version: z.coerce.number().int().min(0).catch(0) });

/** `known`: the rule that is changed; its condition stays. */
export async function parseRule(db: Db, body: unknown, known: AlertRule | undefined): Promise<ParsedRule> {
  const values = formText(body);
  const head = versionForm.safeParse(values);
  const condition = known?.condition ?? (head.success ? head.data.condition : undefined);
  if (condition === undefined) return { ok: false, values, fields: { condition: say('form.not-a-choice') } };
  const form = parseForm(isMeasure(condition) ? z.object({ ...common, ...limitFields(condition) }) : z.object(common), values);
  const chosen = parseForm(z.object({ scope: common.scope }), values);
  const scope: Scope = chosen.ok ? await scopeOf(db, condition, chosen.value.scope) : { ids: [] };
  const fields = { ...(scope.complaint === undefined ? {} : { scope: scope.complaint }), ...disagreements(condition, values), ...(form.ok ? {} : form.fields) };
  if (!form.ok || Object.keys(fields).length > 0) return { ok: false, values, fields };
  const { name, holdMinutes, severity, enabled, quietFrom, quietUntil } = form.value;
  const rule: AlertRule = {
    ...draftRule(condition), id: known?.id ?? '', name, severity, enabled, holdSeconds: Math.round(holdMinutes * 60), scope: scope.ids, updatedAt: head.success ? head.data.version : 0,
    quiet: quietFrom === '' || quietUntil === '' ? null : { from: minuteOf(quietFrom) ?? 0, until: minuteOf(quietUntil) ?? 0 },
    ...limitsOf(condition, form.value),
  };
  return { ok: true, rule };
}

/** Fields that are right alone and wrong together. Whatever else is wrong does not hide them: all is said at once. */
function disagreements(condition: Condition, values: Readonly<Record<string, string>>): Record<string, Sentence> {
  const limits = isMeasure(condition) ? parseForm(z.object(limitFields(condition)), values) : undefined;
  const [noFrom, noUntil] = [values['quietFrom'], values['quietUntil']].map((time = '') => time.trim() === '');
  return {
    ...(limits?.ok === true && !limitsAgree(limits.value) ? { clear: say(`alerts.form.clear-${limits.value.direction}`) } : {}),
    ...(noFrom === noUntil ? {} : { [noFrom === true ? 'quietFrom' : 'quietUntil']: say('form.required') }),
  };
}

function limitsOf(condition: Condition, form: object): Pick<AlertRule, 'direction' | 'limit' | 'clear'> {
  if (!isMeasure(condition) || !('limit' in form)) return { direction: 'above', limit: 0, clear: 0 };
  const { direction, limit, clear } = form as Pick<AlertRule, 'direction' | 'limit' | 'clear'>;
  const { factor } = scales[measures[condition].unit];
  return { direction, limit: limit * factor, clear: clear * factor };
}

interface Scope { readonly ids: string[]; readonly complaint?: Sentence }

/** One name or id a line; all of them must exist. */
async function scopeOf(db: Db, condition: Condition, typed: string): Promise<Scope> {
  const names = [...new Set(typed.split(/[\n,]/).map((line) => line.trim()).filter((line) => line !== ''))];
  if (names.length === 0 || !hasScope(condition)) return { ids: [] };
  const most = ruleBounds.scope[1];
  if (names.length > most) return { ids: [], complaint: say('alerts.form.too-many-chosen', { max: most }) };
  const found = await selectAlertSubjectsNamed(db, subjectOf(condition) as ScopedKind, names, most + 1);
  if (found.length > most) return { ids: [], complaint: say('alerts.form.too-many-chosen', { max: most }) };
  const known = new Set(found.flatMap(({ id, name }) => [id, name.toLowerCase()]));
  const unknown = names.find((name) => !known.has(name) && !known.has(name.toLowerCase()));
  return unknown === undefined ? { ids: found.map(({ id }) => id) } : { ids: [], complaint: say('alerts.form.unknown-name', { name: unknown.slice(0, 64) }) };
}
