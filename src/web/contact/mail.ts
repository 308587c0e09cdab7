// Messages and answers as mail. The text is in the database before anything is sent; what the mail server says is kept there
// too, so that an admin sees what did not arrive.
import { say, type Sentence } from '../../errors.ts';
import type { ContactMessage } from '../../model/contact-message.ts';
import { selectSettings } from '../../store/settings.ts';
import { updateContactMessageAnswerMailed, updateContactMessageMailed } from '../../store/contact-messages.ts';
import type { WebDeps } from '../deps.ts';
import type { Translate } from '../locales/index.ts';
import { paths } from '../paths.ts';

type MailDeps = Pick<WebDeps, 'db' | 'clock' | 'log' | 'mailer' | 'config'>;

/** To the contact address. undefined: sent, or nobody wants mail; a Sentence: why not. Never throws for a mail server. */
export async function mailMessage(deps: MailDeps, message: ContactMessage, t: Translate): Promise<Sentence | undefined> {
  const to = deps.config.contactAddress;
  if (to === undefined || !deps.mailer.enabled) return say('messages.mail-off');
  const { site } = await selectSettings(deps.db);
  const text = [
    t('contact.mail.from', { name: message.name, email: message.email }),
    message.userId === null ? t('contact.mail.visitor') : t('contact.mail.user'),
    `${deps.config.publicUrl}${paths.adminItem('messages', message.id)}`, '', message.body, '',
  ].join('\n');
  const error = await trySending(deps, message.id, () => deps.mailer.send({ to, replyTo: message.email, subject: `[${site.name}] ${message.subject}`, text }));
  await updateContactMessageMailed(deps.db, message.id, deps.clock.now(), error ?? null);
  return error === undefined ? undefined : say('messages.mail-failed', { reason: error });
}

/** To the one who wrote. The same promise. */
export async function mailAnswer(deps: MailDeps, message: ContactMessage): Promise<Sentence | undefined> {
  if (!deps.mailer.enabled) return say('messages.mail-off');
  const { site } = await selectSettings(deps.db);
  const quoted = message.body.split('\n').map((line) => `> ${line}`).join('\n');
  const text = `${message.answer ?? ''}\n\n${message.name} <${message.email}>, ${new Date(message.at).toISOString().slice(0, 16).replace('T', ' ')} UTC:\n${quoted}\n`;
  const replyTo = deps.config.contactAddress;
  const error = await trySending(deps, message.id, () => deps.mailer.send({ to: message.email, subject: `Re: ${message.subject} [${site.name}]`, text, ...(replyTo === undefined ? {} : { replyTo }) }));
  await updateContactMessageAnswerMailed(deps.db, message.id, deps.clock.now(), error ?? null);
  return error === undefined ? undefined : say('messages.mail-failed', { reason: error });
}

async function trySending(deps: MailDeps, messageId: string, send: () => Promise<void>): Promise<string | undefined> {
  try {
    await send();
    return undefined;
  } catch (error) {
    deps.log.warn({ messageId, err: error }, 'mail not sent');
    return error instanceof Error ? error.message : String(error);
  }
}
