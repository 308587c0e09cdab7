// "If you have any problem, send mail to us": a form that is kept for the admins and mailed to them.
import type { Request, Response } from 'express';
import { z } from 'zod';
import { say, type Sentence } from '../../errors.ts';
import { contactLimits } from '../../model/contact-message.ts';
import { insertContactMessage, selectContactMessage } from '../../store/contact-messages.ts';
import { contextOf, flash } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { email, parseForm, text } from '../forms.ts';
import { translator } from '../locales/index.ts';
import { paths } from '../paths.ts';
import type { Route } from '../routes.ts';
import { limits, networkOf, spend } from '../session/limits.ts';
import { render } from '../views.ts';
import { mailMessage } from './mail.ts';

const contactForm = z.object({
  name: text({ min: 1, max: contactLimits.name }),
  email: email(),
  subject: text({ min: 1, max: contactLimits.subject }),
  body: text({ min: 1, max: contactLimits.body, lines: true }),
});

export function contactRoutes(deps: WebDeps): Route[] {
  return [
    { method: 'get', path: paths.contact, access: 'visitor', handler: showContact },
    { method: 'post', path: paths.contact, access: 'visitor', audit: 'contact.send', handler: sendMessage(deps) },
  ];
}

const showContact: Route['handler'] = (req, res) => {
  const { user } = contextOf(req);
  return renderContact(req, res, { name: user?.displayName ?? '', email: user?.email ?? '' }, {}, 200);
};

function sendMessage(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { user, ip, site } = contextOf(req);
    const form = parseForm(contactForm, req.body);
    if (!form.ok) return renderContact(req, res, form.text, form.fields, 422);
    await spend(deps.db, limits.contact, user === undefined ? networkOf(ip) : user.id, deps.clock.now());
    const id = crypto.randomUUID();
    await insertContactMessage(deps.db, { id, at: deps.clock.now(), userId: user?.id ?? null, ...form.value });
    // a slow mail server is not the writer's trouble: the message is kept, and what comes of the mail is written beside it
    void selectContactMessage(deps.db, id).then((message) => mailMessage(deps, message, translator(site.defaultLanguage)))
      .catch((error: unknown) => deps.log.error({ err: error, messageId: id }, 'message kept but not mailed'));
    flash(req, 'success', say('contact.sent'));
    res.redirect(303, paths.contact);
  };
}

async function renderContact(req: Request, res: Response, values: Readonly<Record<string, string>>, fields: Readonly<Record<string, Sentence>>, status: number): Promise<void> {
  await render(req, res, 'contact/contact', { title: contextOf(req).t('contact.title'), values, fields, limits: contactLimits }, status);
}
