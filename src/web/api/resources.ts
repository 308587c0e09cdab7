// The Resource Monitor's table.
import { z } from 'zod';
import { say } from '../../errors.ts';
import { resourceItems, resourceTable, storageSpace } from '../../model/resources.ts';
import { loadResources } from '../../operations/cluster.ts';
import type { WebDeps } from '../deps.ts';
import { endpoint, type Endpoint } from './endpoint.ts';
import { named } from './openapi.ts';
import { amount, isoOrNull, time } from './shapes.ts';

const resourcesSchema = named('Resources', z.strictObject({
  currency: z.string(),
  /** `gb` is GiB, as on the page */
  rows: z.array(z.strictObject({ item: z.enum(resourceItems), count: z.number(), unit: z.enum(['piece', 'gb', 'machine']), subtotal: z.number().nullable() })),
  storage: z.strictObject({ usedBytes: z.number(), totalBytes: z.number(), at: time.nullable() }),
  instances: z.strictObject({ total: amount, running: amount, stopped: amount }),
}));

export function resourceEndpoints({ db }: WebDeps): Endpoint[] {
  return [
    endpoint({
      method: 'get', path: '/resources', id: 'getResources', access: 'user', scope: 'read', status: 200, summary: say('api.summary.getResources'),
      response: resourcesSchema,
      handler: async () => {
        const { remaining, pools, settings, instances } = await loadResources(db);
        const { usedBytes, totalBytes, sampledAt } = storageSpace(pools);
        return {
          body: {
            currency: settings.prices.currency,
            rows: resourceTable(remaining, settings, instances),
            storage: { usedBytes, totalBytes, at: isoOrNull(sampledAt) },
            instances,
          },
        };
      },
    }),
  ];
}
