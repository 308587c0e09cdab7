// How hosts are chosen and how instances move: two groups of settings.
import { migrationEncryptions, placementStrategies, settingsBounds as bounds } from '../../../model/settings.ts';
import type { WebDeps } from '../../deps.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { groupForm } from '../settings/group-form.ts';
import { settingsPageRoutes } from '../settings/page.ts';

export function adminPlacementRoutes(deps: WebDeps): Route[] {
  return settingsPageRoutes(deps, {
    path: paths.adminPage('placement'), view: 'admin/settings/settings', titleKey: 'settings.placement.title',
    forms: [
      groupForm({
        group: 'placement',
        fields: [
          { path: 'strategy', kind: 'choice', values: placementStrategies },
          { path: 'loadWeightPercent', kind: 'number', bounds: [0, 100], digits: 1, suffix: '%' },
          { path: 'maxCpuPercent', kind: 'number', bounds: bounds.percent, digits: 1, suffix: '%' },
          { path: 'maxMemoryPercent', kind: 'number', bounds: bounds.percent, digits: 1, suffix: '%' },
        ],
      }),
      groupForm({
        group: 'migration',
        fields: [
          { path: 'perHost', kind: 'number', bounds: bounds.movesPerHost },
          { path: 'total', kind: 'number', bounds: bounds.movesTotal },
          { path: 'bandwidthMib', kind: 'number', bounds: bounds.bandwidthMib, suffix: 'MiB/s' },
          { path: 'maxDowntimeMs', kind: 'number', bounds: bounds.maxDowntimeMs, suffix: 'ms' },
          { path: 'timeoutSeconds', kind: 'number', bounds: bounds.moveTimeoutSeconds, suffix: 's' },
          { path: 'postCopyAfterSeconds', kind: 'number', bounds: bounds.postCopyAfterSeconds, suffix: 's' },
          { path: 'encryption', kind: 'choice', values: migrationEncryptions },
          { path: 'autoConverge', kind: 'checkbox' },
        ],
      }),
    ],
  });
}
