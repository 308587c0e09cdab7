// Everybody's usage and what it costs: in total, by user, and one user's machines.
import type { Request } from 'express';
import { z } from 'zod';
import { AppError, say } from '../../../errors.ts';
import { isAscii } from '../../../store/columns.ts';
import { selectPeriodsSince } from '../../../store/usage-periods.ts';
import { selectOptionalUser, selectUserNames } from '../../../store/users.ts';
import type { Usage } from '../../../model/usage.ts';
import type { User } from '../../../model/user.ts';
import { contextOf } from '../../context.ts';
import { fileName } from '../../csv.ts';
import type { WebDeps } from '../../deps.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { sendCsv, usageCsv, type CsvRow } from '../../usage/csv.ts';
import { dearestFirst, loadUsage, sumOf, type LoadedUsage } from '../../usage/load.ts';
import { usageRange, type UsageRange } from '../../usage/range.ts';
import { machineRows, machinesOf, maxMachines } from '../../usage/routes.ts';
import { render } from '../../views.ts';

const pageSize = 100;
const pageNumber = z.coerce.number().int().min(1).max(1_000_000).catch(1);

export function adminUsageRoutes(deps: WebDeps): Route[] {
  return [
    { method: 'get', path: paths.adminPage('usage'), access: 'admin', handler: showUsage(deps) },
    { method: 'get', path: paths.adminPage('usage.csv'), access: 'admin', handler: sendUsage(deps) },
  ];
}

function showUsage(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const { db, clock } = deps;
    const now = clock.now();
    const person = await personOf(deps, req);
    const range = usageRange(req.query, now);
    const usage = await loadUsage(db, range, now, person?.id);
    const users = person === undefined ? usersOf(usage) : [];
    const page = Math.min(Math.max(1, Math.ceil(users.length / pageSize)), pageNumber.parse(req.query['page']));
    const shown = users.slice((page - 1) * pageSize, page * pageSize);
    const { t } = contextOf(req);
    await render(req, res, 'admin/usage/usage', {
      title: person === undefined ? t('usage.admin.title') : t('usage.admin.title-of', { name: person.name }), base: paths.adminPage('usage'), range, usage,
      person: person ?? null, machines: person === undefined ? [] : machinesOf(usage), maxMachines,
      since: await selectPeriodsSince(db), users: shown, names: await selectUserNames(db, shown.map(({ userId }) => userId)), page, pageSize, total: users.length,
    });
  };
}

/** Only when the URL names one. */
async function personOf({ db }: WebDeps, req: Request): Promise<User | undefined> {
  const id = req.query['user'];
  if (id === undefined || id === '') return undefined;
  const user = typeof id === 'string' && id.length === 36 && isAscii(id) ? await selectOptionalUser(db, id) : undefined;
  if (user === undefined) throw new AppError('not-found', say('users.not-found'));
  return user;
}

/** Those who had anything, the dearest first. */
export function usersOf(usage: LoadedUsage): { readonly userId: string; readonly usage: Usage }[] {
  const dearest = dearestFirst(usage.currencies);
  return [...usage.by(({ userId }) => userId)].map(([userId, buckets]) => ({ userId, usage: sumOf(buckets) })).sort((a, b) => dearest(a.usage, b.usage));
}

function sendUsage(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const now = deps.clock.now();
    const person = await personOf(deps, req);
    const range = usageRange(req.query, now);
    const usage = await loadUsage(deps.db, range, now, person?.id);
    if (person !== undefined) return sendCsv(res, fileName('usage', person.name, range.name), usageCsv([range.by, 'instance', 'instance_id'], machineRows(range, usage), usage.currencies));
    sendCsv(res, fileName('usage', range.name), usageCsv([range.by, 'user', 'user_id'], await userRows(deps, range, usage), usage.currencies));
  };
}

/** One for each user and bucket in which they had anything. */
async function userRows({ db }: WebDeps, range: UsageRange, usage: LoadedUsage): Promise<CsvRow[]> {
  const byUser = usage.by(({ userId }) => userId);
  const names = await selectUserNames(db, [...byUser.keys()]);
  return range.buckets.flatMap((bucket, i) => [...byUser].flatMap(([userId, usages]): CsvRow[] => {
    const own = usages[i];
    return own === undefined || own.instanceMs === 0 ? [] : [{ names: [bucket.name, names.get(userId) ?? '', userId], usage: own }];
  }));
}
