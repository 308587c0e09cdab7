// What is typed to log in and to register.
import { z } from 'zod';
import { passwordComplaint } from '../../password.ts';
import { say } from '../../errors.ts';
import { complain, email, text } from '../forms.ts';

/** As typed: a password is never trimmed. */
export function password() {
  return z.string().default('').transform((raw, context) => {
    if (raw === '') complain(context, say('form.required'));
    return raw;
  });
}

/** The login name of a new account. */
export function userName() {
  return text({ min: 2, max: 32, pattern: { test: /^[a-z0-9][a-z0-9._-]*$/, sentence: say('account.name-rule') } });
}

export function displayName() {
  return text({ min: 1, max: 80 });
}

export const loginForm = z.object({ name: text({ min: 1, max: 64 }), password: password(), next: z.string().default('') });

export const registerForm = z
  .object({ name: userName(), displayName: displayName(), email: email(), password: password(), passwordAgain: password() });

/** Complains about a new password that breaks the rules, or whose repetition differs. */
export function newPasswordFields(form: { readonly password: string; readonly passwordAgain: string }, name: string) {
  const complaint = passwordComplaint(form.password, name);
  if (complaint !== undefined) return { password: complaint };
  return form.password === form.passwordAgain ? {} : { passwordAgain: say('account.password-differs') };
}
