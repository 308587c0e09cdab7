// Alerts: incidents, the rules that make them, and who is told.
import { say, type Sentence } from '../../../errors.ts';
import { isTimeZone, minuteOf } from '../../../model/notification.ts';
import { digestModes, mailSeverities, settingsBounds as bounds, type Settings } from '../../../model/settings.ts';
import { createWebhookSecrets } from '../../../notify/webhook.ts';
import type { WebDeps } from '../../deps.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { groupForm } from '../settings/group-form.ts';
import { settingsPageRoutes } from '../settings/page.ts';
import { deliverAgain, listDeliveries, testMail } from './deliveries.ts';
import { acknowledge, acknowledgeAll, listHistory, listOpen, showIncident } from './incidents.ts';
import { changeRule, confirmRemoveRule, createRule, listRules, newRule, preview, removeRule, showRule, switchRule } from './rules.ts';
import { changeTarget, confirmRemoveTarget, createTarget, listTargets, removeTarget, renewSecret, showTarget, testTarget } from './targets.ts';

const admin = { access: 'admin' } as const;

export function adminAlertRoutes(deps: WebDeps): Route[] {
  const { db, clock, log, mailer, config } = deps;
  const notify = { db, clock, log, mailer, publicUrl: config.publicUrl, webhookSecrets: createWebhookSecrets(config.sessionSecret) };
  return [
    { method: 'get', path: '/admin/alerts', ...admin, handler: listOpen(deps) },
    { method: 'post', path: '/admin/alerts/acknowledge', ...admin, audit: 'incident.acknowledge', handler: acknowledgeAll(deps) },
    { method: 'get', path: '/admin/alerts/history', ...admin, handler: listHistory(deps) },
    { method: 'get', path: '/admin/alerts/incidents/:id', ...admin, handler: showIncident(deps) },
    { method: 'post', path: '/admin/alerts/incidents/:id/acknowledge', ...admin, audit: 'incident.acknowledge', handler: acknowledge(deps) },
    { method: 'get', path: '/admin/alerts/rules', ...admin, handler: listRules(deps) },
    { method: 'get', path: '/admin/alerts/rules/new', ...admin, handler: newRule(deps) },
    { method: 'post', path: '/admin/alerts/rules', ...admin, audit: 'alert-rule.create', handler: createRule(deps) },
    // where a change of language on that page leads
    { method: 'get', path: '/admin/alerts/rules/preview', ...admin, handler: (_req, res) => res.redirect(303, `${paths.adminPage('alerts')}/rules`) },
    { method: 'post', path: '/admin/alerts/rules/preview', ...admin, handler: preview(deps) },
    { method: 'get', path: '/admin/alerts/rules/:id', ...admin, handler: showRule(deps) },
    { method: 'post', path: '/admin/alerts/rules/:id', ...admin, audit: 'alert-rule.change', handler: changeRule(deps) },
    { method: 'post', path: '/admin/alerts/rules/:id/switch', ...admin, audit: 'alert-rule.change', handler: switchRule(deps) },
    { method: 'get', path: '/admin/alerts/rules/:id/delete', ...admin, handler: confirmRemoveRule(deps) },
    { method: 'post', path: '/admin/alerts/rules/:id/delete', ...admin, audit: 'alert-rule.delete', handler: removeRule(deps) },
    { method: 'get', path: '/admin/alerts/targets', ...admin, handler: listTargets(deps) },
    { method: 'post', path: '/admin/alerts/targets', ...admin, audit: 'webhook.create', handler: createTarget(deps, notify) },
    { method: 'post', path: '/admin/alerts/test-mail', ...admin, audit: 'alert.test', handler: testMail(notify) },
    { method: 'get', path: '/admin/alerts/targets/:id', ...admin, handler: showTarget(deps) },
    { method: 'post', path: '/admin/alerts/targets/:id', ...admin, audit: 'webhook.change', handler: changeTarget(deps) },
    { method: 'post', path: '/admin/alerts/targets/:id/secret', ...admin, audit: 'webhook.secret', handler: renewSecret(deps, notify) },
    { method: 'post', path: '/admin/alerts/targets/:id/test', ...admin, audit: 'alert.test', handler: testTarget(deps, notify) },
    { method: 'get', path: '/admin/alerts/targets/:id/delete', ...admin, handler: confirmRemoveTarget(deps) },
    { method: 'post', path: '/admin/alerts/targets/:id/delete', ...admin, audit: 'webhook.delete', handler: removeTarget(deps) },
    { method: 'get', path: '/admin/alerts/deliveries', ...admin, handler: listDeliveries(deps) },
    { method: 'post', path: '/admin/alerts/deliveries/:id/again', ...admin, audit: 'alert.again', handler: deliverAgain(deps) },
    ...settingsPageRoutes(deps, {
      path: `${paths.adminPage('alerts')}/settings`, view: 'admin/alerts/settings', titleKey: 'alerts.title', locals: () => Promise.resolve({ mailEnabled: mailer.enabled }),
      forms: [
        groupForm({
          group: 'alerts',
          fields: [
            { path: 'mailSeverity', kind: 'choice', values: mailSeverities },
            { path: 'mailResolved', kind: 'checkbox' },
            { path: 'notificationsPerHour', kind: 'number', bounds: bounds.notificationsPerHour },
            { path: 'calmMinutes', kind: 'number', bounds: bounds.calmMinutes, suffix: 'min' },
            { path: 'digest', kind: 'choice', values: digestModes },
            { path: 'digestAt', kind: 'text', bounds: bounds.digestAtLength },
            { path: 'timeZone', kind: 'text', bounds: bounds.timeZoneLength },
          ],
          complaints,
        }),
      ],
    }),
  ];
}

function complaints({ timeZone, digestAt }: Settings['alerts']): Record<string, Sentence> {
  return {
    ...(isTimeZone(timeZone) ? {} : { timeZone: say('alerts.form.not-a-time-zone') }),
    ...(minuteOf(digestAt) === undefined ? { digestAt: say('alerts.form.not-a-time') } : {}),
  };
}
