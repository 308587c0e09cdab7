// A user's own usage and what it costs, by day and by month.
import { effectiveQuota } from '../../model/user.ts';
import { selectSettings } from '../../store/settings.ts';
import { selectPeriodsSince } from '../../store/usage-periods.ts';
import { contextOf, currentUser } from '../context.ts';
import { fileName } from '../csv.ts';
import type { WebDeps } from '../deps.ts';
import { loadLevels, quotaForecasts } from '../forecast/quota.ts';
import { forecastWords } from '../forecast/words.ts';
import { paths } from '../paths.ts';
import type { Route } from '../routes.ts';
import { render } from '../views.ts';
import { machineLines, sendCsv } from './csv.ts';
import { loadUsage } from './load.ts';
import { usageRange } from './range.ts';

export function usageRoutes(deps: WebDeps): Route[] {
  return [
    { method: 'get', path: paths.accountUsage, access: 'user', handler: showUsage(deps) },
    { method: 'get', path: `${paths.accountUsage}.csv`, access: 'user', handler: sendUsage(deps) },
  ];
}

function showUsage({ db, clock }: WebDeps): Route['handler'] {
  return async (req, res) => {
    const now = clock.now();
    const user = currentUser(req);
    const range = usageRange(req.query, now);
    const usage = await loadUsage(db, range, now, user.id);
    const { quota } = await selectSettings(db);
    await render(req, res, 'usage/account', {
      title: contextOf(req).t('usage.title'), base: paths.accountUsage, range, usage, since: await selectPeriodsSince(db),
      ownForecasts: quotaForecasts(await loadLevels(db, now, user.id), user.id, effectiveQuota(user.quota, quota), now), words: forecastWords,
    });
  };
}

function sendUsage({ db, clock }: WebDeps): Route['handler'] {
  return async (req, res) => {
    const now = clock.now();
    const user = currentUser(req);
    const range = usageRange(req.query, now);
    await sendCsv(res, fileName('usage', user.name, range.name), machineLines(db, range, now, user.id));
  };
}
