// Settings of the site, of power actions and of the console.
import { registrations, settingsBounds as bounds } from '../../../model/settings.ts';
import { languages } from '../../../model/user.ts';
import type { WebDeps } from '../../deps.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { groupForm } from './group-form.ts';
import { settingsPageRoutes } from './page.ts';

export function adminSettingsRoutes(deps: WebDeps): Route[] {
  return settingsPageRoutes(deps, {
    path: paths.adminPage('settings'), view: 'admin/settings/settings', titleKey: 'settings.title',
    forms: [
      groupForm({
        group: 'site',
        fields: [
          { path: 'name', kind: 'text', bounds: bounds.siteNameLength },
          { path: 'registration', kind: 'choice', values: registrations },
          { path: 'defaultLanguage', kind: 'choice', values: languages },
        ],
      }),
      groupForm({ group: 'power', fields: [{ path: 'shutdownTimeoutSeconds', kind: 'number', bounds: bounds.shutdownTimeoutSeconds, suffix: 's' }] }),
      groupForm({ group: 'console', fields: [{ path: 'passwordSeconds', kind: 'number', bounds: bounds.passwordSeconds, suffix: 's' }] }),
    ],
  });
}
