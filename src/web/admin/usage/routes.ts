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
import { machineLines, sendCsv, usageHead, usageLine } from '../../usage/csv.ts';
import { dearestFirst, loadUsage, sumOf, type LoadedUsage } from '../../usage/load.ts';
import { usageRange, type UsageRange } from '../../usage/range.ts';
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
      person: person ?? null,
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
  return [...usage.users].map(([userId, buckets]) => ({ userId, usage: sumOf(buckets.values()) })).sort((a, b) => dearest(a.usage, b.usage));
}

function sendUsage(deps: WebDeps): Route['handler'] {
  return async (req, res) => {
    const now = deps.clock.now();
    const person = await personOf(deps, req);
    const range = usageRange(req.query, now);
    if (person !== undefined) await sendCsv(res, fileName('usage', person.name, range.name), machineLines(deps.db, range, now, person.id));
    else await sendCsv(res, fileName('usage', range.name), userLines(deps, range, now));
  };
}

/** One for each bucket and each user who had anything in it. */
async function* userLines({ db }: WebDeps, range: UsageRange, now: number): AsyncGenerator<string> {
  const { users, currencies } = await loadUsage(db, range, now);
  const names = await selectUserNames(db, [...users.keys()]);
  yield usageHead([range.by, 'user', 'user_id'], currencies);
  for (const [i, bucket] of range.buckets.entries()) {
    for (const [userId, usages] of users) {
      const usage = usages.get(i);
      if (usage !== undefined) yield usageLine([bucket.name, names.get(userId) ?? '', userId], usage, currencies);
    }
  }
}
