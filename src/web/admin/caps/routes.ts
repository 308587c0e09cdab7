// The largest instance a user may ask for, and how much of a host may be promised.
import { settingsBounds as bounds } from '../../../model/settings.ts';
import type { WebDeps } from '../../deps.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { groupForm } from '../settings/group-form.ts';
import { settingsPageRoutes } from '../settings/page.ts';

export function adminCapsRoutes(deps: WebDeps): Route[] {
  return settingsPageRoutes(deps, {
    path: paths.adminPage('caps'), view: 'admin/settings/settings', titleKey: 'settings.caps.title',
    forms: [
      groupForm({
        group: 'caps',
        fields: [
          { path: 'vcpus', kind: 'number', bounds: bounds.vcpus },
          { path: 'memoryMib', kind: 'number', bounds: bounds.memoryMib, suffix: 'MiB' },
          { path: 'diskGib', kind: 'number', bounds: bounds.diskGib, suffix: 'GiB' },
        ],
      }),
      groupForm({
        group: 'overcommit',
        fields: [
          { path: 'vcpus', kind: 'number', bounds: bounds.overcommit, digits: 2, suffix: '×' },
          { path: 'memory', kind: 'number', bounds: bounds.overcommit, digits: 2, suffix: '×' },
          { path: 'disk', kind: 'number', bounds: bounds.overcommit, digits: 2, suffix: '×' },
        ],
      }),
    ],
  });
}
