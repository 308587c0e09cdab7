// What a user may change about themself.
import { z } from 'zod';
import { tokenScopes } from '../../store/api-tokens.ts';
import { choice, email, number, text } from '../forms.ts';
import { displayName, password } from '../session/forms.ts';

export const profileForm = z.object({
  displayName: displayName(),
  email: email(),
  /** 'auto': by cookie, then browser */
  language: choice(['auto', 'en', 'zh-TW']),
});

export const passwordForm = z.object({ oldPassword: password(), password: password(), passwordAgain: password() });

/** A token that lives longer than a year is forgotten somewhere. */
export const maxTokenDays = 365;

export const tokenForm = z.object({
  tokenName: text({ min: 1, max: 80 }),
  scope: choice(tokenScopes),
  days: number({ min: 1, max: maxTokenDays }),
});
