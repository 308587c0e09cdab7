// "May I create this now?" for programs: the verdict of the same function that decides when it is asked for.
import { z } from 'zod';
import { say } from '../../errors.ts';
import { priceOf } from '../../model/price.ts';
import { admissionFor } from '../../operations/admission.ts';
import { selectSettings } from '../../store/settings.ts';
import type { WebDeps } from '../deps.ts';
import { chosenImage } from './choices.ts';
import { endpoint, type Endpoint } from './endpoint.ts';
import { named } from './openapi.ts';
import { queryInteger } from './paging.ts';
import { id, iso, sizeSchema, time } from './shapes.ts';

const verdictSchema = named('Verdict', z.strictObject({
  allowed: z.boolean(),
  reasons: z.array(z.strictObject({
    kind: z.enum(['invalid', 'quota-exceeded', 'no-capacity', 'gate-closed']),
    field: z.enum(['vcpus', 'memoryMib', 'diskGib', 'instances']).nullable(),
    text: z.string(),
  })),
  /** each alone, with the other fields as asked */
  largest: sizeSchema,
  /** together: the nearest size that could be created now */
  fits: sizeSchema.nullable(),
  remaining: sizeSchema,
  host: z.strictObject({ id, name: z.string() }).nullable(),
  price: z.strictObject({ currency: z.string(), vcpus: z.number(), memory: z.number(), disk: z.number(), total: z.number() }),
  checkAgainAt: time,
}));

export function admissionEndpoints(deps: WebDeps): Endpoint[] {
  const { db, clock, config } = deps;
  return [
    endpoint({
      method: 'get', path: '/admission', id: 'getAdmission', access: 'user', scope: 'read', status: 200, summary: say('api.summary.getAdmission'),
      query: z.strictObject({ vcpus: queryInteger(0, 100_000), memoryMib: queryInteger(0, 100_000_000), diskGib: queryInteger(0, 100_000_000), imageId: id.optional() }),
      response: verdictSchema,
      handler: async ({ query: { imageId, ...size }, user, context }) => {
        const image = imageId === undefined ? undefined : await chosenImage(deps, imageId);
        const [verdict, { prices }] = await Promise.all([admissionFor(db, clock, { user, config, request: { ...size, image } }), selectSettings(db)]);
        return {
          body: {
            allowed: verdict.allowed,
            reasons: verdict.reasons.map(({ kind, field, sentence }) => ({ kind, field, text: context.say(sentence) })),
            largest: verdict.largest,
            fits: verdict.fits,
            remaining: verdict.remaining,
            host: verdict.placement === null ? null : { id: verdict.placement.hostId, name: verdict.placement.hostName },
            price: { currency: prices.currency, ...priceOf(size, prices) },
            checkAgainAt: iso(verdict.checkAgainAt),
          },
        };
      },
    }),
  ];
}
