// Rules: the list, and one as a form with what it would have done.
import { randomUUID } from 'node:crypto';
import type { Request, Response } from 'express';
import { AppError, say } from '../../../errors.ts';
import { conditions, directions, hasScope, isMeasure, ruleWords, severities, type AlertRule, type Condition } from '../../../model/alert-rule.ts';
import { previewRule, type AlertPreview } from '../../../operations/alert-preview.ts';
import { deleteAlertRule, insertAlertRule, selectAlertRule, selectAlertRules, selectOptionalAlertRule, updateAlertRule } from '../../../store/alert-rules.ts';
import { countIncidentsByRule, selectIncidentsPage } from '../../../store/incidents.ts';
import { contextOf, flash } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { formText } from '../../forms.ts';
import { noteAudit } from '../../middleware/guard.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { render, renderFragment } from '../../views.ts';
import { itemId } from '../item-id.ts';
import { draftRule, mostOf, parseRule, suffixOf, textOfRule, type RuleForm } from './rule-form.ts';
import { tellsNobody } from './targets.ts';

const here = `${paths.adminPage('alerts')}/rules`;
const weekMs = 7 * 86_400_000;
/** Past this a form of rules is a program: it should be one. */
const mostRules = 100;

export function listRules(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const [rules, counts, nobodyTold] = await Promise.all([selectAlertRules(deps.db), countIncidentsByRule(deps.db, deps.clock.now() - weekMs), tellsNobody(deps)]);
    await render(req, res, 'admin/alerts/rules', { title: contextOf(req).t('alerts.title'), rules, counts: new Map(counts.map(({ ruleId, total }) => [ruleId, total])), ruleWords, nobodyTold });
  };
}

export function newRule(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const condition = conditions.find((each) => each === req.query['condition']);
    if (condition === undefined) return render(req, res, 'admin/alerts/choose', { title: contextOf(req).t('alerts.new-rule'), conditions, isMeasure });
    return showForm(req, res, draftRule(condition), { values: await textOfRule(deps.db, draftRule(condition)), fields: {} }, 200);
  };
}

export function showRule(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const rule = await selectAlertRule(deps.db, itemId(req));
    await showForm(req, res, rule, { values: await textOfRule(deps.db, rule), fields: {} }, 200, await look(deps, rule));
  };
}

export function createRule(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const parsed = await parseRule(deps.db, req.body, undefined);
    if (!parsed.ok) return refuse(req, res, undefined, parsed);
    if ((await selectAlertRules(deps.db)).length >= mostRules) throw new AppError('conflict', say('alerts.too-many-rules', { max: mostRules }));
    const rule = { ...parsed.rule, id: randomUUID() };
    await insertAlertRule(deps.db, rule, deps.clock.now());
    noteAudit(req, { target: rule.name || rule.condition, detail: summary(rule) });
    flash(req, 'success', say('common.saved'));
    return res.redirect(303, here);
  };
}

export function changeRule(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const before = await selectAlertRule(deps.db, itemId(req));
    const parsed = await parseRule(deps.db, req.body, before);
    if (!parsed.ok) return refuse(req, res, before, parsed);
    noteAudit(req, { target: before.name || before.condition, detail: `${summary(before)} → ${summary(parsed.rule)}` });
    if (!(await updateAlertRule(deps.db, parsed.rule, deps.clock.now()))) return overtaken(deps, req, res, parsed.rule);
    flash(req, 'success', say('common.saved'));
    return res.redirect(303, here);
  };
}

/** Beside what was typed stands what is there by now; its version makes the next save take its place. */
async function overtaken(deps: WebDeps, req: Request, res: Response, typed: AlertRule): Promise<void> {
  const stored = await selectAlertRule(deps.db, typed.id);
  const [mine, theirs] = await Promise.all([textOfRule(deps.db, typed), textOfRule(deps.db, stored)]);
  const differing = Object.fromEntries(Object.entries(theirs).filter(([name, value]) => mine[name] !== value));
  const values = { ...mine, ...formText(req.body), enabled: mine['enabled'] ?? '', version: String(stored.updatedAt) };
  await showForm(req, res, stored, { values, fields: { _: say('settings.overtaken') } }, 409, await look(deps, typed), differing);
}

