// The language switch: a cookie for everybody, and the account's setting for who is logged in.
import { AppError, say } from '../../errors.ts';
import { languages } from '../../model/user.ts';
import { updateLanguage } from '../../store/users.ts';
import { contextOf } from '../context.ts';
import type { WebDeps } from '../deps.ts';
import { formText } from '../forms.ts';
import { localPath } from '../local-path.ts';
import type { Route } from '../routes.ts';
import { isHttps } from '../security.ts';

const yearMs = 365 * 86_400_000;

export function setLanguage(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const form = formText(req.body);
    const language = languages.find((each) => each === form['language']);
    if (language === undefined) throw new AppError('invalid', say('form.not-a-choice'));
    res.cookie('language', language, { maxAge: yearMs, sameSite: 'lax', secure: isHttps(deps.config), path: '/' });
    const { user } = contextOf(req);
    if (user !== undefined && user.language !== language) await updateLanguage(deps.db, user.id, language, deps.clock.now());
    res.redirect(303, localPath(form['next'], '/'));
  };
}
