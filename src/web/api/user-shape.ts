// An account as the API shows it: to its owner, and to admins.
import { z } from 'zod';
import { roles } from '../../model/access.ts';
import { languages, userStates, type User } from '../../model/user.ts';
import { named } from './openapi.ts';
import { amount, id, iso, sizeShape, time } from './shapes.ts';

export const quotaSchema = named('Quota', z.strictObject({ instances: amount, ...sizeShape }));
const own = amount.nullable();
/** null in a field: the default quota holds */
export const quotaOverrideShape = { instances: own, vcpus: own, memoryMib: own, diskGib: own };

export const userSchema = named('User', z.strictObject({
  id, name: z.string(), displayName: z.string(), email: z.string(),
  role: z.enum(roles), state: z.enum(userStates), language: z.enum(languages).nullable(),
  quota: z.strictObject(quotaOverrideShape), usage: quotaSchema, createdAt: time,
}));

export function userBody(user: User): z.input<typeof userSchema> {
  const { name, displayName, email, role, state, language, quota, usage } = user;
  return { id: user.id, name, displayName, email, role, state, language, quota, usage, createdAt: iso(user.createdAt) };
}
