// Thresholds and prices. The bounds are those of the settings' own schemas; here unknown fields are refused besides.
import { z } from 'zod';
import { AppError, say } from '../../errors.ts';
import type { Settings } from '../../model/settings.ts';
import { selectSettingsVersion, settingsSchemas, updateSettings } from '../../store/settings.ts';
import type { WebDeps } from '../deps.ts';
import { endpoint, type Endpoint } from './endpoint.ts';
import { named } from './openapi.ts';

const stored = settingsSchemas.thresholds.shape;
const pair = z.strictObject({ ...stored.cpuPercent.shape }).superRefine((value, context) => {
  if (value.open >= value.close) context.addIssue({ code: 'custom', path: ['open'], params: { sentence: say('api.field.open-below-close') }, message: 'open' });
});
const thresholds = { enabled: stored.enabled, cpuPercent: pair, memoryPercent: pair, storagePercent: pair, windowSeconds: stored.windowSeconds };
const prices = settingsSchemas.prices.shape;
/** of the group when it was read; 0: never set. Sent back with a change, the change is refused if somebody else made one meanwhile. */
const version = z.int().min(0);

const thresholdsSchema = named('Thresholds', z.strictObject({ ...thresholds, version }));
const pricesSchema = named('Prices', z.strictObject({ ...prices, version }));

export function settingsEndpoints(deps: WebDeps): Endpoint[] {
  return [
    endpoint({
      method: 'get', path: '/settings/thresholds', id: 'getThresholds', access: 'user', scope: 'read', status: 200, summary: say('api.summary.getThresholds'),
      response: thresholdsSchema,
      handler: async () => ({ body: await read(deps, 'thresholds') }),
    }),
    endpoint({
      method: 'put', path: '/settings/thresholds', id: 'putThresholds', access: 'admin', scope: 'write', status: 200, summary: say('api.summary.putThresholds'),
      audit: 'settings.thresholds',
      body: z.strictObject({ ...thresholds, version: version.optional() }),
      response: thresholdsSchema,
      handler: async ({ body: { version: expected, ...value }, user, note }) => {
        note({ target: 'thresholds', detail: JSON.stringify(value) });
        await write(deps, 'thresholds', value, user.id, expected);
        return { body: await read(deps, 'thresholds') };
      },
    }),
    endpoint({
      method: 'get', path: '/settings/prices', id: 'getPrices', access: 'user', scope: 'read', status: 200, summary: say('api.summary.getPrices'),
      response: pricesSchema,
      handler: async () => ({ body: await read(deps, 'prices') }),
    }),
    endpoint({
      method: 'put', path: '/settings/prices', id: 'putPrices', access: 'admin', scope: 'write', status: 200, summary: say('api.summary.putPrices'),
      audit: 'settings.prices',
      body: z.strictObject({ ...prices, version: version.optional() }),
      response: pricesSchema,
      handler: async ({ body: { version: expected, ...value }, user, note }) => {
        note({ target: 'prices', detail: JSON.stringify(value) });
        await write(deps, 'prices', value, user.id, expected);
        return { body: await read(deps, 'prices') };
      },
    }),
  ];
}

async function read<G extends 'thresholds' | 'prices'>(deps: WebDeps, group: G): Promise<Settings[G] & { version: number }> {
  const { value, version: current } = await selectSettingsVersion(deps.db, group);
  return { ...value, version: current };
}

async function write<G extends 'thresholds' | 'prices'>(deps: WebDeps, group: G, value: Settings[G], userId: string, expected: number | undefined): Promise<void> {
  if (!(await updateSettings(deps.db, group, value, userId, deps.clock.now(), expected))) throw new AppError('conflict', say('api.errors.settings-changed'));
}
