// The price list and its currency.
import { settingsBounds as bounds } from '../../../model/settings.ts';
import type { WebDeps } from '../../deps.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { groupForm } from '../settings/group-form.ts';
import { settingsPageRoutes } from '../settings/page.ts';

export function adminPriceRoutes(deps: WebDeps): Route[] {
  return settingsPageRoutes(deps, {
    path: paths.adminPage('prices'), view: 'admin/settings/settings', titleKey: 'settings.prices.title',
    forms: [
      groupForm({
        group: 'prices',
        fields: [
          { path: 'currency', kind: 'text', bounds: bounds.currencyLength },
          { path: 'perVcpu', kind: 'number', bounds: bounds.price, digits: 2 },
          { path: 'perMemoryGib', kind: 'number', bounds: bounds.price, digits: 2 },
          { path: 'perDiskGib', kind: 'number', bounds: bounds.price, digits: 2 },
        ],
      }),
    ],
  });
}
