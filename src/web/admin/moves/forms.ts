// What an admin chooses when machines are to be moved. Each machine is a field of its own, `instance:ID`.
import { z } from 'zod';
import { formText, text } from '../../forms.ts';

/** As a target: placement chooses. */
export const anywhere = 'anywhere';
/** At once. More: the check before it takes longer than a person waits. */
export const maxChosen = 200;

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export const moveForm = z.object({
  to: z.string().max(36).default(anywhere),
  why: text({ max: 200 }),
});

/** What is listed to choose from, out of the URL or kept by the form: what cannot be used is left out. */
export const listQuery = z.object({
  host: z.uuid().optional().catch(undefined),
  search: z.string().trim().max(64).catch(''),
  instance: z.union([z.uuid().transform((one) => [one]), z.array(z.uuid()).max(maxChosen)]).catch([]),
  to: z.uuid().optional().catch(undefined),
  why: z.string().trim().max(200).catch(''),
  all: z.literal('1').optional().catch(undefined),
  page: z.coerce.number().int().min(1).max(1_000_000).catch(1),
});

/** Where each was foreseen to go by the check that the admin has seen. */
export function foreseenTargets(body: unknown): Map<string, string> {
  return new Map(Object.entries(formText(body)).flatMap(([name, to]) => (name.startsWith('instance:') && uuid.test(to) ? [[name.slice('instance:'.length), to]] : [])));
}

/** The choice as hidden fields for the step after. */
export function chosenText(body: unknown): { readonly to: string; readonly why: string } {
  const { to = anywhere, why = '' } = formText(body);
  return { to, why };
}