export function switchRule(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const rule = await selectAlertRule(deps.db, itemId(req));
    const enabled = formText(req.body)['enabled'] === 'on';
    noteAudit(req, { target: rule.name || rule.condition, detail: enabled ? 'on' : 'off' });
    const done = await updateAlertRule(deps.db, { ...rule, enabled }, deps.clock.now());
    if (!done) noteAudit(req, { detail: 'overtaken' });
    flash(req, done ? 'success' : 'error', say(done ? 'common.saved' : 'alerts.switch-overtaken'));
    res.redirect(303, here);
  };
}

/** GET: what goes with it, and the button that does it. */
export function confirmRemoveRule(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const rule = await selectAlertRule(deps.db, itemId(req));
    const { t, say: words } = contextOf(req);
    const { total } = await selectIncidentsPage(deps.db, { states: ['open', 'acknowledged'], ruleId: rule.id }, 1, 0);
    await render(req, res, 'admin/alerts/confirm', {
      title: t('alerts.delete-rule.title', { name: rule.name || words(ruleWords(rule)) }), back: `${here}/${rule.id}`, label: t('alerts.delete-rule'),
      lost: [t('alerts.delete-rule.incidents', { total })], hint: t('alerts.delete-rule.hint'),
    });
  };
}

export function removeRule(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const rule = await selectAlertRule(deps.db, itemId(req));
    await deleteAlertRule(deps.db, rule.id);
    noteAudit(req, { target: rule.name || rule.condition, detail: summary(rule) });
    flash(req, 'success', say('alerts.rule-deleted'));
    res.redirect(303, here);
  };
}

/** Saves nothing: with a script the answer alone, without one the whole form with it. */
export function preview(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const form = formText(req.body);
    const known = form['id'] === undefined || form['id'] === '' ? undefined : await selectOptionalAlertRule(deps.db, form['id'].slice(0, 36));
    const parsed = await parseRule(deps.db, req.body, known);
    const fragment = req.get('x-fragment') === 'preview';
    if (!parsed.ok) return fragment ? renderFragment(req, res, 'admin/alerts/preview', { preview: null, complaints: parsed.fields }) : refuse(req, res, known, parsed);
    const shown = await look(deps, parsed.rule);
    if (fragment) return renderFragment(req, res, 'admin/alerts/preview', { preview: shown, complaints: {} });
    return showForm(req, res, parsed.rule, { values: form, fields: {} }, 200, shown);
  };
}

function look({ db, config, clock }: WebDeps, rule: AlertRule): Promise<AlertPreview> {
  return previewRule({ db, pollIntervalMs: config.pollIntervalMs }, rule, clock.now());
}

function refuse(req: Request, res: Response, known: AlertRule | undefined, form: RuleForm): Promise<void> {
  const condition = known?.condition ?? conditions.find((each) => each === form.values['condition']);
  if (condition === undefined) throw new AppError('invalid', say('form.not-a-choice'));
  return showForm(req, res, known ?? draftRule(condition), form, 422);
}

/** `stored`: of the fields in which what stands there differs from what was typed. */
async function showForm(req: Request, res: Response, rule: AlertRule, form: RuleForm, status: number, shown?: AlertPreview, stored: Readonly<Record<string, string>> = {}): Promise<void> {
  const context = contextOf(req);
  const { condition } = rule;
  await render(req, res, 'admin/alerts/rule', {
    title: context.t(`alerts.condition.${condition}`), rule, condition, ...form, severities, directions, unit: suffixOf(condition), most: mostOf(condition), measured: isMeasure(condition), scoped: hasScope(condition),
    preview: shown ?? null, scripts: ['/js/alert-rule.js'], holdHint: holdHint(condition), stored,
  }, status);
}

function holdHint(condition: Condition): string {
  return condition === 'operation.stuck' ? 'alerts.form.hold-operation' : 'alerts.form.hold-hint';
}

/** For the audit log. */
function summary({ direction, limit, clear, holdSeconds, severity, enabled, scope, quiet, condition }: AlertRule): string {
  const numbers = isMeasure(condition) ? `${direction} ${limit}/${clear}, ` : '';
  return `${numbers}${holdSeconds} s, ${severity}, ${enabled ? 'on' : 'off'}, ${scope.length === 0 ? 'all' : `${scope.length} chosen`}${quiet === null ? '' : `, quiet ${quiet.from}-${quiet.until}`}`;
}
