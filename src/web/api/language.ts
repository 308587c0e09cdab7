// The API speaks the language that the request asks for, English by default: a program's answers must not depend on what
// its owner chose for the pages.
import type { Request } from 'express';
import { languages, type Language } from '../../model/user.ts';
import { translator, type Translate } from '../locales/index.ts';

const translators: ReadonlyMap<Language, Translate> = new Map(languages.map((language) => [language, translator(language)]));

export function apiLanguage(req: Request): Language {
  for (const accepted of req.acceptsLanguages()) {
    if (/^zh\b/i.test(accepted)) return 'zh-TW';
    if (/^en\b/i.test(accepted)) return 'en';
  }
  return 'en';
}

export function apiTranslate(req: Request): Translate {
  const language = apiLanguage(req);
  return translators.get(language) ?? translator(language);
}
