// Usage and what it costs: one's own, and for admins everybody's.
import { z } from 'zod';
import { AppError, say } from '../../errors.ts';
import type { Usage } from '../../model/usage.ts';
import { selectOptionalUser, selectUserNames } from '../../store/users.ts';
import { usersOf } from '../admin/usage/routes.ts';
import type { WebDeps } from '../deps.ts';
import { loadUsage, type LoadedUsage } from '../usage/load.ts';
import { usageRange, type UsageRange } from '../usage/range.ts';
import { endpoint, type Endpoint } from './endpoint.ts';
import { named } from './openapi.ts';
import { pageOf, pageQuery, slicePage } from './paging.ts';
import { id, iso, time } from './shapes.ts';

const hour = 3_600_000;
const range = {
  by: z.enum(['day', 'month']).default('day'),
  month: z.string().regex(/^\d{4}-(?:0[1-9]|1[0-2])$/).optional(),
  year: z.string().regex(/^\d{4}$/).optional(),
};
const hours = z.number().min(0);
const usageShape = {
  instanceHours: hours, vcpuHours: hours, memoryGibHours: hours, diskGibHours: hours,
  /** one for each currency that was in force, rounded to the hundredth */
  costs: z.array(z.strictObject({ currency: z.string(), amount: z.number().min(0) })),
};
const usageSchema = named('Usage', z.strictObject(usageShape));
const rangeShape = {
  by: z.enum(['day', 'month']),
  /** days or months in UTC; what has not begun is left out */
  buckets: z.array(z.strictObject({ name: z.string(), from: time, to: time, usage: usageSchema })),
  sum: usageSchema,
};
const ownSchema = named('UsageReport', z.strictObject(rangeShape));
const allSchema = named('UsageReportPage', z.strictObject({ ...rangeShape, ...pageOf(z.strictObject({ user: z.strictObject({ id, name: z.string() }), usage: usageSchema })).shape }));

export function usageEndpoints({ db, clock }: WebDeps): Endpoint[] {
  return [
    endpoint({
      method: 'get', path: '/me/usage', id: 'getMyUsage', access: 'user', scope: 'read', status: 200, summary: say('api.summary.getMyUsage'),
      query: z.strictObject(range),
      response: ownSchema,
      handler: async ({ query, user }) => {
        const now = clock.now();
        const asked = usageRange(query, now);
        return { body: reportOf(asked, await loadUsage(db, asked, now, user.id), now) };
      },
    }),
    endpoint({
      method: 'get', path: '/usage', id: 'listUsage', access: 'admin', scope: 'read', status: 200, summary: say('api.summary.listUsage'),
      query: z.strictObject({ ...range, userId: id.optional(), ...pageQuery }),
      response: allSchema,
      handler: async ({ query }) => {
        const now = clock.now();
        if (query.userId !== undefined && (await selectOptionalUser(db, query.userId)) === undefined) throw new AppError('not-found', say('users.not-found'));
        const asked = usageRange(query, now);
        const usage = await loadUsage(db, asked, now, query.userId);
        const page = slicePage(usersOf(usage), query);
        const names = await selectUserNames(db, page.items.map(({ userId }) => userId));
        const items = page.items.map((each) => ({ user: { id: each.userId, name: names.get(each.userId) ?? '' }, usage: usageBody(usage, each.usage) }));
        return { body: { ...reportOf(asked, usage, now), ...page, items } };
      },
    }),
  ];
}

function reportOf({ by, buckets }: UsageRange, usage: LoadedUsage, now: number): z.input<typeof ownSchema> {
  return {
    by, sum: usageBody(usage, usage.sum),
    buckets: buckets.flatMap(({ name, from, to }, i) => {
      const own = usage.buckets[i];
      return own === undefined || from > now ? [] : [{ name, from: iso(from), to: iso(to), usage: usageBody(usage, own) }];
    }),
  };
}

function usageBody(usage: LoadedUsage, of: Usage): z.input<typeof usageSchema> {
  return { instanceHours: of.instanceMs / hour, vcpuHours: of.vcpuMs / hour, memoryGibHours: of.memoryMibMs / 1024 / hour, diskGibHours: of.diskGibMs / hour, costs: usage.amounts(of) };
}
