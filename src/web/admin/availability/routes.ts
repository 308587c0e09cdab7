// Availability, for admins: lost hosts and their recovery, drills, fence agents, and the settings of all that.
import { availabilityProofs, settingsBounds as bounds } from '../../../model/settings.ts';
import type { WebDeps } from '../../deps.ts';
import { paths } from '../../paths.ts';
import type { Route } from '../../routes.ts';
import { groupForm } from '../settings/group-form.ts';
import { settingsPageRoutes } from '../settings/page.ts';
import { showDrill, startDrill } from './drills.ts';
import { removeFence, saveFence, showFence, tryFence } from './fencing.ts';
import { beginRecovery, confirmOff, showRecovery } from './recover.ts';
import { loadState } from './state.ts';

export function adminAvailabilityRoutes(deps: WebDeps): Route[] {
  return [
    ...settingsPageRoutes(deps, {
      path: paths.adminPage('availability'), view: 'admin/availability/availability', titleKey: 'availability.title', locals: loadState,
      forms: [
        groupForm({
          group: 'availability',
          fields: [
            { path: 'enabled', kind: 'checkbox' },
            { path: 'proof', kind: 'choice', values: availabilityProofs },
            { path: 'graceSeconds', kind: 'number', bounds: bounds.graceSeconds, suffix: 's' },
            { path: 'defaultHa', kind: 'checkbox' },
          ],
        }),
      ],
    }),
    { method: 'get', path: '/admin/availability/recoveries/:id', access: 'admin', handler: showRecovery(deps) },
    { method: 'post', path: '/admin/hosts/:id/powered-off', access: 'admin', audit: 'host.powered-off', handler: confirmOff(deps) },
    { method: 'post', path: '/admin/hosts/:id/recover', access: 'admin', audit: 'host.recover', handler: beginRecovery(deps) },
    { method: 'post', path: '/admin/availability/drills', access: 'admin', audit: 'drill.start', handler: startDrill(deps) },
    { method: 'get', path: '/admin/availability/drills/:id', access: 'admin', handler: showDrill(deps) },
    { method: 'get', path: '/admin/hosts/:id/fencing', access: 'admin', handler: showFence(deps) },
    { method: 'post', path: '/admin/hosts/:id/fencing', access: 'admin', audit: 'fence.set', handler: saveFence(deps) },
    { method: 'post', path: '/admin/hosts/:id/fencing/test', access: 'admin', audit: 'fence.test', handler: tryFence(deps) },
    { method: 'post', path: '/admin/hosts/:id/fencing/remove', access: 'admin', audit: 'fence.remove', handler: removeFence(deps) },
  ];
}
