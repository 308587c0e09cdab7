// What people wrote with the contact form: reading, answering, and mailing again what could not be mailed.
import type { Request, Response } from 'express';
import { z } from 'zod';
import { AppError, say, type Sentence } from '../../../errors.ts';
import { contactLimits, type ContactMessage } from '../../../model/contact-message.ts';
import {
  claimContactMessageAnswer, countContactMessages, selectContactMessage, selectContactMessages, updateContactMessageRead,
} from '../../../store/contact-messages.ts';
import { selectOptionalUser } from '../../../store/users.ts';
import { contextOf, currentUser, flash } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { parseForm, text } from '../../forms.ts';
import { noteAudit } from '../../middleware/guard.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { mailAnswer, mailMessage } from '../../contact/mail.ts';
import { render } from '../../views.ts';
import { itemId } from '../item-id.ts';

const pageSize = 30;
const listQuery = z.object({ page: z.coerce.number().int().min(1).max(1_000_000).catch(1) });
const answerForm = z.object({ answer: text({ min: 1, max: contactLimits.answer, lines: true }) });

export function listMessages(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { page } = listQuery.parse(req.query);
    const [messages, counts] = await Promise.all([selectContactMessages(deps.db, { limit: pageSize, offset: (page - 1) * pageSize }), countContactMessages(deps.db)]);
    await render(req, res, 'admin/messages/list', {
      title: contextOf(req).t('messages.title'), messages, counts, page, pageSize, total: counts.all, base: '/admin/messages?',
      mailTo: deps.config.contactAddress ?? '', mailEnabled: deps.mailer.enabled,
    });
  };
}

export function showMessage(deps: WebDeps): Route['handler'] {
  return async (req, res) => renderMessage(deps, req, res, await selectContactMessage(deps.db, itemId(req)), {}, {}, 200);
}

export function markRead(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const message = await selectContactMessage(deps.db, itemId(req));
    await updateContactMessageRead(deps.db, message.id, deps.clock.now());
    res.redirect(303, paths.adminPage('messages'));
  };
}

/** Kept first, then mailed: an answer that cannot be mailed stands there to be sent again. */
export function answerMessage(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const message = await selectContactMessage(deps.db, itemId(req));
    const form = parseForm(answerForm, req.body);
    if (!form.ok) return renderMessage(deps, req, res, message, form.text, form.fields, 422);
    noteAudit(req, { target: message.id });
    if (!(await claimContactMessageAnswer(deps.db, message.id, form.value.answer, currentUser(req).id, deps.clock.now()))) {
      throw new AppError('conflict', say('messages.answered-already'));
    }
    const error = await mailAnswer(deps, await selectContactMessage(deps.db, message.id));
    if (error === undefined) flash(req, 'success', say('messages.answered', { email: message.email }));
    else flash(req, 'error', error);
    res.redirect(303, paths.adminItem('messages', message.id));
  };
}

/** Mails again what failed: the message to the contact address, or the answer to its sender. */
export function mailAgain(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const message = await selectContactMessage(deps.db, itemId(req));
    noteAudit(req, { target: message.id });
    const error = message.answer !== null && message.answerMailedAt === null ? await mailAnswer(deps, message) : await mailMessage(deps, message, contextOf(req).t);
    if (error === undefined) flash(req, 'success', say('messages.mailed-again'));
    else flash(req, 'error', error);
    res.redirect(303, paths.adminItem('messages', message.id));
  };
}

async function renderMessage(
  deps: WebDeps, req: Request, res: Response, message: ContactMessage,
  values: Readonly<Record<string, string>>, fields: Readonly<Record<string, Sentence>>, status: number,
): Promise<void> {
  const [sender, answerer] = await Promise.all([message.userId, message.answeredBy].map(async (id) => (id === null ? undefined : selectOptionalUser(deps.db, id))));
  await render(req, res, 'admin/messages/message', {
    title: message.subject, message, values, fields, sender: sender ?? null, answerer: answerer ?? null,
    mailEnabled: deps.mailer.enabled, mailTo: deps.config.contactAddress ?? '', limit: contactLimits.answer,
  }, status);
}
