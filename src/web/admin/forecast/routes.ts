// When memory, storage and quotas run out, if it goes on as in the last weeks.
import { forecastDays } from '../../../model/forecast.ts';
import { contextOf } from '../../context.ts';
import type { WebDeps } from '../../deps.ts';
import { forecastWords, urgencyOf } from '../../forecast/words.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { render } from '../../views.ts';
import { loadForecasts, maxLocalPools } from './load.ts';

export function adminForecastRoutes(deps: WebDeps): Route[] {
  return [{
    method: 'get', path: paths.adminPage('forecast'), access: 'admin',
    handler: async (req, res) => render(req, res, 'admin/forecast/forecast', {
      title: contextOf(req).t('forecast.title'), forecasts: await loadForecasts(deps), forecastDays, maxLocalPools, words: forecastWords, urgencyOf,
    }),
  }];
}
