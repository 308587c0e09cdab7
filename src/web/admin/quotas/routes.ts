// The quota of users who have none of their own.
import { settingsBounds as bounds } from '../../../model/settings.ts';
import type { WebDeps } from '../../deps.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { groupForm } from '../settings/group-form.ts';
import { settingsPageRoutes } from '../settings/page.ts';

export function adminQuotaRoutes(deps: WebDeps): Route[] {
  return settingsPageRoutes(deps, {
    path: paths.adminPage('quotas'), view: 'admin/settings/settings', titleKey: 'settings.quota.title',
    forms: [
      groupForm({
        group: 'quota',
        fields: [
          { path: 'instances', kind: 'number', bounds: bounds.quotaInstances },
          { path: 'vcpus', kind: 'number', bounds: bounds.quotaVcpus },
          { path: 'memoryMib', kind: 'number', bounds: bounds.quotaMemoryMib, suffix: 'MiB' },
          { path: 'diskGib', kind: 'number', bounds: bounds.quotaDiskGib, suffix: 'GiB' },
        ],
      }),
    ],
  });
}
