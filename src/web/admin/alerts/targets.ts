// Webhooks. Their signing secret is shown once, in the answer that made it: it lies in no session, URL or log.
import { randomUUID } from 'node:crypto';
import type { Request, Response } from 'express';
import { z } from 'zod';
import { AppError, say, type Sentence } from '../../../errors.ts';
import { severities } from '../../../model/alert-rule.ts';
import { sendTest, type NotifyDeps } from '../../../notify/deliver.ts';
import { newWebhookSecret } from '../../../notify/webhook.ts';
import { countWaitingDeliveries, giveUpWaitingDeliveries } from '../../../store/notifications.ts';
import {
  deleteWebhookTarget, insertWebhookTarget, selectWebhookTarget, selectWebhookTargets, updateWebhookSecret, updateWebhookTarget, type WebhookTarget,
} from '../../../store/webhook-targets.ts';
import { contextOf, flash } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { checkbox, choice, complain, parseForm, text } from '../../forms.ts';
import { noteAudit } from '../../middleware/guard.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { render } from '../../views.ts';
import { itemId } from '../item-id.ts';
import { lastOutcomes, testAnswer } from './deliveries.ts';

const here = `${paths.adminPage('alerts')}/targets`;
const mostTargets = 20;

/** http and https; without a name and password, which would stand on pages and in the audit log. */
const address = text({ min: 8, max: 1000 }).superRefine((value, context) => {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) complain(context, say('alerts.form.not-a-url'));
  else if (url.username !== '' || url.password !== '') complain(context, say('alerts.form.no-credentials'));
});
const targetForm = z.object({ name: text({ min: 1, max: 80 }), url: address, minSeverity: choice(severities), resolved: checkbox(), enabled: checkbox() });

/** Many chats take whoever knows the whole address for its sender: lists and the audit log have its beginning only. */
function originOf(url: string): string {
  return new URL(url).origin;
}

interface Shown { readonly values?: Readonly<Record<string, string>>; readonly fields?: Readonly<Record<string, Sentence>>; readonly newSecret?: { readonly name: string; readonly secret: string } }

/** Neither mail nor a webhook: incidents are on the pages only. */
export async function tellsNobody({ db, mailer }: WebDeps): Promise<boolean> {
  return !mailer.enabled && !(await selectWebhookTargets(db)).some(({ enabled }) => enabled);
}

export function listTargets(deps: WebDeps): Route['handler'] {
  return (req, res) => renderList(deps, req, res, {}, 200);
}

async function renderList(deps: WebDeps, req: Request, res: Response, { values, fields = {}, newSecret }: Shown, status: number): Promise<void> {
  const [targets, last] = await Promise.all([selectWebhookTargets(deps.db), lastOutcomes(deps.db)]);
  await render(req, res, 'admin/alerts/targets', {
    title: contextOf(req).t('alerts.title'), targets: targets.map((target) => ({ ...target, url: originOf(target.url) })), last, severities, mailEnabled: deps.mailer.enabled, newSecret: newSecret ?? null,
    values: values ?? { name: '', url: '', minSeverity: 'warning', resolved: 'on', enabled: 'on' }, fields,
  }, status);
}

export function createTarget(deps: WebDeps, { webhookSecrets }: NotifyDeps): Route['handler'] {
  return async (req, res) => {
    const form = parseForm(targetForm, req.body);
    if (!form.ok) return renderList(deps, req, res, { values: form.text, fields: form.fields }, 422);
    if ((await selectWebhookTargets(deps.db)).length >= mostTargets) throw new AppError('conflict', say('alerts.too-many-targets', { max: mostTargets }));
    const target: WebhookTarget = { ...form.value, id: randomUUID(), updatedAt: 0 };
    const secret = newWebhookSecret();
    await insertWebhookTarget(deps.db, target, webhookSecrets.seal(target.id, { secret }), deps.clock.now());
    noteAudit(req, { target: target.name, detail: originOf(target.url) });
    return renderList(deps, req, res, { newSecret: { name: target.name, secret } }, 200);
  };
}

export function showTarget(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const target = await selectWebhookTarget(deps.db, itemId(req));
    await renderTarget(req, res, target, { values: { ...target, resolved: target.resolved ? 'on' : '', enabled: target.enabled ? 'on' : '', updatedAt: '' } }, 200);
  };
}

async function renderTarget(req: Request, res: Response, target: WebhookTarget, { values = {}, fields = {} }: Shown, status: number): Promise<void> {
  await render(req, res, 'admin/alerts/target', { title: target.name, target, values, fields, severities }, status);
}

export function changeTarget(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const target = await selectWebhookTarget(deps.db, itemId(req));
    const form = parseForm(targetForm, req.body);
    if (!form.ok) return renderTarget(req, res, target, { values: form.text, fields: form.fields }, 422);
    noteAudit(req, { target: form.value.name, detail: `${originOf(target.url)} → ${originOf(form.value.url)}` });
    await updateWebhookTarget(deps.db, { ...target, ...form.value }, deps.clock.now());
    flash(req, 'success', say('common.saved'));
    return res.redirect(303, here);
  };
}

export function renewSecret(deps: WebDeps, { webhookSecrets }: NotifyDeps): Route['handler'] {
  return async (req, res) => {
    const target = await selectWebhookTarget(deps.db, itemId(req));
    const secret = newWebhookSecret();
    noteAudit(req, { target: target.name });
    await updateWebhookSecret(deps.db, target.id, webhookSecrets.seal(target.id, { secret }), deps.clock.now());
    await renderList(deps, req, res, { newSecret: { name: target.name, secret } }, 200);
  };
}

export function testTarget(deps: WebDeps, notify: NotifyDeps): Route['handler'] {
  return async (req, res) => {
    const target = await selectWebhookTarget(deps.db, itemId(req));
    noteAudit(req, { target: target.name });
    const failure = await sendTest(notify, { kind: 'webhook', id: target.id });
    flash(req, ...testAnswer(target.name, failure && contextOf(req).say(failure)));
    res.redirect(303, here);
  };
}

/** GET: what goes with it, and the button that does it. */
export function confirmRemoveTarget(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const target = await selectWebhookTarget(deps.db, itemId(req));
    const { t } = contextOf(req);
    await render(req, res, 'admin/alerts/confirm', {
      title: t('alerts.delete-target.title', { name: target.name }), back: `${here}/${target.id}`, label: t('alerts.delete-target'),
      lost: [t('alerts.delete-target.waiting', { total: await countWaitingDeliveries(deps.db, { kind: 'webhook', id: target.id }) }), t('alerts.delete-target.secret')], hint: t('alerts.delete-target.hint'),
    });
  };
}

export function removeTarget(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const target = await selectWebhookTarget(deps.db, itemId(req));
    await deleteWebhookTarget(deps.db, target.id);
    while ((await giveUpWaitingDeliveries(deps.db, { kind: 'webhook', id: target.id }, say('alerts.delivery.no-receiver'), deps.clock.now(), 500)) > 0);
    noteAudit(req, { target: target.name, detail: originOf(target.url) });
    flash(req, 'success', say('alerts.target-deleted'));
    res.redirect(303, here);
  };
}
