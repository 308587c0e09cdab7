// The groups of settings, read and set. Their fields and bounds are those of the settings' own schemas; here unknown fields are refused besides.
import { z } from 'zod';
import { AppError, say, type Sentence } from '../../errors.ts';
import type { Settings, SettingsGroup } from '../../model/settings.ts';
import { selectSettingsVersion, settingsGroups, settingsSchemas, updateSettings } from '../../store/settings.ts';
import type { WebDeps } from '../deps.ts';
import { endpoint, type Endpoint } from './endpoint.ts';
import { named } from './openapi.ts';

/** What users live under they may read; the rest is for admins. */
const forUsers: readonly SettingsGroup[] = ['thresholds', 'prices', 'caps'];
/** of the group when it was read; 0: never set. Sent back with a change, the change is refused if somebody else made one meanwhile. */
const version = z.int().min(0);
/** What the schemas say of two fields that do not go together, as they say it. */
const crossed: Readonly<Record<string, Sentence>> = {
  'open must be below close': say('api.field.open-below-close'),
  'low must be below high': say('api.field.low-below-high'),
};

type Shape = Readonly<Record<string, z.ZodType>>;

/** The same fields, and no others, at every depth. */
function closed(schema: z.ZodType): z.ZodType {
  return schema instanceof z.ZodObject ? z.strictObject(closedShape(schema)) : schema;
}

function closedShape(schema: z.ZodObject): Shape {
  return Object.fromEntries(Object.entries(schema.shape).map(([name, field]) => [name, closed(field as z.ZodType)]));
}

const capital = (group: string): string => `${group[0]?.toUpperCase()}${group.slice(1)}`;

interface Schemas { readonly response: z.ZodObject; readonly body: z.ZodType<Readonly<Record<string, unknown>> & { readonly version?: number | undefined }> }

function schemasOf(group: SettingsGroup): Schemas {
  const shape = closedShape(settingsSchemas[group]);
  return {
    response: named(capital(group), z.strictObject({ ...shape, version })),
    body: z.strictObject({ ...shape, version: version.optional() }).superRefine((value, context) => {
      // the version is no field of the group: its schema drops it
      for (const issue of settingsSchemas[group].safeParse(value).error?.issues ?? []) {
        const sentence = crossed[issue.message];
        if (sentence !== undefined) context.addIssue({ code: 'custom', path: issue.path, params: { sentence }, message: issue.message });
      }
    }),
  };
}

const schemas = Object.fromEntries(settingsGroups.map((group) => [group, schemasOf(group)])) as Readonly<Record<SettingsGroup, Schemas>>;

export function settingsEndpoints(deps: WebDeps): Endpoint[] {
  return settingsGroups.flatMap((group) => groupEndpoints(deps, group));
}

function groupEndpoints<G extends SettingsGroup>(deps: WebDeps, group: G): Endpoint[] {
  const { response, body } = schemas[group];
  return [
    endpoint({
      method: 'get', path: `/settings/${group}`, id: `get${capital(group)}`, access: forUsers.includes(group) ? 'user' : 'admin', scope: 'read', status: 200,
      summary: say('api.summary.getSettings', { group }), response,
      handler: async () => ({ body: await read(deps, group) }),
    }),
    endpoint({
      method: 'put', path: `/settings/${group}`, id: `put${capital(group)}`, access: 'admin', scope: 'write', status: 200, audit: 'settings.change',
      summary: say('api.summary.putSettings', { group }), body, response,
      handler: async ({ body: { version: expected, ...value }, user, note }) => {
        note({ target: group, detail: JSON.stringify(value) });
        await write(deps, group, settingsSchemas[group].parse(value) as Settings[G], user.id, expected);
        return { body: await read(deps, group) };
      },
    }),
  ];
}

async function read(deps: WebDeps, group: SettingsGroup): Promise<Record<string, unknown>> {
  const { value, version: current } = await selectSettingsVersion(deps.db, group);
  return { ...value, version: current };
}

async function write<G extends SettingsGroup>(deps: WebDeps, group: G, value: Settings[G], userId: string, expected: number | undefined): Promise<void> {
  if (!(await updateSettings(deps.db, group, value, userId, deps.clock.now(), expected))) throw new AppError('conflict', say('api.errors.settings-changed'));
}
