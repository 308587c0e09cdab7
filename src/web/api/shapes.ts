// The parts that bodies are made of: ids, times, sizes, and our records as the API shows them.
import { z } from 'zod';
import { AppError, say } from '../../errors.ts';
import type { Flavour } from '../../model/flavour.ts';
import { minDiskGib, type Image } from '../../model/image.ts';
import type { User } from '../../model/user.ts';
import { named } from './openapi.ts';

/** 36 characters; which versions of UUID there are is not the API's matter */
export const id = z.guid();
export const time = z.iso.datetime();
export const idParams = z.strictObject({ id });

/** A number of things: sizes, counts. The bound is JSON's and JavaScript's, not the cloud's: admission says what fits. */
export const amount = z.int().min(0).max(1_000_000_000);
export const sizeShape = { vcpus: amount, memoryMib: amount, diskGib: amount };
export const sizeSchema = named('Size', z.strictObject(sizeShape));
/** A host, an instance: what it is and what it is called. */
export const place = z.strictObject({ id, name: z.string() });
export const percent = z.number().min(0).nullable();

/** Milliseconds UTC → ISO 8601 */
export function iso(ms: number): string {
  return new Date(ms).toISOString();
}
export function isoOrNull(ms: number | null): string | null {
  return ms === null ? null : iso(ms);
}

export const imageSchema = named('Image', z.strictObject({
  id, name: z.string(), description: z.string(), minDiskGib: amount, minMemoryMib: amount, cloudInit: z.boolean(), enabled: z.boolean(),
}));

export function imageBody(image: Image): z.input<typeof imageSchema> {
  const { name, description, minMemoryMib, cloudInit, enabled } = image;
  return { id: image.id, name, description, minDiskGib: minDiskGib(image), minMemoryMib, cloudInit, enabled };
}

export const flavourSchema = named('Flavour', z.strictObject({ id, name: z.string(), ...sizeShape, enabled: z.boolean() }));

export function flavourBody({ id, name, vcpus, memoryMib, diskGib, enabled }: Flavour): z.input<typeof flavourSchema> {
  return { id, name, vcpus, memoryMib, diskGib, enabled };
}

/** One line of text: no line breaks, no control characters, no blanks around it. */
export function line(min: number, max: number) {
  return z.string().trim().normalize('NFC').min(min).max(max).regex(/^[^\p{Cc}\u2028\u2029]*$/u);
}

/** A form's rule, for a field that must be sent: forms take an absent field for an empty one. */
export function sent<T>(rule: z.ZodType<T, string | undefined>) {
  return z.string().transform((raw, context): T => {
    const parsed = rule.safeParse(raw);
    if (parsed.success) return parsed.data;
    for (const issue of parsed.error.issues) context.addIssue(issue.code === 'custom' ? { code: 'custom', params: issue.params } : { code: 'custom' });
    return z.NEVER;
  });
}

/** Whose: a list shows one's own; everybody's only to admins who ask for it. */
export const owner = z.enum(['me', 'all']).default('me');

/** Throws forbidden for a user who asks for everybody's. */
export function everybody(whose: z.output<typeof owner>, user: User): boolean {
  if (whose === 'all' && user.role !== 'admin') throw new AppError('forbidden', say('api.errors.admin-only'));
  return whose === 'all';
}
