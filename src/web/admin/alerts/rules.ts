// Rules: the list, and one as a form with what it would have done.
import { randomUUID } from 'node:crypto';
import type { Request, Response } from 'express';
import { AppError, say } from '../../../errors.ts';
import { conditions, directions, hasScope, isMeasure, ruleWords, severities, type AlertRule, type Condition } from '../../../model/alert-rule.ts';
import { previewRule, type AlertPreview } from '../../../operations/alert-preview.ts';
import { deleteAlertRule, insertAlertRule, selectAlertRule, selectAlertRules, selectOptionalAlertRule, updateAlertRule } from '../../../store/alert-rules.ts';
import { countIncidentsByRule } from '../../../store/incidents.ts';
import { contextOf, flash } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { formText } from '../../forms.ts';
import { noteAudit } from '../../middleware/guard.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { render, renderFragment } from '../../views.ts';
import { itemId } from '../item-id.ts';
import { draftRule, parseRule, suffixOf, textOfRule, type RuleForm } from './rule-form.ts';

const here = `${paths.adminPage('alerts')}/rules`;
const weekMs = 7 * 86_400_000;
/** Past this a form of rules is a program: it should be one. */
const mostRules = 100;

export function listRules(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const [rules, counts] = await Promise.all([selectAlertRules(deps.db), countIncidentsByRule(deps.db, deps.clock.now() - weekMs)]);
    await render(req, res, 'admin/alerts/rules', { title: contextOf(req).t('alerts.title'), rules, counts: new Map(counts.map(({ ruleId, total }) => [ruleId, total])), ruleWords });
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
    if (!(await updateAlertRule(deps.db, parsed.rule, deps.clock.now()))) throw new AppError('conflict', say('settings.overtaken'));
    flash(req, 'success', say('common.saved'));
    return res.redirect(303, here);
  };
}

export function switchRule(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const rule = await selectAlertRule(deps.db, itemId(req));
    const enabled = formText(req.body)['enabled'] === 'on';
    noteAudit(req, { target: rule.name || rule.condition, detail: enabled ? 'on' : 'off' });
    if (!(await updateAlertRule(deps.db, { ...rule, enabled }, deps.clock.now()))) throw new AppError('conflict', say('settings.overtaken'));
    flash(req, 'success', say('common.saved'));
    res.redirect(303, here);
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
    if (!parsed.ok) return fragment ? renderFragment(req, res, 'admin/alerts/preview', { preview: null }) : refuse(req, res, known, parsed);
    const shown = await look(deps, parsed.rule);
    if (fragment) return renderFragment(req, res, 'admin/alerts/preview', { preview: shown });
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

async function showForm(req: Request, res: Response, rule: AlertRule, form: RuleForm, status: number, shown?: AlertPreview): Promise<void> {
  const context = contextOf(req);
  const { condition } = rule;
  await render(req, res, 'admin/alerts/rule', {
    title: context.t(`alerts.condition.${condition}`), rule, condition, ...form, severities, directions, unit: suffixOf(condition), measured: isMeasure(condition), scoped: hasScope(condition),
    preview: shown ?? null, scripts: ['/js/alert-rule.js'], holdHint: holdHint(condition),
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
