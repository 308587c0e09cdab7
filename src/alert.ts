// What the admins must hear of also when none of them looks at the portal: a host that is lost without proof, machines that
// fit nowhere. By mail, each in their language; without an SMTP server the dashboard is where it stands.
import type { Sentence } from './errors.ts';
import type { Log } from './log.ts';
import type { Mailer } from './mail.ts';
import type { Db } from './store/db.ts';
import { selectSettings } from './store/settings.ts';
import { selectUsersPage } from './store/users.ts';
import { sentenceText, translator } from './web/locales/index.ts';
import { paths } from './web/paths.ts';

/** More admins than any lab has */
const mostAdmins = 50;

interface AlertDeps { readonly db: Db; readonly mailer: Mailer; readonly log: Log; readonly publicUrl: string }

/** The returned function neither throws nor waits: whoever alerts has something more urgent to go on with. */
export function createAlert(deps: AlertDeps): (sentence: Sentence) => void {
  return (sentence) => {
    deps.log.warn({ alert: sentence.key, ...sentence.params }, 'admins are told');
    if (!deps.mailer.enabled) return;
    mailAdmins(deps, sentence).catch((error: unknown) => deps.log.error({ err: error, alert: sentence.key }, 'admins could not be mailed'));
  };
}

async function mailAdmins({ db, mailer, publicUrl }: AlertDeps, sentence: Sentence): Promise<void> {
  const [{ site }, { users }] = await Promise.all([selectSettings(db), selectUsersPage(db, { role: 'admin', state: 'active' }, mostAdmins, 0)]);
  await Promise.all(users.map(({ email, language }) => {
    const words = sentenceText(translator(language ?? site.defaultLanguage), sentence);
    const subject = `[${site.name}] ${words}`;
    return mailer.send({ to: email, subject: subject.length > 150 ? `${subject.slice(0, 149)}…` : subject, text: `${words}\n\n${publicUrl}${paths.adminPage('availability')}\n` });
  }));
}
